/**
 * Coordination through a pool, whatever its backend: the newest message by key, leases, cursors and
 * work groups (docs/spec/coordination.md).
 *
 * @module
 */

import type { PlasmiteError } from "../errors.ts";
import type { Where } from "../filter/where.ts";
import type { Awaitable } from "../types.ts";
import type {
  ClaimRequest,
  Latest,
  LatestRequest,
  LeaseState,
  ReleaseRequest,
  Selection,
  StoredFrame,
  Walk,
} from "./types.ts";

/** The result of a release. */
export interface Released {
  /** The requested keys. */
  readonly keys: readonly string[];
  /** The sequence number of the message that records it; 0 if nothing had to be appended. */
  readonly seq: bigint;
  /** The token of the lease that ended; 0 if it is not known. */
  readonly token: bigint;
}

/** Where a cursor is placed: before the oldest message, after the newest, or after a number. */
export type Place = "oldest" | "end" | bigint;

/** How to open a cursor. */
export interface CursorRequest {
  /** Where a new cursor starts; default `"oldest"`. An existing one stays where it is. */
  readonly from?: Place | undefined;
  /** The directory of the cursor files; default next to the pool. Only for local pools. */
  readonly dir?: string | undefined;
  /** Whether each acknowledgement must reach stable storage; default false. */
  readonly flush?: boolean | undefined;
}

/** How to set a cursor. */
export interface CursorUpdate {
  /** Where to put it. */
  readonly to: Place;
  /** The required current position; null if the cursor must not exist; default not checked. */
  readonly ifSeq?: bigint | null | undefined;
  /** The directory of the cursor files; default next to the pool. Only for local pools. */
  readonly dir?: string | undefined;
  /** Whether it must reach stable storage; default false. */
  readonly flush?: boolean | undefined;
}

/** A cursor or a work group in a listing. */
export interface CursorInfo {
  /** Its name. */
  readonly name: string;
  /** Whether it is a cursor or a group. */
  readonly kind: "cursor" | "group";
  /** Everything up to this number is done. */
  readonly seq: bigint;
  /** The number of messages after `seq`. */
  readonly lag: bigint;
  /** The number of messages after `seq` that are no longer retained. */
  readonly lost: bigint;
  /** The time of the last acknowledgement, RFC 3339. */
  readonly acked: string;
  /** Who holds the cursor; null if it is free. */
  readonly inUse: { readonly pid: number; readonly host: string } | null;
  /** Of a group: the highest number handed out. */
  readonly next?: bigint;
  /** Of a group: the number of tasks that are handed out or waiting for another try. */
  readonly pending?: number;
  /** Of a group: how many messages may be dropped before a task is lost. */
  readonly headroom?: bigint;
  /** Why the file cannot be read; then the numbers are 0. */
  readonly error?: PlasmiteError;
}

/** What to read with a cursor; the cursor's position determines the start. */
export type CursorSelection = Omit<Selection, "from" | "last" | "since">;

/** A cursor that this process holds. */
export interface Cursor {
  readonly name: string;
  /** Whether it was created by this call. */
  readonly isNew: boolean;
  /** Everything up to this number is done. */
  readonly seq: bigint;
  /** The number of delivered messages that are not acknowledged. */
  readonly pending: number;
  /** Starts to read after the position. */
  select(selection?: CursorSelection): Awaitable<Walk>;
  /** Records that a message was delivered. Sequence numbers increase. */
  deliver(seq: bigint, timestampNs: bigint): void;
  /**
   * Acknowledges everything up to a delivered message.
   *
   * @returns false if that message was not delivered; then nothing changes
   * @throws {PlasmiteError} Conflict if another process moved the cursor, Io
   */
  ack(seq: bigint): Awaitable<boolean>;
  /**
   * Moves a delivered message that was tried too often to a dead pool, and acknowledges it.
   * Repeating the call after a failure does not create a second copy.
   *
   * @param dead the dead pool; default `<pool>.dead`, created when needed with the size of the pool
   * @throws {PlasmiteError} the errors of opening, creating and appending to the dead pool, and of
   *   `ack`
   */
  bury(message: StoredFrame, dead?: string): Promise<void>;
  /**
   * Records that every message before `before` was examined without a match, or is lost. The
   * position moves there, but never past an unacknowledged message.
   */
  pass(before: bigint): Awaitable<void>;
  /**
   * Checks that the pool is still the same; call it periodically while waiting.
   *
   * @throws {PlasmiteError} NotFound if it was replaced
   */
  check(): Awaitable<void>;
  /** Releases the cursor; its position is kept. */
  close(): Awaitable<void>;
}

