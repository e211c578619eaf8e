/**
 * What the tools need from a place that keeps pools, be it a directory or a server.
 *
 * @module
 */

import type { PoolInfo } from "../lib/backend/local/info.ts";
import { nameProblem } from "../lib/client/names.ts";
import { PlasmiteError } from "../lib/errors.ts";
import type { MessageView } from "../lib/lite3/message.ts";

/** First and last retained sequence number; both 0 when the pool is empty. */
export interface Bounds {
  /** The oldest retained sequence number. */
  readonly oldest: bigint;
  /** The newest one. */
  readonly newest: bigint;
}

/** How a scan ended. */
export interface Scanned {
  /** The highest sequence number that was looked at or found missing; below `from` if none. */
  readonly examined: bigint;
  /** Whether messages had been overwritten before they were reached. */
  readonly gap: boolean;
}

/** A pool as it is now. */
export interface Snapshot {
  /** What is retained. */
  bounds(): Promise<Bounds>;
  /**
   * Looks at the messages `from` to `to` (inclusive) in order, until `visit` returns false. The
   * message that it returned false for counts as not examined.
   */
  scan(
    from: bigint,
    to: bigint,
    visit: (message: MessageView) => boolean,
    signal?: AbortSignal,
  ): Promise<Scanned>;
  /** Releases the pool. */
  close(): void;
}

/** A pool that is being followed. */
export interface Live {
  /** What was retained when following began. */
  readonly start: Bounds;
  /** What is retained now. */
  bounds(): Promise<Bounds>;
  /** The next message that is there now, or null; valid until the next call. */
  next(signal?: AbortSignal): Promise<MessageView | null>;
  /** Whether messages were lost since the last call. */
  lost(): boolean;
  /**
   * Waits until there may be something new; false when the time is over.
   *
   * @param ms how long at most, in milliseconds
   */
  wait(ms: number, signal?: AbortSignal): Promise<boolean>;
  /** Releases the pool. */
  close(): void;
}

/** Says which of all pools are wanted, by their sorted names. */
export type Choose = (names: readonly string[]) => readonly string[];

/** A place that keeps pools. Failures are `PlasmiteError`. */
export interface PoolStore {
  /** Milliseconds between two looks at which pools exist. */
  readonly listEvery: number;
  /** Milliseconds between two looks for a pool that does not exist yet. */
  readonly appearEvery: number;
  /**
   * Describes some of the pools, sorted by name.
   *
   * @param choose takes the names of all pools, sorted, and returns those that are wanted
   */
  list(choose?: Choose): Promise<PoolInfo[]>;
  /** The names of all pools, sorted. */
  names(): Promise<string[]>;
  /** Makes a pool. */
  create(name: string, sizeBytes: bigint | undefined): Promise<PoolInfo>;
  /** Describes a pool. */
  info(name: string): Promise<PoolInfo>;
  /** Deletes a pool. */
  remove(name: string): Promise<void>;
  /**
   * Appends a message whose data is JSON text and returns its envelope as JSON text.
   *
   * @param create whether to make a missing pool, once the data is known to be storable
   */
  append(name: string, data: string, tags: readonly string[], create: boolean): Promise<string>;
  /** One message's envelope as JSON text. */
  get(name: string, seq: bigint): Promise<string>;
  /** Opens a pool to look at what it holds. */
  open(name: string): Promise<Snapshot>;
  /** Follows a pool from `from` on, or, without it, from behind the newest message. */
  follow(name: string, from?: bigint): Promise<Live>;
  /** What of a file's path the peer may see. */
  shown(path: string): string;
}

/**
 * Refuses names as the HTTP interface does.
 *
 * @throws {PlasmiteError} Usage
 */
export function checkName(name: string): void {
  const problem = nameProblem(name);
  if (problem === undefined) return;
  throw new PlasmiteError("Usage", problem.message, { hint: problem.hint });
}
