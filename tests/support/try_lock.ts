/**
 * A process that tries to take a pool's lock and says how that went: `try_lock.ts PATH
 * exclusive|shared`.
 *
 * @module
 */

const [path = "", mode = "shared"] = Deno.args;
using file = Deno.openSync(path, { read: true, write: true });
Deno.stdout.writeSync(
  new TextEncoder().encode(file.tryLockSync(mode === "exclusive") ? "free" : "taken"),
);
