/**
 * The file of a named cursor: held by one reader at a time, moved forward as messages are
 * acknowledged (docs/spec/coordination.md 2).
 *
 * @module
 */

import { ErrorKind, PlasmiteError } from "../errors.ts";
import { openRecordFile, type RecordFile, recordNames } from "../storage/record_file.ts";
import { type CursorRecord, parseCursor, printCursor, versionOf } from "./cursor_record.ts";
import { checkCursorName } from "./names.ts";
import { type Current, readCurrent, writeCurrent } from "./record_store.ts";
import { CURSOR_SLOT, decodeSlot, GROUP_SLOT } from "./slots.ts";

const SUFFIX = ".plasmite";
/** How often to reopen a file that was replaced while it was being locked. */
const REOPENS = 16;

/**
 * The directory of a pool's cursors: the pool's name with `.cursors` for `.plasmite`.
 *
 * @param dir another directory, for readers without permission to write next to the pool
 */
export function cursorDir(poolPath: string, dir?: string): string {
  const base = poolPath.endsWith(SUFFIX) ? poolPath.slice(0, -SUFFIX.length) : poolPath;
  if (dir === undefined) return `${base}.cursors`;
  return `${dir}/${base.slice(base.lastIndexOf("/") + 1)}.cursors`;
}

/** Identity and position of a record in its pool. */
export interface Position {
  /** Everything up to this sequence number is done. */
  readonly seq: bigint;
  /** Time of that message in nanoseconds since 1970; 0 if unknown. */
  readonly ns: bigint;
  /** Identity of the pool as 32 hex digits; empty if it has none. */
  readonly pool: string;
}

let host: string | null = null;

/** The name of this machine; empty without permission to read it. */
export function hostname(): string {
  if (host !== null) return host;
  try {
    return host = Deno.hostname();
  } catch {
    return host = ""; // Without --allow-sys the record does not contain it.
  }
}

/** The error for a cursor or group that does not exist. */
export function missing(name: string, path: string): PlasmiteError {
  return new PlasmiteError("NotFound", `There is no cursor or group ${name}`, {
    path,
    hint: "List the cursors of the pool to see their names.",
    details: { cursor: name },
  });
}

/**
 * Opens the file of an existing cursor or group.
 *
 * @throws {PlasmiteError} Usage for a bad name, NotFound, Permission, Io
 */
export function openExisting(
  poolPath: string,
  name: string,
  { dir, write = true }: { readonly dir?: string | undefined; readonly write?: boolean } = {},
): RecordFile {
  const path = recordPath(poolPath, name, dir);
  try {
    return openRecordFile(path, { write });
  } catch (error) {
    throw PlasmiteError.is(error, ErrorKind.NotFound) ? missing(name, path) : error;
  }
}

/** The file of a cursor or group. Throws Usage for a bad name. */
export function recordPath(poolPath: string, name: string, dir?: string): string {
  return `${cursorDir(poolPath, dir)}/${checkCursorName(name)}`;
}

/** The error for a file of the wrong kind (cursor or group). */
function wrongKind(name: string, path: string, wanted: "cursor" | "group"): PlasmiteError {
  const other = wanted === "cursor" ? "group" : "cursor";
  return new PlasmiteError("Usage", `${name} is a ${other}, not a ${wanted}`, {
    path,
    hint: `Use another name for the ${wanted}.`,
  });
}

/**
 * Rejects a file with a record of the other kind in either slot. Such a file must not be treated as
 * damaged, because repairing it would destroy it.
 *
 * @throws {PlasmiteError} Usage
 */
export function checkKind(file: RecordFile, name: string, wanted: "cursor" | "group"): void {
  const size = wanted === "cursor" ? GROUP_SLOT : CURSOR_SLOT;
  const bytes = file.read(2 * size);
  for (const slot of [0, 1]) {
    const piece = bytes.subarray(slot * size, (slot + 1) * size);
    const json = piece.length === size ? decodeSlot(piece) : null;
    if (json !== null && versionOf(json) === (wanted === "cursor" ? 2 : 1)) {
      throw wrongKind(name, file.path, wanted);
    }
  }
}

/** A cursor held by this process. */
export class CursorFile {
  /** Its name. */
  readonly name: string;
  readonly #file: RecordFile;
  #current: Current<CursorRecord>;

