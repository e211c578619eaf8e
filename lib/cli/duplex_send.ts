/**
 * The sending side of `duplex`: stdin as a stream of messages.
 *
 * @module
 */

import type { PoolHandle } from "../backend/types.ts";
import { messageOf, PlasmiteError } from "../errors.ts";
import { FrameBatch } from "../pool/batch.ts";
import { standardInput } from "../stdio.ts";
import { nowNs } from "../text/time.ts";
import { missingInput } from "./feed_input.ts";

const READ_SIZE = 64 * 1024;

/** A running sending side. */
export interface Sender {
  /** Resolves at the end of input; rejects with the error that ended it earlier. */
  readonly ended: Promise<void>;
  /** The sequence number of our own last message; 0 for none. */
  last(): bigint;
}

/** Stores a batch, clears it, and returns the last sequence number. */
export async function storeAll(pool: PoolHandle, batch: FrameBatch): Promise<bigint> {
  let last = 0n;
  const stored = (_from: number, count: number, first: bigint): void => {
    last = first + BigInt(count) - 1n;
  };
  try {
    await pool.append(batch, { flush: false, stored });
  } finally {
    batch.clear();
  }
  return last;
}

/** Sends stdin, which is read as in `feed`. */
export function sendPipe(pool: PoolHandle): Sender {
  let last = 0n;
  const send = async (): Promise<void> => {
    const { Ingest } = await import("../text/ingest.ts");
    const { CompleteMessages } = await import("../text/complete_messages.ts");
    const { RecordSink } = await import("../text/record_sink.ts");
    const batch = new FrameBatch();
    const { maxPayload, maxRecord, batchBytes, check } = pool.limits;
    const sink = new RecordSink(batch, {
      complete: CompleteMessages,
      maxPayload,
      batchBytes,
      check,
    });
    const ingest = new Ingest(sink, { maxRecord });
    const drain = async (): Promise<void> => {
      if (batch.count > 0) last = await storeAll(pool, batch) || last;
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
      await drain(); // Send what came before an invalid record.
    }
    if (ingest.empty) throw missingInput();
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
