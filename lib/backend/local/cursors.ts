/**
 * Named cursors of a pool file: a stored position, held by one reader at a time
 * (docs/spec/coordination.md 2).
 *
 * @module
 */

import { CursorFile, cursorNames, missing, type Position } from "../../coordination/cursor_file.ts";
import { type Entry, readEntry, removeEntry } from "../../coordination/entries.ts";
import { ErrorKind, PlasmiteError } from "../../errors.ts";
import type { Ring } from "../../pool/ring.ts";
import { TagWalk } from "../../pool/tag_walk.ts";
import { untilUnlocked, whileBusy } from "../../storage/lock_wait.ts";
import type { Steps } from "../../storage/steps.ts";
import type { Awaitable, Bounds } from "../../types.ts";
import type {
  Cursor,
  CursorInfo,
  CursorRequest,
  CursorSelection,
  CursorUpdate,
  Place,
} from "../coordination.ts";
import { bury } from "../dead.ts";
import { behind, beyondEnd, firstOf, seqOfPlace } from "../positions.ts";
import type { StoredFrame, Walk } from "../types.ts";
import type { PoolContext } from "./coordinator.ts";

/**
 * How long to wait for a cursor, in milliseconds. A cursor that is only being set or listed is
 * released well within that time.
 */
const BRIEFLY = 20;

/** The time of message `seq` in nanoseconds since 1970; null if it is not retained. */
export function* timing(ring: Ring, seq: bigint): Steps<bigint | null> {
  let time: bigint | null = null;
  const walk = new TagWalk(ring);
  yield* walk.visiting({ from: seq, until: seq }, () => time = walk.timestampNs);
  return time;
}

function replaced(name: string, path: string, seq: bigint, newest: bigint): PlasmiteError {
  return new PlasmiteError("NotFound", `The pool was replaced since cursor ${name} was used`, {
    path,
    hint: "Set the cursor again, from the oldest message or after the newest.",
    details: { cursor: name, seq, actual: newest },
  });
}

/**
 * Throws NotFound if a position is past the end of the pool, or belongs to a pool with another
 * identity.
 */
function checkIdentity(ring: Ring, name: string, position: Position, newest: bigint): void {
  const { seq, pool } = position;
  const id = ring.extension()?.id ?? "";
  if (pool !== "" && id !== "" && pool !== id) throw replaced(name, ring.path, seq, newest);
  if (seq <= newest) return;
  throw beyondEnd(name, seq, newest, ring.path);
}

/**
 * Checks that a position belongs to this pool.
 *
 * @throws {PlasmiteError} NotFound if the pool was replaced, or ends before the position
 */
export function* checkingPosition(ring: Ring, name: string, position: Position): Steps<void> {
  const { seq, ns } = position;
  const { newest } = yield* ring.stating();
  checkIdentity(ring, name, position, newest);
  if (ns === 0n) return;
  const time = yield* timing(ring, seq);
  if (time !== null && time !== ns) throw replaced(name, ring.path, seq, newest);
}

/** Acquires a cursor's file, waiting for brief holders only. */
function acquiring(ring: Ring, open: () => CursorFile): Steps<CursorFile> {
  return whileBusy(BRIEFLY, () => untilUnlocked(ring.path, open));
}

/** A cursor that this process holds. */
export class PoolCursor implements Cursor {
  readonly name: string;
  readonly isNew: boolean;
  readonly #context: PoolContext;
  readonly #file: CursorFile;
  readonly #flush: boolean;
  /** Delivered but unacknowledged messages, in order. */
  #open: { readonly seq: bigint; readonly ns: bigint }[] = [];
  #position: Position;
  /** The pool's identity, once known. */
  #pool = "";
  #delivered: bigint;

  private constructor(
    context: PoolContext,
    file: CursorFile,
    position: Position,
    isNew: boolean,
    flush: boolean,
  ) {
    this.name = file.name;
    this.isNew = isNew;
    this.#context = context;
    this.#file = file;
    this.#flush = flush;
    this.#position = position;
    this.#delivered = position.seq;
  }

