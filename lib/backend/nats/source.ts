/**
 * A stream as a series of frames, read with its own pull consumer. Whenever the consumer may have
 * missed something, it is recreated to start after the last message received
 * (docs/spec/jetstream.md 6).
 *
 * Messages arrive in the background, at most as many as were requested. Everything else (creating
 * the consumer, finding the cause of a hole, checking whether the stream is still the same) happens
 * inside the wait calls.
 *
 * @module
 */

import { MutableFrame } from "../frames.ts";
import type { Msg, Subscription } from "@nats-io/transport-node";
import { ErrorKind, PlasmiteError } from "../../errors.ts";
import { MessageView } from "../../lite3/message.ts";
import { waitFor } from "../../timers.ts";
import type { FrameBytes, Gap } from "../../types.ts";
import type { FrameSource } from "../source.ts";
import { deliveryOf, type NatsSourceOptions } from "./delivery.ts";
import { Code, deleted, forbidden, hasCode, replaced } from "./errors.ts";
import type { Connector, Link, LinkEvent } from "./link.ts";
import { leaderMessage, type StreamInfo, streamInfo } from "./stream.ts";
import { originOf } from "./shipment.ts";
import { headersOf, type Incoming, Reader, sourceSubject, timeOf } from "./wire.ts";

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
/** How often an idle reader checks whether the stream is still the same, in milliseconds. */
const IDLE_MS = 5_000;
/** How long to wait for expected messages before requesting them explicitly, in milliseconds. */
const LATE_MS = 100;
/** How long a missing stream may take to reappear, in milliseconds. */
const GRACE_MS = 1_000;
/** Pauses between attempts, in milliseconds. */
const FIRST_PAUSE = 50;
const LAST_PAUSE = 2_000;

/** A consumer on the server and the subscription to what it delivers. */
interface Consumer {
  readonly link: Link;
  readonly name: string;
  readonly inbox: string;
  readonly subscription: Subscription;
  readonly listener: (event: LinkEvent) => void;
}

/** Follows one stream. */
export class NatsSource implements FrameSource {
  readonly cursor: FrameBytes;
  readonly #frame = new MutableFrame();
  readonly #options: NatsSourceOptions;
  readonly #connector: Connector;
  readonly #reader: Reader;
  /** The subject of the messages to skip; null if there are none. */
  readonly #excludedSubject: string | null;
  readonly #view = new MessageView();
  #viewed = false;

  #consumer: Consumer | null = null;
  /** Messages that have arrived; those from `#head` on have not been read. */
  #queue: Msg[] = [];
  #head = 0;
  /** The number of messages that were requested and have not arrived. */
  #asked = 0;
  /** How many messages of the current consumer were read. */
  #delivered = 0;
  #averageBytes: number;
  #heardAt = 0;

  /** The next sequence number. */
  #expected: number;
  #gap: Gap | null = null;
  /** Messages from `#expected` to here may be lost; null if nothing is in doubt. */
  #holeBefore: number | null = null;
  /** What was retained when the hole was examined. */
  #firstKept = 0;
  /** The message whose preceding hole has been explained. */
  #explained = 0;

  #step: Promise<void> | null = null;
  #wake: () => void = () => {};
  #failure: { readonly error: unknown } | null = null;
  #closed = false;
  #failures = 0;
  #pauseMs = 0;
  #lateMs = LATE_MS;
  #missingSince = 0;
  /** Whether the stream may have been replaced. */
  #doubtful = false;

  /** Creates a source for the stream; nothing is sent before the first wait. */
  constructor(connector: Connector, options: NatsSourceOptions) {
    this.cursor = this.#frame;
    this.#connector = connector.retain();
    this.#options = options;
    this.#reader = new Reader(options.stream, options.path);
    const { excluded, stream } = options;
    this.#excludedSubject = excluded === undefined ? null : sourceSubject(stream, excluded.source);
    this.#expected = Math.max(1, Number(options.start));
    const { bytes, messages } = options.info.state;
    this.#averageBytes = messages === 0 ? 256 : bytes / messages;
  }

