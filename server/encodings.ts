/**
 * The three forms of a stream: JSON lines, events, Lite3 frames (docs/spec/http-api.md 3).
 *
 * @module
 */

import { type Buf, printAscii, printU64 } from "../lib/bytes.ts";
import type { MessageView } from "../lib/lite3/message.ts";
import type { FrameBytes, Gap } from "../lib/types.ts";
import { printEnvelope } from "../lib/text/envelope.ts";
import { errorJson } from "./errors.ts";
import { BASE_HEADERS, type HeaderPairs } from "./headers.ts";

/** A format of a stream. */
export interface Encoding {
  /** Headers of the answer. */
  readonly headers: HeaderPairs;
  /** The start of every stream. */
  readonly preamble: string;
  /** What an idle stream sends regularly; empty if the format has no such thing. */
  readonly heartbeat: string;
  /** A heartbeat with the position reached, if the format has one. */
  readonly beat?: (next: bigint) => string;
  /** Appends a message; throws Corrupt if it cannot be read. */
  put(message: MessageView, frame: FrameBytes, out: Buf): void;
  /** Appends the position reached and what was lost before it, if the format has marks. */
  mark?(mark: Mark, out: Buf): void;
  /** Appends that messages cannot be read, if the format says that and goes on. */
  unreadable?(range: Gap, out: Buf): void;
  /** The text that ends a failed stream; null if it can only be cut off. */
  failure(error: unknown): string | null;
}

/** The position that a stream has reached. */
export interface Mark {
  /** All messages before this number were examined or are lost. */
  readonly next: bigint;
  /** The first of the messages lost directly before `next`; null if none was lost. */
  readonly firstLost: bigint | null;
}

/** The length that distinguishes a mark from a message; no payload is that long. */
export const MARK_LENGTH = 0xffff_ffff;
/** The length that says that the messages from the one number to the other cannot be read. */
const UNREADABLE_LENGTH = 0xffff_fffe;

function ascii(text: string, out: Buf): void {
  out.reserve(text.length);
  out.len = printAscii(out.dv, out.len, text);
}

/** One envelope per line. */
export const LINES: Encoding = {
  headers: [["content-type", "application/jsonl"], ...BASE_HEADERS],
  preamble: "",
  heartbeat: "\n",
  put(message, _frame, out) {
    printEnvelope(message, out);
    ascii("\n", out);
  },
  failure: (error) => `${errorJson(error)}\n`,
};

/** Server-sent events, with the sequence number as id, so that browsers resume on their own. */
export const EVENTS: Encoding = {
  headers: [
    ["content-type", "text/event-stream"],
    ...BASE_HEADERS.filter(([name]) => name !== "cache-control"),
    ["cache-control", "no-cache, no-transform"],
  ],
  preamble: "retry: 1000\n\n",
  heartbeat: ":\n\n",
  // The page resumes a filtered stream at this position, so that nothing is filtered twice.
  beat: (next) => `: next ${next}\n\n`,
  put(message, _frame, out) {
    const start = out.len;
    try {
      ascii("id: ", out);
      out.reserve(24);
      out.len = printU64(out.dv, out.len, message.seqLo, message.seqHi);
      ascii("\nevent: message\ndata: ", out);
      printEnvelope(message, out);
      ascii("\n\n", out);
    } catch (error) {
      out.len = start;
      throw error;
    }
  },
  unreadable({ first, last }, out) {
    const data = `{"unreadable":{"from":${first},"to":${last}}}`;
    ascii(`id: ${last}\nevent: unreadable\ndata: ${data}\n\n`, out);
  },
  failure: (error) => `event: error\ndata: ${errorJson(error)}\n\n`,
};

/** Sequence, time and length, big-endian, then the payload as stored. */
export const FRAMES: Encoding = {
  headers: [["content-type", "application/x-plasmite-lite3-stream"], ...BASE_HEADERS],
  preamble: "",
  heartbeat: "",
  put(message, { u8, payloadAt, payloadLength }, out) {
    out.reserve(20 + payloadLength);
    const { dv, len } = out;
    dv.setUint32(len, message.seqHi);
    dv.setUint32(len + 4, message.seqLo);
    dv.setUint32(len + 8, message.timeHi);
    dv.setUint32(len + 12, message.timeLo);
    dv.setUint32(len + 16, payloadLength);
    out.u8.set(u8.subarray(payloadAt, payloadAt + payloadLength), len + 20);
    out.len = len + 20 + payloadLength;
  },
  mark({ next, firstLost }, out) {
    out.reserve(20);
    const { dv, len } = out;
    dv.setBigUint64(len, next);
    dv.setBigUint64(len + 8, firstLost ?? 0n);
    dv.setUint32(len + 16, MARK_LENGTH);
    out.len = len + 20;
  },
  unreadable({ first, last }, out) {
    out.reserve(20);
    const { dv, len } = out;
    dv.setBigUint64(len, first);
    dv.setBigUint64(len + 8, last);
    dv.setUint32(len + 16, UNREADABLE_LENGTH);
    out.len = len + 20;
  },
  failure: () => null,
};
