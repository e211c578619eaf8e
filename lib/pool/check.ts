/**
 * The checker: reads a whole pool under the shared lock and reports every problem in order
 * (docs/spec/format.md 10, in the stricter form of 1.x, plus checksums and damaged ranges).
 *
 * @module
 */

import { ErrorKind, PlasmiteError } from "../errors.ts";
import { untilUnlocked } from "../storage/lock_wait.ts";
import { inPlace } from "../storage/steps.ts";
import type { Storage, StorageFile } from "../storage/storage.ts";
import { goodFrames, judgeFrame, placeAfter, type Run } from "./frame_run.ts";
import { parseState, type State, stateProblem, usedBytes, verifyLayout } from "./header.ts";
import { FRAME_HEADER, HEADER_USED, type Layout, STATE_AT } from "./layout.ts";
import { forgotten, PayloadCheck, Stretch, wholeFrames } from "./frame_scan.ts";
import { type FoundFrame, RingWindow, scanFrames } from "./chain.ts";
import { IndexCheck } from "./index_check.ts";
import { QuickCheck } from "./quick_check.ts";
import { Reach } from "./reach.ts";

/** One problem found by a check. */
export interface CheckIssue {
  /**
   * `corrupt` for damage, `format` for an unknown format version, `unchecked` for a part that was
   * not checked.
   */
  readonly code: "corrupt" | "format" | "unchecked";
  /** The problem. */
  readonly message: string;
  /** The last good sequence number before the problem, or null. */
  readonly seq: bigint | null;
  /** Ring offset of the problem in bytes, or null. */
  readonly offset: number | null;
  /** First and last sequence number that cannot be read because of it, or null. */
  readonly lost: { readonly first: bigint; readonly last: bigint } | null;
}

/**
 * The result of a check.
 *
 * @example Check a pool
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * client.createPool("demo").close();
 * const report = client.validatePool("demo");
 * console.assert(report.status === "ok" && report.issueCount === 0);
 * ```
 */
export interface CheckReport {
  /** The pool reference as given by the caller. */
  readonly poolRef: string;
  /** The path of the file. */
  readonly path: string;
  /** `corrupt` when there is at least one issue. */
  readonly status: "ok" | "corrupt";
  /**
   * The last sequence number before the first problem; null if there is none or the pool is empty.
   */
  readonly lastGoodSeq: bigint | null;
  /** Every problem, in the order found. */
  readonly issues: readonly CheckIssue[];
  /** `issues.length`. */
  readonly issueCount: number;
  /** What to do; remarks about anything other than damage begin with `warning: `. */
  readonly remediationHints: readonly string[];
  /** Always null: no copy is made. */
  readonly snapshotPath: null;
  /** Number of retained messages according to the header; 0 if the header is damaged. */
  readonly messageCount: bigint;
  /** The bounds according to the header. */
  readonly bounds: { readonly oldestSeq: bigint | null; readonly newestSeq: bigint | null };
  /**
   * The ring offset in bytes at which the search of a sparse file stopped; null if everything was
   * checked.
   */
  readonly uncheckedFrom: number | null;
  /**
   * The number of index slots with a wrong offset. This is not damage, because the index is only a
   * hint.
   */
  readonly indexWrong: number;
  /** The number of messages that a quick check looked at; null if everything was checked. */
  readonly sampled: number | null;
}

/** Options of a check. */
export interface CheckOptions {
  /** Whether every payload must be a readable message; default false: payloads are opaque bytes. */
  readonly messages?: boolean;
  /** Called from time to time with the bytes checked so far and the total. */
  readonly progress?: (done: number, total: number) => void;
  /** Whether to check only the header, both ends and a sample; default false. */
  readonly quick?: boolean;
}

/** How many bytes are checked between two reports of progress. */
const PROGRESS_BYTES = 1 << 24;

class Check {
  readonly issues: CheckIssue[] = [];
  readonly warnings: string[] = [];
  lastGood: bigint | null = null;
  state: State | null = null;
  indexWrong = 0;
  sampled: number | null = null;
  readonly reach: Reach;
  readonly #payloads: PayloadCheck;
  readonly #quick: boolean;
  readonly #progress: (done: number, total: number) => void;
  readonly #ring: Stretch;
  #found: readonly FoundFrame[] | null = null;

  constructor(readonly file: StorageFile, readonly layout: Layout, options: CheckOptions) {
    this.reach = new Reach(file);
    this.#payloads = new PayloadCheck(options.messages ?? false);
    this.#quick = options.quick ?? false;
    this.#progress = options.progress ?? (() => {});
    this.#ring = new Stretch(file, layout.ringOffset, layout.ringSize);
  }

