/**
 * A process that holds a pool's lock: `hold_lock.ts PATH exclusive|shared MS`. It says "locked" when
 * it has it, and gives it back after MS milliseconds or when its input ends.
 *
 * @module
 */

const [path = "", mode = "exclusive", ms = "300"] = Deno.args;
const file = Deno.openSync(path, { read: true, write: true });
file.lockSync(mode === "exclusive");
Deno.stdout.writeSync(new TextEncoder().encode("locked\n"));
const timer = setTimeout(() => Deno.exit(0), Number(ms));
const buffer = new Uint8Array(16);
await Deno.stdin.read(buffer);
clearTimeout(timer);
file.unlockSync();
Deno.stdout.writeSync(new TextEncoder().encode("unlocked\n"));
