/**
 * Direct gets: messages without a consumer, from any server that has the stream
 * (docs/spec/jetstream.md 6).
 *
 * A server may lag behind the leader, or not answer such requests at all. So the end of what it
 * has, and every failure, means only that the reader must look elsewhere.
 *
 * @module
 */

import type { Msg, Subscription } from "@nats-io/transport-node";
import { parseRfc3339 } from "../../text/time.ts";
import { atLeast, type Link, type LinkEvent } from "./link.ts";
import type { StreamConfig } from "./stream.ts";
import { type Arrival, type Supply, type SupplyUser, Unread } from "./supply.ts";
import { type Headers, headersOf, type Incoming, statusOf } from "./wire.ts";

/** The most messages that are read by direct gets: a consumer is faster with more. */
const MOST = 500;
/** The maximum number of bytes per request. */
const BATCH_BYTES = 4 * 1024 * 1024;
/** How long to wait for the answer to a single get, in milliseconds. */
const GET_MS = 2_000;

/** Whether the servers answer direct gets of several messages from a stream. */
export function takesDirect(link: Link, { allow_direct: isAllowed }: StreamConfig): boolean {
  return isAllowed === true && atLeast(link.version, 2, 11);
}

/** Whether so few messages are best read by direct gets. */
export function isFew(from: number, until: number): boolean {
  return until >= from && until - from < MOST;
}

/** Which messages to get. */
export interface DirectOptions {
  readonly stream: string;
  /** The first sequence number wanted. */
  readonly start: number;
  /** The last sequence number wanted. */
  readonly until: number;
  /** The average size of a message. */
  readonly averageBytes: number;
}

/** Messages up to a number, requested in batches. */
export class DirectBatches implements Supply {
  averageBytes: number;
  readonly isSilent = false;
  readonly #link: Link;
  readonly #options: DirectOptions;
  readonly #user: SupplyUser;
  readonly #inbox: string;
  readonly #subscription: Subscription;
  readonly #listener = (event: LinkEvent): void => this.#onLink(event);
  readonly #unread = new Unread<Gotten>();
  /** The last number that has arrived in the current batch; 0 if none has. */
  #last = 0;
  /** The first number of the next request; null while a request is under way, or if it was the last. */
  #next: number | null;
  #closed = false;

  /** Requests the first messages. */
  constructor(link: Link, options: DirectOptions, user: SupplyUser) {
    this.#link = link;
    this.#options = options;
    this.#user = user;
    this.averageBytes = options.averageBytes;
    this.#next = options.start;
    this.#inbox = link.library.createInbox();
    link.listeners.add(this.#listener);
    this.#subscription = link.nc.subscribe(this.#inbox, {
      callback: (error, message) => {
        if (this.#closed) return;
        if (error === null && this.#accept(message)) user.arrived();
        else user.failed();
      },
    });
    this.#request();
  }

  get isUnread(): boolean {
    return this.#unread.length > 0;
  }

  get newest(): number {
    return this.#unread.last?.seq ?? 0;
  }

  peek(): Arrival | null {
    return this.#unread.first ?? null;
  }

  shift(): void {
    this.#unread.shift();
    this.#request();
  }

  #onLink(event: LinkEvent): void {
    const isOurs = event.type !== "forbidden" ||
      event.subject === this.#link.subject(`DIRECT.GET.${this.#options.stream}`);
    if (isOurs) this.#user.failed();
  }

  /** Takes a message or the end of a batch; false if something is missing. */
  #accept(message: Msg): boolean {
    const code = statusOf(message);
    if (code === 404) return true; // There is nothing more: the reader finds out why.
    if (code !== 0 && code !== 204) return false;
    const one = new Gotten(message);
    if (one.before !== this.#last) return false;
    if (code === 204) {
      this.#end();
      return true;
    }
    this.#last = one.seq;
    if (!(one.seq > 0)) return false;
    this.averageBytes += (message.data.length + 64 - this.averageBytes) / 64;
    this.#unread.push(one);
    return true;
  }

  #end(): void {
    if (this.#last < this.#options.until) this.#next = this.#last + 1;
    this.#request();
  }

  /** Requests more if there is room for it. */
  #request(): void {
    const start = this.#next;
    const { stream, until } = this.#options;
    if (this.#closed || start === null || this.isUnread) return;
    this.#next = null;
    this.#last = 0;
    const body = JSON.stringify({ seq: start, batch: until - start + 1, max_bytes: BATCH_BYTES });
    this.#link.nc.publish(this.#link.subject(`DIRECT.GET.${stream}`), body, {
      reply: this.#inbox,
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#link.listeners.delete(this.#listener);
    if (!this.#link.nc.isClosed()) this.#subscription.unsubscribe();
  }
}

/** A message that was gotten. The server's headers come behind those that were stored. */
export class Gotten implements Arrival {
  readonly seq: number;
  readonly pending: number;
  /** The number of the message before it in the batch; 0 for the first. */
  readonly before: number;
  readonly #message: Msg;
  readonly #headers: Headers | undefined;

  constructor(message: Msg) {
    this.#message = message;
    this.#headers = headersOf(message);
    this.seq = Number(this.#headers?.last("Nats-Sequence"));
    this.before = Number(this.#headers?.last("Nats-Last-Sequence"));
    this.pending = Number(this.#headers?.last("Nats-Num-Pending"));
  }

  incoming(): Incoming {
    const headers = this.#headers;
    return {
      subject: headers?.last("Nats-Subject") ?? "",
      data: this.#message.data,
      headers,
      seq: BigInt(this.seq),
      timestampNs: parseRfc3339(headers?.last("Nats-Time-Stamp") ?? "") ?? 0n,
    };
  }
}

/** Gets single messages, as long as the servers answer. */
export class DirectGets {
  readonly #link: Link;
  readonly #stream: string;
  #isAnswered: boolean;

  /** Gets messages of a stream. */
  constructor(link: Link, config: StreamConfig) {
    this.#link = link;
    this.#stream = config.name;
    this.#isAnswered = takesDirect(link, config);
  }

  /** Gets a message; null if the leader must be asked. */
  async get(seq: number): Promise<Incoming | null> {
    if (!this.#isAnswered) return null;
    const subject = this.#link.subject(`DIRECT.GET.${this.#stream}`);
    try {
      const body = JSON.stringify({ seq });
      const message = await this.#link.nc.request(subject, body, { timeout: GET_MS });
      const one = new Gotten(message);
      return statusOf(message) === 0 && one.seq === seq ? one.incoming() : null;
    } catch {
      this.#isAnswered = false; // The leader is asked next, and tells what is wrong.
      return null;
    }
  }
}