  #issue(message: string, offset: number | null, lost: CheckIssue["lost"] = null): void {
    this.issues.push({ code: "corrupt", message, seq: this.lastGood, offset, lost });
  }

  run(): void {
    this.#run();
    const { cutAt } = this.reach;
    if (cutAt === null) return;
    this.issues.push({
      code: "unchecked",
      message: "the file is mostly holes and was searched in part",
      seq: this.lastGood,
      offset: cutAt,
      lost: null,
    });
  }

  #run(): void {
    const { file, layout } = this;
    const bytes = new Uint8Array(HEADER_USED);
    file.readAt(bytes, 0);
    const state = parseState(new DataView(bytes.buffer), STATE_AT);
    this.state = state;
    const problem = stateProblem(state, layout.ringSize);
    if (problem !== null) {
      this.#issue(problem, null);
      return;
    }
    if (this.#quick) {
      this.#lookQuickly(state);
      return;
    }
    if (state.oldest === 0n) {
      this.#lookForForgotten(state);
      return;
    }
    const index = new IndexCheck(file, layout, state, this.warnings, this.reach.bytes);
    this.#walk(state, index);
    index.sample();
    this.indexWrong = index.finish(this.#progress);
  }

  #lookQuickly(state: State): void {
    const check = new QuickCheck(this.file, this.layout, state, this.#payloads, (...problem) => {
      const [message, offset, seq] = problem;
      this.#issue(message, offset, seq === null ? null : { first: seq, last: seq });
    });
    check.run();
    this.sampled = check.checked;
    this.warnings.push(...check.warnings);
  }

  /** Reports a state block that says "empty" although the ring is not. */
  #lookForForgotten(state: State): void {
    const { layout, reach } = this;
    const bare = reach.isBare(layout);
    const until = bare ? Math.min(reach.bytes, layout.ringSize) : reach.limit(layout.ringSize);
    const ring = new Stretch(
      this.file,
      layout.ringOffset,
      layout.ringSize,
      (at) => this.#progress(at, until),
    );
    const frames = wholeFrames(ring, ring.size, this.#payloads, until);
    if (forgotten(ring, frames, state)) this.#issue("state block is empty, the ring is not", null);
  }

  /** Follows the chain from the tail; after a break it continues at the next whole frame. */
  #walk(state: State, index: IndexCheck): void {
    const { ringSize } = this.layout;
    const total = usedBytes(state, ringSize);
    let at = state.tail;
    let seq = state.oldest;
    let jumped = true;
    let read = 0;
    while (seq <= state.newest) {
      const first = seq === state.oldest;
      const place = jumped ? at : placeAfter(this.#ring, at);
      if (read > this.reach.bytes) {
        this.reach.cut(place);
        return;
      }
      this.#progress(Math.min(read, total), total);
      jumped = false;
      if (!first) {
        const run = this.#goodFrames(state, index, place, seq, this.reach.bytes - read);
        if (run.count > 0) {
          seq += BigInt(run.count);
          if (this.issues.length === 0) this.lastGood = seq - 1n;
          read += run.end - place;
          at = run.end % ringSize;
          continue;
        }
      }
      const found = first && ringSize - at < FRAME_HEADER
        ? { problem: "tail points at ring padding", end: 0, fatal: true }
        : judgeFrame(this.#ring, this.#payloads, place, seq, first);
      if (first && !found.fatal && found.end % ringSize !== state.tailNext) {
        this.#issue("tail_next mismatch", place);
      }
      if (found.problem === null) {
        if (this.issues.length === 0) this.lastGood = seq;
        index.good(Number(seq & 0xffff_ffffn), Number(seq >> 32n), place);
      }
      if (!found.fatal) {
        if (found.problem !== null) this.#issue(found.problem, place, { first: seq, last: seq });
        at = found.end % ringSize;
        read += found.end - place;
        seq++;
        continue;
      }
      const next = this.#nextFound(state, seq, place);
      const last = next === null ? state.newest : next.seq - 1n;
      // A tail on a wrap marker or in padding, as 0.8 leaves it, loses nothing by itself.
      this.#issue(found.problem ?? "", place, last < seq ? null : { first: seq, last });
      if (next === null) return;
      at = next.at;
      seq = next.seq;
      jumped = true;
    }
    if (at !== state.head) this.#issue("head offset mismatch", at);
  }

  /** The good frames from `place` on; those after `bytes` bytes are not checked. */
  #goodFrames(state: State, index: IndexCheck, place: number, seq: bigint, bytes: number): Run {
    const left = state.newest - seq + 1n;
    const limits = {
      count: left > 0x3fff_ffffn ? 0x3fff_ffff : Number(left),
      bytes: Math.min(bytes, PROGRESS_BYTES),
    };
    return goodFrames(
      this.#ring,
      this.#payloads,
      place,
      seq,
      limits,
      (lo, hi, at) => index.good(lo, hi, at),
    );
  }

  /** The frame with the lowest number from `seq` on that is not at `place`. */
  #nextFound(state: State, seq: bigint, place: number): FoundFrame | null {
    const { ringSize } = this.layout;
    this.#found ??= this.#scan(state, this.reach.limit(ringSize)).sort((a, b) =>
      a.seq < b.seq ? -1 : a.seq > b.seq ? 1 : a.at - b.at
    );
    const found = this.#found;
    let lo = 0;
    for (let hi = found.length; lo < hi;) {
      const mid = (lo + hi) >> 1;
      if ((found[mid]?.seq ?? 0n) < seq) lo = mid + 1;
      else hi = mid;
    }
    while (lo < found.length && found[lo]?.at === place && found[lo]?.seq === seq) lo++;
    return found[lo] ?? null;
  }

  #scan(state: State, until: number): FoundFrame[] {
    const progress = (at: number): void => this.#progress(at, until);
    const look = new RingWindow(this.file, this.layout);
    return scanFrames(look, until, state.oldest, state.newest, progress);
  }
}

