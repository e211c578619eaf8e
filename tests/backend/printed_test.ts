/**
 * Long lists of a server, which a worker reads and prints. Lost otherwise: the truth about single
 * pools, a list that never ends because of one odd file in the directory, and all pools of somebody
 * whose worker cannot start.
 *
 * @module
 */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import { servedNames } from "../../lib/backend/local/files.ts";
import { describingFiles, filesIn } from "../../lib/backend/local/listing.ts";
import type { Help } from "../../lib/backend/local/survey/helper.ts";
import { printPools } from "../../lib/backend/local/survey/print.ts";
import { PRINTED } from "../../lib/backend/local/survey/records.ts";
import { printing } from "../../lib/backend/local/survey/printed.ts";
import type { SurveyTask } from "../../lib/backend/local/survey/worker.ts";
import { workerUrl } from "../../lib/backend/local/survey/worker_url.ts";
import { poolName } from "../../lib/backend/refs.ts";
import type { PrintedPools } from "../../lib/backend/types.ts";
import { holdWorkers } from "../../lib/filter/holders.ts";
import { inPlace } from "../../lib/storage/steps.ts";
import { inTurns } from "../../lib/storage/turns.ts";
import { infoJson } from "../../server/infos.ts";
import { CountedHelper, withMany } from "../support/many_pools.ts";

const decoder = new TextDecoder();
const AGE = /"(oldest|newest)_age_ms":\d+/g;

/** Everything but the ages, which pass. */
function ageless(text: string): string {
  return text.replaceAll(AGE, '"$1_age_ms":0');
}

/** The text of a list that is made without a worker. */
function expectedText(dir: string): string {
  const infos = inPlace(describingFiles(filesIn(dir)));
  return ageless(infos.map((info) => `,${infoJson(info, info.name, 0)}`).join(""));
}

function textOf({ parts }: PrintedPools): string {
  return parts.map((part) =>
    part instanceof Uint8Array ? decoder.decode(part) : `,${infoJson(part, part.name, 0)}`
  ).join("");
}

function filesOf(dir: string): string[] {
  return filesIn(dir).map((path) => path.slice(dir.length + 1));
}

Deno.test("a list that the worker prints says of every kind of pool what opening it says", async () => {
  await withMany(async (dir) => {
    const helper = new CountedHelper(workerUrl);
    const own = new Set(["0-copy-0", "one", "magic", "zeros", "nobody"]);
    const files = filesOf(dir);
    const pieces = await Array.fromAsync(printing(dir, files, { own, run: inTurns, helper }));
    assert.equal(ageless(pieces.map(textOf).join("")), expectedText(dir));
    assert.equal(helper.done, Math.ceil(files.length / PRINTED));
    assert.equal(helper.refused, 0);
    const untold = pieces.flatMap(({ parts }) =>
      parts.flatMap((part) => part instanceof Uint8Array ? [] : [part.name])
    );
    // The worker has printed all good pools but those that it should leave.
    assert.ok(untold.includes("0-copy-0") && untold.includes("one"));
    assert.ok(!untold.includes("two") && !untold.includes("wrapped"), `${untold}`);
    assert.ok(untold.length < 40, `${untold}`);
    const seen = new Map(
      pieces.flatMap((piece) => [...piece.seen()].map((pool) => [pool.name, pool] as const)),
    );
    for (const { name, identity, error } of inPlace(describingFiles(filesIn(dir)))) {
      assert.equal(seen.get(name)?.identity, identity, name);
      assert.equal(seen.get(name)?.error?.message, error?.message, name);
    }
    assert.equal(helper.isRunning, false);
  });
});

Deno.test("a list that a worker should print is whole although that cannot start, fails, or lies idle", async () => {
  await withMany(async (dir) => {
    const expected = expectedText(dir);
    const files = filesOf(dir);
    const workers = {
      forbidden: null,
      failing: "data:text/javascript,throw new Error('no')",
      // It answers once, and with something else.
      broken: "data:text/javascript,onmessage = () => { postMessage({ chunk: 0, names: 'x' }); " +
        "setTimeout(() => { throw new Error('broken'); }, 0); };",
      lazy: "data:text/javascript,onmessage = () => postMessage('over');",
    };
    for (const [name, url] of Object.entries(workers)) {
      const helper = new CountedHelper(() => url);
      const pieces = printing(dir, files, { own: new Set(), run: inTurns, helper });
      const texts = await Array.fromAsync(pieces, textOf);
      assert.equal(ageless(texts.join("")), expected, name);
      assert.ok(helper.refused > 10, name);
      assert.equal(helper.isRunning, false, name);
    }
  });
});

