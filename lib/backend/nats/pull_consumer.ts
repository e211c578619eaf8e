/**
 * A pull consumer of a reader, and the messages that it has delivered. At most as many arrive as
 * were requested, so that a slow reader needs little memory.
 *
 * @module
 */

import type { Msg, Subscription } from "@nats-io/transport-node";
import { filterOf } from "./choice.ts";
import type { ConsumerInfo } from "./consumers.ts";
import { deliveryOf } from "./delivery.ts";
import { forbidden } from "./errors.ts";
import type { Link, LinkEvent } from "./link.ts";
import { type Arrival, type Supply, type SupplyUser, Unread } from "./supply.ts";
import { headersOf, type Incoming, statusOf } from "./wire.ts";

/** The maximum number of messages requested at a time. */
const PULL_MESSAGES = 1000;
/** The maximum number of messages in transit or unread. */
const MOST_MESSAGES = 4000;
/** The approximate maximum number of bytes in transit or unread. */
const MOST_BYTES = 8 * 1024 * 1024;
/** How long a request for messages is valid, in milliseconds. */
const PULL_MS = 30_000;
/** How often the server sends a heartbeat, in milliseconds. */
const HEARTBEAT_MS = 5_000;
/** How long without any data or heartbeat until the consumer counts as lost, in milliseconds. */
const SILENCE_MS = 12_000;
/** How long the server keeps an unused consumer, in milliseconds. */
const CONSUMER_MS = 30_000;

/** What a consumer delivers. */
export interface ConsumerOptions {
  readonly stream: string;
  /** The name of the stream for errors. */
  readonly path: string;
  /** The first sequence number wanted. */
  readonly start: number;
  /** The subjects wanted; null for all. */
  readonly subjects: readonly string[] | null;
  /** The average size of a message. */
  readonly averageBytes: number;
}

/** A consumer on the server and the subscription to what it delivers. */
export class PullConsumer implements Supply {
  readonly link: Link;
  averageBytes: number;
  /** How many messages match, when the consumer was created. */
  readonly pending: number;
  /** Whether it delivers certain subjects only. */
  readonly isChosen: boolean;
  readonly #name: string;
  readonly #options: ConsumerOptions;
  readonly #user: SupplyUser;
  readonly #inbox: string;
  readonly #subscription: Subscription;
  readonly #listener = (event: LinkEvent): void => this.#onLink(event);
  readonly #unread = new Unread<Msg>();
  /** How many messages were read. */
  #delivered = 0;
  /** The number of messages that were requested and have not arrived. */
  #asked = 0;
  #heardAt = performance.now();
  #closed = false;

  private constructor(
    link: Link,
    { name, num_pending: pending }: ConsumerInfo,
    options: ConsumerOptions,
    user: SupplyUser,
  ) {
    this.link = link;
    this.#name = name;
    this.pending = pending;
    this.isChosen = options.subjects !== null;
    this.averageBytes = options.averageBytes;
    this.#options = options;
    this.#user = user;
    this.#inbox = link.library.createInbox();
    link.listeners.add(this.#listener);
    this.#subscription = link.nc.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (this.#closed) return;
        if (error !== null) user.failed(link.failure(error, this.#inbox, options.path));
        else if (this.#accept(message)) user.arrived();
        else user.failed();
      },
    });
  }

  /** Creates a consumer. Throws the errors of the server. */
  static async create(
    link: Link,
    options: ConsumerOptions,
    user: SupplyUser,
  ): Promise<PullConsumer> {
    const { path, start, stream, subjects } = options;
    const name = `plasmite-${link.library.nuid.next()}`;
    const config = {
      name,
      ack_policy: "none",
      deliver_policy: "by_start_sequence",
      opt_start_seq: start,
      ...(subjects === null ? {} : filterOf(subjects)),
      replay_policy: "instant",
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: CONSUMER_MS * 1_000_000,
    };
    const body = { stream_name: stream, config };
    const info = await link.api<ConsumerInfo>(`CONSUMER.CREATE.${stream}.${name}`, body, path);
    return new PullConsumer(link, { ...info, name }, options, user);
  }

  get isUnread(): boolean {
    return this.#unread.length > 0;
  }

  get isSilent(): boolean {
    return performance.now() - this.#heardAt > SILENCE_MS;
  }

  get newest(): number {
    return deliveryOf(this.#unread.last?.reply ?? "").seq || 0;
  }

  /** How many messages were read. */
  get delivered(): number {
    return this.#delivered;
  }

  peek(): Arrival | null {
    const { first } = this.#unread;
    if (first === undefined) return null;
    const { count, pending, seq, time } = deliveryOf(first.reply ?? "");
    if (count !== this.#delivered + 1) {
      this.#user.failed(); // A message was lost in transit.
      return null;
    }
    const incoming = (): Incoming => {
      const { data, subject } = first;
      return {
        subject,
        data,
        headers: headersOf(first),
        seq: BigInt(seq),
        timestampNs: BigInt(time),
      };
    };
    return { seq, pending, incoming };
  }

  shift(): void {
    this.#delivered++;
    this.#unread.shift();
    this.pull();
  }

  #onLink(event: LinkEvent): void {
    const { path, stream } = this.#options;
    if (event.type !== "forbidden") this.#user.failed();
    else if (event.subject.includes(`.${stream}.${this.#name}`)) {
      this.#user.failed(forbidden(event.subject, path));
    }
  }

  /** Takes a message or a status; false if the status ends the consumer. */
  #accept(message: Msg): boolean {
    this.#heardAt = performance.now();
    // Statuses arrive on the reply subject; messages have a subject of the stream.
    const isStatus = message.subject.startsWith(this.#inbox);
    const code = isStatus ? statusOf(message) : 0;
    if (code === 0) {
      this.#asked--;
      this.averageBytes += (message.data.length + 64 - this.averageBytes) / 64;
      this.#unread.push(message);
      this.pull();
    } else if (code === 408 || code === 404) {
      this.#asked -= Number(message.headers?.get("Nats-Pending-Messages") || this.#asked);
      this.pull();
    } else if (code !== 100) return false;
    return true;
  }

  /** Requests more messages if there is room for them. */
  pull(): void {
    if (this.#closed) return;
    const most = Math.max(2, Math.min(MOST_MESSAGES, Math.floor(MOST_BYTES / this.averageBytes)));
    const batch = Math.min(PULL_MESSAGES, most >> 1);
    // Request more while the previous ones are arriving, so that the server never waits.
    if (this.#asked > batch >> 1) return;
    if (this.#unread.length + this.#asked + batch > most) return;
    const expires = PULL_MS * 1_000_000;
    const request = { batch, expires, idle_heartbeat: HEARTBEAT_MS * 1_000_000 };
    this.#asked += batch;
    const subject = this.link.subject(`CONSUMER.MSG.NEXT.${this.#options.stream}.${this.#name}`);
    this.link.nc.publish(subject, JSON.stringify(request), { reply: `${this.#inbox}.p` });
  }

  /** Its state on the server. */
  async info(): Promise<ConsumerInfo> {
    const { path, stream } = this.#options;
    return await this.link.api(`CONSUMER.INFO.${stream}.${this.#name}`, null, path);
  }

  /** Deletes it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const { link } = this;
    link.listeners.delete(this.#listener);
    if (link.nc.isClosed()) return;
    this.#subscription.unsubscribe();
    if (!link.lost) {
      link.nc.publish(link.subject(`CONSUMER.DELETE.${this.#options.stream}.${this.#name}`));
    }
  }
}
