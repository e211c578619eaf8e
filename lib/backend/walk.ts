/**
 * Applies a selection to a stream of frames: the loop "next, gap, filter, wait, emptied, done"
 * shared by the readers of all backends.
 *
 * @module
 */

import { ErrorKind, messageOf, PlasmiteError } from "../errors.ts";
import { MessageView } from "../lite3/message.ts";
import { Slice } from "../storage/turns.ts";
import { waitFor } from "../timers.ts";
import type { Awaitable, Bounds, FrameBytes, Gap } from "../types.ts";
import { type Filter, keepFrame } from "./filter.ts";
import type { SeqSet } from "./seq_set.ts";
import type { FrameSource } from "./source.ts";
import type { Selection, Walk } from "./types.ts";

/** How long one `next` examines messages without a match, in milliseconds. */
const SLICE = 50;
/** The clock is read after this many frames, */
const CLOCK_EVERY = 64;
/** or this many if a process that serves others evaluates conditions. */
const CLOCK_EVERY_FILTERED = 8;
/** How many ranges of unreadable messages are told at once. */
const MOST_UNREADABLE = 100;
/** Messages are evaluated by jq in groups of this many, */
const GROUP = 512;
/** or, where a turn of a filter is short, at first of this many, */
const FIRST_GROUP = 16;
/** or of this many bytes. */
const GROUP_BYTES = 1 << 20;
/** How long to wait for messages that should exist before requesting bounds, in milliseconds. */
const LOOK_EVERY = 100;
/** The bounds are also requested after this many waits without a message. */
const LOOKS = 32;

/** The parameters of a walk. */
export interface WalkPlan {
  /** The first number wanted; 0 for the oldest. */
  readonly from: bigint;
  /** The last number wanted; null for no limit. */
  readonly until: bigint | null;
  /** Tags and conditions. */
  readonly filter: Filter;
  /** What is retained at the start; messages after it are live. */
  readonly start: Bounds;
  /** Only messages at or after this time; live messages always pass. */
  readonly since: bigint;
  /** The non-live messages that are selected; they are not evaluated again. */
  readonly chosen?: SeqSet | undefined;
  /** Whether messages that cannot be read are skipped and told. */
  readonly skips?: boolean;
  /** Whether only numbers are wanted, and who reads the messages checks them; default false. */
  readonly counts?: boolean;
  /** Returns what is currently retained. */
  bounds(): Awaitable<Bounds>;
}

/** The last number of a selection, if `newest` is the newest message; null for no limit. */
export function lastWanted({ follow = false, until }: Selection, newest: bigint): bigint | null {
  if (follow) return until ?? null;
  return until !== undefined && until < newest ? until : newest;
}

/** Messages that cannot be read, waiting to be told at their place. */
interface Unreadable {
  readonly unreadable: Gap;
}

/** A frame or an error waiting to be delivered. */
type Ready = FrameBytes | PlasmiteError | Unreadable;

/** A 64-bit number as two halves, to avoid a bigint per message in comparisons. */
interface Halves {
  readonly lo: number;
  readonly hi: number;
}

function halves(value: bigint): Halves {
  return { lo: Number(value & 0xffff_ffffn), hi: Number(value >> 32n) };
}

/** The only implementation of {@linkcode Walk} over frames. */
export class SelectedWalk implements Walk {
  readonly start: Bounds;
  looked = 0;
  readonly #source: FrameSource;
  readonly #plan: WalkPlan;
  readonly #until: Halves | null;
  readonly #since: Halves | null;
  /** The last sequence number that is not live. */
  readonly #newest: Halves;
  readonly #clockEvery: number;
  readonly #view = new MessageView();
  #frame: FrameBytes;
  /** The current frame if it is a copy; null if it is the source's. */
  #copied: FrameBytes | null = null;
  #viewed = false;
  #ended = false;
  #closed = false;
  /** The last examined number; `#seenLo` is -1 before the first. */
  #seenLo = -1;
  #seenHi = 0;
  /**
   * A position reached without a message: the start, a gap, a position reported by the source, the
   * end.
   */
  #reached: bigint;
  #gap: Gap | null = null;
  #unreadable: Gap[] = [];
  /** Whether `next` stopped because its time slice was used up. */
  #paused = false;
  /** Waits that ended without a message. */
  #emptyWaits = 0;
  /** Frames waiting for jq, and those that passed. */
  #group: FrameBytes[] = [];
  #groupBytes = 0;
  #ready: Ready[] = [];
  /** Frames that are being judged elsewhere, and the end of the present turn. */
  #judging: FrameBytes[] = [];
  /** What could not be read behind them. */
  readonly #after: Unreadable[] = [];
  #turn: Promise<void> | null = null;
  /** The frames of a group that is judged elsewhere: few as long as that takes long. */
  #most = GROUP;
  readonly #stop = new AbortController();
  /** A gap after the group, reported when the group has been delivered. */
  #gapAfter: Gap | null = null;
  /** Why nothing comes after the group; thrown when it has been delivered. */
  #failure: { readonly error: unknown } | null = null;

