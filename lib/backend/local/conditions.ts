/**
 * Conditional and idempotent appends to a pool file: conditions become a guard that is evaluated
 * under the lock (docs/spec/coordination.md 3 and 4).
 *
 * @module
 */

import { ID_TAG, KEY_TAG } from "../../coordination/names.ts";
import { PlasmiteError } from "../../errors.ts";
import { sameData } from "../../lite3/equal.ts";
import { MessageView } from "../../lite3/message.ts";
import { FrameBatch } from "../../pool/batch.ts";
import type { State } from "../../pool/header.ts";
import { Mender } from "../../pool/mending.ts";
import type { Ring } from "../../pool/ring.ts";
import type { Appended, Guard } from "../../pool/writable_ring.ts";
import { lockTimeout, untilUnlocked } from "../../storage/lock_wait.ts";
import type { Steps } from "../../storage/steps.ts";
import { notExpected, otherData, sameIdTwice } from "../conflicts.ts";
import type { AppendRequest, Conditions } from "../types.ts";
import { type KnownTags, OutOfDate, type Wanted } from "./known_tags.ts";

/** The default number of messages back to search for an id. */
const ID_WINDOW = 4096;
/** The widest window for ids. */
const WIDEST_WINDOW = 1_000_000;
/**
 * How many times a look-up is retried when too many messages arrive before the lock is acquired.
 */
const LOOKS = 10;

/** A guard and its look-ups. */
export interface Guarded {
  /** The look-ups that it needs. */
  readonly wanted: readonly Wanted[];
  /** The guard; the results of all look-ups are available to it. */
  readonly guard: Guard;
}

/**
 * Appends under a guard: searches without the lock, then evaluates the guard under it, including
 * messages added in the meantime.
 *
 * @returns the result of the append
 * @throws {PlasmiteError} errors of the guard; Busy if others append too fast or the lock is not
 *   released in time
 */
export function* appendingGuarded(
  ring: Ring,
  known: KnownTags,
  batch: FrameBatch,
  { from = 0, flush }: { readonly from?: number; readonly flush: boolean },
  { wanted, guard }: Guarded,
): Steps<Appended> {
  const caughtUp: Guard = (state) => {
    known.catchUp(state);
    return guard(state);
  };
  const writable = ring.asWritable();
  writable.mendWith(Mender);
  const attempt = (): Appended | "look" | null => {
    try {
      return writable.tryAppend(batch, from, flush, caughtUp);
    } catch (error) {
      if (error instanceof OutOfDate) return "look";
      throw error;
    }
  };
  // A long-running process usually knows the pool, so try without a search first.
  for (let looks = 0; looks <= LOOKS; looks++) {
    const done = yield* untilUnlocked(ring.path, attempt);
    if (done !== "look") return done;
    if (looks > 0) yield "busy";
    yield* known.looking(wanted);
  }
  throw lockTimeout(ring.path);
}

/** The ids of a batch's frames, and the outcome for each once the guard has run. */
interface Result {
  /** Frames to store. */
  fresh: number[];
  /** Frames that are stored already, or that repeat another frame of the batch. */
  known: { frame: number; seq: bigint; timeNs: bigint; twin: number }[];
}

/** The first frame that has the id of another one with other data. */
interface Wrong {
  readonly frame: number;
  readonly error: PlasmiteError;
}

/** Checks the id window. Throws Usage. */
function windowOf({ idWindow = ID_WINDOW }: Conditions): bigint {
  if (Number.isInteger(idWindow) && idWindow >= 1 && idWindow <= WIDEST_WINDOW) {
    return BigInt(idWindow);
  }
  throw new PlasmiteError("Usage", "Invalid window for ids", {
    hint: `Look for ids in the last 1 to ${WIDEST_WINDOW} messages.`,
  });
}

/** Evaluates one conditional append. */
class Evaluation {
  readonly #known: KnownTags;
  readonly #path: string;
  readonly #batch: FrameBatch;
  readonly #from: number;
  readonly #when: Conditions;
  readonly #window: bigint;
  /** Views of two frames; needed only to compare ids. */
  #views: readonly [MessageView, MessageView] | null = null;
  result: Result = { fresh: [], known: [] };

  constructor(
    known: KnownTags,
    path: string,
    batch: FrameBatch,
    from: number,
    when: Conditions,
  ) {
    this.#known = known;
    this.#path = path;
    this.#batch = batch;
    this.#from = from;
    this.#when = when;
    this.#window = windowOf(when);
  }

  #id(id: string): Wanted {
    return { tag: ID_TAG + id, window: this.#window };
  }