  /** Every message before this number was delivered or no longer exists. */
  get position(): bigint {
    return BigInt(this.#expected);
  }

  takeGap(): Gap | null {
    const gap = this.#gap;
    this.#gap = null;
    return gap;
  }

  get message(): MessageView {
    if (!this.#viewed) this.#view.openFrame(this.#frame, this.#reader.out.dv);
    this.#viewed = true;
    return this.#view;
  }

  next(): boolean {
    this.#viewed = false;
    if (this.#closed) return false;
    while (this.#holeBefore === null && this.#head < this.#queue.length) {
      if (this.#take()) return true;
    }
    if (this.#failure !== null) throw this.#failure.error;
    return false;
  }

  /** Reads the first message of the queue; false if it must not be delivered, or not yet. */
  #take(): boolean {
    const message = this.#queue[this.#head];
    if (message === undefined) return false;
    const { seq, count, time } = deliveryOf(message.reply ?? "");
    if (count !== this.#delivered + 1) {
      this.#drop(); // A message was lost in transit.
      return false;
    }
    const expected = this.#expected;
    if (seq > expected && this.#explained !== seq) {
      this.#holeBefore = seq;
      return false;
    }
    this.#shift();
    this.#delivered = count;
    // NATS 2.9 begins with the next message if the start is beyond the end.
    if (seq < expected) return false;
    if (seq > expected) this.#lose(expected, Math.min(seq, this.#firstKept) - 1);
    this.#expected = seq + 1;
    this.#lateMs = LATE_MS;
    return this.#decode(message, seq, BigInt(time));
  }

  #shift(): void {
    this.#head++;
    if (this.#head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    }
    this.#pull();
  }

  #lose(first: number, last: number): void {
    if (last < first) return;
    this.#gap = { first: this.#gap?.first ?? BigInt(first), last: BigInt(last) };
  }

  #decode(message: Msg, seq: number, timestampNs: bigint): boolean {
    const { subject, data } = message;
    const headers = headersOf(message);
    const incoming: Incoming = { subject, data, headers, seq: BigInt(seq), timestampNs };
    if (this.#isExcluded(incoming)) return false;
    try {
      this.#reader.encode(incoming);
    } catch (error) {
      const { onUnreadable } = this.#options;
      if (!PlasmiteError.is(error, ErrorKind.Corrupt) || onUnreadable === undefined) throw error;
      onUnreadable(error);
      return false;
    }
    const { out } = this.#reader;
    const time = timeOf(incoming);
    const frame = this.#frame;
    frame.u8 = out.u8;
    frame.payloadLength = out.len;
    frame.seqLo = seq >>> 0;
    frame.seqHi = Math.floor(seq / 0x1_0000_0000);
    frame.timeLo = Number(time & 0xffff_ffffn);
    frame.timeHi = Number(BigInt.asUintN(64, time) >> 32n);
    return true;
  }

  #isExcluded(message: Incoming): boolean {
    const { excluded } = this.#options;
    if (excluded === undefined) return false;
    return message.subject === this.#excludedSubject || originOf(message)?.pool === excluded.pool;
  }

  wait(ms?: number, signal?: AbortSignal): Promise<boolean> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const isReady = this.#holeBefore === null && this.#head < this.#queue.length;
    if (this.#closed || this.#failure !== null || isReady) return Promise.resolve(true);
    const step = this.#step ??= this.#advance().finally(() => {
      this.#step = null;
    });
    return waitFor((wake) => void step.then(wake), () => {}, ms, signal);
  }

