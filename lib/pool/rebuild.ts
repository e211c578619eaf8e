/**
 * Repairs a damaged pool in place, with the exclusive lock held from the first read to the last
 * write: a new file would detach every open handle (docs/spec/format.md 14.6).
 *
 * @module
 */

import { ErrorKind, PlasmiteError } from "../errors.ts";
import type { Storage, StorageFile } from "../storage/storage.ts";
import { checkFile, type CheckReport, lockPool } from "./check.ts";
import { PayloadCheck, Stretch } from "./frame_scan.ts";
import { wrapMarker } from "./frame.ts";
import { newHeader, parseState, publishState } from "./header.ts";
import { findLayouts, type FoundLayout } from "./layout_recovery.ts";
import { HEADER_SIZE, HEADER_USED, type Layout, SLOT_SIZE, STATE_AT } from "./layout.ts";
import { Reach } from "./reach.ts";
import { planSalvage, type Salvage } from "./salvage.ts";

/** Index slots per write. */
const SLOTS = 1 << 14;

/** What a repair would do, or why it is not possible. */
export interface Prognosis {
  /** The plan; null when nothing can be repaired. */
  readonly salvage: Salvage | null;
  /** The layout the plan is for. */
  readonly found: FoundLayout | null;
  /** Why there is no plan. */
  readonly refusal: string;
  /** The ring offset at which the search stopped; null if everything was searched. */
  readonly uncheckedFrom: number | null;
}

/** Called from time to time with the bytes checked so far and the total. */
type Progress = (done: number, total: number) => void;

/** Plans a repair without writing anything. The caller holds a lock. */
function prognose(file: StorageFile, messages: boolean, progress: Progress): Prognosis {
  const payloads = new PayloadCheck(messages);
  const reach = new Reach(file);
  const none = (refusal: string): Prognosis => ({
    salvage: null,
    found: null,
    refusal,
    uncheckedFrom: reach.cutAt,
  });
  try {
    const bytes = new Uint8Array(HEADER_USED);
    file.readAt(bytes, 0);
    const state = parseState(new DataView(bytes.buffer), STATE_AT);
    let best: Prognosis | null = null;
    for (const found of findLayouts(file, payloads, reach)) {
      const { layout, header, resize } = found;
      const until = reach.limit(layout.ringSize);
      const ring = new Stretch(
        file,
        layout.ringOffset,
        layout.ringSize,
        (at) => progress(Math.min(at, until), until),
      );
      const salvage = planSalvage(ring, layout, state, payloads, header || resize, until);
      if (salvage.saved > (best?.salvage?.saved ?? -1)) best = { ...none(""), salvage, found };
    }
    if (best === null) return none("Nothing of a pool is left.");
    // Nothing was found, but not everything was searched: write nothing.
    return best.salvage?.saved === 0 && reach.cutAt !== null
      ? none(
        `No message was found in the first ${reach.cutAt} bytes of the ring, and the file is mostly ` +
          `holes: ${reach.allocated} of ${file.size()} bytes are on the disk. ` +
          "Delete the file and create the pool again.",
      )
      : best;
  } catch (error) {
    if (!PlasmiteError.is(error) || error.kind === ErrorKind.Io) throw error;
    return none(error.hint ?? error.message);
  }
}

/**
 * Checks the pool at `path` like {@linkcode checkRing} with messages, and for a damaged one also
 * plans a repair. Writes nothing.
 *
 * @throws {PlasmiteError} NotFound, Permission, Io, or Busy when a writer does not release the lock
 */
export function diagnoseRing(
  storage: Storage,
  path: string,
  ref: string,
  progress: (done: number, total: number) => void = () => {},
): { readonly report: CheckReport; readonly prognosis: Prognosis | null } {
  const file = storage.open(path, { write: false });
  try {
    lockPool(file, false);
    const report = checkFile(file, ref, { messages: true, progress: progress });
    return { report, prognosis: report.status === "ok" ? null : prognose(file, true, progress) };
  } finally {
    file.close();
  }
}

/** Options of a repair. */
export interface RepairOptions {
  /** Whether every payload must be a readable message. */
  readonly messages?: boolean;
  /** Called from time to time with the bytes checked so far and the total. */
  readonly progress?: (done: number, total: number) => void;
  /** Copies the damaged file before anything is changed; returns the path of the copy. */
  readonly backup: (file: StorageFile) => string | null;
}

