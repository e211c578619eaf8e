/**
 * Lists of pools, among them pools of every kind that a list can come across. A list glances at each
 * pool instead of opening it; whoever reads it would otherwise take a damaged pool for a good one,
 * or miss one that is there.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Client } from "../../mod.ts";
import { LocalBackend } from "../../lib/backend/local.ts";
import { sortInTurns } from "../../lib/backend/local/files.ts";
import type { PoolInfo } from "../../lib/backend/local/info.ts";
import { describingFiles, filesIn } from "../../lib/backend/local/listing.ts";
import { CHUNK } from "../../lib/backend/local/survey/records.ts";
import { surveying } from "../../lib/backend/local/survey/survey.ts";
import { workerUrl } from "../../lib/backend/local/survey/worker_url.ts";
import { holdWorkers } from "../../lib/filter/holders.ts";
import { disk } from "../../lib/storage/file.ts";
import { inPlace } from "../../lib/storage/steps.ts";
import type { Storage } from "../../lib/storage/storage.ts";
import { inTurns } from "../../lib/storage/turns.ts";
import { ROOT } from "../support/paths.ts";
import { CountedHelper, makeEveryKind, withMany } from "../support/many_pools.ts";
import { withDir } from "../support/processes.ts";

/** A disk that does not know the size of what it opens: then a list opens every pool as a ring. */
const careful: Storage = {
  ...disk,
  open: (path, options) => {
    const file = disk.open(path, options);
    const { mtimeMs } = file.opened;
    Object.defineProperty(file, "opened", { value: { size: -1, mtimeMs } });
    return file;
  },
};

/** What is compared of an entry: everything but the age, which passes. */
function facts({ error, metrics, identity, ...rest }: PoolInfo, brief: boolean): unknown {
  const { age, ...use } = metrics ?? {};
  return {
    ...rest,
    ...use,
    identity: brief ? undefined : identity,
    times: age && [age.oldestTimeNs, age.newestTimeNs],
    error: error && { ...error, text: error.message },
  };
}

Deno.test("a list says of every kind of pool what opening it says", async () => {
  await withDir((dir) => {
    makeEveryKind(dir);
    const files = filesIn(dir);
    for (const brief of [false, true]) {
      const glanced = inPlace(describingFiles(files, disk, brief));
      const opened = inPlace(describingFiles(files, careful, brief));
      assert.deepEqual(
        glanced.map((info) => facts(info, brief)),
        opened.map((info) => facts(info, brief)),
      );
      const named = new Map(glanced.map((info) => [info.name, info]));
      assert.equal(named.get("two")?.bounds.newestSeq, 2n);
      assert.equal(named.get("two")?.metrics === undefined, brief);
      assert.match(named.get("magic")?.error?.message ?? "", /bad magic/);
      assert.match(named.get("cut")?.error?.message ?? "", /invalid file size/);
      assert.ok(named.size > 25 && !named.has("dangling") && !named.has("folder"));
    }
  });
});

async function collect(pieces: AsyncIterable<readonly PoolInfo[]>): Promise<PoolInfo[]> {
  return (await Array.fromAsync(pieces)).flat();
}

const turns = { brief: false, serving: true, run: inTurns } as const;

Deno.test("a long list, which a worker helps with, says the same as one without", async () => {
  await withMany(async (dir) => {
    const files = filesIn(dir);
    for (const brief of [false, true]) {
      const expected = inPlace(describingFiles(files, disk, brief)).map((info) =>
        facts(info, brief)
      );
      for (const serving of [undefined, true] as const) {
        const backend = new LocalBackend(dir, { serving });
        const found = await backend.list(undefined, { brief });
        assert.deepEqual(found.map((info) => facts(info, brief)), expected);
      }
      const helper = new CountedHelper(workerUrl);
      const surveyed = await collect(surveying(files, { ...turns, brief, helper }));
      assert.deepEqual(surveyed.map((info) => facts(info, brief)), expected);
      // On a server the worker does it all.
      assert.equal(helper.done, Math.ceil(files.length / CHUNK));
      assert.equal(helper.refused, 0);
      assert.equal(helper.isRunning, false);
    }
    const backend = new LocalBackend(dir, { serving: true });
    const some = (names: readonly string[]): string[] => names.filter((name) => /^[12]/.test(name));
    const chosen = await backend.list(some);
    assert.deepEqual(chosen.map(({ name }) => name), some(await backend.names()));
    assert.equal(chosen.length, 600);
  });
});