/** The hint for a damaged pool. */
export const REPAIR = "Back the pool up and repair it in place.";

function report(
  ref: string,
  path: string,
  issues: readonly CheckIssue[],
  check: Check | null,
): CheckReport {
  const state = check?.state ?? null;
  const empty = state === null || state.oldest === 0n || state.oldest > state.newest;
  const cut = check?.reach.cutAt ?? null;
  const hints = issues.every(({ code }) => code === "unchecked")
    ? issues.map(() =>
      "If you did not create the pool with this size, delete the file and create the pool again."
    )
    : [REPAIR];
  return {
    poolRef: ref,
    path,
    status: issues.length > 0 ? "corrupt" : "ok",
    lastGoodSeq: check?.lastGood ?? null,
    issues,
    issueCount: issues.length,
    remediationHints: [...hints, ...(check?.warnings ?? [])],
    snapshotPath: null,
    messageCount: empty ? 0n : state.newest - state.oldest + 1n,
    bounds: {
      oldestSeq: empty ? null : state.oldest,
      newestSeq: empty ? null : state.newest,
    },
    uncheckedFrom: cut,
    indexWrong: check?.indexWrong ?? 0,
    sampled: check?.sampled ?? null,
  };
}

/**
 * Takes the lock of `file`; blocks while another process holds it.
 *
 * @throws {PlasmiteError} Busy when it stays held
 */
export function lockPool(file: StorageFile, exclusive: boolean): void {
  inPlace(untilUnlocked(file.path, () => file.tryLock(exclusive) || null));
}

/** Checks an open file whose lock the caller holds. */
export function checkFile(
  file: StorageFile,
  ref: string,
  options: CheckOptions = {},
): CheckReport {
  const { path } = file;
  const issues: CheckIssue[] = [];
  let check: Check | null = null;
  try {
    const bytes = new Uint8Array(HEADER_USED);
    const length = file.readAt(bytes, 0);
    const view = new DataView(bytes.buffer);
    const layout = verifyLayout({ view, length }, file.size(), path);
    check = new Check(file, layout, options);
    check.run();
    issues.push(...check.issues);
  } catch (error) {
    if (!PlasmiteError.is(error)) throw error;
    const format = error.kind === ErrorKind.Usage;
    if (!format && error.kind !== ErrorKind.Corrupt) throw error;
    const code = format ? "format" : "corrupt";
    issues.push({ code, message: error.message, seq: null, offset: null, lost: null });
  }
  return report(ref, path, issues, check);
}

/**
 * Checks the pool at `path`.
 *
 * @param ref the pool reference for the report
 * @throws {PlasmiteError} NotFound, Permission, Io, or Busy when a writer does not release the lock
 */
export function checkRing(
  storage: Storage,
  path: string,
  ref: string,
  options: CheckOptions = {},
): CheckReport {
  const file = storage.open(path, { write: false });
  try {
    lockPool(file, false);
    return checkFile(file, ref, options);
  } finally {
    file.close();
  }
}
