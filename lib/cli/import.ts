/**
 * `plasmite import`: store exported messages again, with their times and tags, and with
 * `--keep-seq` their numbers (docs/spec/coordination.md 8 and 13.9).
 *
 * @module
 */

import type { PoolRef } from "../backend/resolve.ts";
import type { Conditions, PoolHandle } from "../backend/types.ts";
import { ID_TAG } from "../coordination/names.ts";
import { PlasmiteError } from "../errors.ts";
import type { MessageView } from "../lite3/message.ts";
import { FrameBatch } from "../pool/batch.ts";
import { beginningAt } from "../pool/retention.ts";
import { inPlace } from "../storage/steps.ts";
import { Ingest } from "../text/ingest.ts";
import { CompleteMessages } from "../text/complete_messages.ts";
import { RecordSink } from "../text/record_sink.ts";
import { escapeControls } from "../visible.ts";
import type { CommandContext } from "./context.ts";
import { type FeedInput, openInput } from "./feed_input.ts";
import { openPool } from "./open.ts";
import { findLocal, useRing } from "./retained.ts";

/** The size of one read, in bytes. */
const READ_SIZE = 256 * 1024;
/** How far back to search for ids; large, because an import is often repeated as a whole. */
const ID_WINDOW = 1_000_000;

const I64_MAX = 0x7fff_ffff_ffff_ffffn;

/** The id of a message. */
type IdOf = (message: MessageView) => string;

/** Runs `import`. */
export async function run(context: CommandContext): Promise<number> {
  const ref = findLocal(context);
  const idOf = await idFrom(context);
  const input = openInput(context, context.args.text("FILE"));
  try {
    input.refuseTerminal();
    const pool = await openPool(context, ref, { write: true });
    try {
      const done = await new Import(context, ref, pool, idOf).run(input);
      report(context, ref, done);
    } finally {
      await pool.close();
    }
  } finally {
    input.close();
  }
  return 0;
}

async function idFrom(context: CommandContext): Promise<IdOf | null> {
  const expression = context.args.text("id-from");
  if (expression === undefined) return null;
  const idOf = await (await import("./id_from.ts")).idFrom(expression);
  return (message) => idOf(message, true);
}

/** The result of an import. */
interface Done {
  readonly count: bigint;
  readonly duplicates: bigint;
  readonly first: bigint | null;
  readonly last: bigint | null;
}

function report(context: CommandContext, ref: PoolRef, done: Done): void {
  const { count, duplicates, first, last } = done;
  if (!context.isForPeople) {
    context.document({ imported: { count, duplicates, first_seq: first, last_seq: last } });
    return;
  }
  const range = first === null ? "" : ` (seq ${first}..${last})`;
  const known = duplicates === 0n ? "" : `, ${duplicates} already stored`;
  context.stdout.text(`Imported ${count}${range} into ${escapeControls(ref.ref)}${known}\n`);
}

/** One run of `import` on an open pool. */
class Import {
  readonly #context: CommandContext;
  readonly #ref: PoolRef;
  readonly #pool: PoolHandle;
  readonly #batch = new FrameBatch();
  readonly #sink: RecordSink;
  readonly #keeps: boolean;
  readonly #idOf: IdOf | null;
  #ids: string[] = [];
  /** With `--keep-seq`, the number of the next record; 0 before the first. */
  #next = 0n;
  #done: Done = { count: 0n, duplicates: 0n, first: null, last: null };

