/**
 * Preloaded into a program: a file system without hard links or without room, and a process that is
 * killed in the middle of making a file.
 *
 * `PLASMITE_TEST_LINK` names what `link` says ("yes" for a file system that has links), and
 * `PLASMITE_TEST_WRITE` what each write into a file says; `PLASMITE_TEST_KILL` counts the calls that
 * change or lock a file: before the one of that number the process dies.
 *
 * @module
 */

const FULL: Readonly<Record<string, string>> = {
  ENOSPC: "No space left on device (os error 28)",
  EDQUOT: "Disk quota exceeded (os error 122)",
};

const REFUSALS: Readonly<Record<string, () => Error>> = {
  EPERM: () => new Deno.errors.PermissionDenied("Operation not permitted (os error 1): link 'a'"),
  ENOSYS: () => new Error("Function not implemented (os error 38): link 'a' -> 'b'"),
  EOPNOTSUPP: () => new Error("Operation not supported (os error 95): link 'a' -> 'b'"),
  EIO: () => new Error("Input/output error (os error 5): link 'a' -> 'b'"),
};

const link = Deno.env.get("PLASMITE_TEST_LINK") ?? "EPERM";
const full = FULL[Deno.env.get("PLASMITE_TEST_WRITE") ?? ""];
const last = Number(Deno.env.get("PLASMITE_TEST_KILL") ?? Infinity);
let calls = 0;

function step(): void {
  if (++calls >= last) Deno.kill(Deno.pid, "SIGKILL");
}

function counted<A extends unknown[], R>(work: (...args: A) => R): (...args: A) => R {
  return function (this: unknown, ...args: A): R {
    step();
    return work.apply(this, args);
  };
}

if (link !== "yes") {
  Deno.linkSync = () => {
    step();
    throw REFUSALS[link]?.() ?? new Error(`unknown refusal ${link}`);
  };
}
Deno.removeSync = counted(Deno.removeSync);
const { openSync } = Deno;
Deno.openSync = (path, options) => {
  if (options?.createNew === true) step();
  return openSync(path, options);
};
const file = Deno.FsFile.prototype;
file.writeSync = counted(
  full === undefined ? file.writeSync : () => {
    throw new Error(full);
  },
);
file.truncateSync = counted(file.truncateSync);
file.tryLockSync = counted(file.tryLockSync);
