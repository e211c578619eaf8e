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
import { ErrorKind, PlasmiteError } from "../../errors.ts";
import { MessageView } from "../../lite3/message.ts";
import { waitFor } from "../../timers.ts";
import type { FrameBytes, Gap } from "../../types.ts";
import type { FrameSource } from "../source.ts";
import { type Choice, refusesChoice } from "./choice.ts";
import type { NatsSourceOptions } from "./delivery.ts";
import { DirectBatches, isFew } from "./direct.ts";
import { Code, deleted, hasCode, replaced } from "./errors.ts";
import type { Connector } from "./link.ts";
import { GRACE_MS } from "./opened.ts";
import { PullConsumer } from "./pull_consumer.ts";
import type { Supply, SupplyUser } from "./supply.ts";
import { leaderMessage, type StreamInfo, streamInfo } from "./stream.ts";
import { originOf } from "./shipment.ts";
import { type Incoming, Reader, sourceSubject, timeOf } from "./wire.ts";

/** How often an idle reader checks whether the stream is still the same, in milliseconds. */
const IDLE_MS = 5_000;
/** How long to wait for expected messages before requesting them explicitly, in milliseconds. */
const LATE_MS = 100;
/** How long after a message to ask how far the server has searched, in milliseconds. */
const SEARCH_MS = 1_000;
/** The server no longer chooses if a stream could lose all its messages in this many examinations. */
const MARGIN = 4;
/** How many examinations may find messages that do not arrive. */
const UNDELIVERED = 3;
/** Pauses between attempts, in milliseconds. */
const FIRST_PAUSE = 50;
const LAST_PAUSE = 2_000;

/** Follows one stream. */
export class NatsSource implements FrameSource {
  readonly cursor: FrameBytes;
  readonly #frame = new MutableFrame();
  readonly #options: NatsSourceOptions;
  readonly #connector: Connector;
  readonly #target: number;
  readonly #reader: Reader;
  /** The subject of the messages to skip; null if there are none. */
  readonly #excludedSubject: string | null;
  /** The subject of the messages to deliver; null for any. */
  readonly #onlySubject: string | null;
  readonly #view = new MessageView();
  #viewed = false;

  #supply: Supply | null = null;
  /** The supply, if it delivers what the server chooses. */
  #chosen: PullConsumer | null = null;
  /** Whether direct gets may be used. */
  #isDirect: boolean;
  #averageBytes: number;

  /** The next sequence number. */
  #expected: number;
  #gap: Gap | null = null;
  #unreadable: Gap[] = [];
  /** Messages from `#expected` to here may be lost; null if nothing is in doubt. */
  #holeBefore: number | null = null;
  /** What was retained when the hole was examined. */
  #firstKept = 0;
  /** Holes before this message and all earlier ones have been explained. */
  #explained = 0;
  /** What the server chooses, from which number on; null for everything. */
  #choice: Choice | null;
  /** The oldest retained message at the last examination; 0 before the first. */
  #lastKept = 0;
  /** How many times in a row messages of the server were found that have not arrived. */
  #undelivered = 0;

  #step: Promise<void> | null = null;
  #wake: () => void = () => {};
  #failure: { readonly error: unknown } | null = null;
  #closed = false;
  #failures = 0;
  #pauseMs = 0;
  #lateMs = LATE_MS;
  /** The least to wait for a new consumer: a slow one must not be replaced before it can deliver. */
  #patienceMs = 0;
  #missingSince = 0;
  /** Whether the stream may have been replaced. */
  #doubtful = false;

