/**
 * Feeds text to an {@linkcode Ingest} in chunks of any size, and reads the stored messages back.
 *
 * @module
 */

import "../support/environment.ts";
import { Buf } from "../../lib/bytes.ts";
import { advised } from "../../lib/cli/advice.ts";
import { PlasmiteError } from "../../lib/errors.ts";
import { MessageView } from "../../lib/lite3/message.ts";
import { printJson } from "../../lib/lite3/print.ts";
import { FrameBatch } from "../../lib/pool/batch.ts";
import { CompleteMessages } from "../../lib/text/complete_messages.ts";
import { Ingest, type IngestOptions, type SkippedRecord } from "../../lib/text/ingest.ts";
import { RecordSink, type RecordSinkOptions } from "../../lib/text/record_sink.ts";

/** What came of an input. */
export interface Outcome {
  /** Data and tags of the messages, as JSON text: `{"a":1}` or `{"a":1} [x,y]`. */
  stored: string[];
  /** The records that were left out. */
  skipped: SkippedRecord[];
  /** The error that ended the run: kind and message. */
  error?: string;
  /** That error itself. */
  thrown?: PlasmiteError;
  /** Records begun. */
  records: number;
}

/** Settings of the reader and the sink together. */
export type Settings = IngestOptions & Omit<RecordSinkOptions, "onSkipped">;

/** Text or bytes to bytes. */
export function bytesOf(input: string | Uint8Array): Uint8Array {
  return typeof input === "string" ? new TextEncoder().encode(input) : input;
}

/** The messages in a batch. */
export function messagesOf(batch: FrameBatch): string[] {
  const view = new MessageView();
  const messages: string[] = [];
  for (let i = 0; i < batch.count; i++) {
    const { u8, dv } = batch.out;
    view.open(u8, dv, batch.startOf(i) + 64, batch.payloadOf(i));
    const out = new Buf();
    printJson(view.doc, view.dataAt, out);
    const tags = view.tags();
    messages.push(
      new TextDecoder().decode(out.bytes()) + (tags.length > 0 ? ` [${tags.join(",")}]` : ""),
    );
  }
  return messages;
}

/** Reads `input` in the pieces that `cuts` (ascending) make of it. */
export async function ingest(
  input: string | Uint8Array,
  settings: Settings = {},
  cuts: readonly number[] = [],
): Promise<Outcome> {
  const bytes = bytesOf(input);
  const batch = new FrameBatch();
  const outcome: Outcome = { stored: [], skipped: [], records: 0 };
  const drain = () => {
    outcome.stored.push(...messagesOf(batch));
    batch.clear();
  };
  const sink = new RecordSink(batch, {
    complete: CompleteMessages,
    ...settings,
    onSkipped: (record) => outcome.skipped.push(record),
  });
  let reader: Ingest | undefined;
  try {
    reader = new Ingest(sink, settings);
    let from = 0;
    for (const to of [...cuts, bytes.length]) {
      // A reused buffer, as when reading from a file: nothing may keep looking at it.
      const chunk = bytes.slice(from, to);
      await reader.take(chunk, drain);
      chunk.fill(0x21);
      from = to;
    }
    reader.end();
  } catch (error) {
    if (!(error instanceof PlasmiteError)) throw error;
    outcome.error = `${error.kindName}: ${error.message}`;
    outcome.thrown = error;
  }
  drain();
  outcome.records = reader?.records ?? 0;
  return outcome;
}

/** The outcome as one comparable value. */
export function summary(outcome: Outcome): unknown {
  return {
    stored: outcome.stored,
    skipped: outcome.skipped,
    error: outcome.error,
    records: outcome.error === undefined ? outcome.records : undefined,
  };
}

/** What the command line says to do about an error. */
export function advice(error: PlasmiteError | undefined): string {
  return error === undefined ? "" : advised(error, undefined).hint ?? "";
}
