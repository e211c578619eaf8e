/**
 * The sending side of `duplex`: where messages go, and stdin as a stream of them.
 *
 * @module
 */

import { messageOf, PlasmiteError } from "../errors.ts";
import { FrameBatch } from "../pool/batch.ts";
import { Ring } from "../pool/ring.ts";
import { standardInput } from "../stdio.ts";
import { disk } from "../storage/file.ts";
import { lockTimeout, sleep } from "../storage/pause.ts";
import { nowNs } from "../text/time.ts";
import type { CommandContext } from "./context.ts";
import type { FeedTarget } from "./feed.ts";
import type { PoolRef } from "./refs.ts";

const READ_SIZE = 64 * 1024;
const BATCH_BYTES = 512 * 1024;
/** How long to wait for another process's lock, in milliseconds. */
const LOCK_TIMEOUT = 10_000;
const LOCK_PAUSE = 1;

/** A sending side under way. */
export interface Sender {
  /** Resolves at the end of input, rejects with what ended it before. */
  readonly ended: Promise<void>;
  /** Sequence number of one's own last message; 0 for none. */
  last(): bigint;
}

/** Opens the pool for appending. */
export async function openTarget(context: CommandContext, ref: PoolRef): Promise<FeedTarget> {
  if (ref.kind === "remote") {
    const { openRemoteFeed } = await import("./remote_feed.ts");
    return await openRemoteFeed(context, ref, false, { attempts: 0, delayMs: 0 });
  }
  const ring = Ring.open(disk, ref.path, { write: true });
  const { ringSize } = ring.layout;
  return {
    path: ref.path,
    maxPayload: ring.maxPayload,
    maxRecord: 6 * ringSize + 64 * 1024,
    batchBytes: Math.min(BATCH_BYTES, Math.max(1, Math.floor(ringSize / 4))),
    store: async (batch, stored) => {
      for (let from = 0; from < batch.count;) {
        const done = await appendPatiently(ring, batch, from);
        stored(from, done.count, done.first);
        from += done.count;
      }
    },
    close: () => ring.close(),
  };
}

/** Waits for the lock without holding up the receiving side. */
async function appendPatiently(
  ring: Ring,
  batch: FrameBatch,
  from: number,
): Promise<{ count: number; first: bigint }> {
  for (let waited = 0; waited <= LOCK_TIMEOUT; waited++) {
    const done = ring.tryAppend(batch, from, false);
    if (done !== null) return done;
    await sleep(LOCK_PAUSE);
  }
  throw lockTimeout(ring.path);
}

/** Stores a batch, clears it, and returns the last sequence number. */
export async function storeAll(target: FeedTarget, batch: FrameBatch): Promise<bigint> {
  let last = 0n;
  try {
    await target.store(batch, (_from, count, first) => last = first + BigInt(count) - 1n);
  } finally {
    batch.clear();
  }
  return last;
}

/** The error for an input without a message. */
export function missingData(pool: string): PlasmiteError {
  return new PlasmiteError("Usage", "missing data input", {
    hint:
      `Pipe JSON objects to stdin, as in \`echo '{"x":1}' | plasmite duplex ${pool}\`, or type ` +
      "on a terminal with --me NAME.",
  });
}

/** Sends stdin, read as `feed` reads it. */
export function sendPipe(target: FeedTarget, pool: string): Sender {
  let last = 0n;
  const send = async (): Promise<void> => {
    const { Ingest } = await import("../text/ingest.ts");
    const { RecordSink } = await import("../text/record_sink.ts");
    const batch = new FrameBatch();
    const { maxPayload, maxRecord, batchBytes } = target;
    const sink = new RecordSink(batch, { maxPayload, batchBytes });
    const ingest = new Ingest(sink, { maxRecord });
    const drain = async (): Promise<void> => {
      if (batch.count > 0) last = await storeAll(target, batch) || last;
    };
    const buffer = new Uint8Array(READ_SIZE);
    try {
      for (let n = await readStdin(buffer); n !== null; n = await readStdin(buffer)) {
        sink.stamp(nowNs());
        await ingest.take(buffer.subarray(0, n), drain);
        await drain();
      }
      sink.stamp(nowNs());
      await ingest.load?.();
      ingest.end();
    } finally {
      await drain(); // What came before a bad record stays sent.
    }
    if (ingest.empty) throw missingData(pool);
  };
  return { ended: send(), last: () => last };
}

/** Reads without blocking the receiving side; null at the end. */
export async function readStdin(buffer: Uint8Array): Promise<number | null> {
  try {
    return await standardInput.read(buffer);
  } catch (error) {
    throw new PlasmiteError("Io", "failed to read stdin", {
      hint: "Check what is piped in.",
      causes: [messageOf(error)],
      cause: error,
    });
  }
}
