/**
 * What the ring expects of a storage, run against the disk and against memory.
 *
 * @module
 */

import assert from "node:assert/strict";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { createOnDisk } from "../../lib/storage/create.ts";
import { disk } from "../../lib/storage/file.ts";
import { Killed, MemoryStorage } from "../support/memory.ts";
import { Semaphore, semaphorePath } from "../../lib/storage/semaphore.ts";
import { sha256Hex } from "../../lib/storage/sha256.ts";
import type { Storage } from "../../lib/storage/storage.ts";
import { type PoolWatch, watchPool } from "../../lib/storage/watch.ts";
import { PATIENCE_MS } from "../support/patience.ts";
import { start, withDir } from "../support/processes.ts";

interface Place {
  readonly storage: Storage & Required<Pick<Storage, "create">>;
  /** A directory that exists. */
  readonly dir: string;
  /** Puts another file at a path, as `rename` over it would. */
  replace(path: string, bytes: Uint8Array): void;
}

function behaviour(name: string, work: (place: Place) => void | Promise<void>): void {
  Deno.test(`disk: ${name}`, () =>
    withDir((dir) =>
      work({
        storage: { ...disk, create: createOnDisk },
        dir,
        replace: (path, bytes) => {
          Deno.writeFileSync(`${path}.new`, bytes);
          Deno.renameSync(`${path}.new`, path);
        },
      })
    ));
  Deno.test(`memory: ${name}`, () => {
    const storage = new MemoryStorage();
    return work({ storage, dir: "/m", replace: (path, bytes) => storage.put(path, bytes) });
  });
}

function fails(kind: keyof typeof ErrorKind, path: string, work: () => unknown): void {
  assert.throws(work, (error) => {
    assert(PlasmiteError.is(error, ErrorKind[kind]), String(error));
    assert.equal(error.path, path);
    return true;
  });
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

function read(storage: Storage, path: string, at: number, length: number): number[] {
  const file = storage.open(path, { write: false });
  const into = new Uint8Array(length).fill(255);
  const got = file.readAt(into, at);
  file.close();
  return [...into.subarray(0, got)];
}

behaviour("a new file is its head and then zeros", ({ storage, dir }) => {
  const path = `${dir}/a`;
  storage.create(path, 10, bytes(1, 2, 3));
  assert.deepEqual(read(storage, path, 0, 10), [1, 2, 3, 0, 0, 0, 0, 0, 0, 0]);
  const file = storage.open(path, { write: false });
  assert.equal(file.size(), 10);
  assert.equal(file.path, path);
  assert.equal(file.writable, false);
  file.close();
});

behaviour("creating over a file fails and leaves it alone", ({ storage, dir }) => {
  const path = `${dir}/a`;
  storage.create(path, 4, bytes(1));
  fails("AlreadyExists", path, () => storage.create(path, 8, bytes(2)));
  assert.deepEqual(read(storage, path, 0, 9), [1, 0, 0, 0]);
});

behaviour("opening or removing what is not there is NotFound", ({ storage, dir }) => {
  fails("NotFound", `${dir}/no`, () => storage.open(`${dir}/no`, { write: false }));
  fails("NotFound", `${dir}/no`, () => storage.open(`${dir}/no`, { write: true }));
  fails("NotFound", `${dir}/no`, () => storage.remove(`${dir}/no`));
});

behaviour("writes are seen at once through every handle, reads stop at the end", (place) => {
  const { storage, dir } = place;
  const path = `${dir}/a`;
  storage.create(path, 16, bytes());
  const one = storage.open(path, { write: true });
  const two = storage.open(path, { write: false });
  assert.equal(one.writable, true);
  one.writeAt(bytes(7, 8, 9), 3);
  const into = new Uint8Array(4);
  assert.equal(two.readAt(into, 3), 4);
  assert.deepEqual([...into], [7, 8, 9, 0]);
  assert.equal(two.readAt(into, 14), 2);
  assert.equal(two.readAt(into, 16), 0);
  assert.equal(two.readAt(into, 99), 0);
  assert.equal(two.readAt(new Uint8Array(0), 3), 0);
  // Positions of two accesses do not disturb one another.
  one.writeAt(bytes(1), 0);
  one.writeAt(bytes(2), 15);
  assert.equal(one.readAt(into, 0), 4);
  assert.deepEqual([...into], [1, 0, 0, 7]);
  one.sync();
  assert.deepEqual(read(storage, path, 15, 1), [2]);
  one.close();
  two.close();
});

// Lost: a file remembers its position to save seeks. Were it wrong once, messages would be written
// over others.
behaviour("accesses find their places, right behind the last one or elsewhere", (place) => {
  const { storage, dir } = place;
  const size = 64;
  const path = `${dir}/a`;
  storage.create(path, size, bytes(9, 8, 7));
  let file = storage.open(path, { write: true });
  const expected = new Uint8Array(size);
  expected.set([9, 8, 7]);
  let seed = 5;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % below;
  };
  let at = 0;
  for (let i = 1; i < 3000; i++) {
    if (random(3) === 0) at = random(size + 4);
    const length = random(9);
    const into = new Uint8Array(length).fill(255);
    if (random(2) === 0 && at + length <= size) {
      into.fill(i);
      file.writeAt(into, at);
      expected.set(into, at);
      at += length;
    } else {
      const got = file.readAt(into, at);
      assert.deepEqual(into.subarray(0, got), expected.slice(at, at + length), `access ${i}`);
      at += got;
    }
    if (random(50) > 0) continue;
    file.close();
    file = storage.open(path, { write: true });
  }
  file.close();
  assert.deepEqual(read(storage, path, 0, size), [...expected]);
});

