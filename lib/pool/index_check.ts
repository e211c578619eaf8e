/**
 * Checks the index of a pool. It is only a hint, so what is wrong in it is no damage.
 *
 * @module
 */

import type { StorageFile } from "../storage/storage.ts";
import { itemAt } from "./frame.ts";
import { Stretch } from "./frame_scan.ts";
import type { State } from "./header.ts";
import { FRAME_HEADER, HEADER_SIZE, type Layout, SLOT_SIZE } from "./layout.ts";

/**
 * Ring offsets by sequence number: one list for each run of consecutive numbers, in ascending
 * order.
 */
export class Places {
  readonly #runs: { readonly first: bigint; readonly at: number[] }[] = [];

  /** Records the ring offset of `seq`; numbers must be added in ascending order. */
  set(seq: bigint, at: number): void {
    const run = this.#runs.at(-1);
    if (run !== undefined && seq === run.first + BigInt(run.at.length)) run.at.push(at);
    else this.#runs.push({ first: seq, at: [at] });
  }

  /** The ring offset of a message; -1 if unknown. */
  get(seq: bigint): number {
    let lo = 0;
    for (let hi = this.#runs.length; lo < hi;) {
      const mid = (lo + hi) >> 1;
      if ((this.#runs[mid]?.first ?? 0n) <= seq) lo = mid + 1;
      else hi = mid;
    }
    const run = this.#runs[lo - 1];
    if (run === undefined || seq - run.first >= BigInt(run.at.length)) return -1;
    return run.at[Number(seq - run.first)] ?? -1;
  }
}

/** The index of one pool. */
export class IndexCheck {
  readonly #file: StorageFile;
  readonly #layout: Layout;
  readonly #state: State;
  readonly #warnings: string[];

  /** @param warnings takes what is to be told */
  constructor(file: StorageFile, layout: Layout, state: State, warnings: string[]) {
    this.#file = file;
    this.#layout = layout;
    this.#state = state;
    this.#warnings = warnings;
  }

  /** Samples three slots and reports them as warnings: the index is only a hint. */
  sample(): void {
    const { indexCapacity: capacity, ringOffset, ringSize } = this.#layout;
    if (capacity === 0) return;
    const slot = new Uint8Array(SLOT_SIZE);
    const view = new DataView(slot.buffer);
    const header = new Uint8Array(FRAME_HEADER);
    const headerView = new DataView(header.buffer);
    for (const i of new Set([0, Math.floor(capacity / 2), capacity - 1])) {
      this.#file.readAt(slot, HEADER_SIZE + i * SLOT_SIZE);
      const seq = view.getBigUint64(0, true);
      const offset = view.getBigUint64(8, true);
      if (seq === 0n || seq < this.#state.oldest) continue; // unused, or of a message that expired
      if (offset >= BigInt(ringSize)) {
        this.#warnings.push(
          `warning: index slot ${i} seq ${seq} points outside ring at offset ${offset}`,
        );
        continue;
      }
      const got = this.#file.readAt(header, ringOffset + Number(offset));
      const item = got < FRAME_HEADER ? null : itemAt(headerView, 0, Number(offset), ringSize);
      if (item === null || item.kind !== "frame" || item.seq !== seq) {
        this.#warnings.push(`warning: index slot ${i} seq ${seq} is stale or invalid`);
      }
    }
  }

  /**
   * Checks every slot: one with the number of a live message must have its offset and be in the
   * right position.
   *
   * @param places where the live messages are
   * @param bytes how much of the index to read at most
   * @returns the number of wrong slots
   */
  check(
    places: Places,
    bytes: number,
    progress: (done: number, total: number) => void,
  ): number {
    const { indexCapacity: capacity } = this.#layout;
    let count = 0;
    const most = Math.min(capacity, Math.floor(bytes / SLOT_SIZE));
    const total = most * SLOT_SIZE;
    const slots = new Stretch(
      this.#file,
      HEADER_SIZE,
      capacity * SLOT_SIZE,
      (at) => progress(at, total),
    );
    for (let i = 0; i < most; i++) {
      const at = slots.load(i * SLOT_SIZE, SLOT_SIZE);
      const seq = slots.view.getBigUint64(at, true);
      if (seq === 0n) continue;
      const offset = slots.view.getBigUint64(at + 8, true);
      const place = places.get(seq);
      const wrong = place < 0
        ? seq > this.#state.newest + BigInt(1 << 24)
        : offset !== BigInt(place);
      if (wrong || seq % BigInt(capacity) !== BigInt(i)) count++;
    }
    if (most < capacity) {
      this.#warnings.push(
        `warning: of ${capacity} index slots only the first ${most} were checked`,
      );
    }
    if (count > 0) {
      this.#warnings.push(
        `warning: ${count} of ${capacity} index slots are wrong; reading by number falls ` +
          "back to searching. A repair rebuilds the index",
      );
    }
    return count;
  }
}