  /**
   * Acquires a cursor. A new cursor is saved before anything is delivered.
   *
   * @throws {PlasmiteError} Busy while another process holds it, NotFound if the pool was replaced
   *   or ends before the position, Corrupt, Usage, Permission, Io
   */
  static *opening(
    context: PoolContext,
    name: string,
    request: CursorRequest = {},
  ): Steps<PoolCursor> {
    const { ring } = context;
    const { from = "oldest", dir, flush = false } = request;
    ring.checkIdentity();
    // A number that the pool does not have leaves no file behind.
    if (typeof from === "bigint" && readEntry(ring.path, name, dir) === null) {
      yield* placing(ring, from);
    }
    const file = yield* acquiring(
      ring,
      () => CursorFile.open(ring.path, name, { dir, create: true }),
    );
    let cursor: PoolCursor | null = null;
    try {
      const { record } = file;
      if (record !== null) {
        yield* checkingPosition(ring, name, record);
        file.sign();
        return cursor = new PoolCursor(context, file, record, false, flush);
      }
      const position = yield* placing(ring, from);
      file.save(position, flush);
      return cursor = new PoolCursor(context, file, position, true, flush);
    } finally {
      if (cursor === null) file.close();
    }
  }

  get seq(): bigint {
    return this.#position.seq;
  }

  get pending(): number {
    return this.#open.length;
  }

  select(selection: CursorSelection = {}): Awaitable<Walk> {
    return this.#context.select({ ...selection, from: this.seq + 1n });
  }

