/**
 * Named cursors on a pool file: a position that survives its reader, held by one reader at a time
 * (docs/spec/coordination.md 2).
 *
 * @module
 */

import { CursorFile, type Position } from "../../coordination/cursor_file.ts";
import { PlasmiteError } from "../../errors.ts";
import type { Ring } from "../../pool/ring.ts";
import { TagWalk } from "../../pool/tag_walk.ts";
import type { Steps } from "../../storage/steps.ts";

/** How a cursor is opened. */
export interface CursorRequest {
  /** Where a new one begins: at the oldest message (default), behind the newest, behind a number. */
  readonly from?: "oldest" | "end" | bigint;
  /** Where cursors are kept instead of beside the pool. */
  readonly dir?: string | undefined;
  /** Whether each acknowledgement must be on stable storage. */
  readonly flush?: boolean;
}

/** The time of message `seq` in nanoseconds since 1970; null when it is not retained. */
export function* timing(ring: Ring, seq: bigint): Steps<bigint | null> {
  let time: bigint | null = null;
  const walk = new TagWalk(ring);
  yield* walk.visiting({ from: seq, until: seq }, () => time = walk.timestampNs);
  return time;
}

function replaced(name: string, path: string, seq: bigint, newest: bigint): PlasmiteError {
  return new PlasmiteError("NotFound", `The pool was replaced since cursor ${name} was used`, {
    path,
    hint: "Set the cursor anew, from the oldest message or behind the newest.",
    details: { cursor: name, seq, actual: newest },
  });
}

/**
 * Makes sure that a position belongs to this pool.
 *
 * @throws {PlasmiteError} NotFound when the pool was replaced, or ends before the position
 */
export function* checkingPosition(ring: Ring, name: string, position: Position): Steps<void> {
  const { seq, ns, pool } = position;
  const { newest } = yield* ring.stating();
  const id = ring.extension()?.id ?? "";
  if (pool !== "" && id !== "" && pool !== id) throw replaced(name, ring.path, seq, newest);
  if (seq > newest) {
    throw new PlasmiteError("NotFound", `Cursor ${name} is at ${seq}, the pool ends at ${newest}`, {
      path: ring.path,
      hint: "Set the cursor anew, from the oldest message or behind the newest.",
      details: { cursor: name, seq, actual: newest },
    });
  }
  if (ns === 0n) return;
  const time = yield* timing(ring, seq);
  if (time !== null && time !== ns) throw replaced(name, ring.path, seq, newest);
}

/** A cursor that this process holds. */
export class PoolCursor {
  /** Its name. */
  readonly name: string;
  /** Whether it was made now. */
  readonly isNew: boolean;
  readonly #ring: Ring;
  readonly #file: CursorFile;
  readonly #flush: boolean;
  /** Delivered and not acknowledged, in order. */
  #open: { readonly seq: bigint; readonly ns: bigint }[] = [];
  #position: Position;
  #delivered: bigint;

  private constructor(
    ring: Ring,
    file: CursorFile,
    position: Position,
    isNew: boolean,
    flush: boolean,
  ) {
    this.name = file.name;
    this.isNew = isNew;
    this.#ring = ring;
    this.#file = file;
    this.#flush = flush;
    this.#position = position;
    this.#delivered = position.seq;
  }

  /**
   * Takes a cursor for this process; a new one is written down before anything is delivered.
   *
   * @throws {PlasmiteError} Busy while another process has it, NotFound when the pool was replaced or
   *   ends before the position, Corrupt, Usage, Permission, Io
   */
  static *opening(ring: Ring, name: string, request: CursorRequest = {}): Steps<PoolCursor> {
    const { from = "oldest", dir, flush = false } = request;
    ring.checkIdentity();
    const file = CursorFile.open(ring.path, name, { dir, create: true });
    let cursor: PoolCursor | null = null;
    try {
      const { record } = file;
      if (record !== null) {
        yield* checkingPosition(ring, name, record);
        file.sign();
        return cursor = new PoolCursor(ring, file, record, false, flush);
      }
      const position = yield* placing(ring, from);
      file.save(position, flush);
      return cursor = new PoolCursor(ring, file, position, true, flush);
    } finally {
      if (cursor === null) file.close();
    }
  }

  /** Everything up to this number is done. */
  get seq(): bigint {
    return this.#position.seq;
  }

  /** How many messages were delivered and not acknowledged. */
  get pending(): number {
    return this.#open.length;
  }

  /** Notes that a message is given out; numbers rise. */
  deliver(seq: bigint, timestampNs: bigint): void {
    this.#open.push({ seq, ns: timestampNs });
    this.#delivered = seq;
  }

  /**
   * Acknowledges everything up to a message.
   *
   * @returns false when that message was not delivered, and nothing changed
   * @throws {PlasmiteError} Io
   */
  ack(seq: bigint): boolean {
    if (seq <= this.#position.seq) return true;
    const at = this.#open.findIndex((one) => one.seq === seq);
    const done = this.#open[at];
    if (done === undefined) return false;
    this.#open.splice(0, at + 1);
    this.#move(done);
    return true;
  }

  /**
   * Notes that every message before `before` was looked at and does not match, or is lost: the
   * position moves there, but never past a message that is not acknowledged.
   */
  *passing(before: bigint): Steps<void> {
    const seq = before - 1n;
    if (this.#open.length > 0 || seq <= this.#position.seq || seq < this.#delivered) return;
    this.#move({ seq, ns: (yield* timing(this.#ring, seq)) ?? 0n });
  }

  #move({ seq, ns }: { readonly seq: bigint; readonly ns: bigint }): void {
    const position = { seq, ns, pool: this.#ring.extension()?.id ?? "" };
    this.#file.save(position, this.#flush);
    this.#position = position;
  }

  /**
   * Makes sure, while following, that the pool is still the same.
   *
   * @throws {PlasmiteError} NotFound
   */
  *checking(): Steps<void> {
    this.#ring.checkIdentity();
    yield* checkingPosition(this.#ring, this.name, this.#position);
  }

  /** Lets go of it; the position stays. */
  close(): void {
    this.#file.close();
  }
}

/** Where a new cursor begins. */
function* placing(ring: Ring, from: "oldest" | "end" | bigint): Steps<Position> {
  const { oldest, newest } = yield* ring.stating();
  const pool = ring.extension()?.id ?? "";
  const seq = from === "end" || (from === "oldest" && oldest === 0n)
    ? newest
    : from === "oldest"
    ? oldest - 1n
    : from;
  if (seq < 0n || seq > newest) {
    throw new PlasmiteError("Usage", `There is no message ${seq} to begin behind`, {
      path: ring.path,
      hint: `Use a number from 0 to ${newest}.`,
    });
  }
  return { seq, ns: (yield* timing(ring, seq)) ?? 0n, pool };
}

/**
 * Sets a cursor, makes it, or repairs a damaged one.
 *
 * @throws {PlasmiteError} Busy while somebody has it, Usage for a number that cannot be, Io
 */
export function* settingCursor(
  ring: Ring,
  name: string,
  to: "oldest" | "end" | bigint,
  dir?: string,
): Steps<bigint> {
  const position = yield* placing(ring, to);
  const file = CursorFile.open(ring.path, name, { dir, create: true, repair: true });
  try {
    file.save(position);
    return position.seq;
  } finally {
    file.close();
  }
}
