/**
 * What the consumer of a work group knows: its filter, and how far the messages are accounted for
 * (docs/spec/jetstream.md 12).
 *
 * @module
 */

import type { TaskFilter } from "../../coordination/group_record.ts";
import type { ConsumerInfo } from "./consumers.ts";

/** The contents of the description. */
export interface Note extends TaskFilter {
  /** Up to this number, all messages were handed out, did not match, or were reported as lost. */
  readonly lost: number;
}

/** What a group's consumer says about itself. */
export function noteOf({ config }: ConsumerInfo): Note {
  const { tags = [], where = [], lost = 0 }: Partial<Note> = JSON.parse(config.description || "{}");
  return { tags, where, lost };
}

/** Whether the server chooses what to hand out. */
export function isChosen({ config }: ConsumerInfo): boolean {
  return config["filter_subjects"] !== undefined || Boolean(config["filter_subject"]);
}

/** Up to this number, every message was handed out or is accounted for. */
export function scannedBy(info: ConsumerInfo): number {
  const start = (info.config.opt_start_seq ?? 1) - 1;
  return Math.max(info.delivered.stream_seq, start, noteOf(info).lost);
}
