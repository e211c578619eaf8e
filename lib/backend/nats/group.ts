/**
 * Work groups in a stream: a durable consumer with explicit acknowledgements hands out messages;
 * workers evaluate the filter and acknowledge messages that do not match it
 * (docs/spec/jetstream.md 12).
 *
 * @module
 */

import {
  ACK_WAIT,
  checkSameFilter,
  checkTaskTime,
  retryDelayMs,
} from "../../coordination/group_record.ts";
import { ErrorKind, PlasmiteError } from "../../errors.ts";
import { MessageView } from "../../lite3/message.ts";
import type { Group, GroupRequest, HandedTask, TakenTasks, TakeRequest } from "../coordination.ts";
import { checkDead, copyToDead, type HasDeadPool, MAX_TRIES, openDead } from "../dead.ts";
import { Filter } from "../filter.ts";
import type { Bounds } from "../../types.ts";
import type { PoolHandle, StoredFrame } from "../types.ts";
import { choiceOf, filterOf, refusesChoice } from "./choice.ts";
import { deliveryOf } from "./delivery.ts";
import { isChosen, noteOf, scannedBy } from "./group_note.ts";
import type { GroupTasks, Held } from "./group_tasks.ts";
import { MissingBetween } from "./missing.ts";
import { type ConsumerInfo, consumerOf, findConsumer, pull, putConsumer } from "./consumers.ts";
import { lookAt, type Opened } from "./opened.ts";
import { Patience, patiently, type Target } from "./publisher.ts";
import { boundsOf, type StreamInfo } from "./stream.ts";
import { headersOf, type Incoming } from "./wire.ts";
import type { Msg } from "@nats-io/transport-node";

/** How long a worker waits for a server without an answer, in milliseconds. */
const PATIENCE_MS = 60_000;
/** The longest single wait for a task, in milliseconds. */
const WAIT = 5_000;
/** The maximum number of tasks handed out at the same time. */
const MOST = 10_000;
/** How long to wait before retrying a move to the dead pool, in milliseconds. */
const BURY_AGAIN = 60_000;

/** A worker's access to a group. */
export class NatsGroup implements Group {
  readonly name: string;
  readonly #consumer: string;
  readonly #target: Target;
  readonly #opened: Opened;
  readonly #pool: PoolHandle & HasDeadPool;
  readonly #frame: (message: Incoming) => StoredFrame;
  readonly #request: GroupRequest;
  readonly #filter: Filter;
  readonly #tasks: GroupTasks;
  readonly #ending = new AbortController();
  /** Aborts the take that is under way. */
  #taking: AbortSignal | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #checking: Promise<StreamInfo> | null = null;
  #ackWaitMs = ACK_WAIT;

  /** Creates the object without sending anything. */
  constructor(
    name: string,
    opened: Opened,
    pool: PoolHandle & HasDeadPool,
    frame: (message: Incoming) => StoredFrame,
    request: GroupRequest,
    tasks: GroupTasks,
  ) {
    this.#tasks = tasks;
    this.name = name;
    this.#consumer = consumerOf("group~", name);
    this.#opened = opened;
    this.#target = opened.target;
    this.#pool = pool;
    this.#frame = frame;
    this.#request = request;
    this.#filter = new Filter(request.tags, request.where);
    checkDead(pool.name, request.dead);
  }

  /**
   * Repeats a request while a cluster chooses a leader: a worker waits for work anyway. All requests
   * may be repeated; servers confirm an acknowledgement that they have had already.
   */
  async #patiently<T>(request: () => Promise<T>, signal = this.#taking): Promise<T> {
    return await patiently(request, new Patience(signal ?? this.#ending.signal, PATIENCE_MS));
  }

  async #put(config: object): Promise<ConsumerInfo> {
    return await this.#patiently(() => putConsumer(this.#target, this.#consumer, config));
  }

