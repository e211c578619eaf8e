/**
 * Appends batches of frames to a stream (docs/spec/jetstream.md 5).
 *
 * @module
 */

import { checkKey, ID_TAG } from "../../coordination/names.ts";
import { PlasmiteError } from "../../errors.ts";
import { sameData } from "../../lite3/equal.ts";
import { MessageView } from "../../lite3/message.ts";
import type { FrameBatch } from "../../pool/batch.ts";
import { type Limits, limitsOf, MAX_PAYLOAD } from "../../pool/layout.ts";
import { nowNs } from "../../text/time.ts";
import { notExpected, otherData } from "../conflicts.ts";
import type { AppendRequest, Conditions } from "../types.ts";
import { Code, hasCode } from "./errors.ts";
import { atLeast, type Link } from "./link.ts";
import {
  type Ack,
  commit,
  GROUP,
  idAt,
  isWrongLast,
  type Item,
  Patience,
  publish,
  publishAfter,
  type Target,
} from "./publisher.ts";
import { HEADER_BYTES, largestOf, refuseOversize, refuseOversizeItem } from "./oversize.ts";
import { Window } from "./window.ts";
import { NatsShipment } from "./shipment.ts";
import { idOf, leaderMessage, type StreamConfig, streamInfo, takesBatches } from "./stream.ts";
import {
  Header,
  idHeader,
  type Incoming,
  keySubject,
  type Outgoing,
  Printer,
  Reader,
  timeOf,
} from "./wire.ts";

/** The maximum number of bytes of frames and messages that are appended together. */
const BATCH_BYTES = 8 * 1024 * 1024;
const BATCH_MESSAGES = 10 * GROUP;

/** Appends to one stream. */
export class NatsAppender {
  /** The stream. */
  readonly target: Target;
  readonly #config: StreamConfig;
  readonly #window: Window;
  readonly #isAtomic: boolean;
  /** Distinguishes the ids of this process from those of other processes. */
  readonly #run: string;
  #count = 0;
  /** The number of the last message stored by this appender; 0 if none was. */
  #last = 0;

  /** Creates an appender for the stream configured by `config`. */
  constructor(link: Link, config: StreamConfig, path: string) {
    const { name } = config;
    const checksSubjects = (config.num_replicas ?? 1) === 1 || atLeast(link.version, 2, 12);
    this.target = { link, path, stream: name, printer: new Printer(name), checksSubjects };
    this.#config = config;
    this.#window = new Window(this.target);
    this.#isAtomic = takesBatches(link, config);
    this.#run = link.library.nuid.next();
  }

  /** Stops waiting for acknowledgements. */
  close(): void {
    this.#window.close();
  }

