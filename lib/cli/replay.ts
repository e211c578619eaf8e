/**
 * `follow --replay`: stored messages at their original pace (docs/spec/command-line.md 5.7).
 *
 * @module
 */

import { Pace, ReadAhead } from "../backend/read_ahead.ts";
import type { Walk } from "../backend/types.ts";
import { MessageView } from "../lite3/message.ts";
import { pause } from "../timers.ts";
import type { Gap } from "../types.ts";
import type { MessageWriter } from "./message_writer.ts";

/** Options of a replay. */
export interface PlayOptions {
  /** The speed, greater than 0; 1 is the original pace. */
  readonly speed: number;
  /** The longest pause in milliseconds. */
  readonly limit: number | undefined;
  /** Whether to end after the first message. */
  readonly one: boolean;
  /** Prints messages. */
  readonly writer: MessageWriter;
  /** Aborts pauses and waits. */
  readonly gone: AbortSignal;
  /** Called for losses, at their time. */
  lost(gap: Gap): void;
}

/**
 * Prints all messages at their time, and closes the walk.
 *
 * @returns false if a pause would have exceeded the limit
 */
export async function play(walk: Walk, options: PlayOptions): Promise<boolean> {
  const { speed, limit, one, writer, gone } = options;
  const ahead = new ReadAhead(walk, gone);
  const pace = new Pace(speed);
  const view = new MessageView();
  try {
    for (let next = await ahead.next(); next !== null; next = await ahead.next()) {
      if ("first" in next) {
        options.lost(next);
        continue;
      }
      const ms = pace.step(next.timestampNs);
      if (limit !== undefined && ms > limit) {
        writer.flush();
        await pause(pace.owed + limit, gone);
        return false;
      }
      const due = pace.due(ms);
      if (due > 0) {
        writer.flush();
        await pause(due, gone);
      }
      writer.write(view.openFrame(next));
      if (one) break;
    }
    return true;
  } finally {
    ahead.close();
  }
}
