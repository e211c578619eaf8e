/**
 * Without this, a run is compared with one of another machine, or of a tenth of the work, and says
 * that everything became faster.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { machineKind, thisMachine } from "../../bench/support/machine.ts";
import {
  formerRun,
  type Header,
  keepRun,
  parseRun,
  printRun,
  readRuns,
  type Run,
} from "../../bench/support/runs.ts";

const MACHINE = {
  cpu: "A processor",
  cores: 2,
  memoryGib: 8,
  system: "x86_64-unknown-linux-gnu",
  kernel: "6.1",
  deno: "2.9.6",
};

function run(date: string, more: Partial<Header> = {}): Run<{ readonly name: string }> {
  const header: Header = {
    script: "run",
    form: "full",
    command: "deno run -A bench/run.ts",
    date,
    commit: "abc",
    machine: MACHINE,
    load: 0.1,
    ...more,
  };
  return { header, measured: [{ name: `of ${date}` }] };
}

Deno.test("the former run is the newest before, of the same script, form and kind of machine", () => {
  const now = run("2026-05-01T10:00:00Z").header;
  const good = run("2026-04-02T10:00:00Z", {
    machine: { ...MACHINE, kernel: "6.6", deno: "2.10.0" },
  });
  const runs = [
    run("2026-04-01T10:00:00Z"),
    good,
    run("2026-04-03T10:00:00Z", { machine: { ...MACHINE, cores: 4 } }),
    run("2026-04-04T10:00:00Z", { form: "quick" }),
    run("2026-04-05T10:00:00Z", { script: "pi" }),
    run(now.date),
    run("2026-06-01T10:00:00Z"),
  ];
  assert.equal(formerRun(runs, now), good);
  assert.equal(formerRun(runs.slice(2), now), undefined);
});

Deno.test("a run that was kept is read again as it was", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const later = run("2026-05-01T10:11:12Z");
    const earlier = run("2026-04-01T10:11:12Z", { form: "quick" });
    assert.equal(keepRun(later, folder), "run-2026-05-01-1011.jsonl");
    assert.equal(keepRun(earlier, folder), "run-quick-2026-04-01-1011.jsonl");
    keepRun(run("2026-05-01T10:11:12Z", { script: "curves" }), folder);
    await Deno.writeTextFile(`${folder}/run-by-hand.jsonl`, '{"count":1}\n');
    assert.deepEqual(await readRuns("run", folder), [earlier, later]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the text of a run has a line for each measurement, and other lines are no run", () => {
  const one = run("2026-05-01T10:00:00Z");
  assert.equal(printRun(one).split("\n").length, 3);
  assert.deepEqual(parseRun(printRun(one)), one);
  assert.equal(parseRun(""), undefined);
  assert.equal(parseRun('{"date":"2026-05-01"}\n'), undefined);
});

Deno.test("the kind of this machine is known", () => {
  assert.match(machineKind(thisMachine()), /^.+, \d+ cores, \d+ GiB, .+$/);
});
