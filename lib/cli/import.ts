/**
 * `plasmite import`: store exported messages again, with their times and tags, and with
 * `--keep-seq` their numbers (docs/spec/coordination.md 8 and 13.9).
 *
 * @module
 */

import type { PoolRef } from "../backend/resolve.ts";
import type { Conditions, PoolHandle } from "../backend/types.ts";
import { ID_TAG } from "../coordination/names.ts";
import { ErrorKind, PlasmiteError } from "../errors.ts";
import type { MessageView } from "../lite3/message.ts";
import { Shapes } from "../lite3/shapes.ts";
import { FrameBatch } from "../pool/batch.ts";
import type { Limits } from "../pool/layout.ts";
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
    let begun: Import | undefined;
    const begin = (limits: Limits): Import =>
      begun ??= new Import(context, ref, input, limits, idOf);
    // A pool is created once there is something that can be stored in it.
    const validate = (limits: Limits): void => begin(limits).readSome();
    const pool = await openPool(context, ref, { write: true, validate });
    try {
      report(context, ref, await begin(pool.limits).run(pool));
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

/** One run of `import`. */
class Import {
  readonly #context: CommandContext;
  readonly #ref: PoolRef;
  readonly #input: FeedInput;
  readonly #batch = new FrameBatch();
  readonly #ingest: Ingest;
  readonly #keeps: boolean;
  readonly #idOf: IdOf | null;
  readonly #buffer = new Uint8Array(READ_SIZE);
  #ids: string[] = [];
  /** With `--keep-seq`, the number of the first record, and of the next one; 0 before the first. */
  #first = 0n;
  #next = 0n;
  /** Whether the pool begins with the first number. */
  #hasBegun = false;
  /** What was read and not taken yet. */
  #piece: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  /** How much of the input was read, in bytes. */
  #bytes = 0;
  /** Whether nothing more of the input is taken, */
  #ended = false;
  /** because of something that is wrong with it; messages before that are still stored. */
  #failure: { readonly error: unknown } | null = null;
  #done: Done = { count: 0n, duplicates: 0n, first: null, last: null };

  /** @param limits those of the pool, which need not exist yet */
  constructor(
    context: CommandContext,
    ref: PoolRef,
    input: FeedInput,
    limits: Limits,
    idOf: IdOf | null,
  ) {
    const { batchBytes, check, maxPayload, maxRecord, ringSize } = limits;
    this.#context = context;
    this.#ref = ref;
    this.#input = input;
    this.#idOf = idOf;
    this.#keeps = context.args.has("keep-seq");
    this.#batch.encoder.shapes = new Shapes();
    const sink = new RecordSink(this.#batch, {
      complete: CompleteMessages,
      maxPayload,
      check,
      batchBytes: Math.min(batchBytes, ringSize / 4),
      ...(this.#keeps ? { imported: (seq) => this.#follow(seq) } : { imported: () => {} }),
      ...(idOf === null ? {} : { tagFor: (message) => this.#tagFor(message, idOf) }),
    });
    this.#ingest = new Ingest(sink, { mode: "jsonl", errors: "stop", maxRecord });
  }

  /**
   * Reads until there is something to store, or the input ends.
   *
   * @throws {PlasmiteError} whatever is wrong with the input, if nothing of it can be stored
   */
  readSome(): void {
    while (this.#batch.count === 0 && !this.#ended) this.#read();
    if (this.#batch.count === 0) this.#check();
  }

  /** Stores all of the input. */
  async run(pool: PoolHandle): Promise<Done> {
    const progress = await this.#progress(this.#input);
    try {
      while (!this.#ended) {
        this.#read();
        await this.#store(pool);
        progress?.update(this.#ingest.stored, this.#bytes);
      }
      await this.#store(pool); // Also what came before an invalid record.
    } finally {
      progress?.end();
    }
    this.#check();
    return this.#done;
  }

  /** Throws what is wrong with the input. */
  #check(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }

  /** Takes what comes next in the input, until the batch is full. Nothing is loaded to read lines. */
  #read(): void {
    const ingest = this.#ingest;
    try {
      if (this.#piece.length === 0) {
        const n = this.#input.read(this.#buffer);
        this.#ended = n === null;
        this.#bytes += n ?? 0;
        this.#piece = this.#buffer.subarray(0, n ?? 0);
      }
      if (this.#ended) ingest.end();
      else this.#piece = this.#piece.subarray(ingest.push(this.#piece));
    } catch (error) {
      this.#ended = true;
      this.#failure = { error };
    }
  }

  async #progress(input: FeedInput) {
    const { Progress } = await import("./progress.ts");
    if (!Progress.visible(this.#context)) return undefined;
    return new Progress(this.#context, "imported", Math.max(0, input.size));
  }

  /** Checks that the numbers are consecutive; the pool will begin with the first. Throws Usage. */
  #follow(seq: bigint): void {
    // The text of larger ones is not exact: JSON numbers are read as doubles from there on.
    if (seq > I64_MAX) {
      throw new PlasmiteError("Usage", `The number ${seq} is too large to be kept`, {
        hint: "Import without --keep-seq.",
      });
    }
    if (seq === 0n) {
      throw new PlasmiteError("Usage", "The number 0 cannot be kept", {
        hint: "The first message of a pool has the number 1. Import without --keep-seq.",
      });
    }
    if (this.#next === 0n) this.#first = seq;
    else if (seq !== this.#next) {
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

  async #store(pool: PoolHandle): Promise<void> {
    const batch = this.#batch;
    if (batch.count === 0) return;
    if (this.#keeps && !this.#hasBegun) {
      useRing(this.#ref.path, (ring) => inPlace(beginningAt(ring, this.#first)));
      this.#hasBegun = true;
    }
    try {
      // An atomic append may take up to half of the ring.
      const whole = batch.count === 1 || batch.bytes <= pool.limits.ringSize / 2;
      if (whole) await this.#append(pool, batch, 0);
      else for (let i = 0; i < batch.count; i++) await this.#append(pool, single(batch, i), i);
    } finally {
      batch.clear();
      this.#ids = [];
    }
  }

  /** Appends the frames of a batch; `from` is the index of the first in what was collected. */
  async #append(pool: PoolHandle, batch: FrameBatch, from: number): Promise<void> {
    const numbers: bigint[] = [];
    let duplicates = 0n;
    try {
      await pool.append(batch, {
        flush: false,
        when: this.#conditions(from, batch.count),
        stored: (_, count, first) => {
          for (let i = 0; i < count; i++) numbers.push(first + BigInt(i));
        },
        duplicate: () => duplicates++,
      });
    } catch (error) {
      if (!PlasmiteError.is(error, ErrorKind.Conflict)) throw error;
      const before = this.#ingest.stored - this.#batch.count + from;
      const { inInput } = await import("./same_id.ts");
      throw inInput(error, (n) => ({ index: before + n }));
    }
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
