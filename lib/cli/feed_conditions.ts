/**
 * Conditional and repeatable appends of `feed` (docs/spec/coordination.md 3 and 4): `--expect`,
 * `--key`, `--id`, `--id-from`, `--atomic`. Loaded only if one of them was given.
 *
 * @module
 */

import type { Conditions, PoolHandle } from "../backend/types.ts";
import { checkKey, ID_TAG, KEY_TAG, tagsOf } from "../coordination/names.ts";
import { ErrorKind, PlasmiteError } from "../errors.ts";
import { MessageView } from "../lite3/message.ts";
import { printJson } from "../lite3/print.ts";
import { Buf } from "../bytes.ts";
import { FrameBatch } from "../pool/batch.ts";
import { type ModeLabel, snippetOf } from "../text/ingest_gate.ts";
import type { RecordSinkOptions } from "../text/record_sink.ts";
import type { CommandContext } from "./context.ts";
import { printNotice } from "./notices.ts";
import type { PrintStored } from "./receipts.ts";
import type { Retries } from "./retry.ts";

const U64_MAX = 0xffff_ffff_ffff_ffffn;
const WIDEST_WINDOW = 1_000_000;

/** Where and how to append. */
export interface ConditionalTarget {
  /** The pool. */
  readonly pool: PoolHandle;
  /** Whether the pool is on a server. */
  readonly isRemote: boolean;
  /** Whether to wait until messages are on stable storage. */
  readonly flush: boolean;
  /** How to retry failures, if at all. */
  readonly retries: Retries | undefined;
}

/** A record of the input. */
export interface RecordPosition {
  /** Its number, from 1. */
  readonly index: number;
  /** The line on which it starts, if lines are counted. */
  readonly line: number | undefined;
  readonly mode: ModeLabel;
}

/** The number of `--expect`; 0 for none. Throws Usage. */
function expectOf(text: string): bigint {
  if (text === "none") return 0n;
  const seq = /^\d+$/.test(text) ? BigInt(text) : -1n;
  if (seq >= 0n && seq <= U64_MAX) return seq;
  throw new PlasmiteError("Usage", `invalid value '${text}' for '--expect <SEQ>'`, {
    hint: "Use the sequence number of the newest message, or none.",
  });
}

/** How to get the id of a message; null without ids. */
type IdOf = ((message: MessageView, isCopy: boolean) => string) | null;

async function idOf(context: CommandContext): Promise<IdOf> {
  const id = context.args.text("id");
  const expression = context.args.text("id-from");
  if (expression !== undefined) return await (await import("./id_from.ts")).idFrom(expression);
  if (id === "auto") {
    const { createHash } = await import("node:crypto");
    return ({ doc: { u8, base, len } }) => {
      const hash = createHash("sha256").update(u8.subarray(base, base + len)).digest("hex");
      return `auto-${hash.slice(0, 32)}`;
    };
  }
  if (id === undefined) return null;
  checkKey(id, "id");
  return () => id;
}

/** Reads the options. Throws Usage. */
export async function conditionsOf(
  context: CommandContext,
  batch: FrameBatch,
): Promise<FeedConditions> {
  const { args } = context;
  const expect = args.text("expect");
  const key = args.text("key");
  const window = args.count("id-window");
  if (window !== undefined) {
    if (!args.has("id") && !args.has("id-from")) {
      throw new PlasmiteError("Usage", "--id-window requires --id or --id-from", {
        hint: "Add --id or --id-from, or leave out --id-window.",
      });
    }
    if (window < 1 || window > WIDEST_WINDOW) {
      throw new PlasmiteError("Usage", `invalid value '${window}' for '--id-window <COUNT>'`, {
        hint: `Use a number from 1 to ${WIDEST_WINDOW}.`,
      });
    }
  }
  if (key !== undefined) checkKey(key, "key");
  const conditions: Omit<Conditions, "ids"> = {
    ...(expect === undefined ? {} : { expect: expectOf(expect) }),
    ...(expect === undefined || key === undefined ? {} : { key }),
    ...(window === undefined ? {} : { idWindow: window }),
    ...(args.has("atomic") ? { atomic: true } : {}),
  };
  return new FeedConditions(context, batch, conditions, await idOf(context));
}