Deno.test("a long list is whole although its worker cannot start, fails, or lies idle", async () => {
  await withMany(async (dir) => {
    const files = filesIn(dir);
    const expected = inPlace(describingFiles(files)).map((info) => facts(info, false));
    const workers = {
      forbidden: null,
      failing: "data:text/javascript,throw new Error('no')",
      // It takes what it should do and tells that it is done with some of it, and more.
      broken: "data:text/javascript,onmessage = ({ data }) => { " +
        "Atomics.add(new Int32Array(data.memory, 0, 1), 0, 7); postMessage(1); postMessage(99); " +
        "setTimeout(() => { throw new Error('broken'); }, 0); };",
      lazy: "data:text/javascript,onmessage = () => postMessage('over');",
      invalid: "no address",
    };
    for (const [name, url] of Object.entries(workers)) {
      for (const serving of [true, false]) {
        const helper = new CountedHelper(() => url);
        const run: typeof inTurns = (steps) =>
          serving ? inTurns(steps) : Promise.resolve(inPlace(steps));
        const found = await collect(surveying(files, { ...turns, serving, run, helper }));
        assert.deepEqual(found.map((info) => facts(info, false)), expected, name);
        if (serving) assert.ok(helper.refused > 10, name);
        assert.equal(helper.isRunning, false, name);
      }
    }
  });
});

Deno.test("a long list tells what became of pools while it was made", async () => {
  await withMany(async (dir) => {
    const files = filesIn(dir);
    const expected = inPlace(describingFiles(files)).length;
    const helper = new CountedHelper(() => null);
    const pieces = surveying(files, { ...turns, helper });
    const first = (await pieces.next()).value;
    assert.equal(first?.length, CHUNK);
    Deno.removeSync(`${dir}/6-copy-2099.plasmite`);
    Deno.writeTextFileSync(`${dir}/6-copy-2092.plasmite`, "another file");
    using client = new Client(dir);
    client.deletePool("6-copy-2085");
    client.createPool("6-copy-2085", 8192).close();
    const rest = await collect(pieces);
    const named = new Map(rest.map((info) => [info.name, info]));
    assert.equal(named.has("6-copy-2099"), false);
    assert.equal(named.get("6-copy-2092")?.error?.kindName, "Corrupt");
    assert.equal(named.get("6-copy-2085")?.fileSize, 8192);
    assert.equal(rest.length, expected - CHUNK - 1);
  });
});

Deno.test("a server's worker waits for the next list and ends with the server; without one it ends at once", async () => {
  await withMany(async (dir) => {
    const files = filesIn(dir);
    const helper = new CountedHelper(workerUrl);
    const release = holdWorkers();
    try {
      await Promise.all([1, 2, 3].map(() => collect(surveying(files, { ...turns, helper }))));
      assert.equal(helper.isRunning, true);
      const before = helper.done;
      await collect(surveying(files, { ...turns, helper }));
      assert.equal(helper.done, before * 4 / 3);
      // Who goes away in the middle stops the work, and nobody else's.
      const [, all] = await Promise.all([
        surveying(files, { ...turns, helper }).next(),
        collect(surveying(files, { ...turns, helper })),
      ]);
      assert.equal(all.length, inPlace(describingFiles(files)).length);
      assert.equal(helper.refused, 0);
    } finally {
      release();
    }
    assert.equal(helper.isRunning, false);
    for await (const _ of surveying(files, { ...turns, helper })) break;
    assert.equal(helper.isRunning, false);
  });
});

Deno.test("a server that may read its pools and nothing else lists thousands of them", async () => {
  await withMany(async (dir) => {
    const script = `${dir}/script.ts`;
    await Deno.writeTextFile(
      script,
      `import { Client } from "${ROOT}mod.ts";
       import { createApp } from "${ROOT}server/app.ts";
       using client = new Client("${dir}");
       const app = createApp(client);
       const answer = await app.request("http://localhost/v0/pools");
       const { pools } = await answer.json();
       console.log(answer.status, pools.length, pools[0].name, pools.at(-1).name);
       await app.shutdown();`,
    );
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "-q", "--config", `${ROOT}deno.json`, `--allow-read=${dir}`]
        .concat(script),
      stdin: "null",
    }).output();
    const { length } = inPlace(describingFiles(filesIn(dir)));
    assert.equal(
      new TextDecoder().decode(stdout),
      `200 ${length} 0-copy-0 zeros\n`,
      new TextDecoder().decode(stderr),
    );
  });
});

Deno.test("names are sorted in turns as they are at once", async () => {
  const letters = ["a", "B", "é", "z\u0301", "\ud83d\ude00", "\uffff", "-", "1"];
  let seed = 1;
  const random = (most: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fff_ffff;
    return (seed >> 8) % most;
  };
  for (const count of [0, 1, 2, 1023, 1024, 1025, 5000]) {
    const texts = Array.from(
      { length: count },
      () => Array.from({ length: random(9) }, () => letters[random(8)]).join(""),
    );
    assert.deepEqual(await sortInTurns(texts), texts.toSorted());
  }
});
