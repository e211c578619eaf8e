/**
 * The automatic repair of a broken chain, in front of an append (docs/spec/format.md 5.4).
 *
 * The search can take seconds, so it holds no lock: it works from the state block as it was seen, a
 * slice at a time. Under the lock two bounded checks are enough to publish what was found:
 * 1. The state block is still the same, so nobody has published anything since.
 * 2. The first frames of the chain are still there, and so are its first ones behind the ring's
 *    end. A writer of the reference that dies before it publishes overwrites frames from head on,
 *    or from offset 0 on, byte after byte. It cannot reach a later frame without destroying these.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import type { StorageFile } from "../storage/storage.ts";
import type { Steps } from "../storage/turns.ts";
import { type Chain, findChain, type FoundFrame, OutOfReach, RingWindow } from "./chain.ts";
import { putState, sameState, type State } from "./header.ts";
import { type Layout, STATE_AT, STATE_SIZE } from "./layout.ts";
import type { BrokenChain } from "./plan.ts";

/** How many bytes an automatic repair may read, and how long it may compute, in milliseconds. */
const MOST_BYTES = 1 << 30;
const MOST_TIME = 3_000;
/** How long one slice of it takes, in milliseconds. */
const SLICE = 4;
/** How many bytes are looked at under the lock, at each of two places. */
const VERIFIED = 1 << 20;

/** How many searches there are in a row at most; each but the first because the pool has changed. */
const SEARCHES = 3;

/** One search, and what to do with what it finds. */
class Mending {
  readonly state: State;
  readonly #file: StorageFile;
  readonly #layout: Layout;
  readonly #steps: Steps<Chain | null>;
  #spent = 0;
  #found: Chain | null | undefined;

  constructor(file: StorageFile, layout: Layout, state: State) {
    this.state = state;
    this.#file = file;
    this.#layout = layout;
    this.#steps = findChain(file, layout, state, MOST_BYTES);
  }

  /** Searches for a slice; true when the search is over. Throws OutOfReach. */
  search(): boolean {
    const since = performance.now();
    let now = since;
    while (this.#found === undefined && now - since < SLICE) {
      const step = this.#steps.next();
      if (step.done === true) this.#found = step.value;
      now = performance.now();
    }
    this.#spent += now - since;
    if (this.#found === undefined && this.#spent > MOST_TIME) throw new OutOfReach();
    return this.#found !== undefined;
  }

  /** Publishes what was found, or an empty pool; null when it has to be searched anew. */
  publish(now: State): State | null {
    const chain = this.#found;
    if (chain === undefined || !sameState(now, this.state)) return null;
    const { head, newest } = now;
    let mended: State = { head, tail: head, tailNext: head, oldest: 0n, newest };
    if (chain !== null) {
      const { first, turned } = chain;
      if (!this.#stands(first) || (turned !== null && !this.#stands(turned))) return null;
      const tailNext = first.end === this.#layout.ringSize ? 0 : first.end;
      mended = { head, tail: first.at, tailNext, oldest: first.seq, newest };
    }
    // The only write of a repair. Killed before it: the chain is as broken as it was, and the next
    // append searches again. After it: the pool is sound, with fewer messages. A reader that stands
    // in the lost part sees `oldest` above its number and reports a gap; others notice nothing.
    const block = new Uint8Array(STATE_SIZE);
    putState(new DataView(block.buffer), 0, mended);
    this.#file.writeAt(block, STATE_AT);
    return mended;
  }

  /** Whether the chain is unbroken from `from` on, as far as is looked at. */
  #stands(from: FoundFrame): boolean {
    const look = new RingWindow(this.#file, this.#layout);
    let { at, seq } = from;
    for (;;) {
      const frame = look.frame(at, seq, seq);
      if (frame === null) return false;
      if (seq === this.state.newest || frame.end - from.at > VERIFIED || at < from.at) return true;
      at = look.placeAfter(frame.end === this.#layout.ringSize ? 0 : frame.end);
      seq++;
    }
  }
}

/** Mends one pool for those who append to it. */
export class Mender {
  readonly #file: StorageFile;
  readonly #layout: Layout;
  #mending: Mending | null = null;
  /** The state for which a search went as far as it may. */
  #hopeless: State | null = null;
  #searches = 0;

  /** Reads and writes through `file`, which stays the caller's. */
  constructor(file: StorageFile, layout: Layout) {
    this.#file = file;
    this.#layout = layout;
  }

  /**
   * Goes on with a search, if one has begun, for a few milliseconds. No lock is needed.
   *
   * @returns whether the append may go on: under the lock, with {@linkcode Mender.mend}
   * @throws {PlasmiteError} Corrupt when the search went as far as it may
   */
  search(): boolean {
    const mending = this.#mending;
    if (mending === null) return true;
    try {
      return mending.search();
    } catch (error) {
      this.#mending = null;
      this.#searches = 0;
      if (!(error instanceof OutOfReach)) throw error;
      this.#hopeless = mending.state;
      throw this.#refusal("malformed frame in the retained ring", mending.state.tail);
    }
  }

  #refusal(problem: string, offset: number): PlasmiteError {
    return new PlasmiteError("Corrupt", problem, {
      path: this.#file.path,
      offset: BigInt(offset),
      hint: "The pool is damaged beyond what an append repairs. " +
        "Run `plasmite doctor --repair` on it.",
    });
  }

  /**
   * What to do about a plan that met a broken chain. The caller holds the exclusive lock.
   *
   * @returns the mended state, which is published now
   * @throws {BrokenChain} `problem`, when a search has begun: unlock, then {@linkcode Mender.search}
   * @throws {PlasmiteError} Corrupt when there is no use in another search
   */
  mend(state: State, problem: BrokenChain): State {
    const mended = this.#mending?.publish(state) ?? null;
    this.#mending = null;
    if (mended !== null) return mended;
    const hopeless = this.#hopeless !== null && sameState(this.#hopeless, state);
    if (hopeless || this.#searches >= SEARCHES) {
      this.#searches = 0;
      throw this.#refusal(problem.message, problem.offset);
    }
    this.#searches++;
    this.#mending = new Mending(this.#file, this.#layout, state);
    throw problem;
  }

  /** A plan worked out: nothing is broken, or not any more. */
  settled(): void {
    this.#mending = null;
    this.#searches = 0;
  }
}