/** The conditions of one run of `feed`, and the ids of waiting messages. */
export class FeedConditions {
  /** The tags of an ordinary message, without its id. */
  readonly tags: readonly string[];
  /** Options for the sink. */
  readonly sink: Pick<RecordSinkOptions, "added" | "tagFor">;
  /** Whether all of the input is stored at once, or nothing. */
  readonly isWhole: boolean;
  /** Whether an append can be repeated without storing anything twice. */
  readonly isIdempotent: boolean;
  /** The number of records that were skipped because their ids had been used for other data. */
  skipped = 0;
  /** The position of the current record, for notices. */
  position: () => RecordPosition = () => ({ index: 1, line: undefined, mode: "json" });
  readonly #context: CommandContext;
  readonly #batch: FrameBatch;
  readonly #when: Omit<Conditions, "ids">;
  /** The only option that takes one message, if there is one. */
  readonly #single: "expect" | "id" | null;
  #ids: string[] = [];
  #positions: RecordPosition[] = [];

  /** For internal use: call {@linkcode conditionsOf}. */
  constructor(
    context: CommandContext,
    batch: FrameBatch,
    when: Omit<Conditions, "ids">,
    idOf: IdOf,
  ) {
    const { args } = context;
    this.#context = context;
    this.#batch = batch;
    this.#when = when;
    const isAtomic = args.has("atomic");
    const named = args.has("id") && args.text("id") !== "auto";
    this.#single = named ? "id" : args.has("expect") && !isAtomic ? "expect" : null;
    this.isWhole = isAtomic || this.#single !== null;
    this.isIdempotent = idOf !== null;
    const key = args.text("key");
    this.tags = tagsOf(args.texts("tag"), { key });
    this.sink = {
      ...(key === undefined ? {} : { added: [KEY_TAG + key] }),
      ...(idOf === null ? {} : {
        tagFor: (message, isCopy) => {
          const id = idOf(message, isCopy);
          this.#ids[batch.count] = id;
          this.#positions[batch.count] = this.position();
          return ID_TAG + id;
        },
      }),
    };
  }

  /** Whether there is nothing to check: only a tag is added. */
  get isEmpty(): boolean {
    return !this.isWhole && !this.isIdempotent && this.#when.expect === undefined;
  }

  /**
   * Refuses input that cannot be stored as a whole, as soon as possible.
   *
   * @throws {PlasmiteError} Usage
   */
  check(ringSize: number): void {
    const { count, bytes } = this.#batch;
    if (!this.isWhole || count <= 1) return;
    if (this.#single === "id") {
      throw new PlasmiteError("Usage", "--id names one message, but there are several", {
        hint: "Use --id-from EXPR to take the id from each record, or --id auto.",
      });
    }
    if (this.#single !== null) {
      throw new PlasmiteError("Usage", "--expect takes one message, but there are several", {
        hint: "Add --atomic to store all of them at once or none.",
      });
    }
    if (bytes <= ringSize / 2) return;
    throw new PlasmiteError("Usage", "batch too large for a conditional append", {
      hint: "The input is stored at once, so it may take at most half of the pool: " +
        "send less, or create a larger pool.",
    });
  }

