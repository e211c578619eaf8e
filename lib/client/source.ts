/**
 * Where messages come from, local or remote: what `follow`, `duplex` and the bridges read.
 *
 * @module
 */

import type { MessageView } from "../lite3/message.ts";
import type { Gap } from "../pool/cursor.ts";
import { Ring } from "../pool/ring.ts";
import { disk } from "../storage/file.ts";
import { Follower } from "./follower.ts";

/** The current frame of a source; its bytes stay valid until the source moves on. */
export interface FrameBytes {
  /** The bytes that hold it. */
  readonly u8: Uint8Array<ArrayBuffer>;
  /** Where the payload begins in them. */
  readonly payloadAt: number;
  /** Bytes of the payload. */
  readonly payloadLength: number;
  /** Sequence number, low and high 32 bits. */
  readonly seqLo: number;
  readonly seqHi: number;
  /** Nanoseconds since 1970, low and high 32 bits. */
  readonly timeLo: number;
  readonly timeHi: number;
  /** Sequence number. */
  readonly seq: bigint;
  /** Nanoseconds since 1970. */
  readonly timestampNs: bigint;
}

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
  /** Releases everything; ends a wait. */
  close(): void;
}

/** First and last retained sequence number; `oldest` 0 when nothing is retained. */
export interface Bounds {
  /** The oldest retained sequence number, or 0. */
  readonly oldest: bigint;
  /** The last sequence number given out. */
  readonly newest: bigint;
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