  get wanted(): readonly Wanted[] {
    const { expect, key, ids = [] } = this.#when;
    const wanted: Wanted[] = [];
    if (expect !== undefined && key !== undefined) wanted.push({ tag: KEY_TAG + key });
    for (const id of new Set(ids)) if (id !== null) wanted.push(this.#id(id));
    return wanted;
  }

  /**
   * Check ids first: a retry of an append with an unknown outcome must not fail because it
   * succeeded.
   */
  evaluate(state: State): FrameBatch | null {
    const batch = this.#batch;
    const { ids, expect } = this.#when;
    this.result = { fresh: [], known: [] };
    if (ids !== undefined) this.#sort(state, ids);
    else for (let i = this.#from; i < batch.count; i++) this.result.fresh.push(i);
    const { fresh, known } = this.result;
    if (expect !== undefined && fresh.length > 0) this.#checkExpectation(state, expect);
    if (known.length === 0) return null;
    const rest = new FrameBatch(batch.bytes);
    for (const i of fresh) rest.addFrames(batch, i, i + 1);
    return rest;
  }

  /** Separates frames to store from those already stored. */
  #sort(state: State, ids: readonly (string | null)[]): void {
    const { fresh, known } = this.result;
    const live = this.#known.live(state);
    const twins = new Map<string, number>();
    let wrong: Wrong | null = null;
    for (let frame = this.#from; frame < this.#batch.count; frame++) {
      const id = ids[frame - this.#from] ?? null;
      const twin = id === null ? undefined : twins.get(id);
      const seq = id === null ? 0n : this.#known.find(this.#id(id), live);
      if (id !== null && seq !== 0n) {
        known.push({ frame, seq, timeNs: -1n, twin: -1 });
      } else if (id !== null && twin !== undefined) {
        if (wrong === null && !sameData(this.#own(frame, 0), this.#own(twin, 1))) {
          const from = this.#from - 1;
          wrong = { frame, error: sameIdTwice(id, twin - from, frame - from, this.#path) };
        }
        known.push({ frame, seq: 0n, timeNs: 0n, twin });
      } else {
        if (id !== null) twins.set(id, frame);
        fresh.push(frame);
      }
    }
    this.#compare(state);
    // Of several that are wrong the first is told.
    const other = known.find(({ timeNs, twin }) => twin < 0 && timeNs < 0n);
    if (other !== undefined && (wrong === null || other.frame < wrong.frame)) {
      throw otherData(ids[other.frame - this.#from] ?? "", other.seq, this.#path);
    }
    if (wrong !== null) throw wrong.error;
  }

  /** Finds the times of the stored messages that have the data of their frames. */
  #compare(state: State): void {
    const stored = this.result.known.filter(({ twin }) => twin < 0);
    if (stored.length === 0) return;
    // Node 20 has no Map.groupBy.
    const bySeq = new Map<bigint, typeof stored>();
    for (const one of stored) {
      const others = bySeq.get(one.seq);
      if (others === undefined) bySeq.set(one.seq, [one]);
      else others.push(one);
    }
    this.#known.readAll(state, bySeq.keys(), (seq, message, timeNs) => {
      for (const one of bySeq.get(seq) ?? []) {
        if (sameData(this.#own(one.frame, 0), message)) one.timeNs = timeNs;
      }
    });
  }

  #own(frame: number, which: 0 | 1): MessageView {
    const view = (this.#views ??= [new MessageView(), new MessageView()])[which];
    const batch = this.#batch;
    const { u8, dv } = batch.out;
    view.open(u8, dv, batch.payloadAt(frame), batch.payloadOf(frame));
    return view;
  }

  #checkExpectation(state: State, expect: bigint): void {
    const { key } = this.#when;
    const actual = key === undefined
      ? state.newest
      : this.#known.find({ tag: KEY_TAG + key }, this.#known.live(state));
    if (actual !== expect) throw notExpected(this.#when, actual, this.#path);
  }
}

/** Appends a batch under its conditions, as a whole. */
export function* appendingWhen(
  ring: Ring,
  known: KnownTags,
  batch: FrameBatch,
  request: AppendRequest,
  when: Conditions,
): Steps<void> {
  const { from = 0, flush, stored, duplicate } = request;
  const evaluation = new Evaluation(known, ring.path, batch, from, when);
  const { wanted } = evaluation;
  const guard: Guard = (state) => evaluation.evaluate(state);
  const { count, first } = yield* appendingGuarded(ring, known, batch, { from, flush }, {
    wanted,
    guard,
  });
  const { fresh, known: doubles } = evaluation.result;
  if (count > 0 && doubles.length === 0) known.added(batch, from, first);
  const numbers = new Map(fresh.map((frame, i) => [frame, first + BigInt(i)]));
  for (let i = 0; i < fresh.length;) {
    const start = fresh[i] ?? 0;
    let length = 1;
    while (fresh[i + length] === start + length) length++;
    stored(start, length, first + BigInt(i));
    i += length;
  }
  for (const { frame, seq, timeNs, twin } of doubles) {
    batch.setTime(frame, twin < 0 ? timeNs : batch.timeOf(twin));
    duplicate?.(frame, twin < 0 ? seq : numbers.get(twin) ?? 0n);
  }
}