behaviour("one exclusive lock, or several shared ones", ({ storage, dir }) => {
  const path = `${dir}/a`;
  storage.create(path, 4, bytes());
  const [a, b, c] = [1, 2, 3].map(() => storage.open(path, { write: true }));
  assert(a && b && c);
  assert(a.tryLock(true));
  assert(!b.tryLock(true));
  assert(!b.tryLock(false));
  a.unlock();
  assert(b.tryLock(false));
  assert(c.tryLock(false));
  assert(!a.tryLock(true));
  b.unlock();
  assert(!a.tryLock(true));
  c.unlock();
  assert(a.tryLock(true));
  // Closing gives the lock back, as the end of a process does.
  a.close();
  assert(b.tryLock(true));
  b.unlock();
  b.unlock();
  assert(c.tryLock(true));
  b.close();
  c.close();
});

behaviour("a lock is the file's, not the path's", ({ storage, dir, replace }) => {
  const path = `${dir}/a`;
  storage.create(path, 4, bytes());
  const old = storage.open(path, { write: true });
  assert(old.tryLock(true));
  replace(path, bytes(5, 5, 5, 5));
  const fresh = storage.open(path, { write: true });
  assert(fresh.tryLock(true));
  old.close();
  fresh.close();
});

behaviour("what the path names now: the same file, nothing, another", (place) => {
  const { storage, dir, replace } = place;
  const path = `${dir}/a`;
  storage.create(path, 4, bytes(1, 2, 3, 4));
  const file = storage.open(path, { write: true });
  assert.equal(file.pathState(), "same");
  file.writeAt(bytes(9), 0);
  assert.equal(file.pathState(), "same");
  replace(path, bytes(1, 2, 3, 4));
  assert.equal(file.pathState(), "replaced");
  storage.remove(path);
  assert.equal(file.pathState(), "missing");
  // The open file goes on, for whoever still reads it.
  const into = new Uint8Array(4);
  assert.equal(file.readAt(into, 0), 4);
  assert.deepEqual([...into], [9, 2, 3, 4]);
  storage.create(path, 4, bytes());
  assert.equal(file.pathState(), "replaced");
  file.close();
});

// ---- the disk alone ------------------------------------------------------------------------------

Deno.test("disk: parents are made, and nothing but the file is left", () =>
  withDir((dir) => {
    const path = `${dir}/x/y/a`;
    createOnDisk(path, 5000, bytes(1));
    assert.deepEqual([...Deno.readDirSync(`${dir}/x/y`)].map((entry) => entry.name), ["a"]);
    fails("AlreadyExists", path, () => createOnDisk(path, 5000, bytes(1)));
    assert.deepEqual([...Deno.readDirSync(`${dir}/x/y`)].map((entry) => entry.name), ["a"]);
  }));

Deno.test("disk: a directory, a dangling link and a file in the way are errors with a path", () =>
  withDir((dir) => {
    fails("Io", dir, () => disk.open(dir, { write: false }));
    fails("Io", dir, () => disk.open(dir, { write: true }));
    Deno.symlinkSync(`${dir}/nowhere`, `${dir}/link`);
    fails("NotFound", `${dir}/link`, () => disk.open(`${dir}/link`, { write: true }));
    Deno.writeTextFileSync(`${dir}/file`, "");
    assert.throws(() => createOnDisk(`${dir}/file/a`, 10, bytes()), (error) => {
      assert(PlasmiteError.is(error));
      assert(error.path !== undefined && error.path.startsWith(`${dir}/file`));
      return true;
    });
  }));