  /** Reads `source`, which is at the start of the plan's range; the walk owns both from now on. */
  constructor(source: FrameSource, plan: WalkPlan) {
    this.#source = source;
    this.#plan = plan;
    this.#until = plan.until === null ? null : halves(plan.until);
    this.#since = plan.since > 0n ? halves(plan.since) : null;
    this.start = plan.start;
    this.#newest = halves(plan.start.newest);
    const strict = plan.filter.hasConditions && (source.slice ?? null) !== null;
    this.#clockEvery = strict ? CLOCK_EVERY_FILTERED : CLOCK_EVERY;
    this.#frame = source.cursor;
    this.#reached = plan.from;
    if (plan.until !== null && plan.from > plan.until) this.#ended = true;
    if (plan.filter.isDeferred) this.#most = FIRST_GROUP;
  }

  get frame(): FrameBytes {
    return this.#frame;
  }

  get message(): MessageView {
    if (this.#copied === null) return this.#source.message;
    if (!this.#viewed) this.#view.openFrame(this.#copied);
    this.#viewed = true;
    return this.#view;
  }

  get ended(): boolean {
    const isWaiting = this.#ready.length > 0 || this.evaluating || this.#group.length > 0;
    return this.#ended && !isWaiting && this.#failure === null;
  }

  get evaluating(): boolean {
    return this.#judging.length > 0;
  }

  get position(): bigint {
    // Frames of a group that passed are not counted until they are delivered.
    for (const one of this.#ready) {
      if (!PlasmiteError.is(one)) return "unreadable" in one ? one.unreadable.first : one.seq;
    }
    const waiting = this.#judging[0] ?? this.#group[0];
    if (waiting !== undefined) return waiting.seq;
    const here = this.#seenLo < 0
      ? 0n
      : ((BigInt(this.#seenHi) << 32n) | BigInt(this.#seenLo)) + 1n;
    return here > this.#reached ? here : this.#reached;
  }

  next(): boolean {
    const before = this.looked;
    let since = 0;
    for (;;) {
      if (this.#unreadable.length >= MOST_UNREADABLE) {
        this.#paused = true;
        return false;
      }
      if (this.#ready.length > 0) {
        if (this.#deliver()) return true;
        continue;
      }
      if (this.evaluating) return false;
      if (this.#gapAfter !== null) {
        this.#addGap(this.#gapAfter);
        this.#gapAfter = null;
      }
      if (this.#failure !== null) this.#fail(this.#failure.error);
      if (this.#ended) {
        this.#applyFilter();
        return false;
      }
      const found = this.#proceed();
      if (found === null) continue;
      if (!found) {
        this.#sourceEmpty();
        if (!this.#applyFilter() && !this.#ended) return false;
        continue;
      }
      this.#emptyWaits = 0;
      this.looked++;
      if (this.#examine()) return true;
      if (this.#failure !== null || (this.looked - before) % this.#clockEvery !== 0) continue;
      const now = performance.now();
      if (since === 0) since = now;
      if (this.#source.slice?.over ?? now - since >= SLICE) {
        this.#paused = true;
        return false;
      }
    }
  }

  /** Moves the source to its next message; null if it fails, and others are to be delivered first. */
  #proceed(): boolean | null {
    try {
      return this.#source.next();
    } catch (error) {
      this.#failLater(error);
      return null;
    }
  }

  /** Throws an error, but what came before it is delivered first. */
  #failLater(error: unknown): void {
    if (!this.#applyFilter() && this.#ready.length === 0) throw error;
    this.#failure = { error };
  }

  #fail(error: unknown): never {
    this.#failure = null;
    throw error;
  }

  /** Handles an empty source: a filtering source reports its position and gaps. */
  #sourceEmpty(): void {
    const gap = this.#source.takeGap();
    if (gap !== null) this.#noteGap(gap);
    this.#noteUnreadable();
    const { position } = this.#source;
    if (position === undefined || position <= this.#reached) return;
    this.looked++;
    this.#reached = position;
    const { until } = this.#plan;
    if (until === null || position <= until) return;
    this.#reached = until + 1n;
    this.#ended = true;
  }

  /** Examines the source's current frame; true if it is the next one to be delivered. */
  #examine(): boolean {
    try {
      return this.#judge();
    } catch (error) {
      // What cannot be read may be damaged; then that is the error, when it comes again.
      if (!this.#isWhole()) return false;
      if (this.#plan.skips !== true || !PlasmiteError.is(error, ErrorKind.Corrupt)) {
        this.#failLater(error);
        return false;
      }
      const { seq } = this.#source.cursor;
      this.#skip({ first: seq, last: seq });
      return false;
    }
  }

  #judge(): boolean {
    const { chosen, filter } = this.#plan;
    const { cursor } = this.#source;
    const { seqLo, seqHi } = cursor;
    const gap = this.#source.takeGap();
    if (gap !== null) this.#noteGap(gap);
    if (this.#plan.skips === true) this.#noteUnreadable();
    this.#seenLo = seqLo;
    this.#seenHi = seqHi;
    const until = this.#until;
    if (until !== null && (seqHi > until.hi || (seqHi === until.hi && seqLo >= until.lo))) {
      this.#ended = true;
      if (seqHi !== until.hi || seqLo !== until.lo) {
        // Beyond the last wanted frame.
        this.#seenLo = until.lo;
        this.#seenHi = until.hi;
        this.#applyFilter();
        return false;
      }
    }
    const { hi, lo } = this.#newest;
    const stored = seqHi < hi || (seqHi === hi && seqLo <= lo);
    if (stored && chosen !== undefined) {
      if (!chosen.has(seqLo, seqHi)) {
        // It was not chosen because it does not match, or because it cannot be read.
        if (this.#plan.skips === true) void this.#source.message;
        return false;
      }
      if (!this.#check()) return false;
      this.#current(cursor, null);
      return true;
    }
    if ((stored && this.#isOld()) || !filter.passesTags(this.#source)) {
      if (this.#ended) this.#applyFilter();
      return false;
    }
    if (filter.isNative) {
      if (!filter.passesConditions(this.#source)) return false;
      if (!this.#check()) return false;
      this.#current(cursor, null);
      return true;
    }
    if (!this.#check()) return false;
    this.#group.push(keepFrame(cursor));
    this.#groupBytes += cursor.payloadLength;
    if (this.#ended || this.#group.length >= this.#most || this.#groupBytes >= GROUP_BYTES) {
      this.#applyFilter();
    }
    return false;
  }

  #current(frame: FrameBytes, copied: FrameBytes | null): void {
    this.#frame = frame;
    this.#copied = copied;
    this.#viewed = false;
  }

  /**
   * Checks a message that is to be delivered; false if it comes again. If those that cannot be read
   * are skipped, it can be read to its end.
   */
  #check(): boolean {
    if (this.#plan.counts !== true && !this.#isWhole()) return false;
    if (this.#plan.skips === true) this.#source.check?.();
    return true;
  }

  /** Whether the current frame is as it was written; if not, the source goes back to it. */
  #isWhole(): boolean {
    const whole = this.#source.isWhole?.() ?? true;
    if (!whole) this.#ended = false;
    return whole;
  }

  /** Whether the source's current frame is from before the time of the selection. */
  #isOld(): boolean {
    const since = this.#since;
    if (since === null) return false;
    const { timeHi, timeLo } = this.#source.cursor;
    return timeHi < since.hi || (timeHi === since.hi && timeLo < since.lo);
  }

  /** Delivers the next message of a group that passed; false for messages that cannot be read. */
  #deliver(): boolean {
    const ready = this.#ready.shift();
    if (ready === undefined) return false;
    if (PlasmiteError.is(ready)) throw ready;
    if ("unreadable" in ready) {
      this.#addUnreadable(ready.unreadable);
      return false;
    }
    this.#current(ready, ready);
    return true;
  }

  /** Evaluates the group, or begins to; false if it is empty. */
  #applyFilter(): boolean {
    if (this.evaluating) return true; // The group follows when that is done.
    const group = this.#group;
    if (group.length === 0) return false;
    this.#group = [];
    this.#groupBytes = 0;
    if (this.#plan.filter.isDeferred) {
      this.#judging = group;
      this.#turn = this.#judgeElsewhere();
    } else this.#ready = this.#plan.filter.apply(group);
    return true;
  }

  /** Has the first frames of a group judged elsewhere. */
  async #judgeElsewhere(): Promise<void> {
    let judged: readonly (Ready | null)[];
    try {
      judged = await this.#plan.filter.judge(this.#judging, this.#stop.signal);
    } catch (error) {
      judged = [PlasmiteError.is(error) ? error : unexpected(error)];
    }
    if (this.#closed) return;
    this.looked++;
    const wasWhole = judged.length === this.#judging.length;
    this.#most = wasWhole ? Math.min(GROUP, 2 * this.#most) : judged.length;
    for (const one of judged) if (one !== null) this.#ready.push(one);
    // nothing comes after an error
    this.#judging = PlasmiteError.is(judged.at(-1)) ? [] : this.#judging.slice(judged.length);
    this.#turn = this.#judging.length > 0 ? this.#judgeElsewhere() : null;
    if (this.#turn === null) this.#ready.push(...this.#after.splice(0));
  }

  /** Records a gap before the source's current frame; after a group it is reported later. */
  #noteGap({ first, last }: Gap): void {
    const { until } = this.#plan;
    if (until !== null && first > until) return;
    const gap = { first, last: until !== null && last > until ? until : last };
    const isWaiting = this.#applyFilter() && (this.#ready.length > 0 || this.evaluating);
    if (isWaiting) this.#gapAfter = gap;
    else this.#addGap(gap);
  }

  #addGap({ first, last }: Gap): void {
    this.#gap = { first: this.#gap?.first ?? first, last };
  }

  /** Records what the source could not read before its current frame, or at its end. */
  #noteUnreadable(): void {
    for (const one of this.#source.takeUnreadable?.() ?? []) this.#skip(one);
  }

  /** Records messages that cannot be read; after a group they are told later. */
  #skip({ first, last }: Gap): void {
    const { until } = this.#plan;
    const end = until !== null && last >= until ? until : last;
    if (first > end) return;
    if (end === until) this.#ended = true;
    this.#applyFilter();
    const range = { first, last: end };
    this.looked++;
    if (this.evaluating) this.#after.push({ unreadable: range });
    else if (this.#ready.length > 0) this.#ready.push({ unreadable: range });
    else this.#addUnreadable(range);
    if (end >= this.#reached) this.#reached = end + 1n;
  }

  #addUnreadable({ first, last }: Gap): void {
    const before = this.#unreadable.at(-1);
    if (before?.last !== first - 1n) this.#unreadable.push({ first, last });
    else this.#unreadable[this.#unreadable.length - 1] = { first: before.first, last };
  }

  takeUnreadable(): readonly Gap[] {
    const taken = this.#unreadable;
    if (taken.length > 0) this.#unreadable = [];
    return taken;
  }

  takeGap(): Gap | null {
    const gap = this.#gap;
    this.#gap = null;
    return gap;
  }

  async wait(ms?: number, signal?: AbortSignal): Promise<boolean> {
    signal?.throwIfAborted();
    if (this.#closed || this.#ready.length > 0) return true;
    const turn = this.#turn;
    if (turn !== null) return await waitFor((wake) => void turn.then(wake), () => {}, ms, signal);
    if (this.#ended || this.#failure !== null) return true;
    if (this.#paused) {
      this.#paused = false;
      await (this.#source.slice ?? new Slice()).next();
      signal?.throwIfAborted();
      return true;
    }
    const expected = this.#awaited();
    if (expected === null) return await this.#source.wait(ms, signal);
    const started = performance.now();
    const news = await this.#source.wait(Math.min(ms ?? LOOK_EVERY, LOOK_EVERY), signal);
    if (news && ++this.#emptyWaits % LOOKS !== 0) return true;
    if (!this.#closed) await this.#checkEmptied(expected);
    return this.#ended || news || ms === undefined || performance.now() - started < ms;
  }

  sleep(wake: () => void): boolean {
    const hasMore = this.#closed || this.#ended || this.#paused || this.#ready.length > 0;
    if (hasMore || this.#turn !== null || this.#failure !== null) return false;
    if (this.#awaited() !== null) return false;
    return this.#source.sleep?.(wake) ?? false;
  }

  /** The last number that should exist already, or that is waited for; null if there is none. */
  #awaited(): bigint | null {
    const { oldest, newest } = this.start;
    const stored = oldest !== 0n && this.position <= newest;
    return this.#plan.until ?? (stored ? newest : null);
  }

  /** Whether everything up to `expected` is gone because the ring was emptied during the read. */
  async #checkEmptied(expected: bigint): Promise<void> {
    const { oldest, newest } = await this.#plan.bounds();
    // A server reports no newest number for an empty pool.
    if (oldest !== 0n || (newest < expected && newest !== 0n)) return;
    if (this.#plan.until !== null) {
      this.#addGap({ first: this.position, last: expected });
      this.#ended = true;
    }
    // A walk that continues reports the gap before the next message.
    this.#reached = expected + 1n;
  }

  close(): void {
    this.#ended = this.#closed = true;
    this.#ready = [];
    this.#group = [];
    this.#judging = [];
    this.#failure = null;
    this.#stop.abort();
    this.#source.close();
  }
}

/** A bug, as an error that the reader of a walk is told. */
function unexpected(error: unknown): PlasmiteError {
  return new PlasmiteError("Internal", messageOf(error), { cause: error });
}