  /** Creates a source for the stream; nothing is sent before the first wait. */
  constructor(connector: Connector, options: NatsSourceOptions) {
    this.cursor = this.#frame;
    this.#connector = connector.retain();
    this.#options = options;
    this.#reader = new Reader(options.stream, options.path);
    const { choice = null, excluded, isDirect = false, source, stream } = options;
    this.#isDirect = isDirect;
    this.#target = Number(options.target);
    this.#choice = choice;
    this.#excludedSubject = excluded === undefined ? null : sourceSubject(stream, excluded.source);
    this.#onlySubject = source === undefined ? null : sourceSubject(stream, source);
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
    while (this.#holeBefore === null && this.#supply?.isUnread === true) {
      if (this.#take(this.#supply)) return true;
    }
    if (this.#failure !== null) throw this.#failure.error;
    return false;
  }

  /** Reads the first message of the queue; false if it must not be delivered, or not yet. */
  #take(supply: Supply): boolean {
    const arrival = supply.peek();
    if (arrival === null) return false;
    const { pending, seq } = arrival;
    const expected = this.#expected;
    if (seq > expected && this.#explained < seq) {
      this.#holeBefore = seq;
      return false;
    }
    const incoming = arrival.incoming();
    supply.shift();
    // NATS 2.9 begins with the next message if the start is beyond the end.
    if (seq < expected) return false;
    if (seq > expected) this.#lose(expected, Math.min(seq, this.#firstKept) - 1);
    this.#expected = seq + 1;
    this.#undelivered = this.#patienceMs = 0;
    this.#lateMs = this.#chosen === null ? LATE_MS : this.#patience(pending);
    if (this.#chosen === null && this.#canChoose) this.#drop();
    else if (this.#isDirect && seq >= this.#target) this.#endDirect();
    return this.#decode(incoming, seq);
  }

  /** Goes on with a consumer. */
  #endDirect(): void {
    this.#isDirect = false;
    this.#drop();
  }

  /** How long to wait before asking how far the server has searched. */
  #patience(pending: number): number {
    if (this.#expected > this.#target) return SEARCH_MS;
    return pending === 0 ? 0 : LATE_MS;
  }

  /** Whether the server may choose from here on. */
  get #canChoose(): boolean {
    return this.#choice !== null && this.#expected >= this.#choice.from;
  }

  #lose(first: number, last: number): void {
    if (last < first) return;
    this.#gap = { first: this.#gap?.first ?? BigInt(first), last: BigInt(last) };
  }

  #decode(incoming: Incoming, seq: number): boolean {
    if (this.#isExcluded(incoming)) return false;
    try {
      this.#reader.encode(incoming);
    } catch (error) {
      const { onUnreadable, skipCorrupt } = this.#options;
      if (!PlasmiteError.is(error, ErrorKind.Corrupt)) throw error;
      if (skipCorrupt) this.#unreadable.push({ first: BigInt(seq), last: BigInt(seq) });
      else if (onUnreadable !== undefined) onUnreadable(error);
      else throw error;
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

  takeUnreadable(): readonly Gap[] {
    const taken = this.#unreadable;
    if (taken.length > 0) this.#unreadable = [];
    return taken;
  }

  #isExcluded(message: Incoming): boolean {
    const { excluded } = this.#options;
    if (this.#onlySubject !== null && message.subject !== this.#onlySubject) return true;
    if (excluded === undefined) return false;
    return message.subject === this.#excludedSubject || originOf(message)?.pool === excluded.pool;
  }

  wait(ms?: number, signal?: AbortSignal): Promise<boolean> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const isReady = this.#holeBefore === null && this.#supply?.isUnread === true;
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
      else if (this.#supply === null) await this.#connect();
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
    // The answer holds for everything that has arrived by now.
    const last = this.#supply?.newest ?? 0;
    const { state } = await this.#look();
    this.#firstKept = state.first_seq;
    this.#explained = Math.max(seq, last);
    this.#holeBefore = null;
  }

  async #connect(): Promise<void> {
    const { path, stream } = this.#options;
    const link = await this.#connector.link();
    if (this.#doubtful) await this.#look();
    const isFewLeft = this.#isDirect && isFew(this.#expected, this.#target);
    if (isFewLeft && !this.#canChoose) {
      this.#supply = new DirectBatches(link, {
        stream,
        start: this.#expected,
        until: this.#target,
        averageBytes: this.#averageBytes,
      }, this.#user(() => this.#isDirect = false));
      this.#lateMs = LATE_MS;
      return;
    }
    this.#isDirect = false;
    const consumer = await PullConsumer.create(link, {
      stream,
      path,
      start: this.#expected,
      subjects: this.#canChoose ? this.#choice?.subjects ?? null : null,
      averageBytes: this.#averageBytes,
    }, this.#user()).catch((error) => {
      if (this.#choice === null || !refusesChoice(error)) throw error;
      this.#choice = null; // The next step reads everything.
      return null;
    });
    if (consumer === null) return;
    if (this.#closed) return consumer.close();
    this.#supply = consumer;
    this.#chosen = consumer.isChosen ? consumer : null;
    const lateMs = consumer.isChosen ? this.#patience(consumer.pending) : LATE_MS;
    this.#lateMs = Math.max(lateMs, this.#patienceMs);
    consumer.pull();
  }

  #user(onFailure: () => void = () => {}): SupplyUser {
    return {
      arrived: () => {
        this.#failures = 0;
        this.#wake();
      },
      failed: (error) => {
        onFailure();
        if (error === undefined) this.#drop();
        else this.#trouble(error);
        this.#wake();
      },
    };
  }

  /** Discards the supply; the next step creates a new one. Unread messages are redelivered. */
  #drop(): void {
    const supply = this.#supply;
    this.#supply = this.#chosen = null;
    this.#doubtful = true;
    this.#holeBefore = null;
    this.#explained = 0;
    if (supply === null) return;
    this.#averageBytes = supply.averageBytes;
    supply.close();
  }

