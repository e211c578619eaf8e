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

/** The number and the ring offset in slot `i`. */
export function slotAt(
  file: StorageFile,
  i: number,
): { readonly seq: bigint; readonly offset: bigint } {
  const view = new DataView(new ArrayBuffer(SLOT_SIZE));
  file.readAt(new Uint8Array(view.buffer), HEADER_SIZE + i * SLOT_SIZE);
  return { seq: view.getBigUint64(0, true), offset: view.getBigUint64(8, true) };
}

/** Whether the header of message `seq` is at ring offset `at`. */
export function leadsTo(
  file: StorageFile,
  { ringOffset, ringSize }: Layout,
  at: number,
  seq: bigint,
): boolean {
  if (at % 8 !== 0 || at + FRAME_HEADER > ringSize) return false;
  const view = new DataView(new ArrayBuffer(FRAME_HEADER));
  if (file.readAt(new Uint8Array(view.buffer), ringOffset + at) < FRAME_HEADER) return false;
  const item = itemAt(view, 0, at, ringSize);
  return item.kind === "frame" && item.seq === seq;
}

/** The index of one pool. */
export class IndexCheck {
  readonly #file: StorageFile;
  readonly #layout: Layout;
  readonly #state: State;
  readonly #warnings: string[];
  /** How many slots are checked. */
  readonly #most: number;
  #slots: Stretch;
  /** The slot of the last good frame, and its number; -1 for none. */
  #slot = -1;
  #lo = -1;
  #hi = -1;
  /** Slots of live messages with a wrong offset. */
  #wrong = 0;

  /**
   * @param warnings takes what is to be told
   * @param bytes how much of the index to read at most
   */
  constructor(
    file: StorageFile,
    layout: Layout,
    state: State,
    warnings: string[],
    bytes: number,
  ) {
    this.#file = file;
    this.#layout = layout;
    this.#state = state;
    this.#warnings = warnings;
    this.#most = Math.min(layout.indexCapacity, Math.floor(bytes / SLOT_SIZE));
    this.#slots = this.#read(() => {});
  }

  #read(onRead: (at: number) => void): Stretch {
    return new Stretch(this.#file, HEADER_SIZE, this.#layout.indexCapacity * SLOT_SIZE, onRead);
  }

  /** Samples three slots and reports them as warnings: the index is only a hint. */
  sample(): void {
    const { indexCapacity: capacity, ringSize } = this.#layout;
    if (capacity === 0) return;
    for (const i of new Set([0, Math.floor(capacity / 2), capacity - 1])) {
      const { seq, offset } = slotAt(this.#file, i);
      if (seq === 0n || seq < this.#state.oldest) continue; // unused, or of a message that expired
      if (offset >= BigInt(ringSize)) {
        this.#warnings.push(
          `warning: index slot ${i} seq ${seq} points outside ring at offset ${offset}`,
        );
        continue;
      }
      if (!leadsTo(this.#file, this.#layout, Number(offset), seq)) {
        this.#warnings.push(`warning: index slot ${i} seq ${seq} is stale or invalid`);
      }
    }
  }

  /**
   * Notes a good frame: if its slot has its number, it must also have its offset. A number that is
   * one more than the last one is found without a division.
   */
  good(lo: number, hi: number, place: number): void {
    const { indexCapacity: capacity } = this.#layout;
    if (capacity === 0) return;
    const next = lo === this.#lo + 1 && hi === this.#hi
      ? this.#slot + 1
      : Number((BigInt(hi) << 32n | BigInt(lo)) % BigInt(capacity));
    const slot = next === capacity ? 0 : next;
    this.#lo = lo;
    this.#hi = hi;
    this.#slot = slot;
    if (slot >= this.#most) return;
    const at = this.#slots.load(slot * SLOT_SIZE, SLOT_SIZE);
    const { view } = this.#slots;
    if (view.getUint32(at, true) !== lo || view.getUint32(at + 4, true) !== hi) return;
    const offset = view.getUint32(at + 12, true) * 0x1_0000_0000 + view.getUint32(at + 8, true);
    if (offset !== place) this.#wrong++;
  }

  /**
   * Checks the position of every slot, after all good frames were noted.
   *
   * @returns the number of wrong slots
   */
  finish(progress: (done: number, total: number) => void): number {
    const { indexCapacity: capacity } = this.#layout;
    const most = this.#most;
    const total = most * SLOT_SIZE;
    const slots = this.#read((at) => progress(at, total));
    const beyond = this.#state.newest + BigInt(1 << 24);
    let count = this.#wrong;
    for (let i = 0; i < most; i++) {
      const at = slots.load(i * SLOT_SIZE, SLOT_SIZE);
      const seq = slots.view.getBigUint64(at, true);
      if (seq === 0n) continue;
      if (seq > beyond || seq % BigInt(capacity) !== BigInt(i)) count++;
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