  async #find(): Promise<ConsumerInfo | null> {
    return await this.#patiently(() => findConsumer(this.#target, this.#consumer));
  }

  /** The consumer, created if it is missing. Throws Usage if it has a different filter. */
  async #ready(ackWaitMs: number): Promise<ConsumerInfo> {
    const { from = "oldest", tags = [], where = [] } = this.#request;
    const expressions = where.map(({ expression }) => expression);
    const found = await this.#find();
    this.#ackWaitMs = ackWaitMs;
    if (found === null) {
      const { link, path } = this.#target;
      const info = await this.#look();
      const choice = await choiceOf(link, info, { path, tags, follow: true });
      const newest = info.state.last_seq;
      const make = (filter: object): Promise<ConsumerInfo> =>
        this.#put({
          durable_name: this.#consumer,
          description: JSON.stringify({ tags, where: expressions, lost: 0 }),
          ack_policy: "explicit",
          ack_wait: ackWaitMs * 1_000_000,
          max_ack_pending: MOST,
          ...filter,
          ...(from === "end"
            ? { deliver_policy: "by_start_sequence", opt_start_seq: newest + 1 }
            : { deliver_policy: "all" }),
        });
      if (choice === null) return await make({});
      return await make(filterOf(choice.subjects)).catch((error) => {
        if (!refusesChoice(error)) throw error;
        return make({});
      });
    }
    const wanted = { tags, where: expressions };
    checkSameFilter(this.name, noteOf(found), wanted, this.#target.path);
    return found.config.ack_wait === ackWaitMs * 1_000_000
      ? found
      : await this.#put({ ...found.config, ack_wait: ackWaitMs * 1_000_000 });
  }

  /** Describes the stream. Throws NotFound if it is another one than the group was opened in. */
  async #look(signal?: AbortSignal): Promise<StreamInfo> {
    return await this.#patiently(() => lookAt(this.#opened), signal);
  }

  /** As {@linkcode NatsGroup.#look}; calls of the same turn share an answer. */
  #check(): Promise<StreamInfo> {
    return this.#checking ??= Promise.resolve().then(() => {
      this.#checking = null;
      return this.#look(this.#ending.signal);
    });
  }

  async #bounds(): Promise<Bounds> {
    return boundsOf(await this.#look(), this.#target.path);
  }

  take(request: TakeRequest = {}): Promise<TakenTasks> {
    const mine = this.#turn.then(() => this.#take(request));
    this.#turn = mine.catch(() => {}); // The caller gets the error.
    return mine;
  }

  async #take(request: TakeRequest): Promise<TakenTasks> {
    const { ackWaitMs = ACK_WAIT, count = 1, signal, waitMs = 0 } = request;
    signal?.throwIfAborted();
    this.#taking = signal;
    const info = await this.#ready(checkTaskTime(ackWaitMs));
    let lost = await this.#lostUpTo(info, await this.#gone());
    let scanned = scannedBy(info);
    const missing = isChosen(info) ? null : new MissingBetween();
    const tasks: HandedTask[] = [];
    const end = performance.now() + waitMs;
    while (tasks.length < count) {
      const left = tasks.length > 0 || lost > 0n ? 0 : end - performance.now();
      const messages = await this.#pull(count - tasks.length, Math.min(left, WAIT), signal);
      const seqs = messages.map(({ reply = "" }) => deliveryOf(reply));
      const first = seqs.find(({ seq, tries }) => tries === 1 && seq > scanned)?.seq ?? scanned + 1;
      if (first > scanned + 1) lost += await this.#lostBefore(first, messages.length, info);
      for (const delivery of seqs) lost += missing?.before(delivery) ?? 0n;
      scanned = Math.max(scanned, ...seqs.map(({ seq }) => seq));
      for (const message of messages) {
        const task = await this.#hand(message);
        if (task !== null) tasks.push(task);
      }
      if (messages.length === 0 && left <= 0) break;
    }
    if (tasks.length > 0) return { tasks, lost, idle: false };
    const now = await this.#find();
    if (now === null) return { tasks, lost, idle: true };
    const idle = now.num_ack_pending === 0 && now.num_pending === 0;
    if (now.num_pending === 0) await this.#searched(now);
    return { tasks, lost, idle };
  }

  /** The number of the last message that no longer exists. */
  async #gone(): Promise<number> {
    const { newest, oldest } = await this.#bounds();
    return Number(oldest === 0n ? newest : oldest - 1n);
  }

  /**
   * The number of messages up to `gone` that were removed before they were handed out, or while this
   * worker had them; each is reported once.
   */
  async #lostUpTo(info: ConsumerInfo, gone: number): Promise<bigint> {
    const lost = this.#tasks.lose(BigInt(gone));
    const scanned = scannedBy(info);
    if (gone <= scanned) return lost;
    await this.#account(info, gone);
    return lost + BigInt(gone - scanned);
  }

  /** As {@linkcode NatsGroup.#lostUpTo}, for what was removed while messages were requested. */
  async #lostBefore(first: number, count: number, before: ConsumerInfo): Promise<bigint> {
    const gone = Math.min(await this.#gone(), first - 1);
    const after = await this.#find();
    // Other workers may have been given what is missing here.
    const isAlone = after !== null &&
      after.delivered.consumer_seq === before.delivered.consumer_seq + count;
    if (!isAlone) return 0n;
    const note = noteOf(after);
    const scanned = Math.max(scannedBy(before), note.lost);
    return gone <= scanned ? 0n : await this.#lostUpTo({
      ...after,
      delivered: { ...after.delivered, stream_seq: scanned },
    }, gone);
  }

  /** Notes that nothing up to the newest message matches, before what was searched is removed. */
  async #searched(info: ConsumerInfo): Promise<void> {
    if (!isChosen(info)) return;
    const { newest, oldest } = await this.#bounds();
    const margin = scannedBy(info) - Number(oldest);
    if (margin * 2 > Number(newest - oldest)) return;
    // The consumer must have been idle after the bounds were known.
    const now = await this.#find();
    if (now === null || now.num_pending > 0) return;
    await this.#account(now, Number(newest));
  }

  async #account(info: ConsumerInfo, upTo: number): Promise<void> {
    const description = JSON.stringify({ ...noteOf(info), lost: upTo });
    await this.#put({ ...info.config, description });
  }

  /** Requests messages: those available now, or else the first to arrive within `ms`. */
  async #pull(count: number, ms: number, signal: AbortSignal | undefined): Promise<Msg[]> {
    const isWaiting = ms > 0;
    const batch = isWaiting ? 1 : Math.min(count, MOST);
    const messages: Msg[] = [];
    const how = isWaiting ? { expires: Math.ceil(ms) * 1_000_000 } : { no_wait: true };
    const request = { batch, ...how };
    const silenceMs = Math.max(0, ms) + WAIT;
    for await (const message of pull(this.#target, this.#consumer, request, silenceMs, signal)) {
      if (messages.push(message) === batch) break;
    }
    await this.#refuseOthers(messages);
    signal?.throwIfAborted();
    return messages;
  }

  /** Gives messages back, and throws NotFound, if they are those of a stream that was created since. */
  async #refuseOthers(messages: readonly Msg[]): Promise<void> {
    try {
      await this.#look();
    } catch (error) {
      if (PlasmiteError.is(error, ErrorKind.NotFound)) {
        for (const { reply = "" } of messages) this.#target.link.nc.publish(reply, nak(0));
      }
      throw error;
    }
  }

  /** Makes a task from a message; null if it is not a task or was tried too many times. */
  async #hand(message: Msg): Promise<HandedTask | null> {
    const { data, reply = "", subject } = message;
    const { count: token, seq, time, tries } = deliveryOf(reply);
    const headers = headersOf(message);
    const timestampNs = BigInt(time);
    let frame: StoredFrame;
    try {
      frame = this.#frame({ subject, data, headers, seq: BigInt(seq), timestampNs });
    } catch (error) {
      if (!PlasmiteError.is(error, ErrorKind.Corrupt)) throw error;
      await this.#reply(reply, "+ACK"); // Another program's invalid message is not a task.
      return null;
    }
    if (!await this.#passes(frame)) {
      await this.#reply(reply, "+ACK");
      return null;
    }
    if (tries > (this.#request.maxTries ?? MAX_TRIES)) {
      await this.#bury(frame, reply);
      return null;
    }
    const untilMs = Date.now() + this.#ackWaitMs;
    this.#tasks.add(frame.seq, { token, reply, tries, untilMs, ackWaitMs: this.#ackWaitMs });
    return { message: frame, token, tries, untilMs };
  }

  async #passes(frame: StoredFrame): Promise<boolean> {
    const filter = this.#filter;
    if (filter.passesAll) return true;
    const message = new MessageView().openStored(frame);
    if (!filter.passesTags({ message })) return false;
    if (!filter.hasConditions) return true;
    const [verdict] = await filter.applyAll([frame]);
    if (PlasmiteError.is(verdict)) throw verdict;
    return verdict !== undefined;
  }

  async #bury(frame: StoredFrame, reply: string): Promise<void> {
    const { createDead = true, dead } = this.#request;
    let pool: PoolHandle;
    try {
      pool = await openDead(this.#pool, dead, createDead);
    } catch (error) {
      if (createDead || !PlasmiteError.is(error, ErrorKind.NotFound)) throw error;
      await this.#reply(reply, nak(BURY_AGAIN)); // Wait for the dead pool; other tasks continue.
      return;
    }
    try {
      await copyToDead(frame, this.name, pool);
    } finally {
      await pool.close();
    }
    await this.#reply(reply, "+ACK");
  }

  /** Replies to the server about a delivery and waits for its confirmation. */
  async #reply(reply: string, what: string): Promise<void> {
    const { link, path } = this.#target;
    await this.#patiently(() => link.request(reply, what, path), this.#ending.signal);
  }

  /** Replies about a task, unless the number belongs to a message of another stream by now. */
  async #settle({ reply }: Held, what: string): Promise<void> {
    await this.#check();
    await this.#reply(reply, what);
  }

  async ack(seq: bigint, token: number): Promise<boolean> {
    const held = this.#tasks.mine(seq, token, this.#target.path);
    if (held === null) return false;
    await this.#settle(held, "+ACK");
    this.#tasks.finish(seq);
    return true;
  }

  async fail(seq: bigint, token: number, delayMs?: number): Promise<boolean> {
    const held = this.#tasks.mine(seq, token, this.#target.path);
    if (held === null) return false;
    await this.#settle(held, nak(checkTaskTime(delayMs ?? retryDelayMs(held.tries))));
    this.#tasks.held.delete(seq);
    return true;
  }

  async extend(seq: bigint, token: number, ackWaitMs?: number): Promise<boolean> {
    const held = this.#tasks.mine(seq, token, this.#target.path);
    if (held === null) return false;
    const ms = Math.min(checkTaskTime(ackWaitMs ?? held.ackWaitMs), held.ackWaitMs);
    await this.#settle(held, "+WPI");
    held.untilMs = Date.now() + ms;
    return true;
  }

  close(): void {
    this.#ending.abort(
      new PlasmiteError("Usage", "group is closed", {
        hint: "Open it again.",
        path: this.#target.path,
      }),
    );
  }
}

function nak(delayMs: number): string {
  return delayMs > 0 ? `-NAK {"delay":${Math.round(delayMs * 1_000_000)}}` : "-NAK";
}
