/**
 * Where messages come from, local or remote: what `follow`, `duplex` and the bridges read.
 *
 * @module
 */

import type { MessageView } from "../lite3/message.ts";
import type { FrameBytes, Gap } from "../types.ts";
import type { Slice } from "../storage/turns.ts";

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