  private constructor(name: string, file: RecordFile) {
    this.name = name;
    this.#file = file;
    this.#current = readCurrent(file, CURSOR_SLOT, parseCursor);
  }

  /**
   * Acquires the cursor for this process.
   *
   * @param poolPath the pool's file
   * @param options `dir`: the directory of the cursors, instead of next to the pool; `create`:
   *   whether to create a missing one; `repair`: whether to treat a damaged one as new
   * @throws {PlasmiteError} Usage for a bad name or a group, NotFound, Busy while another process
   *   holds it (`cursor`, `pid`, `host`), Corrupt, Permission, Io
   */
  static open(
    poolPath: string,
    name: string,
    options: { readonly dir?: string | undefined; readonly create: boolean; repair?: boolean },
  ): CursorFile {
    const { dir, create } = options;
    for (let opened = 0;; opened++) {
      const file = create
        ? openRecordFile(recordPath(poolPath, name, dir), { like: poolPath })
        : openExisting(poolPath, name, { dir });
      try {
        if (!file.tryLock()) throw inUse(name, file);
        if (file.isCurrent()) {
          checkKind(file, name, "cursor");
          if (options.repair === true) repair(file);
          return new CursorFile(name, file);
        }
        // Deleted between open and lock: use the file that the path refers to now.
        if (opened >= REOPENS) throw inUse(name, file);
      } catch (error) {
        file.close();
        throw error;
      }
      file.close();
    }
  }

  /** The record; null if the cursor is new. */
  get record(): CursorRecord | null {
    return this.#current.record;
  }

  /** The path of its file. */
  get path(): string {
    return this.#file.path;
  }

  /**
   * Saves a position.
   *
   * @param flush whether it must be on stable storage before this returns
   * @throws {PlasmiteError} Io
   */
  save(position: Position, flush = false): void {
    this.#write(position, new Date().toISOString(), flush);
  }

  /**
   * Records this process as the holder; the position is unchanged. Does nothing for a new cursor.
   */
  sign(): void {
    const { record } = this.#current;
    if (record !== null) this.#write(record, record.acked, false);
  }

  #write(position: Position, acked: string, flush: boolean): void {
    const former = this.#current.record;
    const record: CursorRecord = {
      gen: (former?.gen ?? 0) + 1,
      pool: position.pool,
      seq: position.seq,
      ns: position.ns,
      first: former?.first ?? position.seq,
      acked,
      pid: Deno.pid,
      host: hostname(),
    };
    const json = printCursor(record);
    this.#current = writeCurrent(this.#file, CURSOR_SLOT, this.#current, record, json, flush);
  }

  /** Releases the cursor. */
  close(): void {
    this.#file.close();
  }
}

/** Clears a damaged file, so that it is treated as new. */
function repair(file: RecordFile): void {
  try {
    readCurrent(file, CURSOR_SLOT, parseCursor);
  } catch (error) {
    if (!PlasmiteError.is(error, ErrorKind.Corrupt)) throw error;
    file.write(new Uint8Array(2 * CURSOR_SLOT).fill(0x20), 0);
  }
}

/** The error for a cursor that another process holds. */
export function inUse(name: string, file: RecordFile): PlasmiteError {
  let record: CursorRecord | null = null;
  try {
    record = readCurrent(file, CURSOR_SLOT, parseCursor).record;
  } catch (error) {
    if (!PlasmiteError.is(error, ErrorKind.Corrupt)) throw error;
  }
  const by = record === null ? "another process" : `pid ${record.pid}`;
  const on = record === null || record.host === "" ? "" : ` on ${record.host}`;
  return new PlasmiteError("Busy", `Cursor ${name} is in use by ${by}${on}`, {
    path: file.path,
    hint: "A cursor has one reader at a time; use another name, or end the other reader.",
    details: {
      cursor: name,
      pid: record === null ? null : BigInt(record.pid),
      host: record?.host ?? null,
    },
  });
}

/** Names of all cursors and groups of a pool, sorted. */
export function cursorNames(poolPath: string, dir?: string): string[] {
  return recordNames(cursorDir(poolPath, dir)).filter((name) => {
    try {
      return checkCursorName(name) === name;
    } catch {
      return false; // Other files in the directory are ignored.
    }
  });
}
