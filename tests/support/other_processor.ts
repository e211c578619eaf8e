/**
 * Run by race_test.ts in a process of its own: reads a pool of the reference as on a processor
 * whose stores may be seen out of order.
 *
 * @module
 */

Object.defineProperty(Deno, "build", { value: { ...Deno.build, arch: "aarch64" } });
const { Cursor } = await import("../../lib/pool/cursor.ts");
const { Ring } = await import("../../lib/pool/ring.ts");
const { hooked, mapped, newRing, payload, POOL, readAll } = await import("./rings.ts");
const { refAppendAll } = await import("./ref_writer.ts");

const { storage } = newRing(4000, 4);
const map = mapped(storage);
for (let i = 1; i <= 3; i++) refAppendAll(map, payload(i, 100), 1n);
let sharedLocks = 0;
const seen = hooked(storage, {
  onLock: (exclusive) => {
    if (!exclusive) sharedLocks++;
  },
});
const ring = Ring.open(seen, POOL);
const seqs = readAll(ring).map((message) => Number(message.seq));
const locks = sharedLocks;
map.file.tryLock(true);
const busy = new Cursor(ring, 2n).fill();
await Deno.stdout.write(
  new TextEncoder().encode(JSON.stringify({ seqs, locked: locks > 0, busy })),
);
