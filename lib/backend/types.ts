/**
 * The interface between the users of pools (command line, library, server, agents) and their
 * backends (a directory, a server).
 *
 * Frames and payload bytes are passed through unchanged. A backend that can search at the source
 * gets the whole {@linkcode Selection} and decides what to push down; in any case, a filter never
 * hides a gap.
 *
 * @module
 */

import type { Coordination } from "./coordination.ts";
import type { PlasmiteError } from "../errors.ts";
import type { Excluded, Shipment } from "./shipment.ts";
import type { PoolInfo } from "./local/info.ts";
import type { Where } from "../filter/where.ts";
import type { MessageView } from "../lite3/message.ts";
import type { FrameBatch } from "../pool/batch.ts";
import type { Limits } from "../pool/layout.ts";
import type { Awaitable, Bounds, FrameBytes, Gap, StoredBytes } from "../types.ts";

/** An optional ability of a backend; a server reports them in `plasmite-features`. */
export type Feature =
  | "select"
  | "batch"
  | "expect"
  | "key"
  | "id"
  | "latest"
  | "claim"
  | "cursor"
  | "group"
  | "retention"
  | "skip-corrupt";

/** Options of a new pool. */
export interface NewPool {
  /** Size of the file in bytes; default 1 MiB. */
  readonly sizeBytes?: number;
  /** Number of index slots of 16 bytes; default automatic, 0 for none. Only for local pools. */
  readonly indexCapacity?: number;
  /** Number of replicas; only for NATS, default 1. */
  readonly replicas?: number;
  /** The maximum age of messages in milliseconds, at least 1000; default no limit. */
  readonly maxAgeMs?: number | undefined;
  /** How long ids are remembered, in milliseconds; only for NATS, default of the server. */
  readonly dedupeMs?: number;
}

/** What to change about a pool. */
export interface PoolChange {
  /** The maximum age of messages in milliseconds; 0 for no limit. */
  readonly maxAgeMs?: number;
  /** The size in bytes. */
  readonly sizeBytes?: number;
}

/** Which of the oldest messages to remove. */
export type TrimTo =
  /** Those before this sequence number. */
  | { readonly before: bigint }
  /** All but this many. */
  | { readonly keep: bigint }
  /** Those before the first one that is not older than this time in nanoseconds since 1970. */
  | { readonly olderThanNs: bigint };

/** The result of removing the oldest messages. */
export interface Trimmed {
  /** How many were removed. */
  readonly dropped: bigint;
  /** What is retained. */
  readonly bounds: Bounds;
}

/** How to open a pool. */
export interface OpenOptions {
  /** Whether the pool will be appended to; default false. */
  readonly write?: boolean;
  /**
   * Options for creating the pool if it does not exist; without them a missing pool is an error.
   */
  readonly create?: NewPool;
  /**
   * Whether to skip checking that the pool exists if that requires a request; later calls can then
   * reject with NotFound, and the limits are unknown. Default false.
   */
  readonly unchecked?: boolean;
}

/** Selects pools from the sorted names of all. */
export type Choose = (names: readonly string[]) => readonly string[];

/** What a list of pools has. */
export interface ListOptions {
  /** Whether to include what other programs store there; only for NATS. */
  readonly foreign?: boolean;
  /** Whether use, age, retention and identity may be left out, which is quicker. */
  readonly brief?: boolean;
}

/** Some pools of a list. */
export interface PrintedPools {
  /** Texts of pools that nobody follows, with a comma before each pool, and pools without a text. */
  readonly parts: readonly (Uint8Array<ArrayBuffer> | PoolInfo)[];
  /** All of them, if they have an identity or no text. */
  seen(): Iterable<SeenPool>;
}

/** What is known of a pool in a list. */
export type SeenPool = Pick<PoolInfo, "name" | "identity" | "error">;