  /** Starts shipping the messages of a source. */
  ship(source: string): NatsShipment {
    return new NatsShipment(this.target, this.#config, source);
  }

  /** The limits of the stream. */
  limits(): Limits {
    const maxText = Math.max(0, largestOf(this.target.link, this.#config) - HEADER_BYTES);
    const ring = limitsOf(Math.max(0, this.#config.max_bytes));
    return {
      ...ring,
      maxPayload: MAX_PAYLOAD,
      maxText,
      ...(this.#isAtomic && { batchBytes: BATCH_BYTES, batchMessages: BATCH_MESSAGES }),
      check: (u8, dv, at, length) => {
        // A byte takes at most six bytes as JSON text.
        if (6 * length <= maxText) return;
        const message = this.target.printer.printOne(u8, dv, at, length);
        refuseOversize(this.target, this.#config, message);
      },
    };
  }

  /** Stores the frames of a batch. */
  async append(batch: FrameBatch, request: AppendRequest): Promise<void> {
    const { flush, from = 0, signal, when } = request;
    if (flush) throw noFlush();
    if (when?.idWindow !== undefined) throw noWindow();
    signal?.throwIfAborted();
    const { link, path } = this.target;
    if (request.lockMs === 0 && link.lost) throw link.unreachable(path);
    const messages = this.target.printer.print(batch, from, batch.count);
    const items = messages.map((message, i) => this.#item(message, when?.ids?.[i] ?? null));
    for (const item of items) refuseOversizeItem(this.target, this.#config, item);
    if (when?.expect !== undefined) await this.#conditional(batch, request, items, when);
    else await this.#plain(batch, request, items);
  }

  #item(message: Outgoing, id: string | null): Item {
    if (id === null) return { message, id: `${this.#run}:${++this.#count}` };
    return { message, id: idHeader(checkKey(id, "id")), isGiven: true };
  }

  #runs(batch: FrameBatch, request: AppendRequest): Runs {
    const seen = (ack: Ack): number => this.#last = Math.max(this.#last, ack.seq);
    return new Runs(this.target, batch, request, seen);
  }

  async #plain(batch: FrameBatch, request: AppendRequest, items: readonly Item[]): Promise<void> {
    const runs = this.#runs(batch, request);
    const patience = new Patience(request.signal);
    const one = items[0];
    if (items.length === 1 && one !== undefined) {
      const ack = await publish(this.target, one, patience);
      runs.add(one, 0, ack, await this.#timeOf(ack));
    } else if (this.#isAtomic && items.every(({ isGiven }) => isGiven !== true)) {
      for (let at = 0; at < items.length;) at = await this.#group(items, at, runs, patience);
    } else {
      try {
        await this.#window.publish(
          items,
          (i, ack) => {
            const item = items[i];
            if (item !== undefined) runs.add(item, i, ack, null);
          },
          patience,
        );
      } finally {
        runs.flush();
      }
    }
    runs.flush();
  }

  /** The exact time of a single message; the local time if the user has no read permission. */
  async #timeOf({ duplicate, seq }: Ack): Promise<bigint | null> {
    if (duplicate !== null) return timeOf(duplicate);
    const { link, path, stream } = this.target;
    try {
      const stored = await leaderMessage(link, stream, { seq }, path);
      return stored === null ? null : timeOf(stored);
    } catch (error) {
      // The message is stored; an error here must not suggest otherwise.
      if (PlasmiteError.is(error)) return null;
      throw error;
    }
  }

  /** Stores the next group and returns where the following group begins. */
  async #group(
    items: readonly Item[],
    at: number,
    runs: Runs,
    patience: Patience,
  ): Promise<number> {
    const most = 4 * (this.target.link.nc.info?.max_payload ?? 1024 * 1024);
    let end = at;
    for (let bytes = 0; end < items.length && end - at < GROUP; end++) {
      bytes += items[end]?.message.payload.length ?? 0;
      if (bytes > most && end > at) break;
    }
    const group = items.slice(at, end);
    const before = this.#last;
    for (let attempt = 0;;) {
      try {
        const done = await commit(this.target, group, attempt);
        if (done === "duplicate") {
          const first = await this.#find(group, attempt, before);
          if (first === null) {
            attempt++;
            continue;
          }
          this.#told(group, at, first, runs);
        } else this.#told(group, at, done.first, runs);
        patience.progress();
        return end;
      } catch (error) {
        if (isBatchLost(error)) continue;
        await patience.after(error);
      }
    }
  }

  #told(group: readonly Item[], at: number, first: number, runs: Runs): void {
    for (const [i, item] of group.entries()) {
      runs.add(item, at + i, { seq: first + i, duplicate: null }, null);
    }
    runs.flush();
  }

  /**
   * The number of the first message of a group that was stored although the response was lost; null
   * if the message does not exist, for example after a purge.
   */
  async #find(group: readonly Item[], attempt: number, before: number): Promise<number | null> {
    const { link, path, stream } = this.target;
    const { state } = await streamInfo(link, stream, path);
    const id = idAt(group[0]?.id ?? "", attempt);
    const start = Math.max(before + 1, state.last_seq - 4 * GROUP, state.first_seq);
    for (let seq = start; seq <= state.last_seq; seq++) {
      const message = await leaderMessage(link, stream, { seq }, path);
      if (message !== null && idOf(message) === id) return seq;
    }
    return null;
  }

  /** Stores all frames if an expectation holds; otherwise none of them. */
  async #conditional(
    batch: FrameBatch,
    request: AppendRequest,
    items: readonly Item[],
    when: Conditions,
  ): Promise<void> {
    const { expect = 0n, key } = when;
    const [first, ...more] = items;
    if (first === undefined) return;
    if (more.length > 0 && !this.#isAtomic) throw needsBatches();
    const { path, stream } = this.target;
    const subject = key === undefined ? undefined : keySubject(stream, key);
    if (subject !== undefined && first.message.subject !== subject) {
      throw new PlasmiteError("Usage", "The expected key must be the message's own", {
        hint: "A message on NATS has one key; expect the state of that one.",
        path,
      });
    }
    const name = key === undefined ? Header.expectLast : Header.expectLastOfSubject;
    const guarded: Item = { ...first, headers: [[name, String(expect)]] };
    const runs = this.#runs(batch, request);
    const patience = new Patience(request.signal);
    let isUnknown = false;
    try {
      if (more.length === 0) {
        const doubt = (): void => void (isUnknown = true);
        const ack = subject === undefined
          ? await publish(this.target, guarded, patience, doubt)
          : await publishAfter(this.target, first, expect, patience, doubt);
        runs.add(first, 0, ack, await this.#timeOf(ack));
      } else await this.#group([guarded, ...more], 0, runs, patience);
      runs.flush();
    } catch (error) {
      if (!isWrongLast(error)) throw error;
      const actual = await this.#actual(error, subject);
      // Only some server versions detect a used id before they check the expectation.
      const own = isUnknown || first.isGiven === true ? await this.#own(first, actual) : null;
      if (own === null) throw notExpected(when, actual, path);
      const found: Ack = { seq: Number(own.seq), duplicate: isUnknown ? null : own };
      runs.add(first, 0, found, timeOf(own));
      runs.flush();
    }
  }

  /** The number of the newest message, or with `subject`, of a key's newest message. */
  async #actual(error: { readonly causes?: readonly string[] }, subject?: string): Promise<bigint> {
    const { link, path, stream } = this.target;
    const told = /wrong last sequence: (\d+)/.exec(error.causes?.join() ?? "")?.[1];
    if (told !== undefined) return BigInt(told);
    if (subject === undefined) {
      return BigInt((await streamInfo(link, stream, path)).state.last_seq);
    }
    const latest = await leaderMessage(link, stream, { last_by_subj: subject }, path);
    return latest?.seq ?? 0n;
  }

  /** The conflicting message, if it is the same one that was being stored. */
  async #own(item: Item, actual: bigint): Promise<Incoming | null> {
    if (actual === 0n) return null;
    const { link, path, stream } = this.target;
    const message = await leaderMessage(link, stream, { seq: Number(actual) }, path);
    return message !== null && idOf(message) === item.id ? message : null;
  }
}

/** Collects stored messages into contiguous runs. */
class Runs {
  readonly #target: Target;
  readonly #batch: FrameBatch;
  readonly #request: AppendRequest;
  readonly #seen: (ack: Ack) => void;
  readonly #view = new MessageView();
  #from = 0;
  #count = 0;
  #first = 0;

