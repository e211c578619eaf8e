/**
 * The checker: reads a whole pool under the shared lock and reports every problem, first things
 * first (docs/spec/format.md 10, in the stricter form of 1.x, plus checksums and damaged
 * stretches).
 *
 * @module
 */

import { ErrorKind, PlasmiteError } from "../errors.ts";
import { sleepSync } from "../storage/pause.ts";
import type { Storage, StorageFile } from "../storage/storage.ts";
import { FIELD, frameProblem, frameState, hasMarker, itemAt, payloadLength } from "./frame.ts";
import { parseState, type State, stateProblem, verifyLayout } from "./header.ts";
import {
  COMMITTED,
  FRAME_HEADER,
  frameLength,
  HEADER_SIZE,
  HEADER_USED,
  type Layout,
  MARKER_SIZE,
  SLOT_SIZE,
  STATE_AT,
} from "./layout.ts";
import { forgotten, Judge, Stretch, wholeFrames } from "./frame_scan.ts";
import { type FoundFrame, placeAfter, scanFrames } from "./repair.ts";

/** How long to wait for a writer's lock, in milliseconds. */
const LOCK_TIMEOUT = 10_000;

/** One thing that is wrong. */
export interface CheckIssue {
  /** `corrupt`, or `format` for a version that we do not know. */
  readonly code: "corrupt" | "format";
  /** What is wrong. */
  readonly message: string;
  /** The last good sequence number before it, or null. */
  readonly seq: bigint | null;
  /** Ring offset, or null. */
  readonly offset: number | null;
  /** First and last sequence number that cannot be read because of it, or null. */
  readonly lost: { readonly first: bigint; readonly last: bigint } | null;
}

/** The result of a check. */
export interface CheckReport {
  /** The pool as it was asked for. */
  readonly poolRef: string;
  /** The path of the file. */
  readonly path: string;
  /** `corrupt` when there is at least one issue. */
  readonly status: "ok" | "corrupt";
  /** The last sequence number up to which all is well; null when none is or the pool is empty. */
  readonly lastGoodSeq: bigint | null;
  /** Every problem, in the order it was met. */
  readonly issues: readonly CheckIssue[];
  /** `issues.length`. */
  readonly issueCount: number;
  /** What to do; remarks that are no damage begin with `warning: `. */
  readonly remediationHints: readonly string[];
  /** Always null: no copy is made. */
  readonly snapshotPath: null;
  /** Number of retained messages, as the header says; 0 when the header is damaged. */
  readonly messageCount: bigint;
  /** The bounds, as the header says. */
  readonly bounds: { readonly oldestSeq: bigint | null; readonly newestSeq: bigint | null };
  /** How many index slots name a wrong place; no damage, for the index is a hint only. */
  readonly indexWrong: number;
}

/** How a pool is checked. */
export interface CheckOptions {
  /** Whether every payload must be a message that can be read; default false: any bytes will do. */
  readonly messages?: boolean;
}

class Check {
  readonly issues: CheckIssue[] = [];
  readonly warnings: string[] = [];
  lastGood: bigint | null = null;
  state: State | null = null;
  indexWrong = 0;
  readonly #judge: Judge;
  #found: readonly FoundFrame[] | null = null;

  constructor(readonly file: StorageFile, readonly layout: Layout, judge: Judge) {
    this.#judge = judge;
  }