/** A place that stores pools. Failures are `PlasmiteError`. */
export interface Backend {
  /** Its name in messages: a directory, or `http://host:port`. */
  readonly place: string;
  /** Returns the optional abilities of the backend. */
  features(): Awaitable<ReadonlySet<string>>;
  /**
   * Opens a pool.
   *
   * @param name a name, or for a directory a path
   * @throws {PlasmiteError} NotFound, Permission, Corrupt, Io, or Usage for another format version
   */
  open(name: string, options?: OpenOptions): Awaitable<PoolHandle>;
  /**
   * Creates a pool.
   *
   * @throws {PlasmiteError} AlreadyExists, Usage for an invalid size, Permission, Io
   */
  create(name: string, options?: NewPool): Awaitable<PoolInfo>;
  /**
   * Describes pools, sorted by name. Entries for pools that cannot be opened have `error` set.
   *
   * @param choose selects the pools, so that the others are not opened; default all
   */
  list(choose?: Choose, options?: ListOptions): Awaitable<readonly PoolInfo[]>;
  /**
   * Like `list`, for a server that prints what it gets: in pieces as they are found, so that a long
   * list need not be kept; absent where there are no long ones.
   *
   * @param own the names of pools that are not printed yet, because there is more to say of them
   */
  printed?(choose: Choose, own: ReadonlySet<string>): AsyncIterable<PrintedPools>;
  /** The names of all pools, sorted. */
  names(): Awaitable<readonly string[]>;
  /** Describes a pool. */
  info(name: string): Awaitable<PoolInfo>;
  /** Changes a pool; only for NATS. */
  change?(name: string, change: PoolChange): Promise<PoolInfo>;
  /** Removes the oldest messages of a pool; only for NATS. */
  trim?(name: string, to: TrimTo): Promise<Trimmed>;
  /** Deletes a pool, intact or damaged, after appends in progress. */
  remove(name: string): Promise<void>;
  /** Releases shared resources; open pools and walks are not affected. */
  close(): Awaitable<void>;
}

/**
 * The conditions of an append, checked under the pool's lock; the batch is stored completely or not
 * at all. The tags `key:K` and `id:X` are already in the frames (docs/spec/coordination.md 3 and
 * 4).
 */
export interface Conditions {
  /**
   * The required sequence number of the newest message, or of the newest with `key`; 0 for none.
   */
  readonly expect?: bigint;
  /** The key that `expect` refers to. */
  readonly key?: string;
  /** The id of each frame to be stored, starting with the first; null for a frame without one. */
  readonly ids?: readonly (string | null)[];
  /** How many messages back to search for an id; default 4096. */
  readonly idWindow?: number;
  /**
   * Whether a server must store the batch as one piece even without `expect`; pools in files always
   * do. Default false.
   */
  readonly atomic?: boolean;
}

/** Options of an append of a batch. */
export interface AppendRequest {
  /** Whether to wait until the messages are on stable storage. */
  readonly flush: boolean;
  /** The longest wait for another process's lock, in milliseconds; default 10,000. */
  readonly lockMs?: number;
  /**
   * The index of the first frame to store; default 0. A retry continues where the previous attempt
   * stopped.
   */
  readonly from?: number;
  /** Aborts what has not been stored yet; rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Called for each contiguous run as soon as it is stored, so that after a failure it is known
   * what was stored: `count` frames of the batch, starting at frame `from`, got the sequence
   * numbers from `first` on. The times in the batch are then the stored ones.
   */
  readonly stored: (from: number, count: number, first: bigint) => void;
  /** The conditions; default none. */
  readonly when?: Conditions | undefined;
  /**
   * Called for a frame whose id is already stored: message `seq` was stored for it earlier, and the
   * batch now has that message's time.
   */
  readonly duplicate?: ((frame: number, seq: bigint) => void) | undefined;
}

