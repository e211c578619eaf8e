/**
 * Where pools are: the one interface between everything that uses pools (command line, library,
 * server, agents) and everything that keeps them (a directory, a server).
 *
 * Frames and payload bytes go through unchanged. A backend that can search at the source is given
 * the whole {@linkcode Selection} and decides what to push down; whatever it decides, a filter never
 * hides a gap.
 *
 * @module
 */

import type { PoolInfo } from "./local/info.ts";
import type { Where } from "../filter/where.ts";
import type { MessageView } from "../lite3/message.ts";
import type { FrameBatch } from "../pool/batch.ts";
import type { Limits } from "../pool/layout.ts";
import type { Awaitable, Bounds, FrameBytes, Gap, StoredBytes } from "../types.ts";

/** What a place can do beyond storing and following; a server tells it in `plasmite-features`. */
export type Feature = "select" | "batch";

/** How to make a pool. */
export interface NewPool {
  /** Size of the file in bytes; default 1 MiB. */
  readonly sizeBytes?: number;
  /** Number of index slots of 16 bytes; default automatic, 0 for none. Local pools only. */
  readonly indexCapacity?: number;
}

/** How to open a pool. */
export interface OpenOptions {
  /** Whether it will be appended to; default false. */
  readonly write?: boolean;
  /** How to make it first if it is missing; by default that is an error. */
  readonly create?: NewPool;
  /**
   * Whether to do without looking for the pool first, where that takes a request; then a call on it
   * rejects with NotFound, and its limits are not known. Default false.
   */
  readonly unchecked?: boolean;
}

/** Says which of all pools are wanted, by their sorted names. */
export type Choose = (names: readonly string[]) => readonly string[];

/** A place that keeps pools. Failures are `PlasmiteError`. */
export interface Backend {
  /** What messages call it: a directory, or `http://host:port`. */
  readonly place: string;
  /** What it can do. */
  features(): Awaitable<ReadonlySet<string>>;
  /**
   * Opens a pool.
   *
   * @param name a name, or for a directory a path
   * @throws {PlasmiteError} NotFound, Permission, Corrupt, Io, or Usage for another format version
   */
  open(name: string, options?: OpenOptions): Awaitable<PoolHandle>;
  /**
   * Makes a pool.
   *
   * @throws {PlasmiteError} AlreadyExists, Usage for a size that cannot be, Permission, Io
   */
  create(name: string, options?: NewPool): Awaitable<PoolInfo>;
  /**
   * Describes pools, sorted by name; one that cannot be opened carries `error`.
   *
   * @param choose which ones, so that the others are not looked into; default all
   */
  list(choose?: Choose): Awaitable<readonly PoolInfo[]>;
  /** The names of all pools, sorted. */
  names(): Awaitable<readonly string[]>;
  /** Describes a pool. */
  info(name: string): Awaitable<PoolInfo>;
  /** Deletes a pool, whole or damaged, after appends that are under way. */
  remove(name: string): Promise<void>;
  /** Releases what is shared; pools and walks that are open go on. */
  close(): Awaitable<void>;
}

/**
 * What must hold for an append to take place; judged under the pool's lock, and all of the batch
 * goes in, or nothing. The tags `key:K` and `id:X` are in the frames already
 * (docs/spec/coordination.md 3 and 4).
 */
export interface Conditions {
  /** The number that the newest message must have, or the newest with `key`; 0 for none. */
  readonly expect?: bigint;
  /** The key that `expect` is about. */
  readonly key?: string;
  /** The id of each frame from the first on that is to be stored; null for one that has none. */
  readonly ids?: readonly (string | null)[];
  /** How many messages back an id is looked for; default 4096. */
  readonly idWindow?: number;
}

/** How to append a batch. */
export interface AppendRequest {
  /** Whether to wait until it is on stable storage. */
  readonly flush: boolean;
  /** How long at most to wait for another process's lock, in milliseconds; default 10,000. */
  readonly lockMs?: number;
  /** The first frame to store; default 0. A caller that tries again goes on where it stopped. */
  readonly from?: number;
  /** Calls off what has not been stored yet; rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Told of each contiguous run as soon as it is stored, so that after a failure it is known what
   * was: `count` frames of the batch from frame `from` on got the numbers from `first` on. The
   * batch's times are those stored.
   */
  readonly stored: (from: number, count: number, first: bigint) => void;
  /** What must hold; by default nothing. */
  readonly when?: Conditions | undefined;
  /**
   * Told of a frame whose id is known: message `seq` was stored for it earlier, and its time is now
   * the batch's.
   */
  readonly duplicate?: ((frame: number, seq: bigint) => void) | undefined;
}

