/**
 * The source of the frames of a walk, local or remote.
 *
 * @module
 */

import type { MessageView } from "../lite3/message.ts";
import type { FrameBytes, Gap } from "../types.ts";
import type { Slice } from "../storage/turns.ts";

/** A stream of frames that can be polled and waited for. */
export interface FrameSource {
  /** The current frame. */
  readonly cursor: FrameBytes;
  /** The current message, its envelope checked. */
  readonly message: MessageView;
  /** Moves to the next available message; false if there is none. */
  next(): boolean;
  /**
   * Checks the current message before it is delivered, if the source did not do so. If it returns
   * false, the message comes again, or an error in its place.
   */
  isWhole?(): boolean;
  /** Returns the gap before the current message, once. */
  takeGap(): Gap | null;
  /**
   * Returns the messages before the current one, or at the end, that cannot be read, once; only of
   * sources that skip damage.
   */
  takeUnreadable?(): readonly Gap[];
  /**
   * Checks that the current message can be read to its end; only of sources that skip damage.
   *
   * @throws {PlasmiteError} Corrupt
   */
  check?(): void;
  /** Waits until there may be more; false after `ms` milliseconds. */
  wait(ms?: number, signal?: AbortSignal): Promise<boolean>;
  /**
   * Calls `wake` at least once when there may be more, without a promise for each wait; false if
   * only {@linkcode FrameSource.wait} can wait now.
   */
  sleep?(wake: () => void): boolean;
  /** If the source filters, every message before this number was examined. */
  readonly position?: bigint;
  /** Its time slice in a process that serves others; null or absent otherwise. */
  readonly slice?: Slice | null;
  /** Releases all resources; ends a wait. */
  close(): void;
}