  constructor(context: CommandContext, ref: PoolRef, pool: PoolHandle, idOf: IdOf | null) {
    const { batchBytes, check, maxPayload, ringSize } = pool.limits;
    this.#context = context;
    this.#ref = ref;
    this.#pool = pool;
    this.#idOf = idOf;
    this.#keeps = context.args.has("keep-seq");
    this.#sink = new RecordSink(this.#batch, {
      complete: CompleteMessages,
      maxPayload,
      check,
      batchBytes: Math.min(batchBytes, ringSize / 4),
      ...(this.#keeps ? { imported: (seq) => this.#follow(seq) } : { imported: () => {} }),
      ...(idOf === null ? {} : { tagFor: (message) => this.#tagFor(message, idOf) }),
    });
  }

  /** Stores all of the input. */
  async run(input: FeedInput): Promise<Done> {
    const { maxRecord } = this.#pool.limits;
    const ingest = new Ingest(this.#sink, { mode: "jsonl", errors: "stop", maxRecord });
    const progress = await this.#progress(input);
    const drain = (): Promise<void> => this.#store();
    const buffer = new Uint8Array(READ_SIZE);
    let bytes = 0;
    try {
      for (let n = input.read(buffer); n !== null; n = input.read(buffer)) {
        bytes += n;
        await ingest.take(buffer.subarray(0, n), drain);
        await drain();
        progress?.update(ingest.stored, bytes);
      }
      await ingest.load?.();
      ingest.end();
      await drain();
    } catch (error) {
      await drain(); // Store what came before the invalid record.
      throw error;
    } finally {
      progress?.end();
    }
    return this.#done;
  }

  async #progress(input: FeedInput) {
    const { Progress } = await import("./progress.ts");
    if (!Progress.visible(this.#context)) return undefined;
    return new Progress(this.#context, "imported", Math.max(0, input.size));
  }

  /** Checks that the numbers are consecutive; the pool begins with the first. Throws Usage. */
  #follow(seq: bigint): void {
    // The text of larger ones is not exact: JSON numbers are read as doubles from there on.
    if (seq > I64_MAX) {
      throw new PlasmiteError("Usage", `The number ${seq} is too large to be kept`, {
        hint: "Import without --keep-seq.",
      });
    }
    if (this.#next === 0n) {
      useRing(this.#ref.path, (ring) => inPlace(beginningAt(ring, seq)));
    } else if (seq !== this.#next) {
      throw new PlasmiteError("Usage", `Message ${seq} does not follow ${this.#next - 1n}`, {
        hint: "Numbers can be kept only if none is missing. Import without --keep-seq.",
      });
    }
    this.#next = seq + 1n;
  }

  #tagFor(message: MessageView, idOf: IdOf): string {
    const id = idOf(message);
    this.#ids[this.#batch.count] = id;
    return ID_TAG + id;
  }

  async #store(): Promise<void> {
    const batch = this.#batch;
    try {
      // An atomic append may take up to half of the ring.
      const whole = batch.count === 1 || batch.bytes <= this.#pool.limits.ringSize / 2;
      if (whole) await this.#append(batch, 0);
      else for (let i = 0; i < batch.count; i++) await this.#append(single(batch, i), i);
    } finally {
      batch.clear();
      this.#ids = [];
    }
  }

  /** Appends the frames of a batch; `from` is the index of the first in what was collected. */
  async #append(batch: FrameBatch, from: number): Promise<void> {
    if (batch.count === 0) return;
    const numbers: bigint[] = [];
    let duplicates = 0n;
    await this.#pool.append(batch, {
      flush: false,
      when: this.#conditions(from, batch.count),
      stored: (_, count, first) => {
        for (let i = 0; i < count; i++) numbers.push(first + BigInt(i));
      },
      duplicate: () => duplicates++,
    });
    const done = this.#done;
    this.#done = {
      count: done.count + BigInt(numbers.length),
      duplicates: done.duplicates + duplicates,
      first: done.first ?? numbers[0] ?? null,
      last: numbers.at(-1) ?? done.last,
    };
  }

  #conditions(from: number, count: number): Conditions | undefined {
    const ids = this.#idOf === null ? undefined : this.#ids.slice(from, from + count);
    if (!this.#keeps && ids === undefined) return undefined;
    // Messages of others in between would change the numbers.
    const behind = BigInt(this.#batch.count - from);
    return {
      ...(this.#keeps ? { expect: this.#next - behind - 1n } : {}),
      ...(ids === undefined ? {} : { ids, idWindow: ID_WINDOW }),
    };
  }
}

function single(batch: FrameBatch, i: number): FrameBatch {
  const one = new FrameBatch(1024);
  one.addFrames(batch, i, i + 1);
  return one;
}
