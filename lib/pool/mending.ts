/**
 * The automatic repair of a broken chain before an append (docs/spec/format.md 5.4).
 *
 * The search can take seconds, so it holds no lock: it works from a copy of the state block, one
 * time slice after another. Under the lock two bounded checks are enough to publish what was found:
 * 1. The state block is unchanged, so nothing has been published since.
 * 2. The first frames of the chain are still there, and so are its first ones after the wrap. A
 *    writer of the reference that dies before it publishes overwrites frames from head on, or from
 *    offset 0 on, byte after byte. It cannot reach a later frame without destroying these first.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { inPlace, type Steps } from "../storage/steps.ts";
import type { Storage, StorageFile } from "../storage/storage.ts";
import { type Chain, findChain, type FoundFrame, OutOfReach, RingWindow } from "./chain.ts";
import { emptied } from "./frame.ts";
import { publishState, sameState, type State } from "./header.ts";
import type { Layout } from "./layout.ts";
import type { BrokenChain } from "./plan.ts";
import { WritableRing } from "./writable_ring.ts";

/** How many bytes an automatic repair may read, and how many milliseconds it may run. */
const MOST_BYTES = 1 << 30;
const MOST_TIME = 3_000;
/** The length of one time slice, in milliseconds. */
const SLICE = 4;
/** How many bytes are checked under the lock, at each of two offsets. */
const VERIFIED = 1 << 20;

/**
 * The largest number of searches in a row; each after the first is caused by a change of the pool.
 */
const SEARCHES = 3;

/** One search and the publication of its result. */
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

  /** Searches for one time slice; true when the search is finished. Throws OutOfReach. */
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

  /** Publishes the chain that was found, or an empty pool; null if the search must be repeated. */
  publish(now: State): State | null {
    const chain = this.#found;
    if (chain === undefined || !sameState(now, this.state)) return null;
    let mended = emptied(now);
    if (chain !== null) {
      const { first, turned } = chain;
      if (!this.#stands(first) || (turned !== null && !this.#stands(turned))) return null;
      const tailNext = first.end === this.#layout.ringSize ? 0 : first.end;
      mended = { ...now, tail: first.at, tailNext, oldest: first.seq };
    }
    // The only write of a repair. Killed before it: the chain is as broken as it was, and the next
    // append searches again. After it: the pool is intact, with fewer messages. A reader positioned
    // in the lost part sees `oldest` above its number and reports a gap; others are not affected.
    publishState(this.#file, mended);
    return mended;
  }

  /** Whether the chain is unbroken from `from` on, within the checked range. */
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

/** Repairs one pool for its appenders. */
export class Mender {
  readonly #file: StorageFile;
  readonly #layout: Layout;
  #mending: Mending | null = null;
  /** The state for which a search has exhausted its budget. */
  #hopeless: State | null = null;
  #searches = 0;

  /** Reads and writes through `file`, which the caller owns. */
  constructor(file: StorageFile, layout: Layout) {
    this.#file = file;
    this.#layout = layout;
  }

  /**
   * Continues a search, if one has started, for a few milliseconds. No lock is needed.
   *
   * @returns whether the append may proceed: under the lock, with {@linkcode Mender.mend}
   * @throws {PlasmiteError} Corrupt when the search has exhausted its budget
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
      hint: "The pool has more damage than an append can repair: repair it.",
      topic: "repair",
    });
  }

  /**
   * Handles a plan that found a broken chain. The caller holds the exclusive lock.
   *
   * @returns the repaired state, which is now published
   * @throws {BrokenChain} `problem`, when a search has started: unlock, then call {@linkcode
   *   Mender.search}
   * @throws {PlasmiteError} Corrupt when another search is pointless
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

  /** Resets after a successful plan: nothing is broken, or no longer. */
  settled(): void {
    this.#mending = null;
    this.#searches = 0;
  }
}

/**
 * Opens a pool file for appends that repair a broken chain.
 *
 * @throws {PlasmiteError} as opening it
 */
export function openToAppend(storage: Storage, path: string): WritableRing {
  return inPlace(WritableRing.opening(storage, path, Mender));
}