Deno.test({
  name: "disk: a pipe is refused, not waited for",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withDir(async (dir) => {
      const made = await new Deno.Command("mkfifo", { args: [`${dir}/pipe`] }).output();
      assert(made.success);
      fails("Io", `${dir}/pipe`, () => disk.open(`${dir}/pipe`, { write: false }));
      fails("Io", `${dir}/pipe`, () => disk.open(`${dir}/pipe`, { write: true }));
    }),
});

Deno.test("disk: a symbolic link is the file it points to", () =>
  withDir((dir) => {
    createOnDisk(`${dir}/a`, 4, bytes());
    Deno.symlinkSync(`${dir}/a`, `${dir}/link`);
    const file = disk.open(`${dir}/link`, { write: true });
    assert.equal(file.pathState(), "same");
    const other = disk.open(`${dir}/a`, { write: true });
    assert(file.tryLock(true));
    assert(!other.tryLock(true));
    file.close();
    other.close();
  }));

Deno.test("disk: a file that was cut is the same file, of another size", () =>
  withDir((dir) => {
    createOnDisk(`${dir}/a`, 100, bytes());
    const file = disk.open(`${dir}/a`, { write: true });
    assert.equal(file.pathState(100), "same");
    Deno.truncateSync(`${dir}/a`, 50);
    assert.equal(file.pathState(100), "resized");
    assert.equal(file.pathState(), "same");
    const into = new Uint8Array(100);
    assert.equal(file.readAt(into, 0), 50);
    file.close();
  }));

Deno.test({
  name: "disk: without permission the error says so",
  ignore: Deno.uid() === 0,
  fn: () =>
    withDir((dir) => {
      createOnDisk(`${dir}/a`, 4, bytes());
      Deno.chmodSync(`${dir}/a`, 0o400);
      fails("Permission", `${dir}/a`, () => disk.open(`${dir}/a`, { write: true }));
      disk.open(`${dir}/a`, { write: false }).close();
    }),
});

Deno.test({
  name: "disk: without Deno's permission the error says so",
  permissions: { read: false, write: false },
  fn: () => {
    assert.throws(() => disk.open("/tmp/plasmite-not-allowed", { write: true }), (error) => {
      assert(PlasmiteError.is(error, ErrorKind.Permission));
      assert.match(error.hint ?? "", /--allow-read/);
      return true;
    });
  },
});

for (const mode of ["exclusive", "shared"] as const) {
  Deno.test(`disk: a ${mode} lock of another process counts`, () =>
    withDir(async (dir) => {
      const path = `${dir}/a`;
      createOnDisk(path, 4, bytes());
      const file = disk.open(path, { write: true });
      await using holder = start("hold_lock.ts", path, mode, `${PATIENCE_MS}`);
      assert.equal(await holder.line(), "locked");
      assert(!file.tryLock(true));
      assert.equal(file.tryLock(false), mode === "shared");
      file.unlock();
      await holder.release();
      assert.equal(await holder.line(), "unlocked");
      await holder.status;
      assert(file.tryLock(true));
      file.close();
    }));
}

Deno.test("disk: a killed process leaves no lock", () =>
  withDir(async (dir) => {
    const path = `${dir}/a`;
    createOnDisk(path, 4, bytes());
    const file = disk.open(path, { write: true });
    await using holder = start("hold_lock.ts", path, "exclusive", `${PATIENCE_MS}`);
    assert.equal(await holder.line(), "locked");
    assert(!file.tryLock(true));
    holder.kill();
    await holder.status;
    assert(file.tryLock(true));
    file.close();
  }));

// ---- the accidents of memory ---------------------------------------------------------------------

Deno.test("memory: a kill keeps what was written and a beginning of the rest", () => {
  const storage = new MemoryStorage();
  storage.create("/m/a", 8, bytes());
  const file = storage.open("/m/a", { write: true });
  storage.plan({ killAfter: 1, torn: 2 });
  file.writeAt(bytes(1, 1), 0);
  assert.throws(() => file.writeAt(bytes(2, 2, 2), 2), Killed);
  assert.throws(() => file.writeAt(bytes(3), 7), Killed, "the process is gone");
  assert.throws(() => file.sync(), Killed);
  assert.deepEqual(read(storage.afterKill(), "/m/a", 0, 8), [1, 1, 2, 2, 0, 0, 0, 0]);
});