  /** Waits for messages; checks the state of the stream if none arrive. */
  async #idle(): Promise<void> {
    const isLate = this.#expected <= this.#target;
    const news = await this.#sleep(isLate || this.#chosen !== null ? this.#lateMs : IDLE_MS);
    if (news || this.#closed || this.#supply === null) return;
    if (this.#supply.isSilent) return this.#drop();
    if (this.#chosen !== null) await this.#examine(this.#chosen);
    else if (isLate) await this.#overdue();
    else if ((await this.#look()).state.last_seq >= this.#expected) this.#drop();
  }

  /** Finds out how far the server has searched, if it has nothing to deliver. */
  async #examine(consumer: PullConsumer): Promise<void> {
    const { path } = this.#options;
    this.#lateMs = Math.min(Math.max(LATE_MS, 2 * this.#lateMs), IDLE_MS);
    const { state } = await this.#look();
    const { delivered, num_pending: pending } = await consumer.info();
    if (this.#closed || this.#chosen !== consumer || consumer.isUnread) return;
    if (pending > 0 || delivered.consumer_seq !== consumer.delivered) return this.#await();
    this.#undelivered = this.#patienceMs = 0;
    const expected = this.#expected;
    const { first_seq: first, last_seq: last } = state;
    if (last < this.#target) {
      this.#failure ??= { error: replaced(path) }; // The stream lost its stored messages.
      return;
    }
    // What was removed since the last examination may have been searched before, or not.
    this.#lose(expected, Math.min(first, last + 1) - 1);
    this.#expected = Math.max(expected, last + 1);
    // Where old messages are removed fast, only a complete reading shows what is lost.
    if (this.#lastKept > 0 && (first - this.#lastKept) * MARGIN > this.#expected - first) {
      this.#choice = null;
      this.#drop();
    }
    this.#lastKept = first;
  }

  /** Messages that the server should have delivered: recreates the consumer if they do not come. */
  #await(): void {
    if (++this.#undelivered < UNDELIVERED) return;
    this.#undelivered = 0;
    this.#patienceMs = this.#lateMs;
    this.#drop();
  }

  /** Looks for messages that should have arrived. */
  async #overdue(): Promise<void> {
    const { path, stream } = this.#options;
    const supply = this.#supply;
    if (supply === null) return;
    const expected = this.#expected;
    this.#lateMs = Math.min(2 * this.#lateMs, IDLE_MS);
    const lookup = { seq: expected, next_by_subj: ">" };
    const next = await leaderMessage(await this.#connector.link(), stream, lookup, path);
    if (this.#closed || this.#expected !== expected || supply.isUnread) return;
    if (next !== null && next.seq <= BigInt(this.#target)) {
      // It is in transit, or was lost there; or the server that gave the others lags behind.
      return this.#isDirect ? this.#endDirect() : this.#await();
    }
    const { state } = await this.#look();
    if (this.#expected !== expected || supply.isUnread) return;
    const end = this.#target + 1;
    this.#lose(expected, Math.min(end, state.first_seq) - 1);
    this.#expected = end;
    if (this.#isDirect) this.#endDirect();
    if (state.last_seq < this.#target) {
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
