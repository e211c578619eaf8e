/**
 * Lists of pools, among them pools of every kind that a list can come across. A list glances at each
 * pool instead of opening it; whoever reads it would otherwise take a damaged pool for a good one,
 * or miss one that is there.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Client } from "../../mod.ts";
import type { PoolInfo } from "../../lib/backend/local/info.ts";
import { describingFiles, filesIn } from "../../lib/backend/local/listing.ts";
import { disk } from "../../lib/storage/file.ts";
import { inPlace } from "../../lib/storage/steps.ts";
import type { Storage } from "../../lib/storage/storage.ts";
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

const SIZE = 16 << 10;

/** Pools of many kinds, healthy and damaged, and what is no pool. */
function makeEveryKind(dir: string): void {
  using client = new Client(dir);
  const make = (name: string, count: number, options: object = {}): string => {
    using pool = client.createPool(name, { sizeBytes: SIZE, ...options });
    for (let i = 0; i < count; i++) pool.append({ i, text: "x".repeat(200) });
    return `${dir}/${name}.plasmite`;
  };
  const patch = (path: string, at: number, bytes: readonly number[]): void => {
    using file = Deno.openSync(path, { write: true });
    file.seekSync(at, Deno.SeekMode.Start);
    file.writeSync(new Uint8Array(bytes));
  };
  make("empty", 0);
  make("one", 1);
  make("two", 2);
  make("wrapped", 200);
  make("aged", 3, { maxAgeMs: 3_600_000 });
  make("no-index", 5, { indexCapacity: 0 });
  make("no-index-wrapped", 150, { indexCapacity: 0 });
  patch(make("magic", 2), 0, [1, 2, 3, 4]);
  patch(make("version", 2), 4, [9]);
  patch(make("endian", 2), 8, [2]);
  patch(make("told-size", 2), 16, [1]);
  patch(make("head", 2), 64, [3]);
  patch(make("head-far", 2), 70, [255]);
  patch(make("tail-elsewhere", 8), 72, [64]);
  patch(make("inverted", 2), 88, [9]);
  patch(make("extension", 2), 140, [0xee]);
  patch(make("extension-gone", 2), 128, [0]);
  patch(make("slot", 3), 4096 + 3 * 16, [77]);
  patch(make("slot-far", 3), 4096 + 3 * 16 + 8, [0xf8, 0xff, 0xff, 0xff]);
  patch(make("slot-odd", 3), 4096 + 3 * 16 + 8, [1]);
  const { ringOffset } = client.poolInfo("one");
  patch(make("first-frame", 3), ringOffset, [0, 0, 0, 0]);
  patch(make("first-number", 3), ringOffset + 16, [7]);
  Deno.truncateSync(make("cut", 2), SIZE - 100);
  Deno.truncateSync(make("cut-header", 2), 150);
  Deno.truncateSync(make("cut-to-nothing", 2), 0);
  Deno.truncateSync(make("longer", 2), SIZE + 8);
  Deno.writeFileSync(`${dir}/zeros.plasmite`, new Uint8Array(SIZE));
  Deno.utimeSync(`${dir}/zeros.plasmite`, 1, 1); // Nobody is creating it any more.
  Deno.utimeSync(`${dir}/cut-to-nothing.plasmite`, 1, 1);
  Deno.writeTextFileSync(`${dir}/text.plasmite`, "no pool at all\n".repeat(99));
  Deno.mkdirSync(`${dir}/folder.plasmite`);
  if (Deno.build.os === "windows") return;
  Deno.symlinkSync(`${dir}/two.plasmite`, `${dir}/linked.plasmite`);
  Deno.symlinkSync(`${dir}/folder.plasmite`, `${dir}/linked-folder.plasmite`);
  Deno.symlinkSync(`${dir}/nowhere`, `${dir}/dangling.plasmite`);
  Deno.symlinkSync(`${dir}/loop.plasmite`, `${dir}/loop.plasmite`);
  Deno.symlinkSync("/dev/null", `${dir}/device.plasmite`);
  assert.ok(new Deno.Command("mkfifo", { args: [`${dir}/pipe.plasmite`] }).outputSync().success);
}

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