  deliver(seq: bigint, timestampNs: bigint): void {
    // A restarted reader receives its unacknowledged messages again.
    if (seq <= this.#delivered) this.#open = this.#open.filter((one) => one.seq < seq);
    this.#open.push({ seq, ns: timestampNs });
    this.#delivered = seq;
  }

  ack(seq: bigint): boolean {
    if (seq <= this.#position.seq) return true;
    const at = this.#open.findIndex((one) => one.seq === seq);
    const done = this.#open[at];
    if (done === undefined) return false;
    this.#move(done);
    this.#open.splice(0, at + 1);
    return true;
  }

  async bury(message: StoredFrame, dead?: string): Promise<void> {
    await bury(this.#context, message, this.name, dead);
    this.ack(message.seq);
  }

  pass(before: bigint): Awaitable<void> {
    if (this.#isBehind(before - 1n)) return this.#context.run(this.#passing(before - 1n));
  }

  /** Whether the position may move to this number. */
  #isBehind(seq: bigint): boolean {
    return this.#open.length === 0 && seq > this.#position.seq && seq >= this.#delivered;
  }

  *#passing(seq: bigint): Steps<void> {
    const ns = (yield* timing(this.#context.ring, seq)) ?? 0n;
    if (this.#isBehind(seq)) this.#move({ seq, ns });
  }

  #move({ seq, ns }: { readonly seq: bigint; readonly ns: bigint }): void {
    // A pool without an identity may get one later, but an identity never changes.
    if (this.#pool === "") this.#pool = this.#context.ring.extension()?.id ?? "";
    const position = { seq, ns, pool: this.#pool };
    this.#file.save(position, this.#flush);
    this.#position = position;
  }

  check(): Awaitable<void> {
    return this.#context.run(this.#checking());
  }

  *#checking(): Steps<void> {
    const { ring } = this.#context;
    ring.checkIdentity();
    yield* checkingPosition(ring, this.name, this.#position);
  }

  close(): void {
    this.#file.close();
  }
}

/** Where a new cursor starts. */
function* placing(ring: Ring, from: Place): Steps<Position> {
  const bounds = yield* ring.living();
  const pool = ring.extension()?.id ?? "";
  const seq = seqOfPlace(from, bounds, ring.path);
  return { seq, ns: (yield* timing(ring, seq)) ?? 0n, pool };
}

/**
 * Sets a cursor, creates it, or repairs a damaged one.
 *
 * @throws {PlasmiteError} Busy while it is held, Conflict if it is not at the expected position,
 *   NotFound if its pool was replaced, Usage for an impossible number, Io
 */
export function* settingCursor(
  ring: Ring,
  name: string,
  { to, ifSeq, dir, flush = false }: CursorUpdate,
): Steps<CursorInfo> {
  ring.checkIdentity();
  if (typeof ifSeq === "bigint") {
    const entry = readEntry(ring.path, name, dir);
    if (entry?.kind === "cursor" && entry.record?.seq === ifSeq) {
      yield* checkingPosition(ring, name, entry.record);
    }
  }
  const position = yield* placing(ring, to);
  const required = ifSeq === undefined || ifSeq === null ? null : yield* timing(ring, ifSeq);
  const bounds = yield* ring.living();
  const options = { dir, create: typeof ifSeq !== "bigint", repair: ifSeq === undefined };
  let file: CursorFile;
  try {
    file = yield* acquiring(ring, () => CursorFile.open(ring.path, name, options));
  } catch (error) {
    if (typeof ifSeq !== "bigint" || !PlasmiteError.is(error, ErrorKind.NotFound)) throw error;
    throw elsewhere(name, ring.path, ifSeq, null);
  }
  try {
    const { record } = file;
    if (ifSeq !== undefined) {
      const actual = record?.seq ?? null;
      if (actual !== ifSeq) throw elsewhere(name, ring.path, ifSeq, actual);
      if (record !== null) {
        checkIdentity(ring, name, record, bounds.newest);
        if (required !== null && record.ns !== 0n && record.ns !== required) {
          throw replaced(name, ring.path, record.seq, bounds.newest);
        }
      }
    }
    file.save(position, flush);
    if (file.record === null) throw missing(name, file.path);
    return cursorInfo(name, { kind: "cursor", record: file.record, held: false }, bounds);
  } finally {
    file.close();
  }
}

function elsewhere(
  name: string,
  path: string,
  expected: bigint | null,
  actual: bigint | null,
): PlasmiteError {
  const at = (seq: bigint | null): string => seq === null ? "none" : String(seq);
  return new PlasmiteError(
    "Conflict",
    `Cursor ${name} is at ${at(actual)}, expected ${at(expected)}`,
    {
      path,
      hint: "Another process moved it: read its position again.",
      details: { expected, actual },
    },
  );
}

/** Describes all cursors and groups, sorted by name. */
export function* listingCursors(ring: Ring, dir?: string): Steps<CursorInfo[]> {
  ring.checkIdentity();
  const bounds = yield* ring.living();
  const infos: CursorInfo[] = [];
  for (const name of cursorNames(ring.path, dir)) {
    const entry = readEntry(ring.path, name, dir);
    if (entry !== null) infos.push(cursorInfo(name, entry, bounds));
    yield "more";
  }
  return infos;
}

function cursorInfo(name: string, entry: Entry, bounds: Bounds): CursorInfo {
  if (entry.record === null) {
    const { kind, error } = entry;
    return { name, kind, seq: 0n, lag: 0n, lost: 0n, acked: "", inUse: null, error };
  }
  const seq = entry.kind === "cursor" ? entry.record.seq : entry.record.floor;
  const base = { name, seq, ...behind(seq, bounds), acked: entry.record.acked };
  if (entry.kind === "cursor") {
    const { pid, host } = entry.record;
    return { ...base, kind: "cursor", inUse: entry.held ? { pid, host } : null };
  }
  const { next, pending } = entry.record;
  const first = firstOf(bounds);
  const headroom = seq + 1n > first ? seq + 1n - first : 0n;
  return { ...base, kind: "group", inUse: null, next, pending: pending.length, headroom };
}

/** Deletes a cursor or a group. */
export function* deletingCursor(ring: Ring, name: string, dir?: string): Steps<void> {
  ring.checkIdentity();
  const attempt = (): true | null => removeEntry(ring.path, name, dir) || null;
  yield* whileBusy(BRIEFLY, () => untilUnlocked(ring.path, attempt));
}
