/**
 * The file of a work group: locked for single operations only, never while a task is processed
 * (docs/spec/coordination.md 8).
 *
 * @module
 */

import { ErrorKind, PlasmiteError } from "../errors.ts";
import { openRecordFile, type RecordFile } from "../storage/record_file.ts";
import { checkKind, openExisting, recordPath } from "./cursor_file.ts";
import { type GroupRecord, parseGroup, printGroup } from "./group_record.ts";
import { type Current, readCurrent, writeCurrent } from "./record_store.ts";
import { fitsSlot, GROUP_SLOT } from "./slots.ts";

/** The largest filter that a group stores, in bytes of its JSON text. */
const LARGEST_FILTER = 8 * 1024;

/** A group's file under its lock, for one operation. */
export interface LockedGroup {
  /** The record; null if the group is new. */
  readonly record: GroupRecord | null;
  /**
   * Saves a record.
   *
   * @returns false, without writing anything, if it does not fit
   */
  save(record: GroupRecord): boolean;
}

/**
 * Runs one operation under a group's lock.
 *
 * @param options `create`: whether to create a missing file
 * @returns null if another process holds the lock: try again shortly
 * @throws {PlasmiteError} Usage for a bad name or a cursor, NotFound, Corrupt, Permission, Io
 */
export function withGroup<T>(
  poolPath: string,
  name: string,
  options: { readonly dir?: string | undefined; readonly create: boolean },
  work: (group: LockedGroup) => T,
): { readonly value: T } | null {
  const { dir, create } = options;
  const file = create
    ? openRecordFile(recordPath(poolPath, name, dir), { like: poolPath })
    : openExisting(poolPath, name, { dir });
  try {
    if (!file.tryLock()) return null;
    if (!file.isCurrent()) return null; // Deleted between open and lock.
    return { value: work(lockedGroup(file, name)) };
  } finally {
    file.close();
  }
}

function lockedGroup(file: RecordFile, name: string): LockedGroup {
  checkKind(file, name, "group");
  let current: Current<GroupRecord> = readCurrent(file, GROUP_SLOT, parseGroup);
  return {
    get record() {
      return current.record;
    },
    save: (record) => {
      const json = printGroup(record);
      if (!fitsSlot(json, GROUP_SLOT)) return false;
      current = writeCurrent(file, GROUP_SLOT, current, record, json, false);
      return true;
    },
  };
}

/** The number of bytes at the start of a slot that include the write number. */
const MARK = 48;

/**
 * A value that changes with each write of a group's file, read cheaply and without its lock; empty
 * for a group that does not exist.
 */
export function groupMark(poolPath: string, name: string, dir?: string): string {
  try {
    const file = openExisting(poolPath, name, { dir, write: false });
    try {
      const decoder = new TextDecoder();
      return [0, GROUP_SLOT].map((at) => decoder.decode(file.read(MARK, at))).join("|");
    } finally {
      file.close();
    }
  } catch (error) {
    if (PlasmiteError.is(error, ErrorKind.NotFound)) return "";
    throw error;
  }
}

/**
 * Rejects a filter that is too large to be stored.
 *
 * @throws {PlasmiteError} Usage
 */
export function checkFilter(tags: readonly string[], where: readonly string[]): void {
  const bytes = new TextEncoder().encode(JSON.stringify({ tags, where })).length;
  if (bytes <= LARGEST_FILTER) return;
  throw new PlasmiteError("Usage", `The filter of a group takes ${bytes} bytes`, {
    hint: `A group keeps its filter; use ${LARGEST_FILTER} bytes of tags and conditions at most.`,
  });
}
