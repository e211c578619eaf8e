/**
 * Cursors in a stream: durable consumers whose acknowledgement floor is the position, so that NATS
 * tools show their lag (docs/spec/jetstream.md 12).
 *
 * Messages are read as usual. To move the cursor, the consumer delivers headers only, and the last
 * one is acknowledged. The consumer's description stores what its state cannot express: a position
 * at a number that no longer exists.
 *
 * @module
 */

import { checkCursorName } from "../../coordination/names.ts";
import { missing } from "../../coordination/cursor_file.ts";
import { PlasmiteError } from "../../errors.ts";
import type { Bounds } from "../../types.ts";
import type { Cursor, CursorInfo, CursorRequest, CursorUpdate } from "../coordination.ts";
import { byName } from "../named.ts";
import { behind, beyondEnd, seqOfPlace } from "../positions.ts";
import { type CursorPool, SetCursor, type Setter } from "../set_cursor.ts";
import {
  type ConsumerInfo,
  consumerOf,
  findConsumer,
  nameOf,
  pull,
  putConsumer,
  removeConsumer,
} from "./consumers.ts";
import { deliveryOf } from "./delivery.ts";
import { type Held, Hold, type Holder, holderAmong, refuseHeld } from "./hold.ts";
import { boundsAt, lookAt, type Opened } from "./opened.ts";
import { Patience, patiently, type Target } from "./publisher.ts";

/** Number of headers requested at a time to move a cursor. */
const MOVE = 500;
/** How long to wait for them, in milliseconds. */
const MOVE_MS = 5_000;
/** How long a delivered header may stay unacknowledged, in milliseconds. */
const ACK_MS = 30_000;

/** The contents of the description. */
interface Note {
  /** A position beyond the acknowledgement floor. */
  readonly seq?: number;
}

function noteOf({ config }: ConsumerInfo): Note {
  try {
    const note: unknown = JSON.parse(config.description ?? "{}");
    return note !== null && typeof note === "object" ? note : {};
  } catch {
    return {}; // The description was not written by this program.
  }
}

/** The cursor's position: everything up to this number is done. */
function positionOf(info: ConsumerInfo): bigint {
  const { seq = 0 } = noteOf(info);
  const start = (info.config.opt_start_seq ?? 1) - 1;
  return BigInt(Math.max(info.ack_floor.stream_seq, start, seq));
}

/** The cursors of one stream. */
export class NatsCursors {
  readonly #target: Target;
  readonly #opened: Opened;
  readonly #pool: CursorPool;

  /**
   * @param opened the stream
   * @param pool the pool, used for reading
   */
  constructor(opened: Opened, pool: CursorPool) {
    this.#target = opened.target;
    this.#opened = opened;
    this.#pool = pool;
  }