  #issue(message: string, offset: number | null, lost: CheckIssue["lost"] = null): void {
    this.issues.push({ code: "corrupt", message, seq: this.lastGood, offset, lost });
  }

  run(): void {
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
    if (state.oldest === 0n) {
      this.#lookForForgotten(state);
      return;
    }
    const places = this.#walk(state);
    this.#sampleIndex(state);
    this.#checkIndex(state, places);
  }

  /** A state block that says "empty" above a ring that is not. */
  #lookForForgotten(state: State): void {
    const ring = new Stretch(this.file, this.layout.ringOffset, this.layout.ringSize);
    const frames = wholeFrames(ring, ring.size, this.#judge);
    if (forgotten(ring, frames, state)) this.#issue("state block is empty, the ring is not", null);
  }

  /**
   * Follows the chain from the tail; behind a break it goes on at the next frame it finds. Returns
   * the places of the good frames by number.
   */
  #walk(state: State): ReadonlyMap<bigint, number> {
    const { ringSize } = this.layout;
    const places = new Map<bigint, number>();
    let at = state.tail;
    let seq = state.oldest;
    let jumped = true;
    while (seq <= state.newest) {
      const first = seq === state.oldest;
      const place = jumped ? at : placeAfter(this.file, this.layout, at);
      jumped = false;
      const found = first && ringSize - at < FRAME_HEADER
        ? { problem: "tail points at ring padding", end: 0, fatal: true }
        : this.#frame(place, seq, first);
      if (first && !found.fatal && found.end % ringSize !== state.tailNext) {
        this.#issue("tail_next mismatch", place);
      }
      if (found.problem === null) {
        if (this.issues.length === 0) this.lastGood = seq;
        places.set(seq, place);
      }
      if (!found.fatal) {
        if (found.problem !== null) this.#issue(found.problem, place, { first: seq, last: seq });
        at = found.end % ringSize;
        seq++;
        continue;
      }
      const next = this.#nextFound(state, seq, place);
      const last = next === null ? state.newest : next.seq - 1n;
      // A tail on a wrap marker or in padding, as 0.8 leaves it, loses nothing by itself.
      this.#issue(found.problem ?? "", place, last < seq ? null : { first: seq, last });
      if (next === null) return places;
      at = next.at;
      seq = next.seq;
      jumped = true;
    }
    if (at !== state.head) this.#issue("head offset mismatch", at);
    return places;
  }

  /** The frame with the lowest number from `seq` on that stands anywhere else than at `place`. */
  #nextFound(state: State, seq: bigint, place: number): FoundFrame | null {
    this.#found ??= scanFrames(this.file, this.layout, state.oldest, state.newest)
      .sort((a, b) => a.seq < b.seq ? -1 : a.seq > b.seq ? 1 : a.at - b.at);
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

  /** Judges one frame whole; `fatal` when its length cannot be trusted. */
  #frame(
    at: number,
    seq: bigint,
    first: boolean,
  ): { problem: string | null; end: number; fatal: boolean } {
    const { ringOffset, ringSize } = this.layout;
    const header = new Uint8Array(FRAME_HEADER);
    const view = new DataView(header.buffer);
    const fatal = (problem: string) => ({ problem, end: 0, fatal: true });
    if (this.file.readAt(header, ringOffset + at) !== FRAME_HEADER) {
      return fatal("frame header too small");
    }
    const problem = frameProblem(view, 0, ringSize);
    if (problem !== null) return fatal(problem);
    if (frameState(view, 0) !== COMMITTED) {
      return fatal(first ? "tail frame is not committed" : "unexpected frame state");
    }
    const item = itemAt(view, 0, at, ringSize);
    if (item.kind === "bad") return fatal(item.problem);
    if (item.seq !== seq) return fatal(first ? "tail seq mismatch" : "seq mismatch");
    const payload = payloadLength(view, 0);
    const frame = new Uint8Array(frameLength(payload));
    const frameView = new DataView(frame.buffer);
    const got = this.file.readAt(frame, ringOffset + at);
    if (got < FRAME_HEADER + payload + MARKER_SIZE) return fatal("file is truncated");
    if (!hasMarker(frameView, FRAME_HEADER + payload)) {
      return { problem: "missing frame commit marker", end: item.end, fatal: false };
    }
    const crc = view.getUint32(FIELD.crc, true);
    const wrong = this.#judge.problem(frame, frameView, FRAME_HEADER, payload, crc);
    if (wrong !== null) return { problem: wrong, end: item.end, fatal: false };
    return { problem: null, end: item.end, fatal: false };
  }

  /** Three slots, as warnings: the index is a hint only. */
  #sampleIndex(state: State): void {
    const { indexCapacity: capacity, ringOffset, ringSize } = this.layout;
    if (capacity === 0) return;
    const slot = new Uint8Array(SLOT_SIZE);
    const view = new DataView(slot.buffer);
    const header = new Uint8Array(FRAME_HEADER);
    const headerView = new DataView(header.buffer);
    for (const i of new Set([0, Math.floor(capacity / 2), capacity - 1])) {
      this.file.readAt(slot, HEADER_SIZE + i * SLOT_SIZE);
      const seq = view.getBigUint64(0, true);
      const offset = view.getBigUint64(8, true);
      if (seq === 0n || seq < state.oldest) continue; // unused, or of a message that expired
      if (offset >= BigInt(ringSize)) {
        this.warnings.push(
          `warning: index slot ${i} seq ${seq} points outside ring at offset ${offset}`,
        );
        continue;
      }
      const got = this.file.readAt(header, ringOffset + Number(offset));
      const item = got < FRAME_HEADER ? null : itemAt(headerView, 0, Number(offset), ringSize);
      if (item === null || item.kind !== "frame" || item.seq !== seq) {
        this.warnings.push(`warning: index slot ${i} seq ${seq} is stale or invalid`);
      }
    }
  }

  /** Every slot: one that names a live message must name its place, and stand where it belongs. */
  #checkIndex(state: State, places: ReadonlyMap<bigint, number>): void {
    const { indexCapacity: capacity } = this.layout;
    const slots = new Stretch(this.file, HEADER_SIZE, capacity * SLOT_SIZE);
    for (let i = 0; i < capacity; i++) {
      const at = slots.load(i * SLOT_SIZE, SLOT_SIZE);
      const seq = slots.view.getBigUint64(at, true);
      if (seq === 0n) continue;
      const offset = slots.view.getBigUint64(at + 8, true);
      const place = places.get(seq);
      const wrong = place === undefined
        ? seq > state.newest + BigInt(1 << 24)
        : offset !== BigInt(place);
      if (wrong || seq % BigInt(capacity) !== BigInt(i)) this.indexWrong++;
    }
    if (this.indexWrong > 0) {
      this.warnings.push(
        `warning: ${this.indexWrong} of ${capacity} index slots are wrong; reading by number falls ` +
          "back to searching. `plasmite doctor --repair` rebuilds the index",
      );
    }
  }
}

