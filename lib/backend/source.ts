/**
 * Where messages come from, local or remote: what `follow`, `duplex` and the bridges read.
 *
 * @module
 */

import type { MessageView } from "../lite3/message.ts";
import { Ring } from "../pool/ring.ts";
import { disk } from "../storage/file.ts";
import type { Bounds, FrameBytes, Gap } from "../types.ts";
import type { Slice } from "../storage/turns.ts";
import { Follower } from "./local/follower.ts";

/** A stream of frames that can be asked without waiting, and waited for. */
export interface FrameSource {
  /** The current frame. */
  readonly cursor: FrameBytes;
  /** The current message, its envelope checked. */
  readonly message: MessageView;
  /** Goes to the next message that is there now; false when there is none. */
  next(): boolean;
  /** The messages lost before the current one, once. */
  takeGap(): Gap | null;
  /** Waits until there may be more; false when `ms` milliseconds are over. */
  wait(ms?: number, signal?: AbortSignal): Promise<boolean>;
  /** Every message before this number was looked at, where a filter runs at the source. */
  readonly position?: bigint;
  /** Its share of the time of a process that serves others; null or absent in one that does not. */
  readonly slice?: Slice | null;
  /** Releases everything; ends a wait. */
  close(): void;
}

/** One pool to read from. */
export interface PoolReader {
  /** What notices and errors call the pool: its path, or `origin/pool`. */
  readonly path: string;
  /** What is retained now. */
  bounds(): Promise<Bounds> | Bounds;
  /**
   * Begins at `seq` (inclusive); 0 begins at the oldest without a gap.
   *
   * @param until no more is wanted behind this one; what comes behind it may still be given
   */
  open(seq: bigint, notify: boolean, until?: bigint): FrameSource;
  /** Releases everything. */
  close(): void;
}

/**
 * Reads the pool in the file at `path`.
 *
 * @throws {PlasmiteError} as {@linkcode Ring.open}
 */
export function openReader(path: string): PoolReader {
  const ring = Ring.open(disk, path, { write: false });
  return {
    path,
    bounds: () => ring.state(),
    open: (seq, notify) => {
      const follower = new Follower(path, seq === 0n ? "oldest" : seq, notify);
      try {
        ring.checkIdentity(); // The follower has the path's file: make sure it is still this one.
        return follower;
      } catch (error) {
        follower.close();
        throw error;
      }
    },
    close: () => ring.close(),
  };
}
