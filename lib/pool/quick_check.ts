/**
 * A check that takes the same time for a pool of any size: both ends of the live messages, and a
 * sample of those that the index still holds.
 *
 * @module
 */

import type { StorageFile } from "../storage/storage.ts";
import { goodFrames, judgeFrame, placeAfter, type Run } from "./frame_run.ts";
import { type PayloadCheck, Stretch } from "./frame_scan.ts";
import type { State } from "./header.ts";
import { leadsTo, slotAt } from "./index_check.ts";
import { FRAME_HEADER, type Layout } from "./layout.ts";

/** How many bytes are checked from the oldest message on. */
const END_BYTES = 1 << 22;
/** How many of the newest messages are checked. */
const NEWEST = 4096n;
/** How many index slots are sampled, */
const SAMPLES = 512;
/** with so many bytes read for each. */
const SAMPLE_WINDOW = 1 << 14;

/** Takes a problem: what it is, its ring offset, and the number of the message that it concerns. */
export type OnProblem = (problem: string, offset: number, seq: bigint | null) => void;

/** A quick check of one pool, whose state block is sound. */
export class QuickCheck {
  /** How many messages were checked. */
  checked = 0;
  /** What is to be told about the index. */
  readonly warnings: string[] = [];
  readonly #file: StorageFile;
  readonly #layout: Layout;
  readonly #state: State;
  readonly #payloads: PayloadCheck;
  readonly #problem: OnProblem;
  readonly #ring: Stretch;

  /** Checks the pool `file`, whose lock the caller holds; `problem` takes what is wrong. */
  constructor(
    file: StorageFile,
    layout: Layout,
    state: State,
    payloads: PayloadCheck,
    problem: OnProblem,
  ) {
    this.#file = file;
    this.#layout = layout;
    this.#state = state;
    this.#payloads = payloads;
    this.#problem = problem;
    this.#ring = new Stretch(file, layout.ringOffset, layout.ringSize);
  }

  /** Runs it. */
  run(): void {
    const { oldest, newest } = this.#state;
    if (oldest === 0n) return;
    const reached = this.#oldestEnd();
    if (reached === null || reached > newest) return;
    const from = newest - oldest < NEWEST ? oldest : newest - NEWEST + 1n;
    this.#newestEnd(from > reached ? from : reached);
    this.#samples(reached);
  }

  /** Checks the first messages; returns the number of the next one, null after a problem. */
  #oldestEnd(): bigint | null {
    const { tail, tailNext, oldest } = this.#state;
    const { ringSize } = this.#layout;
    if (ringSize - tail < FRAME_HEADER) {
      this.#problem("tail points at ring padding", tail, null);
      return null;
    }
    const { problem, end, fatal } = judgeFrame(this.#ring, this.#payloads, tail, oldest, true);
    if (problem !== null) this.#problem(problem, tail, fatal ? null : oldest);
    if (fatal) return null;
    if (end % ringSize !== tailNext) this.#problem("tail_next mismatch", tail, null);
    this.checked++;
    return this.#frames(end % ringSize, oldest + 1n, END_BYTES);
  }

  /**
   * Checks consecutive messages, the first of which is at or after ring offset `at`, and what comes
   * after the newest one. Returns like {@linkcode QuickCheck.#oldestEnd}.
   */
  #frames(at: number, first: bigint, bytes: number): bigint | null {
    const { head, newest } = this.#state;
    const { ringSize } = this.#layout;
    let seq = first;
    for (let left = bytes; seq <= newest && left > 0;) {
      const place = placeAfter(this.#ring, at);
      const run = this.#run(place, seq, left);
      this.checked += run.count;
      seq += BigInt(run.count);
      left -= run.end - place;
      at = run.end % ringSize;
      if (run.count > 0) continue;
      const { problem, end, fatal } = judgeFrame(this.#ring, this.#payloads, place, seq, false);
      if (problem !== null) this.#problem(problem, place, fatal ? null : seq);
      if (fatal) return null;
      at = end % ringSize;
      left -= end - place;
      seq++;
    }
    if (seq > newest && at !== head) this.#problem("head offset mismatch", at, null);
    return seq;
  }

  #run(place: number, seq: bigint, bytes: number): Run {
    const left = this.#state.newest - seq + 1n;
    const count = left > 0x3fff_ffffn ? 0x3fff_ffff : Number(left);
    return goodFrames(this.#ring, this.#payloads, place, seq, { count, bytes }, () => {});
  }

  /** Checks the newest messages, from the first one from `from` on that the index leads to. */
  #newestEnd(from: bigint): void {
    const { indexCapacity } = this.#layout;
    const { newest } = this.#state;
    for (let seq = from; indexCapacity > 0 && seq <= newest; seq++) {
      const slot = slotAt(this.#file, Number(seq % BigInt(indexCapacity)));
      const place = Number(slot.offset);
      if (slot.seq !== seq || !leadsTo(this.#file, this.#layout, place, seq)) continue;
      this.#frames(place, seq, Infinity);
      return;
    }
    this.warnings.push(
      "warning: the newest messages were not checked: no index slot leads to them",
    );
  }

  /** Checks messages from `from` on that index slots lead to, evenly spread over the index. */
  #samples(from: bigint): void {
    const { indexCapacity } = this.#layout;
    const { newest } = this.#state;
    const count = Math.min(SAMPLES, indexCapacity);
    const ring = new Stretch(
      this.#file,
      this.#layout.ringOffset,
      this.#layout.ringSize,
      () => {},
      SAMPLE_WINDOW,
    );
    let wrong = 0;
    for (let i = 0; i < count; i++) {
      const { seq, offset } = slotAt(this.#file, Math.floor(i * indexCapacity / count));
      const place = Number(offset);
      if (seq < from || seq > newest - NEWEST) continue;
      if (!leadsTo(this.#file, this.#layout, place, seq)) {
        wrong++; // The index is only a hint: this is no damage.
        continue;
      }
      const { problem } = judgeFrame(ring, this.#payloads, place, seq, false);
      if (problem !== null) this.#problem(problem, place, seq);
      this.checked++;
    }
    if (wrong > 0) {
      this.warnings.push(
        `warning: ${wrong} of ${count} index slots that were looked at are stale or invalid`,
      );
    }
  }
}
