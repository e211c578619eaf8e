/**
 * What a reader of a stream wants, and what a consumer delivers.
 *
 * @module
 */

import type { PlasmiteError } from "../../errors.ts";
import type { Excluded } from "../shipment.ts";
import type { StreamInfo } from "./stream.ts";

/** How to read. */
export interface NatsSourceOptions {
  /** The name of the stream. */
  readonly stream: string;
  /** Its name in errors. */
  readonly path: string;
  /** The stream as it was when reading began. */
  readonly info: StreamInfo;
  /** The first sequence number wanted. */
  readonly start: bigint;
  /** Up to this number, messages that do not arrive are asked for. */
  readonly target: bigint;
  /** Whether to go on after failures of the connection. */
  readonly reconnect: boolean;
  /** Called once per outage, when the second attempt has failed too. */
  readonly onTrouble?: ((error: PlasmiteError) => void) | undefined;
  /** Called for a message that cannot be read and is left out. */
  readonly onUnreadable?: ((error: PlasmiteError) => void) | undefined;
  /** Leaves out messages that came from there. */
  readonly excluded?: Excluded | undefined;
}

/** The numbers in the reply subject of a delivered message. */
export interface Delivery {
  /** The number of the message in the stream. */
  readonly seq: number;
  /** How often it was delivered, with this time. */
  readonly tries: number;
  /** How many messages the consumer has delivered, with this one. */
  readonly count: number;
  /** When the server stored it, in nanoseconds since 1970. */
  readonly time: string;
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
  };
}
