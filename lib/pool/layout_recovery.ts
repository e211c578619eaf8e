/**
 * Determines a damaged file's layout: the header stores every value at least twice, and the file's
 * length and the frames are further evidence.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import type { StorageFile } from "../storage/storage.ts";
import { type PayloadCheck, Stretch, type WholeFrame, wholeFrames } from "./frame_scan.ts";
import { parseState, verifyLayout } from "./header.ts";
import type { Reach } from "./reach.ts";
import {
  automaticCapacity,
  HEADER_SIZE,
  HEADER_USED,
  type Layout,
  SLOT_SIZE,
  STATE_AT,
  VERSION,
} from "./layout.ts";

const MAGIC = 0x4d53_4c50; // "PLSM"

/** A layout, and how it differs from the file's own header and size. */
export interface FoundLayout {
  /** The sizes. */
  readonly layout: Layout;
  /** Whether the fixed part of the header must be rewritten. */
  readonly header: boolean;
  /** Whether the file must be truncated or extended to the layout's size. */
  readonly resize: boolean;
}

/**
 * The layout of a pool file, intact or damaged. With little evidence there can be several, the most
 * likely first.
 *
 * @param reach how far to search for frames
 * @throws {PlasmiteError} Usage for another format version, Corrupt when the file is not a pool
 */
export function findLayouts(
  file: StorageFile,
  payloads: PayloadCheck,
  reach: Reach,
): FoundLayout[] {
  const bytes = new Uint8Array(HEADER_USED);
  const length = file.readAt(bytes, 0);
  const view = new DataView(bytes.buffer);
  const size = file.size();
  try {
    const layout = verifyLayout({ view, length }, size, file.path);
    return [{ layout, header: false, resize: false }];
  } catch (error) {
    if (!PlasmiteError.is(error)) throw error;
    const version = view.getUint32(4, true);
    const magic = view.getUint32(0, true) === MAGIC;
    if (magic && version !== VERSION && version !== 0) throw error;
    const layouts = vote(file, view, size, payloads, magic, reach);
    if (layouts.length === 0) {
      throw new PlasmiteError("Corrupt", error.message, {
        path: file.path,
        hint: "Nothing of a pool can be recognised in this file, so there is nothing to repair. " +
          "Check the path, or delete the file and create the pool again.",
      });
    }
    return layouts.map((layout) => ({
      layout,
      header: !(magic && consistent(view, layout)),
      resize: size !== layout.fileSize,
    }));
  }
}

function consistent(view: DataView, layout: Layout): boolean {
  return view.getUint32(4, true) === VERSION && view.getUint8(8) === 1 &&
    view.getBigUint64(16, true) === BigInt(layout.fileSize) &&
    view.getBigUint64(24, true) === BigInt(HEADER_SIZE) &&
    view.getUint32(32, true) === layout.indexCapacity &&
    view.getBigUint64(40, true) === BigInt(layout.ringOffset) &&
    view.getBigUint64(48, true) === BigInt(layout.ringSize);
}

/** A field as a number, or -1 if it is implausible. */
function field(view: DataView, at: number): number {
  const value = view.getBigUint64(at, true);
  return value <= 0xffff_ffff_ffffn ? Number(value) : -1;
}

function vote(
  file: StorageFile,
  view: DataView,
  real: number,
  payloads: PayloadCheck,
  magic: boolean,
  reach: Reach,
): Layout[] {
  const size = field(view, 16);
  const capacity = view.getUint32(32, true);
  const offset = field(view, 40);
  const ring = field(view, 48);
  const { frames, votes } = ringOffsets(file, view, real, payloads, reach);
  const capacities = new Set([capacity, (offset - HEADER_SIZE) / SLOT_SIZE]);
  for (const at of votes.keys()) capacities.add((at - HEADER_SIZE) / SLOT_SIZE);
  // Without other evidence: after a wrap, a frame is at the very start of the ring.
  const first = frames[0]?.at ?? 0;
  capacities.add(0).add(Math.floor((first - HEADER_SIZE) / SLOT_SIZE));
  const sizes = new Set([size, real, offset + ring]);
  for (const one of sizes) if (one > HEADER_SIZE) capacities.add(automaticCapacity(one));
  const layouts: { layout: Layout; score: number; said: number }[] = [];
  let fields = 0;
  for (const fileSize of sizes) {
    for (const slots of capacities) {
      if (!Number.isInteger(slots) || slots < 0 || slots > 0xffff_ffff) continue;
      const ringOffset = HEADER_SIZE + SLOT_SIZE * slots;
      const ringSize = fileSize - ringOffset;
      // A file does not grow a thousandfold because one number in it says so.
      if (ringSize <= 0 || fileSize > Math.max(real * 1024, 1 << 24)) continue;
      const said = (slots === capacity && (slots > 0 || magic) ? 1 : 0) +
        (offset === ringOffset ? 1 : 0) + (ring === ringSize ? 1 : 0) +
        (size === fileSize ? 1 : 0);
      const score = said + (real === fileSize ? 1 : 0) +
        (slots === automaticCapacity(fileSize) ? 0.5 : 0) + (ringOffset === first ? 0.25 : 0) +
        Math.min(3, votes.get(ringOffset) ?? 0) -
        3 * frames.filter((frame) => frame.at < ringOffset).length;
      fields = Math.max(fields, said);
      layouts.push({
        layout: { fileSize, indexCapacity: slots, ringOffset, ringSize },
        score,
        said,
      });
    }
  }
  // Never turn an unrelated file into a pool.
  if (frames.length === 0 && fields < 3 && !(magic && fields >= 2)) return [];
  layouts.sort((a, b) => b.score - a.score);
  const best = layouts[0]?.score ?? 0;
  // Of equals, what the header says: a file that was cut short says less about its size.
  return layouts.filter(({ score }) => score > best - 1).sort((a, b) => b.said - a.said)
    .map(({ layout }) => layout);
}

/** The ring offsets suggested by frames, index slots and the state block. */
function ringOffsets(
  file: StorageFile,
  view: DataView,
  real: number,
  payloads: PayloadCheck,
  reach: Reach,
): { frames: readonly WholeFrame[]; votes: ReadonlyMap<number, number> } {
  const votes = new Map<number, number>();
  const add = (at: number): void => {
    if (at >= HEADER_SIZE && (at - HEADER_SIZE) % SLOT_SIZE === 0) {
      votes.set(at, (votes.get(at) ?? 0) + 1);
    }
  };
  if (real <= HEADER_SIZE) return { frames: [], votes };
  const all = new Stretch(file, HEADER_SIZE, real - HEADER_SIZE);
  const frames = wholeFrames(all, all.size, payloads, reach.limit(all.size))
    .map((frame) => ({ ...frame, at: frame.at + HEADER_SIZE, end: frame.end + HEADER_SIZE }));
  const places = new Map(frames.map((frame) => [frame.seq, frame.at]));
  const state = parseState(view, STATE_AT);
  const tail = places.get(state.oldest);
  if (tail !== undefined) add(tail - state.tail);
  for (const { seq, end } of frames) if (seq === state.newest) add(end - state.head);
  const first = frames[0];
  const index = Math.min(first === undefined ? 0 : first.at - HEADER_SIZE, 1 << 24);
  for (let at = 0; at + SLOT_SIZE <= index; at += SLOT_SIZE) {
    const i = all.load(at, SLOT_SIZE);
    const place = places.get(all.view.getBigUint64(i, true));
    if (place !== undefined) add(place - Number(all.view.getBigUint64(i + 8, true)));
  }
  return { frames, votes };
}