/** The result of a repair. */
export interface RepairReport {
  /** The report before the repair. */
  readonly before: CheckReport;
  /** The report after the repair; the same object if nothing was done. */
  readonly after: CheckReport;
  /** What was done; null if nothing was. */
  readonly salvage: Salvage | null;
  /** Whether the file was truncated or extended, and whether its header was rewritten. */
  readonly layout: { readonly resized: boolean; readonly header: boolean };
  /** The path of the backup of the damaged file; null if there is none. */
  readonly backupPath: string | null;
}

/**
 * Repairs the pool at `path`; a healthy one is left alone.
 *
 * @throws {PlasmiteError} NotFound, Permission, Busy, Io (also when there is no space for the
 *   backup); Corrupt when the file is not recognised as a pool, Usage for another format version
 */
export function repairRing(
  storage: Storage,
  path: string,
  ref: string,
  options: RepairOptions,
): RepairReport {
  const file = storage.open(path, { write: true });
  try {
    lockPool(file, true);
    const { messages = false, progress = () => {} } = options;
    const before = checkFile(file, ref, { messages, progress });
    const none = { resized: false, header: false };
    if (before.status === "ok" && before.indexWrong === 0) {
      return { before, after: before, salvage: null, layout: none, backupPath: null };
    }
    const { salvage, found, refusal } = prognose(file, messages, progress);
    if (salvage === null || found === null) {
      const format = before.issues[0]?.code === "format";
      throw new PlasmiteError(format ? "Usage" : "Corrupt", before.issues[0]?.message ?? "", {
        path,
        hint: refusal,
      });
    }
    const backupPath = options.backup(file);
    const { header, resize } = found;
    apply(file, found.layout, salvage, header, resize);
    const after = checkFile(file, ref, { messages, progress });
    return { before, after, salvage, layout: { resized: resize, header }, backupPath };
  } finally {
    file.close();
  }
}

/**
 * Writes a repair. The lock is held and a backup exists. If the process is killed, the old state
 * block remains and only holes of the ring have changed, so the next repair finds the same frames.
 * Readers without a lock see a damaged frame or its replacement, never a mixture that passes their
 * checks.
 */
function apply(
  file: StorageFile,
  layout: Layout,
  salvage: Salvage,
  header: boolean,
  resize: boolean,
): void {
  if (resize) file.resize(layout.fileSize);
  if (header) file.writeAt(newHeader(layout).subarray(0, STATE_AT), 0);
  for (const { at, bytes } of salvage.writes) {
    file.writeAt(bytes === null ? wrapMarker() : bytes(), layout.ringOffset + at);
  }
  writeIndex(file, layout, salvage);
  // The state block refers to the new frames, so they must be on disk first.
  file.sync();
  publishState(file, salvage.state);
  file.sync();
}

/** Rewrites the index slots of the live messages that differ. */
function writeIndex(file: StorageFile, layout: Layout, { state, places }: Salvage): void {
  const { indexCapacity: capacity } = layout;
  if (capacity === 0) return;
  const count = Math.min(places.length, capacity);
  const first = state.newest - BigInt(count) + 1n;
  const start = Number(first % BigInt(capacity));
  for (let from = 0; from < capacity; from += SLOTS) {
    const length = Math.min(SLOTS, capacity - from);
    const bytes = new Uint8Array(length * SLOT_SIZE);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < length; i++) {
      // The live messages occupy `count` consecutive slots, wrapping at the end of the table.
      const nth = (from + i - start + capacity) % capacity;
      if (nth >= count) continue;
      view.setBigUint64(i * SLOT_SIZE, first + BigInt(nth), true);
      const place = places[places.length - count + nth] ?? 0;
      view.setBigUint64(i * SLOT_SIZE + 8, BigInt(place), true);
    }
    const old = new Uint8Array(bytes.length);
    file.readAt(old, HEADER_SIZE + from * SLOT_SIZE);
    if (!equal(old, bytes)) file.writeAt(bytes, HEADER_SIZE + from * SLOT_SIZE);
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