Deno.test("memory: a power loss keeps what was synced and any of the rest", () => {
  const storage = new MemoryStorage();
  storage.create("/m/a", 4, bytes());
  const file = storage.open("/m/a", { write: true });
  file.writeAt(bytes(1), 0);
  file.sync();
  file.writeAt(bytes(2), 1);
  file.writeAt(bytes(3), 2);
  const left = (subset: number[]): number[] =>
    read(storage.afterPowerLoss((i) => subset.includes(i)), "/m/a", 0, 4);
  assert.deepEqual(left([]), [1, 0, 0, 0]);
  assert.deepEqual(left([1]), [1, 0, 3, 0]);
  assert.deepEqual(left([0, 1]), [1, 2, 3, 0]);
});

Deno.test("memory: a full disk fails every change until it has room again", () => {
  const storage = new MemoryStorage();
  storage.create("/m/a", 4, bytes());
  const file = storage.open("/m/a", { write: true });
  storage.plan({ failAfter: 1, failTorn: 1 });
  file.writeAt(bytes(1), 0);
  for (let i = 0; i < 2; i++) {
    assert.throws(
      () => file.writeAt(bytes(2, 2), 1),
      (error) => PlasmiteError.is(error, ErrorKind.Io),
    );
  }
  assert.throws(() => file.sync(), (error) => PlasmiteError.is(error, ErrorKind.Io));
  assert.deepEqual(read(storage, "/m/a", 0, 4), [1, 2, 0, 0]);
  storage.plan({});
  file.writeAt(bytes(3, 3), 2);
  assert.deepEqual(read(storage, "/m/a", 0, 4), [1, 2, 3, 3]);
});

// ---- the reference's semaphore (6) -----------------------------------------------------------------

Deno.test("the semaphore's name is that of section 6", () => {
  const path = "/srv/pools/demo.plasmite";
  const name = "43a51dd5e0aa970d1b98b053949381b62ca75aaf078239bbc7377821044657a1";
  assert.equal(sha256Hex(new TextEncoder().encode(path)), name);
  if (Deno.build.os === "linux") {
    assert.equal(semaphorePath(path), `/dev/shm/sem.plsm-${name}`);
  }
});

