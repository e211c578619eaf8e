/**
 * Feeds a server's pool (docs/spec/command-line.md 2.6, 2.7): many messages in one request where
 * the server can, and repeated only when it is certain that nothing was stored.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import type { FrameBatch } from "../pool/batch.ts";
import { FIELD } from "../pool/frame.ts";
import { MAX_PAYLOAD, maxPayload } from "../pool/layout.ts";
import type { RemotePool } from "../remote/pool.ts";
import { RemoteError, rewritten } from "../backend/http/error.ts";
import { sleep } from "../storage/pause.ts";
import type { CommandContext } from "./context.ts";
import { type FeedTarget, retriesTold } from "./feed.ts";
import { explainMissing } from "./missing.ts";
import type { RemoteRef } from "./refs.ts";
import { connect } from "./remote.ts";

/** Frames that are collected for one request, in bytes. */
const BATCH_BYTES = 512 * 1024;

/** How often to try again, and how long to wait before. */
interface Retry {
  readonly attempts: number;
  readonly delayMs: number;
}

/**
 * Opens a pool of a server for appending. A server that lets nobody open (0.8 with `--access
 * write-only`) is appended to all the same.
 *
 * @throws {PlasmiteError} Usage for `--create`; what the server reports
 */
export async function openRemoteFeed(
  context: CommandContext,
  ref: RemoteRef,
  flush: boolean,
  retry: Retry,
): Promise<FeedTarget> {
  for (const option of ["create", "create-size"]) {
    if (!context.args.has(option)) continue;
    throw new PlasmiteError("Usage", `remote ${context.name} does not support --${option}`, {
      hint: `Create the pool server-side: plasmite pool create ${ref.pool}`,
    });
  }
  await using client = await connect(context, ref.origin);
  const ringSize = await patiently(retry, isHarmless, async () => {
    try {
      return (await client.openInfo(ref.pool)).ringSize;
    } catch (error) {
      if (error instanceof RemoteError && error.status === 403) return 0;
      throw explainMissing(error, context, ref);
    }
  });
  const pool = client.uncheckedPool(ref.pool);
  return {
    path: `${ref.origin}/${ref.pool}`,
    maxPayload: ringSize === 0 ? MAX_PAYLOAD : maxPayload(ringSize),
    maxRecord: ringSize === 0 ? MAX_PAYLOAD : 6 * ringSize + 64 * 1024,
    // A quarter of a small ring, so that followers see messages before they are overwritten.
    batchBytes: ringSize === 0 ? BATCH_BYTES : Math.min(BATCH_BYTES, Math.max(1, ringSize >> 2)),
    store: async (batch, stored) => {
      try {
        await store(pool, batch, { flush, retry }, stored);
      } catch (error) {
        throw await explainDoubt(error, ref);
      }
    },
    close: () => void pool.close(),
  };
}

/** Answers after which the server did nothing, or did something that may be done again. */
const AGAIN: readonly number[] = [0, 423, 502, 503, 504];

/** Whether a request that failed so can be repeated without storing anything twice. */
function isHarmless(error: unknown): boolean {
  return error instanceof RemoteError && !error.outcomeUnknown && AGAIN.includes(error.status);
}

/** Adds the command that shows whether an append was stored, where that is in doubt. */
async function explainDoubt(error: unknown, ref: RemoteRef): Promise<unknown> {
  if (!(error instanceof RemoteError) || !error.outcomeUnknown) return error;
  const { token } = await import("./words.ts");
  const command = `plasmite follow ${token(ref.ref)} --tail 5 --no-follow`;
  return rewritten(error, { hint: `Look before you send it again: ${command}` });
}

/** From how many milliseconds on an answer counts as one that was waited for. */
const PATIENCE = 500;

/** Does it again as often as `--retry` says, and tells how often that was. */
async function patiently<T>(
  { attempts, delayMs }: Retry,
  again: (error: unknown) => boolean,
  work: () => Promise<T>,
): Promise<T> {
  let waited = 0;
  for (let tried = 1;; tried++) {
    const began = performance.now();
    try {
      return await work();
    } catch (error) {
      if (!again(error) || !(error instanceof RemoteError)) throw error;
      // A server that says at once that it is busy has not been waited for.
      const took = performance.now() - began;
      if (took >= PATIENCE) waited += took;
      if (tried <= attempts) {
        await sleep(delayMs);
        waited += delayMs;
        continue;
      }
      if (tried === 1) throw error;
      const told = retriesTold(tried, waited);
      throw rewritten(error, { hint: error.hint === undefined ? told : `${error.hint} ${told}` });
    }
  }
}

async function store(
  pool: RemotePool,
  batch: FrameBatch,
  { flush, retry }: { readonly flush: boolean; readonly retry: Retry },
  stored: (from: number, count: number, first: bigint) => void,
): Promise<void> {
  const payloads = Array.from({ length: batch.count }, (_, i) => batch.payload(i));
  let next = 0;
  // Attempts are counted for each message: progress begins a new count.
  while (next < payloads.length) {
    const from = next;
    await patiently(retry, (error) => next === from && isHarmless(error), async () => {
      try {
        await pool.appendPayloads(payloads, flush, (at, run) => {
          next = at + run.length;
          for (const [i, { timestampNs }] of run.entries()) {
            // The server's clock counts, and the receipts are printed from the batch.
            batch.out.dv.setBigUint64(batch.startOf(at + i) + FIELD.time, timestampNs, true);
          }
          const [first] = run;
          if (first !== undefined) stored(at, run.length, first.seq);
        }, from);
      } catch (error) {
        if (next > from && isHarmless(error)) return; // The rest begins again with its own count.
        throw error;
      }
    });
  }
}