/** What to claim, or to renew. */
export interface ClaimRequest {
  /** All of them, or none. */
  readonly keys: readonly string[];
  /** Who claims. */
  readonly holder: string;
  /** For how long, in milliseconds: a second to a day; default a minute, or as before. */
  readonly ttlMs?: number | undefined;
  /** The lease to renew; without it a new one, or the same again if it is the holder's. */
  readonly token?: bigint | undefined;
  /** How long to wait until they are free, in milliseconds; default not at all. */
  readonly waitMs?: number | undefined;
  /** Calls off a wait; rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What to release. */
export interface ReleaseRequest {
  /** All of them. */
  readonly keys: readonly string[];
  /** Who releases. */
  readonly holder: string;
  /** The lease; needed unless forced. */
  readonly token?: bigint | undefined;
  /** Whether to end whatever leases there are, for anybody. */
  readonly force?: boolean | undefined;
}

/** A lease that is held. */
export interface LeaseState {
  /** Whose it is. */
  readonly holder: string;
  /** What it is about. */
  readonly keys: readonly string[];
  /** The number of the message that says so. */
  readonly seq: bigint;
  /** The fencing token: later leases of the same key have higher ones. */
  readonly token: bigint;
  /** Until when, in nanoseconds since 1970. */
  readonly untilNs: bigint;
  /** Whether the pool forgets so fast that the claim may be overwritten before it ends. */
  readonly shortRetention: boolean;
}

/** Which messages to group. */
export interface LatestRequest {
  /** Only messages that carry all of these tags. */
  readonly tags?: readonly string[];
  /** Only messages that match every one of these. */
  readonly where?: readonly Where[];
  /** Only messages at or after this time in nanoseconds since 1970. */
  readonly sinceNs?: bigint;
  /** Judges the newest message of each group: those that do not match are left out. */
  readonly having?: readonly Where[];
  /** How many groups at most, the newest ones. */
  readonly most?: number;
  /** Calls it off. */
  readonly signal?: AbortSignal;
}

/** The newest message of each group. */
export interface Latest {
  /** Ordered by number. */
  readonly messages: readonly StoredFrame[];
  /** Which groups each of them is the newest of. */
  readonly latest: readonly { readonly key: string; readonly seq: bigint }[];
  /** Whether there were more groups than are remembered. */
  readonly forgotten: boolean;
}

/** A message by its number. */
export interface StoredFrame extends StoredBytes {
  /** Flags of the frame; 0 where they are not told. */
  readonly flags: number;
}

/** An open pool. */
export interface PoolHandle {
  /** The name or reference it was opened by. */
  readonly name: string;
  /** What notices and errors call it: the path of its file, or `origin/pool`. */
  readonly path: string;
  /** How much it takes. */
  readonly limits: Limits;
  /** What is retained now. */
  bounds(): Awaitable<Bounds>;
  /** Sizes, bounds and metrics. */
  info(): Awaitable<PoolInfo>;
  /**
   * Reads one message.
   *
   * @param exact whether the stored bytes are needed and not just a document that says the same
   * @returns null when it is not retained
   */
  get(seq: bigint, exact?: boolean): Awaitable<StoredFrame | null>;
  /**
   * Stores the frames of a batch in order.
   *
   * @throws {PlasmiteError} Usage for what cannot be stored, NotFound when the pool was deleted or
   *   replaced, Busy when its lock stays taken, Corrupt, Permission, Io
   */
  append(batch: FrameBatch, request: AppendRequest): Awaitable<void>;
  /** Begins to read. Nothing that is appended once the walk is there is missed. */
  select(selection: Selection): Awaitable<Walk>;
  /** Releases it; walks that are open go on. */
  close(): Awaitable<void>;
}

/** Which messages are wanted. */
export interface Selection {
  /**
   * Where to begin: a number (inclusive; what is missing from there on is a gap), the oldest
   * retained now (default), or behind the newest.
   */
  readonly from?: bigint | "oldest" | "end";
  /** Whether to go on behind what is there at the start; default false. */
  readonly follow?: boolean;
  /** The last number wanted; default the newest at the start, or none with `follow`. */
  readonly until?: bigint;
  /** Only the last so many of those that match and are there at the start. */
  readonly last?: number | undefined;
  /** Only messages that carry all of these tags. */
  readonly tags?: readonly string[];
  /** Only messages at or after this time in nanoseconds since 1970; live ones always pass. */
  readonly since?: bigint;
  /** Only messages that match every one of these. */
  readonly where?: readonly Where[];
  /**
   * Whether {@linkcode Where.failed} is needed: then the conditions are judged in this process, also
   * where the place could. Default false.
   */
  readonly countFailures?: boolean;
  /** False to look in growing pauses instead of waiting for change notices; default true. */
  readonly notify?: boolean;
  /** Whether looking for the next message gives others turns every few milliseconds. */
  readonly yielding?: boolean;
  /** Whether to go on after failures of a connection; default true. */
  readonly reconnect?: boolean;
  /** Told, once an outage, that the connection does not come back at once. */
  readonly onTrouble?: (error: Error) => void;
}

/**
 * Goes through the selected messages in order.
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
  /** What was retained when it began: what comes behind `newest` is live. */
  readonly start: Bounds;
  /** The bytes of the current message; valid until the next call of `next`. */
  readonly frame: FrameBytes;
  /** The current message, its envelope checked. Corrupt when it is none. */
  readonly message: MessageView;
  /** Whether no more will come: everything that was wanted was looked at. */
  readonly ended: boolean;
  /** Every message before this number was looked at or is lost; 0 before that is known. */
  readonly position: bigint;
  /**
   * Grows as long as messages are looked at, also in search of the beginning: what stands still has
   * nothing to look at.
   */
  readonly looked: number;
  /**
   * Goes to the next selected message that is here now, or gives up after some milliseconds of
   * looking in vain.
   *
   * @returns false when there is none; then {@linkcode Walk.ended}, or {@linkcode Walk.wait}
   * @throws {PlasmiteError} Corrupt for damage in the retained range, Usage for a filter that fails
   */
  next(): boolean;
  /** Messages lost since the last call, before the current one. */
  takeGap(): Gap | null;
  /**
   * Waits until there may be more.
   *
   * @param ms how long at most, in milliseconds; undefined for as long as it takes
   * @returns false when the time is over
   * @throws {PlasmiteError} NotFound when the pool was deleted or replaced; the signal's reason
   */
  wait(ms?: number, signal?: AbortSignal): Promise<boolean>;
  /** Releases everything; ends a wait. */
  close(): void;
}