  /**
   * Stores the waiting messages and prints receipts in order.
   *
   * @throws {PlasmiteError} Conflict; the messages before the record are then stored, unless all
   *   had to be stored at once
   */
  async commit(target: ConditionalTarget, ownTags: boolean, print: PrintStored): Promise<void> {
    const batch = this.#batch;
    const store = new ConditionalStore(target, this.#when, ownTags, print);
    try {
      const { ringSize } = target.pool.limits;
      this.check(ringSize);
      const half = ringSize / 2;
      if (this.isWhole || batch.count === 1 || batch.bytes <= half) {
        if (await this.#storePiece(store, 0, batch.count)) return;
      }
      for (let i = 0; i < batch.count; i++) await this.#storePiece(store, i, i + 1);
    } finally {
      batch.clear();
      this.#ids = [];
      this.#positions = [];
    }
  }

  /** Stores frames at once; false if they must be tried one by one. */
  async #storePiece(store: ConditionalStore, from: number, to: number): Promise<boolean> {
    let piece = this.#batch;
    if (from > 0 || to < piece.count) {
      piece = new FrameBatch(1024);
      piece.addFrames(this.#batch, from, to);
    }
    const ids = this.isIdempotent ? this.#ids.slice(from, to) : undefined;
    try {
      await store.append(piece, ids);
    } catch (error) {
      const isId = PlasmiteError.is(error, ErrorKind.Conflict) && error.details["id"] !== undefined;
      if (!isId) throw error;
      if (this.isWhole) {
        const { inInput } = await import("./same_id.ts");
        throw inInput(error, (n) => this.#positions[from + n - 1]);
      }
      if (to - from > 1) return false;
      if (this.#context.args.text("errors") !== "skip") throw error;
      this.#skip(error, store.path, from);
    }
    return true;
  }

  /** Reports a record whose id was used for other data. */
  #skip(error: PlasmiteError, path: string, i: number): void {
    const { index, line, mode } = this.#positions[i] ?? this.position();
    const view = new MessageView();
    const batch = this.#batch;
    const { u8, dv } = batch.out;
    view.open(u8, dv, batch.payloadAt(i), batch.payloadOf(i));
    const json = new Buf(256);
    printJson(view.doc, view.dataAt, json);
    this.skipped++;
    printNotice(this.#context, {
      kind: "ingest_skip",
      message: `Skipped record: ${error.message}.`,
      pool: this.#context.args.required("POOL"),
      details: {
        error_kind: "Conflict",
        index,
        line,
        mode,
        pool_path: path,
        snippet: snippetOf(json.u8, 0, json.len),
      },
    });
  }
}

/** Appends under conditions, and prints receipts in the order of the input. */
class ConditionalStore {
  readonly #target: ConditionalTarget;
  readonly #when: Omit<Conditions, "ids">;
  readonly #ownTags: boolean;
  readonly #print: PrintStored;

  constructor(
    target: ConditionalTarget,
    when: Omit<Conditions, "ids">,
    ownTags: boolean,
    print: PrintStored,
  ) {
    this.#target = target;
    this.#when = when;
    this.#ownTags = ownTags;
    this.#print = print;
  }

  get path(): string {
    return this.#target.pool.path;
  }

  /** Stores a whole batch at once, or nothing. */
  async append(batch: FrameBatch, ids: readonly string[] | undefined): Promise<void> {
    const { pool, flush, retries } = this.#target;
    const numbers: bigint[] = [];
    const duplicates = new Set<number>();
    const attempt = () =>
      pool.append(batch, {
        flush,
        when: { ...this.#when, ...(ids === undefined ? {} : { ids }) },
        stored: (from, count, first) => {
          for (let i = 0; i < count; i++) numbers[from + i] = first + BigInt(i);
        },
        duplicate: (frame, seq) => {
          numbers[frame] = seq;
          duplicates.add(frame);
        },
      });
    if (retries === undefined) await attempt();
    else await retries.run(attempt, ids !== undefined);
    for (let from = 0; from < batch.count;) {
      const first = numbers[from] ?? 0n;
      if (duplicates.has(from)) {
        await this.#printDuplicate(batch, from++, first);
        continue;
      }
      let count = 1;
      while (
        numbers[from + count] === first + BigInt(count) && !duplicates.has(from + count)
      ) count++;
      this.#print({ batch, from, count, first, ownTags: this.#ownTags });
      from += count;
    }
  }

  /** Prints the receipt of a message that was stored earlier, with its own tags. */
  async #printDuplicate(batch: FrameBatch, frame: number, seq: bigint): Promise<void> {
    // Without the right to read, the tags are those of this attempt.
    const stored = this.#target.isRemote ? null : await this.#target.pool.get(seq);
    const told = { ownTags: true, isDuplicate: true, count: 1, first: seq };
    if (stored === null) return this.#print({ ...told, batch, from: frame });
    const { payload, timestampNs } = stored;
    const one = new FrameBatch(1024);
    one.addPayload(payload, Number(timestampNs & 0xffff_ffffn), Number(timestampNs >> 32n));
    this.#print({ ...told, batch: one, from: 0 });
  }
}