/** How to work in a group. */
export interface GroupRequest {
  /** Only messages with all of these tags are tasks; fixed when the group is created. */
  readonly tags?: readonly string[] | undefined;
  /** Only messages that match every one of these are tasks; fixed when the group is created. */
  readonly where?: readonly Where[] | undefined;
  /** Where a new group starts; default `"oldest"`. */
  readonly from?: "oldest" | "end" | undefined;
  /** How many times a task is tried before it goes to the dead pool; default 5. */
  readonly maxTries?: number | undefined;
  /** The name of this worker; default the process id. */
  readonly holder?: string | undefined;
  /** The pool for tasks that were tried too often; default `<pool>.dead`, created when needed. */
  readonly dead?: string | undefined;
  /**
   * Whether a missing dead pool is created; default true. Without a dead pool, the tasks for it
   * wait and the others continue.
   */
  readonly createDead?: boolean | undefined;
  /** Whether no two messages with the same `key:` tag are handed out at once; default false. */
  readonly orderedByKey?: boolean | undefined;
  /** The directory of the group files; default next to the pool. Only for local pools. */
  readonly dir?: string | undefined;
}

/** What to take. */
export interface TakeRequest {
  /** The largest number of tasks; default 1. */
  readonly count?: number | undefined;
  /** How long the tasks belong to this worker, in milliseconds; default 60,000. */
  readonly ackWaitMs?: number | undefined;
  /** How long to wait for the first task, in milliseconds; default 0. */
  readonly waitMs?: number | undefined;
  /** Aborts the wait; rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A task that was handed out. */
export interface HandedTask {
  readonly message: StoredFrame;
  /** Needed to acknowledge, fail or extend the task. */
  readonly token: number;
  /** How many times it was handed out, including this time. */
  readonly tries: number;
  /** Until when it belongs to this worker, in milliseconds since 1970. */
  readonly untilMs: number;
}

/** The result of taking. */
export interface TakenTasks {
  readonly tasks: readonly HandedTask[];
  /** The number of messages overwritten before they were done; each is reported once. */
  readonly lost: bigint;
  /** Whether everything is done: nothing pending, nothing left to hand out. */
  readonly idle: boolean;
}

/** A worker's access to a work group. */
export interface Group {
  readonly name: string;
  /**
   * Takes tasks: first tasks whose time has expired, then new ones. Tasks that were tried too often
   * are moved to the dead pool and not returned. Calls on the same object run one after another.
   *
   * @throws {PlasmiteError} NotFound if the pool was replaced, Usage if the filter differs, Busy,
   *   Io
   */
  take(request?: TakeRequest): Promise<TakenTasks>;
  /**
   * Marks a task as done.
   *
   * @returns false if it was already done or lost
   * @throws {PlasmiteError} Conflict if it was handed to another worker
   */
  ack(seq: bigint, token: number): Awaitable<boolean>;
  /**
   * Marks a task as failed, to be tried again.
   *
   * @param delayMs the delay in milliseconds; default increasing with each try
   * @throws {PlasmiteError} Conflict if it was handed to another worker
   */
  fail(seq: bigint, token: number, delayMs?: number): Awaitable<boolean>;
  /**
   * Gives the worker more time.
   *
   * @throws {PlasmiteError} Conflict if the task was handed to another worker
   */
  extend(seq: bigint, token: number, ackWaitMs?: number): Awaitable<boolean>;
  /** Releases resources; tasks already handed out remain so. */
  close(): void;
}

/**
 * Coordination in one pool. A backend that lacks a feature throws Usage before anything is sent or
 * written.
 */
export interface Coordination {
  /** The newest message with the tag `key:K`; null if none is retained. */
  latest(key: string): Awaitable<StoredFrame | null>;
  /**
   * The newest message of each group, in order of sequence number.
   *
   * @param by the prefix of a tag, or a path such as `.data.agent`
   */
  latestBy(by: string, request?: LatestRequest): Promise<Latest>;
  /**
   * Claims keys, waiting for them if requested, or renews a lease.
   *
   * @throws {PlasmiteError} Busy if another holder has one of the keys, Conflict if a lease to
   *   renew was lost, Usage
   */
  claim(request: ClaimRequest): Promise<LeaseState>;
  /**
   * Releases keys.
   *
   * @throws {PlasmiteError} Conflict if another holder has one of them, Usage
   */
  release(request: ReleaseRequest): Promise<Released>;
  /** All cursors and groups, sorted by name. */
  cursors(dir?: string): Awaitable<readonly CursorInfo[]>;
  /**
   * Acquires a cursor. A new cursor is saved before anything is delivered.
   *
   * @throws {PlasmiteError} Busy while another process holds it, NotFound if the pool was replaced
   *   or ends before the position, Corrupt, Usage, Permission, Io
   */
  cursor(name: string, request?: CursorRequest): Awaitable<Cursor>;
  /**
   * Sets a cursor, creates it, or repairs a damaged one.
   *
   * @throws {PlasmiteError} Busy while it is held, Conflict if `ifSeq` differs, Usage for a number
   *   after the newest
   */
  setCursor(name: string, update: CursorUpdate): Awaitable<CursorInfo>;
  /**
   * Deletes a cursor or a group.
   *
   * @throws {PlasmiteError} NotFound, Busy while it is held
   */
  deleteCursor(name: string, dir?: string): Awaitable<void>;
  /** Opens a work group; it is created by the first take. */
  group(name: string, request?: GroupRequest): Group;
}
