/**
 * Reads and deletes cursors and work groups alike
 * (docs/spec/coordination.md 2 and 8.1).
 *
 * @module
 */

import { ErrorKind, PlasmiteError } from "../errors.ts";
import { type RecordFile, removeRecordFile } from "../storage/record_file.ts";
import { inUse, openExisting } from "./cursor_file.ts";
import { type CursorRecord, parseCursor } from "./cursor_record.ts";
import { type GroupRecord, parseGroup } from "./group_record.ts";
import { readCurrent } from "./record_store.ts";
import { CURSOR_SLOT, GROUP_SLOT } from "./slots.ts";

/** How often to reread a file that looks damaged, because a write may be in progress. */
const READS = 3;

/** The content of a file. */
export type Entry =
  | { readonly kind: "cursor"; readonly record: CursorRecord; readonly held: boolean }
  | { readonly kind: "group"; readonly record: GroupRecord }
  | { readonly kind: "cursor" | "group"; readonly record: null; readonly error: PlasmiteError };

function kindOf(file: RecordFile): "cursor" | "group" {
  return file.size() > 2 * CURSOR_SLOT ? "group" : "cursor";
}

/**
 * Reads a cursor or group without disturbing its user.
 *
 * @returns null if it does not exist, or was created but never written
 * @throws {PlasmiteError} Permission, Io
 */
export function readEntry(poolPath: string, name: string, dir?: string): Entry | null {
  let file: RecordFile;
  try {
    file = openExisting(poolPath, name, { dir, write: false });
  } catch (error) {
    if (PlasmiteError.is(error, ErrorKind.NotFound)) return null;
    throw error;
  }
  try {
    for (let read = 1;; read++) {
      try {
        return parsed(file);
      } catch (error) {
        if (!PlasmiteError.is(error, ErrorKind.Corrupt)) throw error;
        if (read === READS) return { kind: kindOf(file), record: null, error };
      }
    }
  } finally {
    file.close();
  }
}

function parsed(file: RecordFile): Entry | null {
  if (kindOf(file) === "group") {
    const { record } = readCurrent(file, GROUP_SLOT, parseGroup);
    return record === null ? null : { kind: "group", record };
  }
  const { record } = readCurrent(file, CURSOR_SLOT, parseCursor);
  if (record === null) return null;
  // A shared lock, so that two readers do not mistake each other for a user.
  const held = !file.tryLock(true);
  if (!held) file.unlock();
  return { kind: "cursor", record, held };
}

/**
 * Deletes a cursor or a group.
 *
 * @returns false if a group is briefly in use: try again shortly
 * @throws {PlasmiteError} NotFound; Busy while a process holds the cursor; Permission, Io
 */
export function removeEntry(poolPath: string, name: string, dir?: string): boolean {
  const file = openExisting(poolPath, name, { dir });
  try {
    if (!file.tryLock()) {
      if (kindOf(file) === "group") return false;
      throw inUse(name, file);
    }
    if (!file.isCurrent()) return false;
    removeRecordFile(file.path);
    return true;
  } finally {
    file.close();
  }
}
