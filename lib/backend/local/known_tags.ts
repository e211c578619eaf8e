/**
 * Finds the newest message with a tag: it is searched for once without a lock and then kept up to
 * date, so that few messages must be read under the lock (docs/spec/coordination.md 3).
 *
 * @module
 */

import { ErrorKind, PlasmiteError } from "../../errors.ts";
import { CLAIM_TAG } from "../../coordination/lease.ts";
import { ID_TAG, KEY_TAG } from "../../coordination/names.ts";
import { Lite3Tag, MessageView } from "../../lite3/message.ts";
import type { FrameBatch } from "../../pool/batch.ts";
import type { State } from "../../pool/header.ts";
import type { Ring } from "../../pool/ring.ts";
import { TagWalk } from "../../pool/tag_walk.ts";
import type { Steps } from "../../storage/steps.ts";

/** The largest number of messages added since a look-up that are read under the lock. */
const MOST_DELTA = 256n;
/**
 * The size of the first window of a backward search, in messages; each following one is twice as
 * large.
 */
const FIRST_PIECE = 256n;
/** The largest number of tags that are compared one by one with those of a message. */
const FEW = 8;
/** How many tags are cached. */
const MOST_TAGS = 1 << 17;
/** How many absent tags are cached. */
const MOST_ABSENT = 4096;

/** Too many messages were added since the look-up: unlock and search again. */
export class OutOfDate extends Error {
  /** Makes the signal. */
  constructor() {
    super("too much was added since the look-up");
    this.name = "OutOfDate";
  }
}

/** A search for the newest message with a tag. */
export interface Wanted {
  /** The tag. */
  readonly tag: string;
  /** Whether the message must be a claim as well. */
  readonly claim?: boolean;
  /** Only this many of the newest messages are searched; default all retained ones. */
  readonly window?: bigint;
}

/** Its key in the map; no key contains a line feed. */
function nameOf({ tag, claim }: Wanted): string {
  return claim === true ? `${CLAIM_TAG}\n${tag}` : tag;
}

/** The lowest sequence number to search. */
function floorOf({ window }: Wanted, { oldest, newest }: State): bigint {
  const low = window === undefined ? oldest : newest - window + 1n;
  return low < oldest ? oldest : low;
}

/** Tests the current message of a walk. */
interface Test {
  readonly name: string;
  readonly tags: readonly Lite3Tag[];
}

/** The known tags of one open pool file. */
export class KnownTags {
  readonly #ring: Ring;
  readonly #walk: TagWalk;
  readonly #view = new MessageView();
  readonly #claim = new Lite3Tag(CLAIM_TAG);
  /** The keys, ids and claims of all messages from `#low` to `#high`, and of some older ones. */
  #newest = new Map<string, bigint>();
  /** Tags that do not occur below `#low`, down to this number. */
  #absent = new Map<string, bigint>();
  #low = 1n;
  #high = -1n;
  #searches = 0;

  /** @param ring the pool; the caller closes it */
  constructor(ring: Ring) {
    this.#ring = ring;
    this.#walk = new TagWalk(ring);
  }

  /** The number of cached tags, for tests. */
  get size(): number {
    return this.#newest.size + this.#absent.size;
  }

