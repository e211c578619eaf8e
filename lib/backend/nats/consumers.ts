/**
 * Durable consumers, in which a stream keeps its cursors and work groups
 * (docs/spec/jetstream.md 12).
 *
 * @module
 */

import type { Msg } from "@nats-io/transport-node";
import { Code, hasCode } from "./errors.ts";
import type { Target } from "./publisher.ts";
import { pause } from "../../timers.ts";

/** The status of a request that nobody takes. */
const NO_RESPONDERS = 503;
/** The pause before the caller asks again, in milliseconds. */
const LEADERLESS_MS = 250;

/** A consumer as described by the API. */
export interface ConsumerInfo {
  readonly name: string;
  readonly created: string;
  readonly config: {
    readonly description?: string;
    readonly ack_wait?: number;
    readonly opt_start_seq?: number;
    readonly [field: string]: unknown;
  };
  readonly ack_floor: { readonly stream_seq: number; readonly last_active?: string };
  readonly delivered: { readonly consumer_seq: number; readonly stream_seq: number };
  readonly num_pending: number;
  readonly num_ack_pending: number;
}

/** What a consumer is for: the prefix of its name. The names of cursors contain no tilde. */
export type ConsumerKind = "cursor~" | "group~";

/** The name of the consumer of a cursor or a group. */
export function consumerOf(kind: ConsumerKind, name: string): string {
  return kind + name.replaceAll(".", "~");
}

/** The name of the cursor or group of a consumer; null if the consumer is of another kind. */
export function nameOf(kind: ConsumerKind, consumer: string): string | null {
  return consumer.startsWith(kind) ? consumer.slice(kind.length).replaceAll("~", ".") : null;
}

/** Describes a consumer; null if it does not exist. */
export async function findConsumer(
  { link, path, stream }: Target,
  consumer: string,
): Promise<ConsumerInfo | null> {
  try {
    return await link.api(`CONSUMER.INFO.${stream}.${consumer}`, null, path);
  } catch (error) {
    if (hasCode(error, Code.noConsumer)) return null;
    throw error;
  }
}

/** Creates a consumer, or changes its configuration. */
export async function putConsumer(
  { link, path, stream }: Target,
  consumer: string,
  config: object,
): Promise<ConsumerInfo> {
  const body = { stream_name: stream, config };
  return await link.api(`CONSUMER.DURABLE.CREATE.${stream}.${consumer}`, body, path);
}

/** Deletes a consumer; false if it does not exist. */
export async function removeConsumer(
  { link, path, stream }: Target,
  consumer: string,
): Promise<boolean> {
  try {
    await link.api(`CONSUMER.DELETE.${stream}.${consumer}`, null, path);
    return true;
  } catch (error) {
    if (hasCode(error, Code.noConsumer)) return false;
    throw error;
  }
}

/**
 * Requests messages of a consumer and returns them as they arrive, until the server says that there
 * are no more, none came for `silenceMs`, or the signal is aborted.
 */
export async function* pull(
  { link, stream }: Target,
  consumer: string,
  request: object,
  silenceMs: number,
  signal?: AbortSignal,
): AsyncGenerator<Msg, void, unknown> {
  const inbox = link.library.createInbox();
  const subscription = link.nc.subscribe(inbox, { timeout: silenceMs });
  const stop = (): void => subscription.unsubscribe();
  signal?.addEventListener("abort", stop, { once: true });
  const subject = link.subject(`CONSUMER.MSG.NEXT.${stream}.${consumer}`);
  link.nc.publish(subject, JSON.stringify(request), { reply: inbox });
  try {
    for await (const message of subscription) {
      if (message.subject !== inbox) {
        yield message;
        continue;
      }
      // A status: there are no more messages, or nobody leads the consumer.
      if (message.headers?.code === NO_RESPONDERS) await pause(LEADERLESS_MS, signal);
      break;
    }
  } catch (error) {
    if (!(error instanceof link.library.TimeoutError)) throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
    subscription.unsubscribe();
  }
}
