/**
 * Making pools: where there are no hard links, with any legal name, when many do it at once, when the
 * one who does it is killed, and when there is no room.
 *
 * @module
 */

import assert from "node:assert/strict";
import { runTool } from "../../mcp/run.ts";
import { poolsOf } from "../mcp/mcp_tools_util.ts";
import { createApp } from "../../server/app.ts";
import { Hubs } from "../../lib/backend/local/hub.ts";
import { LocalBackend } from "../../lib/backend/local.ts";
import { Client } from "../../lib/client/client.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { openToAppend } from "../../lib/pool/mending.ts";
import { createRing } from "../../lib/pool/creation.ts";
import { awaitHeader, UnfinishedPool } from "../../lib/pool/unfinished.ts";
import { Ring } from "../../lib/pool/ring.ts";
import { createInPlace } from "../../lib/storage/create.ts";
import { disk } from "../../lib/storage/file.ts";
import type { StorageFile } from "../../lib/storage/storage.ts";
import { inPlace } from "../../lib/storage/steps.ts";
import { Killed, MemoryStorage } from "../support/memory.ts";
import { CLI, cli, errorOf, inTemp, type Outcome } from "../cli/cli_util.ts";
import { inCheckout } from "../support/paths.ts";
import { PATIENCE_MS } from "../support/patience.ts";
import { start } from "../support/processes.ts";

const NO_LINKS = inCheckout("tests/support/no_links.ts");