  /** Performs the next pending step, or waits for messages. */
  async #advance(): Promise<void> {
    try {
      if (this.#pauseMs > 0) await this.#sleep(this.#takePause());
      else if (this.#holeBefore !== null) await this.#explain(this.#holeBefore);
      else if (this.#consumer === null) await this.#connect();
      else await this.#idle();
    } catch (error) {
      this.#trouble(error);
    }
  }

  #takePause(): number {
    const ms = this.#pauseMs;
    this.#pauseMs = 0;
    return ms;
  }

  /** Sleeps until something arrives; false if nothing did. */
  async #sleep(ms: number): Promise<boolean> {
    return await waitFor((wake) => this.#wake = wake, () => {}, ms, undefined);
  }

  /** Retries after a temporary failure, with growing pauses; any other failure ends reading. */
  #trouble(error: unknown): void {
    if (this.#closed) return;
    this.#drop();
    const isMissing = hasCode(error, Code.noStream);
    const isTransient = PlasmiteError.is(error) &&
      (error.kind === ErrorKind.Busy || (error.kind === ErrorKind.Io && this.#options.reconnect));
    if (isMissing) {
      const now = performance.now();
      this.#missingSince ||= now;
      if (now - this.#missingSince < GRACE_MS) this.#pauseMs = GRACE_MS;
      else this.#failure ??= { error: deleted(this.#options.path) };
    } else if (isTransient) {
      const pause = Math.min(FIRST_PAUSE * 2 ** this.#failures, LAST_PAUSE);
      this.#pauseMs = pause * (0.5 + Math.random() / 2);
      if (++this.#failures === 2) this.#options.onTrouble?.(error);
    } else this.#failure ??= { error };
  }

  /** Describes the stream. Throws NotFound if it has been replaced. */
  async #look(): Promise<StreamInfo> {
    const { info, path, stream } = this.#options;
    const now = await streamInfo(await this.#connector.link(), stream, path);
    if (now.created !== info.created) throw replaced(path);
    this.#missingSince = 0;
    this.#doubtful = false;
    return now;
  }

  /** Finds out what is missing before `seq`; only messages removed by retention count as lost. */
  async #explain(seq: number): Promise<void> {
    const { state } = await this.#look();
    this.#firstKept = state.first_seq;
    this.#explained = seq;
    this.#holeBefore = null;
  }

  async #connect(): Promise<void> {
    const { path, stream } = this.#options;
    const link = await this.#connector.link();
    if (this.#doubtful) await this.#look();
    const name = `plasmite-${link.library.nuid.next()}`;
    const inbox = link.library.createInbox();
    const config = {
      name,
      ack_policy: "none",
      deliver_policy: "by_start_sequence",
      opt_start_seq: this.#expected,
      replay_policy: "instant",
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: CONSUMER_MS * 1_000_000,
    };
    await link.api(`CONSUMER.CREATE.${stream}.${name}`, { stream_name: stream, config }, path);
    if (this.#closed) return;
    const listener = (event: LinkEvent): void => this.#onLink(event);
    link.listeners.add(listener);
    const subscription = link.nc.subscribe(`${inbox}.*`, {
      callback: (error, message) => {
        if (this.#consumer?.inbox !== inbox) return;
        if (error !== null) this.#trouble(link.failure(error, inbox, path));
        else this.#arrived(message);
        this.#wake();
      },
    });
    this.#queue = [];
    this.#head = this.#asked = this.#delivered = 0;
    this.#consumer = { link, name, inbox, subscription, listener };
    this.#heardAt = performance.now();
    this.#pull();
  }

  #onLink(event: LinkEvent): void {
    if (event.type === "forbidden") {
      const consumer = this.#consumer;
      if (
        consumer === null || !event.subject.includes(`.${this.#options.stream}.${consumer.name}`)
      ) {
        return;
      }
      this.#trouble(forbidden(event.subject, this.#options.path));
    } else this.#drop();
    this.#wake();
  }

  #arrived(message: Msg): void {
    this.#heardAt = performance.now();
    this.#failures = 0;
    // Statuses arrive on the reply subject; messages have a subject of the stream.
    const isStatus = message.subject.startsWith(this.#consumer?.inbox ?? " ");
    const code = isStatus ? message.headers?.code ?? 0 : 0;
    if (code === 0) {
      this.#asked--;
      this.#averageBytes += (message.data.length + 64 - this.#averageBytes) / 64;
      this.#queue.push(message);
      this.#pull();
    } else if (code === 408 || code === 404) {
      this.#asked -= Number(message.headers?.get("Nats-Pending-Messages") || this.#asked);
      this.#pull();
    } else if (code !== 100) this.#drop();
  }

  /** Requests more messages if there is room for them. */
  #pull(): void {
    const consumer = this.#consumer;
    if (consumer === null) return;
    const most = Math.max(2, Math.min(MOST_MESSAGES, Math.floor(MOST_BYTES / this.#averageBytes)));
    const batch = Math.min(PULL_MESSAGES, most >> 1);
    // Request more while the previous ones are arriving, so that the server never waits.
    if (this.#asked > batch >> 1) return;
    if (this.#queue.length - this.#head + this.#asked + batch > most) return;
    const { inbox, link, name } = consumer;
    const expires = PULL_MS * 1_000_000;
    const request = { batch, expires, idle_heartbeat: HEARTBEAT_MS * 1_000_000 };
    this.#asked += batch;
    const subject = link.subject(`CONSUMER.MSG.NEXT.${this.#options.stream}.${name}`);
    link.nc.publish(subject, JSON.stringify(request), { reply: `${inbox}.p` });
  }

  /** Discards the consumer; the next step creates a new one. Unread messages are redelivered. */
  #drop(): void {
    const consumer = this.#consumer;
    this.#consumer = null;
    this.#doubtful = true;
    this.#queue = [];
    this.#head = this.#asked = this.#delivered = 0;
    this.#holeBefore = null;
    this.#explained = 0;
    if (consumer === null) return;
    const { link, listener, name, subscription } = consumer;
    link.listeners.delete(listener);
    if (link.nc.isClosed()) return;
    subscription.unsubscribe();
    if (!link.lost) {
      link.nc.publish(link.subject(`CONSUMER.DELETE.${this.#options.stream}.${name}`));
    }
  }

  /** Waits for messages; checks the state of the stream if none arrive. */
  async #idle(): Promise<void> {
    const isLate = BigInt(this.#expected) <= this.#options.target;
    const news = await this.#sleep(isLate ? this.#lateMs : IDLE_MS);
    if (news || this.#closed || this.#consumer === null) return;
    if (performance.now() - this.#heardAt > SILENCE_MS) return this.#drop();
    if (isLate) await this.#overdue();
    else if ((await this.#look()).state.last_seq >= this.#expected) this.#drop();
  }

  /** Looks for messages that should have arrived. */
  async #overdue(): Promise<void> {
    const { path, stream, target } = this.#options;
    const { link } = this.#consumer ?? {};
    if (link === undefined) return;
    const expected = this.#expected;
    this.#lateMs = Math.min(2 * this.#lateMs, IDLE_MS);
    const lookup = { seq: expected, next_by_subj: ">" };
    const next = await leaderMessage(link, stream, lookup, path);
    if (this.#closed || this.#expected !== expected || this.#head < this.#queue.length) return;
    if (next !== null && next.seq <= target) return; // It is in transit.
    const { state } = await this.#look();
    if (this.#expected !== expected || this.#head < this.#queue.length) return;
    const end = Number(target) + 1;
    this.#lose(expected, Math.min(end, state.first_seq) - 1);
    this.#expected = end;
    if (state.last_seq < Number(target)) {
      this.#failure ??= { error: replaced(path) }; // The stream lost its stored messages.
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#drop();
    this.#wake();
    void this.#connector.release();
  }
}