  constructor(
    target: Target,
    batch: FrameBatch,
    request: AppendRequest,
    seen: (ack: Ack) => void,
  ) {
    this.#target = target;
    this.#batch = batch;
    this.#request = request;
    this.#seen = seen;
  }

  /** Adds item number `index`, stored at `timeNs`; null means approximately now. */
  add(item: Item, index: number, ack: Ack, timeNs: bigint | null): void {
    const { from = 0, duplicate } = this.#request;
    const frame = from + index;
    this.#seen(ack);
    if (ack.duplicate !== null && item.isGiven === true) {
      this.flush();
      this.#refuseOther(item, frame, ack.duplicate);
      this.#batch.setTime(frame, timeOf(ack.duplicate));
      duplicate?.(frame, BigInt(ack.seq));
      return;
    }
    this.#batch.setTime(frame, timeNs ?? nowNs());
    const isNext = this.#count > 0 && frame === this.#from + this.#count &&
      ack.seq === this.#first + this.#count;
    if (!isNext) {
      this.flush();
      this.#from = frame;
      this.#first = ack.seq;
    }
    this.#count++;
  }

  /** Reports the current run. */
  flush(): void {
    const count = this.#count;
    this.#count = 0;
    if (count > 0) this.#request.stored(this.#from, count, BigInt(this.#first));
  }

  /** An id identifies one message; different data with the same id is a conflict. */
  #refuseOther(item: Item, frame: number, stored: Incoming): void {
    const reader = new Reader(this.#target.stream, this.#target.path);
    reader.encode(stored);
    const batch = this.#batch;
    const { u8, dv } = batch.out;
    this.#view.open(u8, dv, batch.payloadAt(frame), batch.payloadOf(frame));
    const other = new MessageView();
    other.open(reader.out.u8, reader.out.dv, 0, reader.out.len);
    if (sameData(this.#view, other)) return;
    const tag = item.message.tags.findLast((one) => one.startsWith(ID_TAG));
    const id = tag?.slice(ID_TAG.length) ?? item.id;
    throw otherData(id, stored.seq);
  }
}

/** Whether the server abandoned a batch before its end arrived, so that nothing was stored. */
function isBatchLost(error: unknown): boolean {
  return hasCode(error, Code.batchIncomplete);
}

/** The error for requesting a durability guarantee that NATS servers do not provide. */
export function noFlush(): PlasmiteError {
  return new PlasmiteError("Usage", "NATS cannot promise that messages are on stable storage", {
    hint:
      "Servers write to the disk when they see fit; use replicas against the loss of one server.",
    topic: "nats flush",
  });
}

function noWindow(): PlasmiteError {
  return new PlasmiteError("Usage", "A stream has one time for which it remembers ids", {
    hint: "Set it when the stream is created; there is no window for one append.",
  });
}

function needsBatches(): PlasmiteError {
  return new PlasmiteError("Usage", "This stream cannot store several messages on a condition", {
    hint: "That needs server 2.12 or newer and a stream with allow_atomic; append one message.",
  });
}
