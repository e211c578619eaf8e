/**
 * Ships the messages of one source into a stream, each exactly once, even if a process is killed.
 *
 * The last message on the source's subject determines where to continue; it is requested from the
 * leader after every failure. Each group expects that message to still be the last one, so that if
 * two processes copy the same source, one is rejected (docs/spec/jetstream.md 8).
 *
 * @module
 */

import { PlasmiteError } from "../../errors.ts";
import type { FrameBatch } from "../../pool/batch.ts";
import { formatTime } from "../../text/time.ts";
import type { Origin, Shipment } from "../shipment.ts";
import {
  commit,
  GROUP,
  idAt,
  isUndecided,
  isWrongLast,
  type Item,
  Patience,
  publish,
  type Target,
} from "./publisher.ts";
import { refuseOversizeItem } from "./oversize.ts";
import { isOther, Window } from "./window.ts";
import { leaderMessage, type StreamConfig, takesBatches } from "./stream.ts";
import { Header, type Incoming, sourceSubject } from "./wire.ts";

/** The origin of a message in the stream; null if it was not copied. */
export function originOf({ headers }: Incoming): Origin | null {
  const seq = headers?.get(Header.seq) ?? "";
  const pool = headers?.get(Header.pool) ?? "";
  return /^\d{1,19}$/.test(seq) && pool !== "" ? { pool, seq: BigInt(seq) } : null;
}

/** Where a group of messages comes from. */
interface Origins {
  /** The identity of their pool. */
  readonly pool: string;
  /** Their numbers there. */
  readonly seqs: readonly bigint[];
}

/** Ships one source into one stream. */
export class NatsShipment implements Shipment {
  readonly #target: Target;
  readonly #source: string;
  readonly #subject: string;
  readonly #config: StreamConfig;
  readonly #isAtomic: boolean;
  readonly #window: Window;
  /** The stream sequence number of the source's last message; 0 if there is none. */
  #at = 0n;
  /** How many other sources are known to give the same ids to their messages. */
  #clones = 0;
  /** Whether the current group may have been stored although the response was lost. */
  #isUnknown = false;

  /**
   * @param target the stream
   * @param config its configuration
   * @param source the name of the source
   */
  constructor(target: Target, config: StreamConfig, source: string) {
    this.#target = target;
    this.#source = source;
    this.#config = config;
    this.#subject = sourceSubject(target.stream, source);
    this.#isAtomic = takesBatches(target.link, config);
    this.#window = new Window(target);
  }

  async last(): Promise<Origin | null> {
    const { link, path, stream } = this.#target;
    const found = await leaderMessage(link, stream, { last_by_subj: this.#subject }, path);
    this.#at = found?.seq ?? 0n;
    return found === null ? null : originOf(found);
  }

  async store(batch: FrameBatch, pool: string, seqs: readonly bigint[]): Promise<void> {
    const messages = this.#target.printer.print(batch, 0, batch.count);
    const items = messages.map((message, i): Item => ({
      message: { ...message, subject: this.#subject },
      id: idAt(`${pool}:${seqs[i]}`, this.#clones),
      headers: [
        [Header.time, formatTime(batch.timeOf(i))],
        [Header.seq, String(seqs[i])],
        [Header.pool, pool],
      ],
    }));
    for (const item of items) refuseOversizeItem(this.#target, this.#config, item);
    const patience = new Patience();
    for (let at = 0; at < items.length;) {
      const end = Math.min(items.length, at + GROUP);
      await this.#group(items.slice(at, end), { pool, seqs: seqs.slice(at, end) }, patience);
      patience.progress();
      at = end;
    }
  }

  /** Stores a group; after a failure, continues from the destination's last message. */
  async #group(
    items: readonly Item[],
    { pool, seqs }: Origins,
    patience: Patience,
  ): Promise<void> {
    this.#isUnknown = false;
    for (let next = 0, attempt = 0; next < items.length;) {
      try {
        const left = { pool, seqs: seqs.slice(next) };
        const done = await this.#send(items.slice(next), left, attempt);
        if (done) return;
        attempt++; // The ids are remembered, but the messages do not exist.
      } catch (error) {
        if (PlasmiteError.is(error) && error.topic === "copy source") throw error;
        const before = this.#at;
        const last = await this.#lastPatiently(patience);
        const stored = last?.pool === pool ? last.seq : -1n;
        const found = seqs.findIndex((seq) => seq > stored);
        const reached = stored < (seqs[0] ?? 0n) ? next : found < 0 ? items.length : found;
        if (!isWrongLast(error) && !isUndecided(error)) {
          await patience.after(error);
          this.#isUnknown = true;
        } else if (this.#at === before) await patience.after(this.#taken());
        // Our own write was acknowledged late, or none of our messages are left; otherwise, another
        // process wrote it.
        else if (!this.#isUnknown && this.#at !== 0n) throw this.#taken();
        if (reached > next) patience.progress();
        next = reached;
      }
    }
  }

  async #lastPatiently(patience: Patience): Promise<Origin | null> {
    for (;;) {
      try {
        return await this.last();
      } catch (error) {
        await patience.after(error);
      }
    }
  }

  /** Sends a group; false if the server reports a duplicate of messages that no longer exist. */
  async #send(items: readonly Item[], origins: Origins, attempt: number): Promise<boolean> {
    const [first, ...more] = items;
    if (first === undefined) return true;
    const expected: readonly [string, string] = [Header.expectLastOfSubject, String(this.#at)];
    const guarded: Item = { ...first, headers: [...first.headers ?? [], expected] };
    if (this.#isAtomic && more.length > 0) {
      const done = await commit(this.#target, [guarded, ...more], attempt);
      if (done === "duplicate") return await this.#areStored(origins);
      this.#at = BigInt(done.first + items.length - 1);
      return true;
    }
    const patience = new Patience();
    const doubt = (): void => void (this.#isUnknown = true);
    let ack = await publish(this.#target, guarded, patience, doubt);
    let clones = 0;
    for (; ack.duplicate !== null && isOther(guarded, ack.duplicate); clones++) {
      const other = { ...guarded, id: idAt(guarded.id, clones + 1) };
      ack = await publish(this.#target, other, patience, doubt);
    }
    this.#clones += clones;
    if (ack.duplicate !== null && !this.#isUnknown) throw this.#taken();
    this.#at = BigInt(ack.seq);
    const others = more.map((item) => ({ ...item, id: idAt(item.id, clones) }));
    await this.#window.publish(others, (_, { seq }) => this.#at = BigInt(seq), patience);
    return true;
  }

  /**
   * Whether messages are stored of which the server says that some are: it remembers the ids of those
   * that no longer exist, too.
   */
  async #areStored({ pool, seqs }: Origins): Promise<boolean> {
    const last = await this.last();
    const stored = last?.pool === pool ? last.seq : -1n;
    if (stored < (seqs[0] ?? 0n)) return false;
    // Unless the answer to us was lost, another process stored them; so it did if some are missing.
    if (!this.#isUnknown || stored < (seqs.at(-1) ?? 0n)) throw this.#taken();
    return true;
  }

  #taken(): PlasmiteError {
    return new PlasmiteError("Busy", `Another process copies as source ${this.#source}`, {
      path: this.#target.path,
      hint: "Stop the other one, or use another name for this source.",
      topic: "copy source",
    });
  }
}
