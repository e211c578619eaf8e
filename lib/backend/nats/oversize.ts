/**
 * Messages that are too large for a stream: refused before they are sent, because a client that is
 * given one has no answer to wait for.
 *
 * @module
 */

import { PlasmiteError } from "../../errors.ts";
import type { Link } from "./link.ts";
import type { Item, Target } from "./publisher.ts";
import { RESERVE, type StreamConfig } from "./stream.ts";
import type { Outgoing } from "./wire.ts";

/** Space allowed for the headers of a message that every message has, in bytes. */
export const HEADER_BYTES = 256;
/** The bytes around the name and the value of a header. */
const AROUND_HEADER = 4;

/** The largest message of a stream in bytes, with its headers. */
export function largestOf(link: Link, config: StreamConfig): number {
  const { max_bytes: size, max_msg_size: most = -1 } = config;
  return Math.min(
    link.nc.info?.max_payload ?? 1024 * 1024,
    size > 0 ? size - RESERVE : Infinity,
    most > 0 ? most : Infinity,
  );
}

/**
 * Rejects a message that can never be stored.
 *
 * @throws {PlasmiteError} Usage
 */
export function refuseOversize(
  { link, path }: Target,
  config: StreamConfig,
  { headerBytes, payload }: Outgoing,
  moreHeaderBytes = 0,
): void {
  const needed = payload.length + headerBytes + HEADER_BYTES + moreHeaderBytes;
  const capacity = largestOf(link, config);
  if (needed <= capacity) return;
  throw new PlasmiteError("Usage", "payload exceeds ring capacity", {
    path,
    // Without the facts that front ends word as the size of a pool in a file.
    hint:
      `This message takes ${needed} bytes and the stream takes ${capacity} at most. Split it, ` +
      "or raise max_payload of the NATS server, or the limits of the stream.",
  });
}

/** Rejects a message with an id and headers of its own that can never be stored. Throws Usage. */
export function refuseOversizeItem(
  target: Target,
  config: StreamConfig,
  { headers = [], id, message }: Item,
): void {
  let more = id.length;
  for (const [name, value] of headers) more += name.length + value.length + AROUND_HEADER;
  refuseOversize(target, config, message, more);
}
