/**
 * Options for reading a stream, and the metadata of delivered messages.
 *
 * @module
 */

import type { PlasmiteError } from "../../errors.ts";
import type { Excluded } from "../shipment.ts";
import type { Choice } from "./choice.ts";
import type { StreamInfo } from "./stream.ts";

/** Options for reading. */
export interface NatsSourceOptions {
  /** The name of the stream. */
  readonly stream: string;
  /** Its name for errors. */
  readonly path: string;
  /** The stream as it was when reading began. */
  readonly info: StreamInfo;
  /** The first sequence number wanted. */
  readonly start: bigint;
  /** Messages up to this number are requested explicitly if they do not arrive. */
  readonly target: bigint;
  /** Whether to continue after connection failures. */
  readonly reconnect: boolean;
  /** Called once per outage, after the second attempt has also failed. */
  readonly onTrouble?: ((error: PlasmiteError) => void) | undefined;
  /** Called for each message that cannot be read and is skipped. */
  readonly onUnreadable?: ((error: PlasmiteError) => void) | undefined;
  /** Whether to read up to the target, and by direct gets; default false. */
  readonly isDirect?: boolean;
  /** What the server chooses; null for everything. */
  readonly choice?: Choice | null;
  /** Whether such messages are skipped and told by `takeUnreadable` instead. */
  readonly skipCorrupt: boolean;
  /** Skips messages that were not copied from the source of this name. */
  readonly source?: string | undefined;
  /** Skips messages that were copied from this source. */
  readonly excluded?: Excluded | undefined;
}

/** The numbers in the reply subject of a delivered message. */
export interface Delivery {
  /** The number of the message in the stream. */
  readonly seq: number;
  /** How many times it has been delivered, including this time. */
  readonly tries: number;
  /** How many messages the consumer has delivered, including this one. */
  readonly count: number;
  /** When the server stored it, in nanoseconds since 1970. */
  readonly time: string;
  /** How many messages the consumer will deliver after it; wrong in 2.9 after it was overtaken. */
  readonly pending: number;
}

/** `$JS.ACK.[domain.account.]stream.consumer.tries.seq.count.time.pending[.token]` */
export function deliveryOf(reply: string): Delivery {
  const tokens = reply.split(".");
  const at = tokens.length >= 11 ? 7 : 5;
  return {
    seq: Number(tokens[at]),
    tries: Number(tokens[at - 1]),
    count: Number(tokens[at + 1]),
    time: tokens[at + 2] ?? "0",
    pending: Number(tokens[at + 3]),
  };
}