  /**
   * Searches for tags without a lock.
   *
   * @throws {PlasmiteError} Corrupt, Busy
   */
  *looking(wanted: readonly Wanted[]): Steps<void> {
    const state = yield* this.#ring.living();
    this.#startAt(state);
    if (this.#absent.size > MOST_ABSENT) this.#absent.clear();
    if (state.newest > this.#high) {
      const range = { from: this.#high + 1n, until: state.newest };
      yield* this.#walk.visiting(range, () => {
        this.#learn(this.#newest, this.#walk.view, this.#walk.seq);
        if (this.#newest.size > MOST_TAGS) this.#forget(this.#walk.seq);
      });
      this.#high = state.newest;
    }
    const missing = wanted.filter((one) => this.#find(one, state) === null);
    if (missing.length > 0) yield* this.#lookBack(missing, state);
  }

  /** Resets if nothing is known yet or something else changed the pool. */
  #startAt({ newest }: State): void {
    if (this.#high >= 0n && newest >= this.#high) return;
    this.#newest.clear();
    this.#absent.clear();
    this.#high = newest;
    this.#low = newest + 1n;
    this.#searches = 0;
  }

  /** Searches below `#low`, backwards in growing windows, until everything is found. */
  *#lookBack(wanted: readonly Wanted[], state: State): Steps<void> {
    // A single look-up should be fast; repeated ones should fill the cache.
    const isId = wanted.some(({ tag }) => tag.startsWith(ID_TAG));
    const remember = isId || this.#searches++ > 0;
    const missing = new Map(wanted.map((one) => [nameOf(one), one]));
    let floor = state.newest;
    for (const one of wanted) {
      const low = floorOf(one, state);
      if (low < floor) floor = low;
    }
    let size = FIRST_PIECE;
    for (let until = this.#low - 1n; until >= floor && missing.size > 0; size *= 2n) {
      let from = until - size + 1n;
      // Messages missing from the index can only be reached from the oldest message.
      if (from < floor || this.#ring.indexOffset(from) < 0) from = floor;
      const collect = remember && this.#newest.size < MOST_TAGS / 2;
      const found = collect
        ? yield* this.#collecting(from, until)
        : yield* this.#searching(from, until, [...missing.values()]);
      for (const [name, seq] of found) {
        if (!this.#newest.has(name)) this.#newest.set(name, seq);
        missing.delete(name);
      }
      if (collect) this.#low = from;
      until = from - 1n;
    }
    for (const [name, one] of missing) this.#absent.set(name, floorOf(one, state));
  }

  *#collecting(from: bigint, until: bigint): Steps<Map<string, bigint>> {
    const found = new Map<string, bigint>();
    const walk = this.#walk;
    yield* walk.visiting({ from, until }, () => this.#learn(found, walk.view, walk.seq));
    return found;
  }

  *#searching(
    from: bigint,
    until: bigint,
    wanted: readonly Wanted[],
  ): Steps<Map<string, bigint>> {
    const found = new Map<string, bigint>();
    const walk = this.#walk;
    if (wanted.length > FEW) {
      const names = new Set(wanted.map(nameOf));
      yield* walk.visiting({ from, until }, () => this.#learn(found, walk.view, walk.seq, names));
      return found;
    }
    const tests: Test[] = wanted.map((one) => ({
      name: nameOf(one),
      tags: [new Lite3Tag(one.tag), ...(one.claim === true ? [this.#claim] : [])],
    }));
    yield* walk.visiting({ from, until }, () => {
      for (const { name, tags } of tests) if (walk.view.hasTags(tags)) found.set(name, walk.seq);
    });
    return found;
  }

  /** Caches the keys and ids of one message; with `only`, those of these names. */
  #learn(
    into: Map<string, bigint>,
    view: MessageView,
    seq: bigint,
    only?: ReadonlySet<string>,
  ): void {
    if (view.tagCount === 0) return;
    const { doc } = view;
    const isClaim = view.hasTag(this.#claim);
    for (let i = 0; i < view.tagCount; i++) {
      const at = view.tagAt(i);
      const start = doc.stringStart(at);
      const length = doc.stringLength(at);
      const isKey = beginsWith(doc.dv, start, length, KEY_TAG);
      if (!isKey && !beginsWith(doc.dv, start, length, ID_TAG)) continue;
      const tag = textOf(view, at);
      if (tag === null) continue;
      if (only === undefined || only.has(tag)) into.set(tag, seq);
      if (!isClaim || !isKey) continue;
      const name = nameOf({ tag, claim: true });
      if (only === undefined || only.has(name)) into.set(name, seq);
    }
  }

  /** Forgets the older half of the cache; `seq` is the newest message in it. */
  #forget(seq: bigint): void {
    const numbers = [...this.#newest.values()].sort((a, b) => a < b ? -1 : a > b ? 1 : 0);
    const cut = numbers[numbers.length >> 1] ?? seq;
    for (const [name, one] of this.#newest) if (one <= cut) this.#newest.delete(name);
    this.#absent.clear();
    if (cut >= this.#low) this.#low = cut + 1n;
  }

  /** The newest such message; 0 for none, null if unknown. */
  #find(wanted: Wanted, state: State): bigint | null {
    const floor = floorOf(wanted, state);
    const name = nameOf(wanted);
    const seq = this.#newest.get(name);
    if (seq !== undefined) return state.oldest !== 0n && seq >= floor ? seq : 0n;
    if (this.#low <= floor || state.oldest === 0n) return 0n;
    const absent = this.#absent.get(name);
    return absent !== undefined && absent <= floor ? 0n : null;
  }

  /**
   * Reads the messages added since the look-up; the caller holds the exclusive lock.
   *
   * @throws {OutOfDate} if there are too many
   * @throws {BrokenChain} when the ring is damaged
   */
  catchUp(state: State): void {
    if (this.#high < 0n || state.newest < this.#high || state.newest - this.#high > MOST_DELTA) {
      throw new OutOfDate();
    }
    if (state.newest === this.#high) return;
    const walk = this.#walk;
    walk.visit(state, { from: this.#high + 1n, until: state.newest }, () => {
      this.#learn(this.#newest, walk.view, walk.seq);
    });
    this.#high = state.newest;
  }

  /**
   * The state without expired messages, for {@linkcode KnownTags.find}. Call it under the exclusive
   * lock.
   *
   * @throws {OutOfDate} if so many have expired that the first live one was not found yet
   */
  live(state: State): State {
    const live = this.#ring.tryLive(state);
    if (live === null) throw new OutOfDate();
    return live;
  }

  /**
   * The number of the newest wanted message; 0 for none. Call it under the exclusive lock, after
   * {@linkcode KnownTags.catchUp}.
   *
   * @param live the result of {@linkcode KnownTags.live}
   * @throws {OutOfDate} if it was not searched for
   */
  find(wanted: Wanted, live: State): bigint {
    const seq = this.#find(wanted, live);
    if (seq === null) throw new OutOfDate();
    return seq;
  }

  /** The number of the newest wanted message, found without a lock; 0 for none. */
  *newestOf(wanted: Wanted): Steps<bigint> {
    yield* this.looking([wanted]);
    return this.#find(wanted, yield* this.#ring.living()) ?? 0n;
  }

  /**
   * The time of a message in nanoseconds since 1970, under the exclusive lock; null if it is not
   * retained.
   */
  timeOf(state: State, seq: bigint): bigint | null {
    let time: bigint | null = null;
    this.#walk.visit(state, { from: seq, until: seq }, () => time = this.#walk.timestampNs);
    return time;
  }

  /**
   * Reads complete messages under the exclusive lock, in order of their numbers. Those that the index
   * does not have any more are read in one pass: each alone would be searched for from the oldest.
   *
   * @param use called for each of them that is retained
   * @throws {PlasmiteError} Corrupt if one is not a message
   */
  readAll(
    state: State,
    seqs: Iterable<bigint>,
    use: (seq: bigint, view: MessageView, timeNs: bigint) => void,
  ): void {
    const sorted = [...new Set(seqs)].sort((a, b) => a < b ? -1 : 1);
    const far: bigint[] = [];
    const near: bigint[] = [];
    for (const seq of sorted) (this.#ring.indexOffset(seq) < 0 ? far : near).push(seq);
    this.#readPass(state, far, use);
    for (let i = 0; i < near.length;) {
      let end = i + 1;
      while (end < near.length && (near[end] ?? 0n) === (near[end - 1] ?? 0n) + 1n) end++;
      this.#readPass(state, near.slice(i, end), use);
      i = end;
    }
  }

  /** Reads some of the messages from the first to the last of these. */
  #readPass(
    state: State,
    seqs: readonly bigint[],
    use: (seq: bigint, view: MessageView, timeNs: bigint) => void,
  ): void {
    const [from] = seqs;
    const until = seqs.at(-1);
    if (from === undefined || until === undefined) return;
    const walk = this.#walk;
    const view = this.#view;
    let next = 0;
    walk.visit(state, { from, until, whole: true }, () => {
      const { seq } = walk;
      while (next < seqs.length && (seqs[next] ?? seq) < seq) next++;
      if (seqs[next] !== seq) return;
      const { u8, dv, base, len } = walk.view.doc;
      view.open(u8, dv, base, len);
      use(seq, view, walk.timestampNs);
    });
  }

  /**
   * Caches what was just appended under a guard: the frames from `from` on, numbered from `first`.
   */
  added(batch: FrameBatch, from: number, first: bigint): void {
    if (first !== this.#high + 1n) return;
    const { u8, dv } = batch.out;
    for (let i = from; i < batch.count; i++) {
      this.#view.openTags(u8, dv, batch.payloadAt(i), batch.payloadOf(i));
      this.#learn(this.#newest, this.#view, first + BigInt(i - from));
    }
    this.#high = first + BigInt(batch.count - from) - 1n;
  }
}

function beginsWith(dv: DataView, start: number, length: number, prefix: string): boolean {
  if (length <= prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) {
    if (dv.getUint8(start + i) !== prefix.charCodeAt(i)) return false;
  }
  return true;
}

/** A tag as text; null if it is not a valid string. */
function textOf(view: MessageView, at: number): string | null {
  try {
    return view.doc.string(at);
  } catch (error) {
    if (PlasmiteError.is(error, ErrorKind.Corrupt)) return null;
    throw error;
  }
}