function report(
  ref: string,
  path: string,
  issues: readonly CheckIssue[],
  check: Check | null,
): CheckReport {
  const state = check?.state ?? null;
  const empty = state === null || state.oldest === 0n || state.oldest > state.newest;
  const word = /^[A-Za-z0-9\-_./:=]+$/.test(ref) ? ref : JSON.stringify(ref);
  const hints = issues.length === 0
    ? []
    : [`Run \`plasmite doctor ${word} --repair\` to back the pool up and repair it in place.`];
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
    indexWrong: check?.indexWrong ?? 0,
  };
}

/** Takes the lock of `file`, waiting a while. */
export function lockPool(file: StorageFile, exclusive: boolean): void {
  for (let waited = 0; !file.tryLock(exclusive); waited++) {
    if (waited >= LOCK_TIMEOUT) {
      throw new PlasmiteError("Busy", "resource is busy", {
        path: file.path,
        hint: "Another process holds the pool's lock. Retry with a pause.",
      });
    }
    sleepSync(1);
  }
}

/** Checks an open file whose lock the caller holds. */
export function checkFile(
  file: StorageFile,
  ref: string,
  options: CheckOptions = {},
): CheckReport {
  const { path } = file;
  const { messages = false } = options;
  const issues: CheckIssue[] = [];
  let check: Check | null = null;
  try {
    const bytes = new Uint8Array(HEADER_USED);
    const length = file.readAt(bytes, 0);
    const view = new DataView(bytes.buffer);
    const layout = verifyLayout({ view, length }, file.size(), path);
    check = new Check(file, layout, new Judge(messages));
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
 * @param ref what the pool was called, for the report
 * @throws {PlasmiteError} NotFound, Permission, Io, or Busy when a writer keeps the lock
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
