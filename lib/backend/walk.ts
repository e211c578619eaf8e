/**
 * A selection over a stream of frames: the loop "next, gap, filter, wait, emptied, done" that every
 * reader of every backend shares.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { MessageView } from "../lite3/message.ts";
import { Slice } from "../storage/turns.ts";
import type { Awaitable, Bounds, FrameBytes, Gap } from "../types.ts";
import { type Filter, keepFrame } from "./filter.ts";
import type { SeqSet } from "./seq_set.ts";
import type { FrameSource } from "./source.ts";
import type { Walk } from "./types.ts";

/** How long one `next` looks at messages that do not match, in milliseconds. */
const SLICE = 50;
/** So many frames are looked at between two looks at the clock, */
const CLOCK_EVERY = 64;
/** or so many where each is judged by a condition, which may take a while. */
const CLOCK_EVERY_JUDGED = 8;
/** Messages that jq itself judges go through it in groups of so many, */
const GROUP = 512;
/** or of so many bytes. */
const GROUP_BYTES = 1 << 20;
/** How long to wait for messages that should be there before asking for bounds, in milliseconds. */
const LOOK_EVERY = 100;
/** After so many waits without a message the bounds are asked for as well. */
const LOOKS = 32;

/** What a walk needs to know besides its source. */
export interface WalkPlan {
  /** The first number wanted; 0 for the oldest. */
  readonly from: bigint;
  /** The last number wanted, or null to go on for ever. */
  readonly until: bigint | null;
  /** Tags and conditions. */
  readonly filter: Filter;
  /** What is retained when it begins; what comes behind is live. */
  readonly start: Bounds;
  /** Only messages at or after this time; live ones always pass. */
  readonly since: bigint;
  /** The messages that were chosen of those that are not live; they are not judged again. */
  readonly chosen?: SeqSet | undefined;
  /** What is retained now. */
  bounds(): Awaitable<Bounds>;
}

/** A frame or an error that waits to be given out. */
type Ready = FrameBytes | PlasmiteError;

/** A number of 64 bits as two halves: comparing them costs no bigint for each message. */
interface Halves {
  readonly lo: number;
  readonly hi: number;
}

function halves(value: bigint): Halves {
  return { lo: Number(value & 0xffff_ffffn), hi: Number(value >> 32n) };
}

/** The one implementation of {@linkcode Walk} over frames. */
export class SelectedWalk implements Walk {
  readonly start: Bounds;
  looked = 0;
  readonly #source: FrameSource;
  readonly #plan: WalkPlan;
  readonly #until: Halves | null;
  /** The last number that is not live. */
  readonly #newest: Halves;
  readonly #clockEvery: number;
  readonly #view = new MessageView();
  #frame: FrameBytes;
  /** The copied frame that is current; null when the source's own is. */
  #kept: FrameBytes | null = null;
  #viewed = false;
  #ended = false;
  #closed = false;
  /** The last number that was looked at, and where a loss or the end moved the position. */
  #seenLo = -1;
  #seenHi = 0;
  #moved: bigint;
  #gap: Gap | null = null;
  #paused = false;
  #quiet = 0;
  /** Frames that wait for jq, and those it let through. */
  #group: FrameBytes[] = [];
  #groupBytes = 0;
  #ready: Ready[] = [];
  /** A loss behind the group: told when the group has been given out. */
  #gapBehind: Gap | null = null;

  /** Reads `source`, which is at the start of what `plan` wants; both are the walk's own now. */
  constructor(source: FrameSource, plan: WalkPlan) {
    this.#source = source;
    this.#plan = plan;
    this.#until = plan.until === null ? null : halves(plan.until);
    this.start = plan.start;
    this.#newest = halves(plan.start.newest);
    this.#clockEvery = plan.filter.hasConditions ? CLOCK_EVERY_JUDGED : CLOCK_EVERY;
    this.#frame = source.cursor;
    this.#moved = plan.from;
    if (plan.until !== null && plan.from > plan.until) this.#ended = true;
  }

  get frame(): FrameBytes {
    return this.#frame;
  }

