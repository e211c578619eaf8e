/**
 * Conditional and idempotent appends to a pool on a server (docs/spec/http-api.md 12.1).
 *
 * @module
 */

import { ErrorKind, PlasmiteError } from "../../errors.ts";
import type { FrameBatch } from "../../pool/batch.ts";
import type { AppendRequest, Conditions } from "../types.ts";
import type { MessageConditions, RemoteAppender, Stored } from "./appender.ts";
import { RemoteError } from "./error.ts";
import { checkFeature } from "./features.ts";
import type { Transport } from "./transport.ts";

/** The maximum number of attempts to append an atomic batch while other clients append. */
const MOST_TRIES = 100;

/**
 * Appends a batch under conditions. With an expectation, the whole batch goes into one request;
 * messages that only have ids may be split over several requests, since they can safely be resent.
 *
 * @throws {PlasmiteError} Usage if the server cannot check the conditions or the batch cannot be
 *   sent in one request; Conflict; connection errors
 */
export async function appendWhen(
  transport: Transport,
  appender: RemoteAppender,
  batch: FrameBatch,
  request: AppendRequest,
  when: Conditions,
): Promise<void> {
  const { expect, key, ids = [], idWindow, atomic = false } = when;
  if (atomic && expect === undefined && batch.count - (request.from ?? 0) > 1) {
    return await appendWhole(transport, appender, batch, request, when);
  }
  if (expect !== undefined) await checkFeature(transport, "expect");
  if (key !== undefined) await checkFeature(transport, "key");
  if (ids.some((id) => id !== null)) await checkFeature(transport, "id");
  const { from = 0, flush, signal } = request;
  const payloads = Array.from({ length: batch.count - from }, (_, i) => batch.payload(from + i));
  const report = new Reporter(batch, request);
  for (let at = 0; at < payloads.length;) {
    const count = expect === undefined ? appender.fitting(payloads, at) : payloads.length;
    const part = payloads.slice(at, at + count);
    const partIds = part.map((_, i) => ids[at + i] ?? null);
    const whole = { expect, key, id_window: idWindow };
    const [only] = part;
    if (part.length === 1 && only !== undefined) {
      const conditions = { ...whole, id: partIds[0] ?? undefined };
      report.add(from + at, [await appender.one(only, flush, signal, conditions)]);
    } else {
      const results = await together(appender, part, flush, whole, partIds, signal);
      report.add(from + at, results);
    }
    at += count;
  }
}

/**
 * Appends a batch atomically. Servers guarantee that only for appends with an expectation, so this
 * expects the current newest message, whose number is taken from the server's conflict error.
 */
async function appendWhole(
  transport: Transport,
  appender: RemoteAppender,
  batch: FrameBatch,
  request: AppendRequest,
  when: Conditions,
): Promise<void> {
  let expect = 0n;
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    try {
      return await appendWhen(transport, appender, batch, request, { ...when, expect });
    } catch (error) {
      const isLate = PlasmiteError.is(error, ErrorKind.Conflict) && error.actual !== null;
      if (!isLate) throw error;
      expect = error.actual;
    }
  }
  throw new PlasmiteError("Busy", "Others append too fast to store the batch as one piece", {
    hint: "Try again in a moment.",
  });
}

type Result = Stored & { readonly duplicate: boolean };

async function together(
  appender: RemoteAppender,
  payloads: readonly Uint8Array<ArrayBuffer>[],
  flush: boolean,
  when: MessageConditions,
  ids: readonly (string | null)[],
  signal: AbortSignal | undefined,
): Promise<readonly Result[]> {
  const { expect, id_window } = when;
  try {
    const results = await appender.together(payloads, flush, when, ids, signal);
    if (results !== null) return results;
  } catch (error) {
    if (!(error instanceof RemoteError) || error.status !== 413) throw error;
    if (expect !== undefined) throw tooLarge(error);
  }
  if (expect !== undefined) throw notAsText();
  const results: Result[] = [];
  for (const [i, payload] of payloads.entries()) {
    const id = ids[i] ?? undefined;
    results.push(await appender.one(payload, flush, signal, { id, id_window }));
  }
  return results;
}

function tooLarge(cause: RemoteError): PlasmiteError {
  return new PlasmiteError("Usage", "batch too large for a conditional append", {
    hint: "The server takes less in one request; use fewer messages.",
    cause,
  });
}

function notAsText(): PlasmiteError {
  return new PlasmiteError("Usage", "These messages cannot be sent to a server as one piece", {
    hint: "Append them one by one: they have values that JSON cannot express.",
  });
}

/** Reports the results for frames; new frames are reported in contiguous runs. */
class Reporter {
  readonly #batch: FrameBatch;
  readonly #request: AppendRequest;

  constructor(batch: FrameBatch, request: AppendRequest) {
    this.#batch = batch;
    this.#request = request;
  }

  add(from: number, results: readonly Result[]): void {
    results.forEach(({ timestampNs }, i) => this.#batch.setTime(from + i, timestampNs));
    for (let i = 0; i < results.length;) {
      const { seq = 0n, duplicate = false } = results[i] ?? {};
      if (duplicate) {
        this.#request.duplicate?.(from + i, seq);
        i++;
        continue;
      }
      let count = 1;
      while (results[i + count]?.duplicate === false) count++;
      this.#request.stored(from + i, count, seq);
      i += count;
    }
  }
}