/** Runs the command line on a file system that has no hard links. */
async function withoutLinks(
  args: readonly string[],
  { refusal = "EPERM", kill, write }: { refusal?: string; kill?: number; write?: string } = {},
): Promise<Outcome> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--preload", NO_LINKS, CLI, ...args],
    env: {
      PLASMITE_TEST_LINK: refusal,
      ...(kill === undefined ? {} : { PLASMITE_TEST_KILL: String(kill) }),
      ...(write === undefined ? {} : { PLASMITE_TEST_WRITE: write }),
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
  const { code, stdout, stderr } = await child.output();
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

function names(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
}

async function stored(dir: string, pool: string): Promise<unknown[]> {
  const args = ["--dir", dir, "follow", pool, "--no-follow", "--jsonl", "--data-only"];
  const { code, stdout, stderr } = await cli(args);
  assert.equal(code, 0, stderr);
  return stdout.trim() === "" ? [] : stdout.trim().split("\n").map((line) => JSON.parse(line));
}

// On an SD card or a USB stick (exFAT, FAT32) not one pool could be made.
Deno.test("without hard links every command that makes pools makes them", async (t) => {
  for (const refusal of ["EPERM", "ENOSYS", "EOPNOTSUPP"]) {
    await t.step(refusal, () =>
      inTemp(async (dir) => {
        const run = (...args: string[]) => withoutLinks(["--dir", dir, ...args], { refusal });
        const made = [
          await run("pool", "create", "a", "--size", "64K"),
          await run("feed", "b", "--create", '{"x":1}'),
          await run("tap", "c", "--create", "-q", "--", "echo", "hi"),
          await run("follow", "d", "--create", "--no-follow"),
        ];
        for (const { code, stderr } of made) assert.equal(code, 0, stderr);
        assert.deepEqual(names(dir), ["a", "b", "c", "d"].map((name) => `${name}.plasmite`));
        assert.equal(Deno.statSync(`${dir}/a.plasmite`).size, 65536);
        assert.deepEqual(await stored(dir, "b"), [{ x: 1 }]);
        const again = await run("pool", "create", "a");
        assert.equal(again.code, ErrorKind.AlreadyExists, again.stderr);
        assert.equal(Deno.statSync(`${dir}/a.plasmite`).size, 65536);
      }));
  }
});

Deno.test("a link that fails for another reason is an error, and nothing is left", () =>
  inTemp(async (dir) => {
    const { code, stderr } = await withoutLinks(["--dir", dir, "pool", "create", "a"], {
      refusal: "EIO",
    });
    assert.equal(code, ErrorKind.Io, stderr);
    assert.deepEqual(names(dir), []);
  }));

Deno.test("a full disk or a full quota is named, and nothing is left", () =>
  inTemp(async (dir) => {
    for (const refusal of ["yes", "EPERM"]) {
      for (const write of ["ENOSPC", "EDQUOT"]) {
        const args = ["--dir", dir, "feed", "a", "--create", "{}"];
        const run = await withoutLinks(args, { refusal, write });
        assert.equal(run.code, ErrorKind.Io, run.stderr);
        assert.equal(errorOf(run)["path"], `${dir}/a.plasmite`);
        assert.match(String(errorOf(run)["causes"]), /No space left|quota exceeded/);
        assert.deepEqual(names(dir), [], `${refusal} ${write}`);
      }
    }
  }));

// Twelve services that start together on a card: each message must be in the one pool.
Deno.test("without hard links many make the same pool at once, and no message is lost", () =>
  inTemp(async (dir) => {
    for (let round = 0; round < 3; round++) {
      const pool = `p${round}`;
      const runs = await Promise.all(
        Array.from(
          { length: 12 },
          (_, i) => withoutLinks(["--dir", dir, "feed", pool, "--create", `{"i":${i}}`]),
        ),
      );
      for (const { code, stderr } of runs) assert.equal(code, 0, stderr);
      const seen = (await stored(dir, pool)) as { i: number }[];
      assert.deepEqual(seen.map(({ i }) => i).sort((a, b) => a - b), [...Array(12).keys()]);
    }
    const runs = await Promise.all(
      Array.from({ length: 12 }, () => withoutLinks(["--dir", dir, "pool", "create", "one"])),
    );
    const codes = runs.map(({ code }) => code).sort();
    assert.deepEqual(codes, [0, ...Array(11).fill(4)], runs.map((run) => run.stderr).join(""));
  }));

// A power switch on the robot: the half-made file stood in the way of the pool forever.
Deno.test("a creator that is killed at any call stands in nobody's way", () =>
  inTemp(async (dir) => {
    let killed = 0;
    let left = 0;
    for (let kill = 1;; kill++) {
      const pool = `k${kill}`;
      const args = ["--dir", dir, "pool", "create", pool, "--size", "200K"];
      const { code } = await withoutLinks(args, { kill });
      if (code === 0) break;
      killed++;
      assert.ok(kill < 100, "it never came to the end");
      if (names(dir).includes(`${pool}.plasmite`)) left++;
      const run = await cli(["--dir", dir, "feed", pool, "--create", "--create-size", "64K", "{}"]);
      assert.equal(run.code, 0, `killed before call ${kill}: ${run.stderr}`);
      assert.deepEqual(await stored(dir, pool), [{}]);
    }
    assert.ok(killed >= 6 && left >= 3, `${killed} killed, ${left} left a file`);
  }));

Deno.test("the file of a killed creator is distinguished from a pool, and reused", () =>
  inTemp(async (dir) => {
    for (const size of [0, 5000, 1 << 20]) {
      const path = `${dir}/z${size}.plasmite`;
      Deno.writeFileSync(path, new Uint8Array(size));
      Deno.utimeSync(path, 1, 1);
      assert.throws(() => new Client(dir).openPool(`z${size}`), (error) => {
        assert.ok(error instanceof UnfinishedPool && PlasmiteError.is(error, ErrorKind.Corrupt));
        assert.match(error.hint ?? "", /Create the pool again/);
        return true;
      });
      const read = await cli(["--dir", dir, "follow", `z${size}`, "--no-follow"]);
      assert.equal(read.code, ErrorKind.Corrupt, read.stderr);
      const made = await cli(["--dir", dir, "pool", "create", `z${size}`, "--size", "300K"]);
      assert.equal(made.code, 0, made.stderr);
      assert.equal(Deno.statSync(path).size, 300 * 1024);
    }
    // The library, and a server.
    Deno.writeFileSync(`${dir}/lib.plasmite`, new Uint8Array(9000));
    using client = new Client(dir);
    using pool = client.pool("lib");
    assert.equal(pool.append({ a: 1 }).seq, 1n);
    Deno.writeFileSync(`${dir}/http.plasmite`, new Uint8Array(9000));
    const app = createApp(client, {});
    const answer = await app.fetch(
      new Request("http://127.0.0.1/v0/pools", {
        method: "POST",
        headers: { "content-type": "application/json", host: "127.0.0.1" },
        body: '{"pool":"http","size_bytes":65536}',
      }),
    );
    assert.equal(answer.status, 200, await answer.text());
    await app.shutdown();
  }));

// A damaged header must not make a pool look like an empty file: its messages can still be saved.
Deno.test("a file with one byte that is not zero is never taken over", () =>
  inTemp(async (dir) => {
    for (const at of [0, 4095, 60_000, 131_071]) {
      const bytes = new Uint8Array(131_072);
      bytes[at] = 1;
      const path = `${dir}/d${at}.plasmite`;
      Deno.writeFileSync(path, bytes);
      const made = await cli(["--dir", dir, "pool", "create", `d${at}`]);
      assert.equal(made.code, ErrorKind.AlreadyExists, made.stderr);
      const fed = await cli(["--dir", dir, "feed", `d${at}`, "--create", "{}"]);
      assert.equal(fed.code, ErrorKind.Corrupt, fed.stderr);
      assert.deepEqual(Deno.readFileSync(path), bytes);
    }
    // Somebody else's zeros: an image for a virtual machine, say.
    Deno.writeFileSync(`${dir}/disk.img`, new Uint8Array(5_000_000));
    const made = await cli(["pool", "create", `${dir}/disk.img`]);
    assert.equal(made.code, ErrorKind.AlreadyExists, made.stderr);
    assert.equal(Deno.statSync(`${dir}/disk.img`).size, 5_000_000);
  }));

Deno.test("a file that is all holes is recognised without reading all of it", () =>
  inTemp((dir) => {
    // Reading a terabyte of zeros takes minutes, and a server would stand still.
    for (const [name, last] of [["holes", false], ["data", true]] as const) {
      const path = `${dir}/${name}.plasmite`;
      using file = Deno.openSync(path, { write: true, createNew: true });
      file.truncateSync(2 ** 40);
      file.seekSync(2 ** 40 - 1, Deno.SeekMode.Start);
      if (last) file.writeSync(Uint8Array.of(1));
    }
    const client = new Client(dir);
    using pool = client.createPool("holes");
    assert.equal(pool.append({ n: 1 }).seq, 1n);
    assert.throws(() => client.createPool("data"), /pool already exists/);
    return Promise.resolve();
  }));

Deno.test("a link to nowhere, a directory and a device have the name already", () =>
  inTemp(async (dir) => {
    Deno.symlinkSync(`${dir}/nowhere`, `${dir}/link.plasmite`);
    Deno.mkdirSync(`${dir}/dir.plasmite`);
    for (const pool of ["link", "dir"]) {
      const { code, stderr } = await withoutLinks(["--dir", dir, "pool", "create", pool]);
      assert.equal(code, ErrorKind.AlreadyExists, stderr);
    }
    if (Deno.build.os === "linux") {
      const { code, stderr } = await withoutLinks(["pool", "create", "/dev/zero"]);
      assert.equal(code, ErrorKind.AlreadyExists, stderr);
    }
  }));

// A reader that starts together with the creator saw a damaged pool.
Deno.test("opening a pool that is being created waits for its header", () =>
  inTemp(async (dir) => {
    const path = `${dir}/a.plasmite`;
    Deno.writeFileSync(path, new Uint8Array(0));
    await using holder = start("hold_lock.ts", path, "exclusive", `${PATIENCE_MS}`);
    assert.equal(await holder.line(), "locked");
    assert.throws(
      () => Ring.open(disk, path),
      (error) => error instanceof UnfinishedPool && error.kind === ErrorKind.Busy,
    );
    const waiting = cli(["--dir", dir, "follow", "a", "--tail", "1", "--one", "--data-only"]);
    const making = cli(["--dir", dir, "feed", "a", "--create", '{"made":true}']);
    // Both have begun when both have the file open; then its creator finishes by hand.
    const other = new MemoryStorage();
    createRing(other, "/m", { size: 65536 });
    await new Promise((resolve) => setTimeout(resolve, 300));
    Deno.writeFileSync(path, other.bytes("/m"));
    await holder.release();
    const [read, fed] = await Promise.all([waiting, making]);
    assert.equal(fed.code, 0, fed.stderr);
    assert.equal(read.code, 0, read.stderr);
    assert.match(read.stdout, /"made":\s*true/);
    assert.equal(Deno.statSync(path).size, 65536, "the pool is the one that was being made");
  }));

// One half-made pool on a card stopped a whole server for ten seconds.
Deno.test("a process that serves others waits for a pool in the making without standing still", () =>
  inTemp(async (dir) => {
    const path = `${dir}/a.plasmite`;
    Deno.writeFileSync(path, new Uint8Array(0));
    await using holder = start("hold_lock.ts", path, "exclusive", `${PATIENCE_MS}`);
    assert.equal(await holder.line(), "locked");
    const backend = new LocalBackend(dir, { serving: new Hubs() });
    const pools = poolsOf(dir);
    const app = createApp(new Client(dir), {});
    const done: string[] = [];
    const note = (what: string) => (): void => void done.push(what);
    const json = { "content-type": "application/json" };
    const post = { method: "POST", headers: json, body: '{"pool":"a"}' };
    const waits = [
      Promise.resolve(backend.create("a")).then(note("backend"), note("backend")),
      pools.create("a").then(note("agent"), note("agent")),
      Promise.resolve(app.request("/v0/pools", post)).then(note("server")),
    ];
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 10));
    done.push("others");
    await holder.release();
    await Promise.all(waits);
    assert.equal(done[0], "others");
    openToAppend(disk, path).close();
    await app.shutdown();
  }));