  get message(): MessageView {
    if (this.#kept === null) return this.#source.message;
    if (!this.#viewed) this.#view.openFrame(this.#kept);
    this.#viewed = true;
    return this.#view;
  }

  get ended(): boolean {
    return this.#ended && this.#ready.length === 0;
  }

  get position(): bigint {
    // What a group let through but was not given out yet is still to come.
    const waiting = this.#ready.find((one) => !PlasmiteError.is(one)) ?? this.#group[0];
    if (waiting !== undefined && !PlasmiteError.is(waiting)) return waiting.seq;
    const here = this.#seenLo < 0
      ? 0n
      : ((BigInt(this.#seenHi) << 32n) | BigInt(this.#seenLo)) + 1n;
    return here > this.#moved ? here : this.#moved;
  }

  next(): boolean {
    const before = this.looked;
    let since = 0;
    for (;;) {
      if (this.#ready.length > 0) {
        this.#give();
        return true;
      }
      if (this.#gapBehind !== null) {
        this.#lose(this.#gapBehind);
        this.#gapBehind = null;
      }
      if (this.#ended) return false;
      if (!this.#source.next()) {
        this.#arrive();
        if (!this.#judge() && !this.#ended) return false;
        continue;
      }
      this.#quiet = 0;
      this.looked++;
      if (this.#offer()) return true;
      if ((this.looked - before) % this.#clockEvery !== 0) continue;
      const now = performance.now();
      if (since === 0) since = now;
      if (this.#source.slice?.over ?? now - since >= SLICE) {
        this.#paused = true;
        return false;
      }
    }
  }

  /** Nothing more is here: a source that filters says how far it looked, and what was lost. */
  #arrive(): void {
    const gap = this.#source.takeGap();
    if (gap !== null) this.#noteGap(gap);
    const { position } = this.#source;
    if (position === undefined || position <= this.#moved) return;
    this.looked++;
    this.#moved = position;
    const { until } = this.#plan;
    if (until === null || position <= until) return;
    this.#moved = until + 1n;
    this.#ended = true;
  }

  /** Looks at the source's current frame; true when it is the next one to be given out. */
  #offer(): boolean {
    const { chosen, filter, since } = this.#plan;
    const { cursor } = this.#source;
    const { seqLo, seqHi } = cursor;
    const gap = this.#source.takeGap();
    if (gap !== null) this.#noteGap(gap);
    this.#seenLo = seqLo;
    this.#seenHi = seqHi;
    const until = this.#until;
    if (until !== null && (seqHi > until.hi || (seqHi === until.hi && seqLo >= until.lo))) {
      this.#ended = true;
      if (seqHi !== until.hi || seqLo !== until.lo) {
        // Behind the last one that was wanted.
        this.#seenLo = until.lo;
        this.#seenHi = until.hi;
        this.#judge();
        return false;
      }
    }
    const { hi, lo } = this.#newest;
    const stored = seqHi < hi || (seqHi === hi && seqLo <= lo);
    if (stored && chosen !== undefined) {
      if (!chosen.has(seqLo, seqHi)) return false;
      this.#current(cursor, null);
      return true;
    }
    const old = stored && since > 0n && cursor.timestampNs < since;
    if (old || !filter.passesTags(this.#source)) {
      if (this.#ended) this.#judge();
      return false;
    }
    if (filter.isNative) {
      if (!filter.passesConditions(this.#source)) return false;
      this.#current(cursor, null);
      return true;
    }
    this.#group.push(keepFrame(cursor));
    this.#groupBytes += cursor.payloadLength;
    if (this.#ended || this.#group.length >= GROUP || this.#groupBytes >= GROUP_BYTES) {
      this.#judge();
    }
    return false;
  }

  #current(frame: FrameBytes, kept: FrameBytes | null): void {
    this.#frame = frame;
    this.#kept = kept;
    this.#viewed = false;
  }

  /** Gives out the next message that a group let through. */
  #give(): void {
    const ready = this.#ready.shift();
    if (PlasmiteError.is(ready)) throw ready;
    if (ready !== undefined) this.#current(ready, ready);
  }

  /** Judges the group; false when there was none. */
  #judge(): boolean {
    const group = this.#group;
    if (group.length === 0) return false;
    this.#group = [];
    this.#groupBytes = 0;
    this.#ready = this.#plan.filter.judge(group);
    return true;
  }

  /** A loss in front of the source's current frame; behind a group it has to wait for its turn. */
  #noteGap({ first, last }: Gap): void {
    const { until } = this.#plan;
    if (until !== null && first > until) return;
    const gap = { first, last: until !== null && last > until ? until : last };
    if (this.#judge() && this.#ready.length > 0) this.#gapBehind = gap;
    else this.#lose(gap);
  }

  #lose({ first, last }: Gap): void {
    this.#gap = { first: this.#gap?.first ?? first, last };
  }

  takeGap(): Gap | null {
    const gap = this.#gap;
    this.#gap = null;
    return gap;
  }

  async wait(ms?: number, signal?: AbortSignal): Promise<boolean> {
    signal?.throwIfAborted();
    if (this.#ended || this.#closed || this.#ready.length > 0) return true;
    if (this.#paused) {
      this.#paused = false;
      await (this.#source.slice ?? new Slice()).next();
      signal?.throwIfAborted();
      return true;
    }
    const { oldest, newest } = this.start;
    const stored = oldest !== 0n && this.position <= newest;
    const expected = this.#plan.until ?? (stored ? newest : null);
    if (expected === null) return await this.#source.wait(ms, signal);
    const started = performance.now();
    const news = await this.#source.wait(Math.min(ms ?? LOOK_EVERY, LOOK_EVERY), signal);
    if (news && ++this.#quiet % LOOKS !== 0) return true;
    if (!this.#closed) await this.#checkEmptied(expected);
    return this.#ended || news || ms === undefined || performance.now() - started < ms;
  }

  /** Whether everything up to `expected` is gone: the ring was emptied under the reader. */
  async #checkEmptied(expected: bigint): Promise<void> {
    const { oldest, newest } = await this.#plan.bounds();
    // A server tells no newest number of an empty pool.
    if (oldest !== 0n || (newest < expected && newest !== 0n)) return;
    if (this.#plan.until !== null) {
      this.#lose({ first: this.position, last: expected });
      this.#ended = true;
    }
    // A walk that goes on tells the gap in front of the next message.
    this.#moved = expected + 1n;
  }

  close(): void {
    this.#ended = this.#closed = true;
    this.#ready = [];
    this.#group = [];
    this.#source.close();
  }
}
