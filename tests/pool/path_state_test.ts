/**
 * A writer notices at once that its pool was deleted, moved or replaced, also after thousands of
 * appends, when it looks at the folder instead of the file: else messages would go into a file that
 * nobody can open any more.
 *
 * @module
 */

import assert from "node:assert/strict";
import { createOnDisk } from "../../lib/storage/create.ts";
import { disk } from "../../lib/storage/file.ts";
import type { StorageFile } from "../../lib/storage/storage.ts";
import { withDir } from "../support/processes.ts";

const SIZE = 100;
/** More look-ups than it takes until the folder is remembered. */
const MANY = 200;

/** What happens to a pool at `path`, which is `a` in the folder `dir`. */
interface Case {
  readonly name: string;
  readonly expected: ReturnType<StorageFile["pathState"]>;
  /** The path by which it is opened; default `a`. */
  readonly opened?: (dir: string) => string;
  change(dir: string): void;
}

const create = (path: string): void => void createOnDisk(path, SIZE, Uint8Array.of(1));

const CASES: readonly Case[] = [
  { name: "nothing", expected: "same", change: () => {} },
  { name: "another file is made", expected: "same", change: (dir) => create(`${dir}/b`) },
  { name: "deleted", expected: "missing", change: (dir) => Deno.removeSync(`${dir}/a`) },
  {
    name: "deleted and made again",
    expected: "replaced",
    change: (dir) => {
      // The number of a deleted file may be given to the next one, but not while it is open.
      Deno.removeSync(`${dir}/a`);
      create(`${dir}/a`);
    },
  },
  {
    name: "moved away, with another name for the same file",
    expected: "missing",
    change: (dir) => Deno.renameSync(`${dir}/a`, `${dir}/b`),
  },
  {
    name: "replaced by a program that sets the folder's time back",
    expected: "replaced",
    change: (dir) => {
      const { atime, mtime } = Deno.statSync(dir);
      create(`${dir}/b`);
      Deno.renameSync(`${dir}/b`, `${dir}/a`);
      if (atime !== null && mtime !== null) Deno.utimeSync(dir, atime, mtime);
    },
  },
  {
    name: "the folder is moved away",
    expected: "missing",
    change: (dir) => Deno.renameSync(dir, `${dir}-old`),
  },
  {
    name: "the folder is replaced by a copy",
    expected: "replaced",
    change: (dir) => {
      Deno.renameSync(dir, `${dir}-old`);
      Deno.mkdirSync(dir);
      create(`${dir}/a`);
    },
  },
  {
    name: "cut",
    expected: "resized",
    change: (dir) => Deno.truncateSync(`${dir}/a`, SIZE / 2),
  },
  {
    name: "opened by a link that leads elsewhere now",
    expected: "replaced",
    opened: (dir) => {
      Deno.symlinkSync(`${dir}/a`, `${dir}/link`);
      return `${dir}/link`;
    },
    // The link is the same; what it leads to is another file, in another folder.
    change: (dir) => {
      Deno.mkdirSync(`${dir}-other`);
      create(`${dir}-other/a`);
      Deno.removeSync(`${dir}/link`);
      Deno.symlinkSync(`${dir}-other/a`, `${dir}/link`);
    },
  },
  {
    name: "opened by a link to a file in another folder, which is replaced there",
    expected: "replaced",
    opened: (dir) => {
      Deno.mkdirSync(`${dir}-far`);
      create(`${dir}-far/a`);
      Deno.symlinkSync(`${dir}-far/a`, `${dir}/link`);
      return `${dir}/link`;
    },
    change: (dir) => {
      create(`${dir}-far/b`);
      Deno.renameSync(`${dir}-far/b`, `${dir}-far/a`);
    },
  },
  {
    name: "opened through a folder that is a link and leads elsewhere now",
    expected: "replaced",
    opened: (dir) => {
      Deno.symlinkSync(dir, `${dir}-link`);
      return `${dir}-link/a`;
    },
    change: (dir) => {
      Deno.mkdirSync(`${dir}-new`);
      create(`${dir}-new/a`);
      Deno.removeSync(`${dir}-link`);
      Deno.symlinkSync(`${dir}-new`, `${dir}-link`);
    },
  },
];

/** Counts how often `path` itself is asked for while `work` runs. */
function asked(path: string, work: () => void): number {
  const { statSync } = Deno;
  let count = 0;
  Deno.statSync = (which) => {
    if (which === path) count++;
    return statSync(which);
  };
  try {
    work();
  } finally {
    Deno.statSync = statSync;
  }
  return count;
}

Deno.test({
  name: "what the path names is noticed at once, after thousands of looks, whatever happens to it",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    withDir(async (top) => {
      const open = CASES.map((one, i) => {
        const dir = `${top}/${i}`;
        Deno.mkdirSync(dir);
        create(`${dir}/a`);
        const path = one.opened?.(dir) ?? `${dir}/a`;
        return { ...one, dir, path, file: disk.open(path, { write: true }) };
      });
      // Folders that have just changed are not relied upon.
      const { now } = Date;
      const made = now();
      Date.now = () => made + 1000;
      try {
        for (const { file, name, path } of open) {
          const count = asked(path, () => {
            for (let i = 0; i < MANY; i++) assert.equal(file.pathState(SIZE), "same");
          });
          assert.equal(count, MANY, `${name}: another change could have the same time`);
        }
      } finally {
        Date.now = now;
      }
      await new Promise((resolve) => setTimeout(resolve, 4500));
      // Memory, layers and networks: always the file itself.
      const isDisk = Math.floor(Deno.statSync(top).dev / 256) % 4096 !== 0;
      for (const { name, file, path } of open) {
        for (let i = 0; i < MANY; i++) assert.equal(file.pathState(SIZE), "same");
        const count = asked(path, () => {
          for (let i = 0; i < MANY; i++) assert.equal(file.pathState(SIZE), "same");
        });
        const relies = isDisk && !path.endsWith("/link");
        assert.equal(count, relies ? 0 : MANY, `${name}: looks at the file itself`);
      }
      for (const { name, file, dir, change, expected } of open) {
        change(dir);
        assert.equal(file.pathState(SIZE), expected, name);
        assert.equal(file.pathState(SIZE), expected, `${name}, asked again`);
        file.close();
      }
    }),
});