Deno.test("an agent that waits for a pool waits also for one that is not finished yet", () =>
  inTemp(async (dir) => {
    const path = `${dir}/a.plasmite`;
    Deno.writeFileSync(path, new Uint8Array(9000));
    Deno.utimeSync(path, 1, 1);
    const pools = poolsOf(dir);
    const { signal } = new AbortController();
    const args = { pool: "a", timeout_ms: 20_000 };
    const waiting = runTool("plasmite_wait", args, { pools, signal });
    await new Promise((resolve) => setTimeout(resolve, 20));
    using client = new Client(dir);
    using pool = client.pool("a");
    pool.append({ came: true });
    assert.match(JSON.stringify(await waiting), /came\\*":true/);
  }));

Deno.test("memory: killed at any change, the pool can be made; failing at any, nothing is left", () => {
  const make = (storage: MemoryStorage): void => createRing(storage, "/m/a", { size: 8192 });
  const counting = new MemoryStorage({ links: false });
  make(counting);
  const changes = counting.calls;
  assert.equal(changes, 3, "an empty file, its size, its header");
  for (let n = 0; n < changes; n++) {
    const storage = new MemoryStorage({ links: false });
    storage.plan({ killAfter: n });
    assert.throws(() => make(storage), Killed);
    const after = storage.afterKill();
    make(after);
    openToAppend(after, "/m/a").close();
    assert.throws(() => make(after), (error) => PlasmiteError.is(error, ErrorKind.AlreadyExists));
  }
  for (let n = 0; n < changes; n++) {
    const storage = new MemoryStorage({ links: false });
    storage.plan({ failAfter: n });
    assert.throws(() => make(storage), (error) => PlasmiteError.is(error, ErrorKind.Io));
    storage.plan({});
    make(storage);
  }
});

/** Makes `/m/a` in place; `between` is what others do right before a step of it. */
function makeBetween(
  storage: MemoryStorage,
  step: "tryLock" | "resize" | "writeAt",
  between: () => void,
  takeOver = true,
): boolean {
  let done = false;
  const wrapped = (file: StorageFile): StorageFile => {
    const call = file[step] as (...args: unknown[]) => unknown;
    return {
      ...file,
      [step]: (...args: unknown[]) => {
        if (!done) between();
        done = true;
        return call(...args);
      },
    };
  };
  const open = (): StorageFile => wrapped(storage.open("/m/a", { write: true }));
  const has = (): boolean => {
    try {
      storage.open("/m/a", { write: false }).close();
      return true;
    } catch {
      return false;
    }
  };
  const places = {
    createEmpty: () => {
      if (has()) return null;
      storage.put("/m/a", new Uint8Array(0));
      return open();
    },
    open,
    remove: () => storage.remove("/m/a"),
  };
  return createInPlace(places, "/m/a", { size: 8192, head: Uint8Array.of(1, 2, 3), takeOver });
}

// The second creator wrote its header over the first one's pool, and its first messages were gone.
Deno.test("memory: of two creators of a pool, in any order, one gets AlreadyExists", () => {
  const exists = (error: unknown): boolean => PlasmiteError.is(error, ErrorKind.AlreadyExists);
  const other = (storage: MemoryStorage): boolean =>
    storage.create("/m/a", 4096, Uint8Array.of(9, 9), true);
  // Before the first one has the lock, the second does all of it.
  const early = new MemoryStorage({ links: false });
  assert.throws(
    () => makeBetween(early, "tryLock", () => assert.equal(other(early), true)),
    exists,
  );
  assert.equal(early.bytes("/m/a").length, 4096);
  assert.equal(early.bytes("/m/a")[0], 9);
  // While the first one has it, the second must wait, and is told afterwards.
  for (const step of ["resize", "writeAt"] as const) {
    const late = new MemoryStorage({ links: false });
    assert.equal(makeBetween(late, step, () => assert.equal(other(late), false)), true);
    assert.throws(() => other(late), exists);
    assert.deepEqual([...late.bytes("/m/a").subarray(0, 3)], [1, 2, 3]);
  }
  const moved = new MemoryStorage({ links: false });
  // A name that was deleted, or given to another file, before the lock was had, is begun again.
  for (const then of [() => {}, () => moved.put("/m/a", new Uint8Array(0))]) {
    const replace = (): void => {
      moved.remove("/m/a");
      then();
    };
    assert.equal(makeBetween(moved, "tryLock", replace), false);
    assert.equal(other(moved), true);
    moved.remove("/m/a");
  }
  // A file of zeros is left alone as long as its creator may be about to lock it.
  const fresh = new MemoryStorage({ links: false });
  fresh.put("/m/a", new Uint8Array(0));
  assert.equal(makeBetween(fresh, "tryLock", () => {}, false), false);
  assert.equal(fresh.bytes("/m/a").length, 0);
});

Deno.test("awaitHeader: the header may come while one waits", () => {
  const storage = new MemoryStorage();
  const made = new MemoryStorage();
  made.create("/m/a", 8192, new Uint8Array(0));
  createRing(storage, "/m/b", { size: 8192 });
  const file = made.open("/m/a", { write: true });
  const bytes = new Uint8Array(104);
  assert.throws(() => inPlace(awaitHeader(file, bytes)), UnfinishedPool);
  file.writeAt(storage.bytes("/m/b"), 0);
  assert.equal(inPlace(awaitHeader(file, bytes)), 104);
  assert.equal(bytes[0], 0x50);
});

// Names of 228 to 246 bytes are legal, and no pool of such a name could be made.
Deno.test("a pool may have any name that the file system allows", () =>
  inTemp(async (dir) => {
    using client = new Client(dir);
    for (const length of [1, 200, 218, 219, 220, 230, 237, 238, 245, 246]) {
      const name = "n".repeat(length);
      client.createPool(name).close();
      using pool = client.openPool(name);
      assert.equal(pool.append({}).seq, 1n, `${length} bytes`);
    }
    const accents = "é".repeat(123);
    const run = await cli(["--dir", dir, "feed", accents, "--create", "{}"]);
    assert.equal(run.code, 0, run.stderr);
    const long = await cli(["--dir", dir, "feed", "n".repeat(247), "--create", "{}"]);
    assert.equal(long.code, ErrorKind.Io, long.stderr);
    assert.match(JSON.stringify(errorOf(long)["causes"]), /name too long/i);
    assert.deepEqual(names(dir).filter((name) => !name.endsWith(".plasmite")), []);
  }));

// `ulimit -f` of a service manager: each try left another hidden file, until the disk was full.
Deno.test({
  name: "a file-size limit that ends the program leaves no file",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inTemp(async (dir) => {
      for (const links of [true, false]) {
        const preload = links ? [] : ["--preload", NO_LINKS];
        const create = ["--dir", dir, "pool", "create", "big", "--size", "8M"];
        const { success } = await limited(512, create, preload);
        assert.equal(success, false);
        assert.deepEqual(names(dir), [], links ? "with hard links" : "without");
      }
    }),
});

/** Runs the command line under `ulimit -f`, in KiB. */
async function limited(kib: number, args: readonly string[], preload: readonly string[] = []) {
  const program = [Deno.execPath(), "run", "-A", "--quiet", ...preload, CLI];
  return await new Deno.Command("bash", {
    args: ["-c", `ulimit -c 0 -f ${kib}; exec "$@"`, "bash", ...program, ...args],
    stdout: "null",
    stderr: "null",
  }).output();
}

/** A pool whose state block says nonsense: `doctor --repair` has something to do, and backs it up. */
function spoiled(dir: string, name: string, size: number): string {
  using client = new Client(dir);
  using pool = client.createPool(name, size);
  pool.append({ kept: true });
  const file = Deno.openSync(pool.path, { write: true });
  file.seekSync(64, Deno.SeekMode.Start);
  file.writeSync(new Uint8Array(40).fill(7));
  file.close();
  return pool.path;
}

// The repair failed with "file name too long", after the damage.
Deno.test("a damaged pool with the longest name is backed up and repaired", () =>
  inTemp(async (dir) => {
    for (const name of ["n".repeat(246), "é".repeat(123)]) {
      const damaged = Deno.readFileSync(spoiled(dir, name, 65536));
      const { code, stderr } = await cli(["--dir", dir, "doctor", name, "--repair"]);
      assert.equal(code, 0, stderr);
      const [backup = ""] = names(dir).filter((one) => one.includes(".backup-"));
      assert.ok(backup.startsWith(name.slice(0, 50)), backup);
      assert.ok(new TextEncoder().encode(backup).length <= 255);
      assert.deepEqual(Deno.readFileSync(`${dir}/${backup}`), damaged);
      Deno.removeSync(`${dir}/${backup}`);
      assert.deepEqual(await stored(dir, name), [{ kept: true }]);
    }
  }));

Deno.test({
  name: "a repair ended by a file-size limit leaves the pool as it was, and no half backup",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inTemp(async (dir) => {
      const damaged = Deno.readFileSync(spoiled(dir, "p", 1 << 20));
      const { success } = await limited(512, ["--dir", dir, "doctor", "p", "--repair"]);
      assert.equal(success, false);
      assert.deepEqual(names(dir), ["p.plasmite"]);
      assert.deepEqual(Deno.readFileSync(`${dir}/p.plasmite`), damaged);
    }),
});