Deno.test("the worker names the files of a large directory as the server would", async () => {
  await withMany(async (dir) => {
    // So that the directory is large whatever the file system says of its size.
    const told = await servedNames(dir, undefined, new CountedHelper(workerUrl));
    assert.deepEqual(told, filesOf(dir));
    const some = (names: readonly string[]): string[] => names.filter((name) => /^[12]/.test(name));
    for (const url of [workerUrl, () => null, () => "data:text/javascript,throw new Error('no')"]) {
      const chosen = await servedNames(dir, some, new CountedHelper(url));
      assert.deepEqual(chosen.map(poolName), some(told.map(poolName)));
      assert.equal(chosen.length, 600);
    }
    // What cannot be listed leaves the worker as it was; what is small is not its work.
    const helper = new CountedHelper(workerUrl);
    const release = holdWorkers();
    try {
      assert.equal(await helper.help({ listed: `${dir}/two.plasmite` }).said(0), null);
      assert.deepEqual(await servedNames(dir, undefined, helper), told);
      Deno.mkdirSync(`${dir}/small`);
      assert.deepEqual(await servedNames(`${dir}/small`, undefined, helper), []);
      // Some file systems say the number of entries for the size of a directory.
      const isLarge = Deno.statSync(dir).size >= 40_000;
      assert.deepEqual([helper.done, helper.refused], [isLarge ? 1 : 0, 1]);
    } finally {
      release();
    }
    // Two jobs at once: each has its own answer.
    const both = new CountedHelper(workerUrl);
    const options = { own: new Set<string>(), run: inTurns, helper: both };
    const [texts, names] = await Promise.all([
      Array.fromAsync(printing(dir, told, options), textOf),
      servedNames(dir, undefined, both),
    ]);
    assert.equal(ageless(texts.join("")), expectedText(dir));
    assert.deepEqual(names, told);
    assert.equal(both.refused, 0);
    assert.deepEqual(await servedNames(`${dir}/nowhere`, undefined), []);
    await assert.rejects(
      servedNames(`${dir}/two.plasmite`, undefined),
      /failed to read pool directory/,
    );
  });
});

/** A worker whose last job is known. */
class WatchedHelper extends CountedHelper {
  job: SurveyTask | undefined;

  override help(job: SurveyTask): Help {
    this.job = job;
    return super.help(job);
  }
}

Deno.test("a worker prints no more of a list once nobody wants the rest", async () => {
  await withMany(async (dir) => {
    const helper = new WatchedHelper(workerUrl);
    const files = filesOf(dir);
    for await (const _ of printing(dir, files, { own: new Set(), run: inTurns, helper })) break;
    const { job } = helper;
    assert.ok(job !== undefined && "files" in job);
    assert.equal([...printPools(job, fs)].length, 0, "it was told");
    const again = { ...job, ended: new SharedArrayBuffer(4) };
    let chunks = 0;
    for (const { chunk } of printPools(again, fs)) {
      assert.equal(chunk, chunks++);
      if (chunks === 3) new Int32Array(again.ended)[0] = 1;
    }
    assert.equal(chunks, 3);
  });
});

Deno.test("who does not want the rest of a printed list ends the worker's work, and nobody else's", async () => {
  await withMany(async (dir) => {
    const files = filesOf(dir);
    const helper = new CountedHelper(workerUrl);
    const release = holdWorkers();
    try {
      const options = { own: new Set<string>(), run: inTurns, helper };
      for await (const { parts } of printing(dir, files, options)) {
        assert.ok(parts.length > 0);
        break;
      }
      const [, all] = await Promise.all([
        printing(dir, files, options).next(),
        Array.fromAsync(printing(dir, files, options), textOf),
      ]);
      assert.equal(ageless(all.join("")), expectedText(dir));
      assert.equal(helper.refused, 0);
      assert.equal(helper.isRunning, true);
    } finally {
      release();
    }
    assert.equal(helper.isRunning, false);
  });
});
