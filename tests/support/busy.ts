/**
 * Run by processes_test.ts: everything that waits for a lock which is never given back. Sleeping is
 * made instant and the clock jumps, so that ten seconds pass in a moment.
 *
 * @module
 */

Atomics.wait = (() => "timed-out") as typeof Atomics.wait;
let now = 0;
performance.now = () => now += 100;

const { Client, PlasmiteError } = await import("../../mod.ts");
const { disk } = await import("../../lib/storage/file.ts");

const dir = Deno.makeTempDirSync();
const kind = (work: () => unknown): string => {
  try {
    work();
    return "nothing";
  } catch (error) {
    return PlasmiteError.is(error) && error.path !== undefined ? error.kindName : String(error);
  }
};
try {
  using client = new Client(dir);
  using pool = client.createPool("pool");
  const holder = disk.open(pool.path, { write: true });
  holder.tryLock(true);
  const sync = kind(() => pool.append({ n: 1 }));
  let asynchronous = "nothing";
  await pool.appendAsync({ n: 2 }).catch((error) =>
    asynchronous = kind(() => {
      throw error;
    })
  );
  const remove = kind(() => client.deletePool("pool"));
  const check = kind(() => client.validatePool("pool"));
  const newest = pool.bounds().newestSeq;
  holder.unlock();
  const later = Number(pool.append({ n: 3 }).seq);
  holder.close();
  const result = { sync, async: asynchronous, delete: remove, check, newest, later };
  await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(result)));
} finally {
  Deno.removeSync(dir, { recursive: true });
}