/** A claim of keys, or the renewal of a lease. */
export interface ClaimRequest {
  /** The keys, claimed all together or not at all. */
  readonly keys: readonly string[];
  /** The name of the claimant. */
  readonly holder: string;
  /**
   * The duration in milliseconds, from a second to a day; default a minute, for a renewal the
   * previous one.
   */
  readonly ttlMs?: number | undefined;
  /**
   * The token of the lease to renew; without it, a new lease, or the existing one of the same
   * holder.
   */
  readonly token?: bigint | undefined;
  /** How long to wait for the keys to become free, in milliseconds; default 0. */
  readonly waitMs?: number | undefined;
  /** Aborts a wait; rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A release of keys. */
export interface ReleaseRequest {
  /** The keys of the lease. */
  readonly keys: readonly string[];
  /** The name of the holder. */
  readonly holder: string;
  /** The token of the lease; required unless `force` is set. */
  readonly token?: bigint | undefined;
  /** Whether to end all leases of the keys, regardless of holder. */
  readonly force?: boolean | undefined;
}

/** A current lease. */
export interface LeaseState {
  /** The name of the holder. */
  readonly holder: string;
  /** The keys of the lease. */
  readonly keys: readonly string[];
  /** The sequence number of the message that records it. */
  readonly seq: bigint;
  /** The fencing token: later leases of the same key have higher ones. */
  readonly token: bigint;
  /** The expiry time in nanoseconds since 1970. */
  readonly untilNs: bigint;
  /** Whether the claim may be overwritten before it expires, because the pool is too small. */
  readonly shortRetention: boolean;
}

/** Options of a grouping. */
export interface LatestRequest {
  /** Only messages with all of these tags. */
  readonly tags?: readonly string[] | undefined;
  /** Only messages that match all of these conditions. */
  readonly where?: readonly Where[] | undefined;
  /** Only messages at or after this time in nanoseconds since 1970. */
  readonly sinceNs?: bigint | undefined;
  /** Filters the newest message of each group: groups that do not match are omitted. */
  readonly having?: readonly Where[] | undefined;
  /** The largest number of groups; the newest ones are kept. */
  readonly most?: number | undefined;
  /** The most bytes of messages; the newest ones are kept. Default no limit. */
  readonly mostBytes?: number;
  /** Aborts the search. */
  readonly signal?: AbortSignal | undefined;
}

/** The newest message of each group. */
export interface Latest {
  /** The messages, in order of sequence number. */
  readonly messages: readonly StoredFrame[];
  /** The newest message of each group. */
  readonly latest: readonly { readonly key: string; readonly seq: bigint }[];
  /** Whether there were more groups than the limit. */
  readonly forgotten: boolean;
}

/** A stored message. */
export interface StoredFrame extends StoredBytes {
  /** Flags of the frame; 0 if the backend does not report them. */
  readonly flags: number;
}

/** An open pool. */
export interface PoolHandle {
  /** The name or reference by which it was opened. */
  readonly name: string;
  /** Its name in notices and errors: the path of its file, or `origin/pool`. */
  readonly path: string;
  /** The limits of the pool. */
  readonly limits: Limits;
  /** Returns the bounds of what is currently retained. */
  bounds(): Awaitable<Bounds>;
  /** Sizes, bounds and metrics. */
  info(): Awaitable<PoolInfo>;
  /**
   * Reads one message.
   *
   * @param exact whether the stored bytes are needed rather than an equivalent document
   * @returns null when it is not retained
   */
  get(seq: bigint, exact?: boolean): Awaitable<StoredFrame | null>;
  /**
   * Stores the frames of a batch in order.
   *
   * @throws {PlasmiteError} Usage for data that cannot be stored, NotFound if the pool was deleted
   *   or replaced, Busy if its lock is not released in time, Corrupt, Permission, Io
   */
  append(batch: FrameBatch, request: AppendRequest): Awaitable<void>;
  /**
   * Starts to store messages of another pool, each exactly once; only on backends that can store
   * the position in the source.
   */
  ship?(source: string): Shipment;
  /** Starts to read. Nothing that is appended after this returns is missed. */
  select(selection: Selection): Awaitable<Walk>;
  /** Returns the coordination of this pool; it is usable until the pool is closed. */
  coordinate(): Awaitable<Coordination>;
  /** Releases the handle; open walks are not affected. */
  close(): Awaitable<void>;
}

/** A selection of messages. */
export interface Selection {
  /**
   * Where to start: at a sequence number (inclusive; missing messages from there on are a gap), at
   * the oldest currently retained message (default), or after the newest.
   */
  readonly from?: bigint | "oldest" | "end";
  /** Whether to continue with messages appended after the start; default false. */
  readonly follow?: boolean;
  /**
   * The last sequence number wanted; default no limit. Without `follow` the newest at the start is
   * the last in any case.
   */
  readonly until?: bigint;
  /** Only the last this many of the matching messages stored at the start. */
  readonly last?: number | undefined;
  /** Only messages with all of these tags. */
  readonly tags?: readonly string[] | undefined;
  /**
   * Only messages at or after this time in nanoseconds since 1970; messages appended after the
   * start always pass.
   */
  readonly since?: bigint;
  /** Only messages that match all of these conditions. */
  readonly where?: readonly Where[] | undefined;
  /**
   * Whether {@linkcode Where.failed} is needed: then the conditions are evaluated in this process
   * even if the backend could evaluate them. Default false.
   */
  readonly countFailures?: boolean;
  /**
   * Whether to wait for change notifications; if false, polls at increasing intervals. Default
   * true.
   */
  readonly notify?: boolean;
  /** Whether searching for the next message yields to other tasks every few milliseconds. */
  readonly yielding?: boolean;
  /** Whether to reconnect after connection failures; default true. */
  readonly reconnect?: boolean;
  /** Called once per outage if the connection is not restored immediately. */
  readonly onTrouble?: (error: Error) => void;
  /**
   * Called for a message that another program stored and that cannot be read; it is skipped. By
   * default it is an error.
   */
  readonly onUnreadable?: (error: PlasmiteError) => void;
  /**
   * Whether to go on behind damage: {@linkcode Walk.takeUnreadable} then says which messages cannot
   * be read. By default damage is an error.
   */
  readonly skipCorrupt?: boolean;
  /** Only messages copied from the source of that name; only for NATS. */
  readonly source?: string | undefined;
  /** Omits messages copied from that source; only for NATS. */
  readonly excluded?: Excluded | undefined;
}

/**
 * Iterates over the selected messages in order.
 *
 * @example
 * ```ts ignore
 * for (;;) {
 *   const found = walk.next();
 *   const gap = walk.takeGap(); // Also when nothing was found: a filter never hides a gap.
 *   if (gap !== null) report(gap);
 *   if (found) print(walk.message);
 *   else if (walk.ended) break;
 *   else await walk.wait();
 * }
 * ```
 */
export interface Walk {
  /** What was retained at the start: messages after `newest` are live. */
  readonly start: Bounds;
  /** The bytes of the current message; valid until the next call of `next`. */
  readonly frame: FrameBytes;
  /** The current message, with its envelope checked. Throws Corrupt if it is not a message. */
  readonly message: MessageView;
  /** Whether the walk is complete: everything selected was examined. */
  readonly ended: boolean;
  /** Every message before this number was examined or is lost; 0 if not known yet. */
  readonly position: bigint;
  /**
   * Increases while messages are examined, even while searching for the start; if it does not
   * change, there is nothing to examine.
   */
  readonly looked: number;
  /**
   * Whether messages are being evaluated elsewhere; then {@linkcode Walk.wait} waits for that, even
   * if there is nothing more to examine.
   */
  readonly evaluating?: boolean;
  /**
   * Moves to the next available selected message, or returns after some milliseconds without a
   * match.
   *
   * @returns false when there is none; then {@linkcode Walk.ended}, or {@linkcode Walk.wait}
   * @throws {PlasmiteError} Corrupt for damage in the retained range, Usage for a filter that fails
   */
  next(): boolean;
  /** Returns the gap since the last call, before the current message. */
  takeGap(): Gap | null;
  /**
   * Returns the messages since the last call, before the current one, that cannot be read, in order;
   * only with {@linkcode Selection.skipCorrupt}. A filter hides none.
   */
  takeUnreadable(): readonly Gap[];
  /**
   * Waits until there may be more.
   *
   * @param ms the time limit in milliseconds; undefined for none
   * @returns false on time-out
   * @throws {PlasmiteError} NotFound when the pool was deleted or replaced; the signal's reason
   */
  wait(ms?: number, signal?: AbortSignal): Promise<boolean>;
  /**
   * As {@linkcode Walk.wait}, for a thousand walks at once: calls `wake` when there may be more, for
   * one walk after the other, and gives others a turn in between. It may be called again before
   * that, with the same function.
   *
   * @returns false if only {@linkcode Walk.wait} can wait now
   */
  sleep?(wake: () => void): boolean;
  /** Releases all resources; ends a wait. */
  close(): void;
}