  #consumer(name: string): string {
    return consumerOf("cursor~", checkCursorName(name));
  }

  async #find(name: string): Promise<ConsumerInfo | null> {
    return await findConsumer(this.#target, this.#consumer(name));
  }

  async #bounds(): Promise<Bounds> {
    return await boundsAt(this.#opened);
  }

  async #create(name: string, seq: bigint, note: Note): Promise<ConsumerInfo> {
    const consumer = this.#consumer(name);
    return await putConsumer(this.#target, consumer, {
      durable_name: consumer,
      description: JSON.stringify(note),
      ack_policy: "all",
      deliver_policy: "by_start_sequence",
      opt_start_seq: Number(seq) + 1,
      headers_only: true,
      max_ack_pending: -1,
      ack_wait: ACK_MS * 1_000_000,
    });
  }

  /** Replaces the description and leaves everything else unchanged. */
  async #describe({ config, name }: ConsumerInfo, note: Note): Promise<ConsumerInfo> {
    const description = JSON.stringify(note);
    return await putConsumer(this.#target, name, { ...config, description });
  }

  #infoOf(
    name: string,
    info: ConsumerInfo,
    bounds: Bounds,
    inUse: Holder | null = null,
  ): CursorInfo {
    const seq = positionOf(info);
    return {
      name,
      kind: "cursor",
      seq,
      ...behind(seq, bounds),
      acked: info.ack_floor.last_active ?? info.created,
      inUse,
    };
  }

  /** A work group; null if the consumer is not one. */
  #groupOf(info: ConsumerInfo, bounds: Bounds): CursorInfo | null {
    const name = nameOf("group~", info.name);
    if (name === null) return null;
    const next = BigInt(info.delivered.stream_seq);
    const pending = info.num_ack_pending;
    return { ...this.#infoOf(name, info, bounds), kind: "group", next, pending };
  }

  /** All cursors and work groups, sorted by name. */
  async list(): Promise<readonly CursorInfo[]> {
    const { link, path, stream } = this.#target;
    const bounds = await this.#bounds();
    const found: CursorInfo[] = [];
    const all = await link.list<ConsumerInfo>(`CONSUMER.LIST.${stream}`, "consumers", path);
    for (const info of all) {
      const group = this.#groupOf(info, bounds);
      if (group !== null) found.push(group);
      const name = nameOf("cursor~", info.name);
      if (name !== null) found.push(this.#infoOf(name, info, bounds, holderAmong(all, name)));
    }
    return found.sort(byName);
  }

  /**
   * Acquires a cursor.
   *
   * @throws {PlasmiteError} Busy while another process holds the cursor, NotFound if the stream
   *   ends before its position
   */
  async open(name: string, { from = "oldest" }: CursorRequest): Promise<Cursor> {
    const patience = new Patience();
    const bounds = await patiently(() => this.#bounds(), patience);
    const found = await patiently(() => this.#find(name), patience);
    const create = (): Promise<ConsumerInfo> =>
      this.#create(name, seqOfPlace(from, bounds, this.#target.path), {});
    const info = found ?? await patiently(create, patience);
    const seq = positionOf(info);
    if (seq > bounds.newest) throw beyondEnd(name, seq, bounds.newest, this.#target.path);
    const hold = await Hold.acquire(this.#held(name));
    try {
      // The previous holder may have moved it.
      const now = await patiently(() => this.#require(name), new Patience());
      const current = this.#infoOf(name, now, bounds);
      const setter: Setter = {
        setCursor: async (_, update) => {
          await hold.check();
          return await patiently(() => this.#set(name, update), new Patience());
        },
      };
      return new NatsCursor(this.#pool, setter, current, found === null, hold);
    } catch (error) {
      await hold.release();
      throw error;
    }
  }

  #held(name: string): Held {
    return { name, target: this.#target };
  }

  async #require(name: string): Promise<ConsumerInfo> {
    const info = await this.#find(name);
    if (info === null) throw missing(name, this.#target.path);
    return info;
  }

  /**
   * Sets a cursor, creating it if necessary.
   *
   * @throws {PlasmiteError} Busy while it has a reader, Conflict if its position is not the expected
   *   one, Usage for an invalid position
   */
  async setCursor(name: string, update: CursorUpdate): Promise<CursorInfo> {
    await refuseHeld(this.#held(name));
    return await this.#set(name, update);
  }

  async #set(name: string, { ifSeq, to }: CursorUpdate): Promise<CursorInfo> {
    const bounds = await this.#bounds();
    const seq = seqOfPlace(to, bounds, this.#target.path);
    const found = await this.#find(name);
    if (ifSeq !== undefined) {
      const actual = found === null ? null : positionOf(found);
      if (actual !== ifSeq) throw this.#elsewhere(name, ifSeq, actual);
    }
    let info = found;
    if (info === null) info = await this.#create(name, seq, {});
    else if (seq < positionOf(info)) {
      await removeConsumer(this.#target, info.name);
      info = await this.#create(name, seq, { ...noteOf(info), seq: 0 });
    } else if (seq > positionOf(info)) info = await this.#move(name, info, seq);
    return this.#infoOf(name, info, bounds);
  }

  #elsewhere(name: string, expected: bigint | null, actual: bigint | null): PlasmiteError {
    const at = actual === null ? "does not exist" : `is at ${actual}`;
    const wanted = expected === null ? "none" : String(expected);
    return new PlasmiteError("Conflict", `Cursor ${name} ${at}, expected ${wanted}`, {
      path: this.#target.path,
      hint: "Somebody else moved it: look where it is.",
      details: { expected, actual },
    });
  }

  /** Moves a cursor forward by acknowledging the last message up to a number. */
  async #move(name: string, info: ConsumerInfo, to: bigint): Promise<ConsumerInfo> {
    const goal = Number(to);
    for (let reached = info.ack_floor.stream_seq; reached < goal;) {
      const { ack, last } = await this.#headers(info.name, goal);
      if (ack === null) break;
      await this.#target.link.request(ack, "+ACK", this.#target.path);
      if (last >= goal) break;
      reached = last;
    }
    const moved = await this.#require(name);
    // The message itself may no longer exist.
    return positionOf(moved) >= to
      ? moved
      : await this.#describe(moved, { ...noteOf(moved), seq: goal });
  }

  /**
   * Makes the consumer deliver headers.
   *
   * @returns the subject that acknowledges everything up to the last message not past `goal` (null
   *   if there is none), and the last number that was delivered
   */
  async #headers(
    consumer: string,
    goal: number,
  ): Promise<{ readonly ack: string | null; readonly last: number }> {
    let ack: string | null = null;
    let last = 0;
    let count = 0;
    const request = { batch: MOVE, no_wait: true };
    for await (const { reply = "" } of pull(this.#target, consumer, request, MOVE_MS)) {
      const { seq } = deliveryOf(reply);
      if (seq <= goal) ack = reply;
      last = seq;
      if (seq >= goal || ++count === MOVE) break;
    }
    return { ack, last };
  }

  /** Deletes a cursor or a group. Throws NotFound, and Busy while it has a reader. */
  async remove(name: string): Promise<void> {
    await lookAt(this.#opened);
    const group = consumerOf("group~", name);
    if (await this.#find(name) === null && await removeConsumer(this.#target, group)) return;
    const info = await this.#require(name);
    await refuseHeld(this.#held(name));
    if (!await removeConsumer(this.#target, info.name)) throw missing(name, this.#target.path);
  }
}

/** A cursor held by this process. */
class NatsCursor extends SetCursor {
  readonly #hold: Hold;

  constructor(
    pool: CursorPool,
    setter: Setter,
    info: CursorInfo,
    isNew: boolean,
    hold: Hold,
  ) {
    super(pool, setter, info, isNew, undefined);
    this.#hold = hold;
  }

  override async close(): Promise<void> {
    try {
      await super.close();
    } finally {
      await this.#hold.release();
    }
  }
}