Deno.test("sha256 agrees with the platform's, for every length around a block", async () => {
  for (const length of [0, 1, 54, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 1000]) {
    const text = Uint8Array.from({ length }, (_, i) => (i * 37 + length) & 255);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", text));
    assert.equal(
      sha256Hex(text),
      [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join(""),
    );
  }
});

const shm = ((): boolean => {
  try {
    return Deno.build.os === "linux" && Deno.statSync("/dev/shm").isDirectory;
  } catch {
    return false;
  }
})();

Deno.test({
  name: "an append posts to the semaphore where it exists, and wakes by it",
  ignore: !shm,
  fn: () =>
    withDir(async (dir) => {
      createOnDisk(`${dir}/none`, 8192, bytes());
      const silent = new Semaphore(`${dir}/none`);
      silent.post();
      silent.close();
      assert.throws(() => Deno.statSync(semaphorePath(`${dir}/none`) ?? ""));

      const path = `${dir}/pool.plasmite`;
      createOnDisk(path, 8192, bytes());
      Deno.symlinkSync(path, `${dir}/link`);
      const name = semaphorePath(path) ?? "";
      assert.equal(semaphorePath(`${dir}/link`), name, "links are resolved");
      Deno.writeFileSync(name, new Uint8Array(32));
      const value = (): number => new DataView(Deno.readFileSync(name).buffer).getUint32(0, true);
      const watch = watchPool(path);
      try {
        const semaphore = new Semaphore(path);
        const before = watch.version;
        semaphore.post();
        assert.equal(value(), 1);
        assert.equal(await watch.wait(before), true);
        // Posts that come together are one, and the last is made up for at the end.
        for (let i = 0; i < 50; i++) semaphore.post();
        semaphore.close();
        assert(value() >= 2 && value() < 52);
        // Nobody waits: posts do not pile up forever.
        for (let i = 0; i < 200; i++) {
          const one = new Semaphore(path);
          one.post();
          one.close();
        }
        assert(value() <= 64);
      } finally {
        watch.close();
        Deno.removeSync(name);
      }
    }),
});

/**
 * Runs `work` with timers that repeat at rest: what is noticed then, a notice has told. `tick` has
 * them run once.
 */
async function withoutTicks(work: (tick: () => void) => Promise<void>): Promise<void> {
  const { setInterval } = globalThis;
  const ticks: (() => void)[] = [];
  const stopped = (tick: () => void): number => ticks.push(tick);
  globalThis.setInterval = stopped as unknown as typeof setInterval;
  try {
    await work(() => ticks.forEach((tick) => tick()));
  } finally {
    globalThis.setInterval = setInterval;
  }
}

/** Whether a watch notices that the file changes. */
async function notices(watch: PoolWatch, path: string): Promise<boolean> {
  await new Promise((resolve) => setTimeout(resolve, 20)); // What came before is over.
  const seen = watch.version;
  Deno.writeFileSync(path, Uint8Array.of(1), { append: true });
  return await watch.wait(seen, PATIENCE_MS);
}

// Lost: the second follower of a file heard nothing any more, and looked once a second.
Deno.test({
  name: "a watch is not ended by the end of another one of the same file",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    withoutTicks(() =>
      withDir(async (dir) => {
        const path = `${dir}/p`;
        Deno.writeFileSync(path, bytes());
        Deno.symlinkSync(dir, `${dir}/other`);
        const watch = (at: string): PoolWatch => {
          const one = watchPool(at);
          one.begin?.();
          return one;
        };
        // One after another, in the same turn.
        let last = watch(path);
        for (let i = 0; i < 5; i++) {
          last.close();
          last = watch(path);
          assert(await notices(last, path), `opened again, ${i}`);
        }
        // Two spellings of the path.
        const elsewhere = watch(`${dir}/other/p`);
        last.close();
        assert(await notices(elsewhere, path), "the other spelling is closed");
        // A new file of that name, perhaps with the number of the old one.
        for (let i = 0; i < 3; i++) {
          Deno.removeSync(path);
          await new Promise((resolve) => setTimeout(resolve, 5));
          Deno.writeFileSync(path, bytes());
          const anew = watch(path);
          assert(await notices(anew, path), `made anew, ${i}`);
          anew.close();
        }
        elsewhere.close();
      })
    ),
});

Deno.test({
  name: "a semaphore that appears is watched, and its pool still is",
  ignore: !shm,
  fn: () =>
    withoutTicks((tick) =>
      withDir(async (dir) => {
        const path = `${dir}/p`;
        Deno.writeFileSync(path, bytes());
        const watch = watchPool(path);
        watch.begin?.();
        const name = semaphorePath(path) ?? "";
        try {
          Deno.writeFileSync(name, new Uint8Array(32));
          tick();
          for (let i = 0; i < 3; i++) assert(await notices(watch, path), "the pool");
          assert(await notices(watch, name), "the semaphore");
        } finally {
          watch.close();
          Deno.removeSync(name);
        }
      })
    ),
});

// Lost: a list of semaphores is kept while their folder has not changed; were it kept longer, the
// followers of the reference would not be woken, however long they wait.
Deno.test({
  name: "a semaphore that comes and goes is seen, however soon after the last look",
  ignore: !shm,
  fn: () =>
    withDir(async (dir) => {
      const path = `${dir}/p`;
      Deno.writeFileSync(path, bytes());
      const name = semaphorePath(path) ?? "";
      const looks = (): number | undefined => {
        const semaphore = new Semaphore(path);
        semaphore.post();
        semaphore.close();
        try {
          return new DataView(Deno.readFileSync(name).buffer).getUint32(0, true);
        } catch {
          return undefined;
        }
      };
      for (let i = 0; i < 30; i++) {
        assert.equal(looks(), undefined);
        if (i % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 20 * (i / 3)));
        Deno.writeFileSync(name, new Uint8Array(32));
        try {
          assert.equal(looks(), 1, `round ${i}`);
        } finally {
          Deno.removeSync(name);
        }
      }
    }),
});

Deno.test({
  name: "without full permissions there is no semaphore, and no prompt",
  permissions: { read: ["/tmp"], write: ["/tmp"] },
  fn: () => {
    assert.equal(semaphorePath("/tmp/x.plasmite"), null);
    const semaphore = new Semaphore("/tmp/x.plasmite");
    semaphore.post();
    semaphore.close();
  },
});
