/**
 * Directories of so many pools that a worker lists them, with pools of every kind among them, and a
 * worker that counts.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Client } from "../../mod.ts";
import { SurveyHelper } from "../../lib/backend/local/survey/helper.ts";
import { withDir } from "./processes.ts";

const SIZE = 16 << 10;

/** Pools of many kinds, healthy and damaged, and what is no pool. */
export function makeEveryKind(dir: string): void {
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

/** So many pools that a worker helps to list them, with every kind among them. */
export async function withMany(work: (dir: string) => Promise<void>): Promise<void> {
  await withDir(async (dir) => {
    makeEveryKind(dir);
    const bytes = Deno.readFileSync(`${dir}/two.plasmite`);
    for (let i = 0; i < MANY; i++) {
      Deno.writeFileSync(`${dir}/${i % 7}-copy-${i}.plasmite`, bytes);
    }
    await work(dir);
  });
}

const MANY = 2100;

/** A worker that counts what it has done, and refuses. */
export class CountedHelper extends SurveyHelper {
  done = 0;
  refused = 0;

  override help(...job: Parameters<SurveyHelper["help"]>): ReturnType<SurveyHelper["help"]> {
    const help = super.help(...job);
    const count = <T>(isDone: boolean, result: T): T => {
      if (isDone) this.done++;
      else this.refused++;
      return result;
    };
    return {
      ...help,
      done: async (chunk) => {
        const isDone = await help.done(chunk);
        return count(isDone, isDone);
      },
      said: async (chunk) => {
        const report = await help.said(chunk);
        return count(report !== null, report);
      },
    };
  }
}
