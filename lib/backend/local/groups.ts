/**
 * Work groups on a pool file: each message to one of several workers (docs/spec/coordination.md 8).
 *
 * The group's file is locked for one operation. Looking for new tasks happens under that lock too,
 * but only for a moment: a walk that stays open between two calls stands where the group stands.
 *
 * @module
 */

import { checkFilter, type LockedGroup, withGroup } from "../../coordination/group_file.ts";
import {
  ack,
  drop,
  due,
  extend,
  fail,
  type GroupRecord,
  nextDueMs,
  type Pending,
  retryDelayMs,
  room,
  standing,
  take,
} from "../../coordination/group_record.ts";
import { checkCursorName, checkKey, tagsOf } from "../../coordination/names.ts";
import { Buf } from "../../bytes.ts";
import { PlasmiteError } from "../../errors.ts";
import type { Where } from "../../filter/where.ts";
import { MessageView } from "../../lite3/message.ts";
import { printJson } from "../../lite3/print.ts";
import { FrameBatch } from "../../pool/batch.ts";
import { untilUnlocked } from "../../storage/lock_wait.ts";
import type { Steps } from "../../storage/steps.ts";
import type { Awaitable } from "../../types.ts";
import type { PoolHandle, StoredFrame, Walk } from "../types.ts";
import type { Ground } from "./coordinator.ts";
import { checkingPosition, timing } from "./cursors.ts";
import { takeFrame } from "../frames.ts";
import { findFrame } from "./lookup.ts";

/** How long a task is a worker's, unless it says, in milliseconds. */
const ACK_WAIT = 60_000;
/** How often a task is tried, unless the group says. */
const MAX_TRIES = 5;
/** The longest name of a worker, in bytes. */
const LONGEST_HOLDER = 64;

/** How a group is used. */
export interface GroupRequest {
  /** Tags of the messages that are tasks; fixed when the group is made. */
  readonly tags?: readonly string[];
  /** Conditions on them; fixed when the group is made. */
  readonly where?: readonly Where[];
  /** Where a new group begins: at the oldest message (default) or behind the newest. */
  readonly from?: "oldest" | "end";
  /** How often a task is tried; default 5. */
  readonly maxTries?: number;
  /** Who takes the tasks; default the process id. */
  readonly holder?: string;
  /** Where groups are kept instead of beside the pool. */
  readonly dir?: string | undefined;
}

/** A task that was handed out. */
export interface Handed {
  /** The message. */
  readonly message: StoredFrame;
  /** What acknowledging it needs. */
  readonly token: number;
  /** How often it was handed out, this time counted. */
  readonly tries: number;
  /** Until when it is the worker's, in milliseconds since 1970. */
  readonly untilMs: number;
}

/** What came of taking. */
export interface Taken {
  /** The tasks. */
  readonly tasks: readonly Handed[];
  /** Tasks that were tried too often: put them aside, then acknowledge them. */
  readonly exhausted: readonly Handed[];
  /** Messages that were overwritten before they were done, told once. */
  readonly lost: bigint;
  /** When the next pending task may be handed out again; null when none is pending. */
  readonly nextDueMs: number | null;
  /** Whether everything is done: nothing pending, nothing behind. */
  readonly idle: boolean;
}

/** One worker's way into a group. */
export class PoolGroup {
  readonly name: string;
  readonly #ground: Ground;
  readonly #request: GroupRequest;
  readonly #holder: string;
  readonly #expressions: readonly string[];
  readonly #isNative: boolean;
  #walk: Walk | null = null;
  /** Matches behind the group's `next` that the walk has found already. */
  #ahead: StoredFrame[] = [];
  /** Matches up to here may be gone from the walk. */
  #passed = 0n;

  /** Touches nothing on disk. */
  constructor(ground: Ground, name: string, request: GroupRequest = {}) {
    this.name = checkCursorName(name);
    this.#ground = ground;
    this.#request = request;
    this.#holder = checkKey(request.holder ?? `pid ${Deno.pid}`, "holder", LONGEST_HOLDER);
    this.#expressions = (request.where ?? []).map(({ expression }) => expression);
    this.#isNative = (request.where ?? []).every((one) => one.isNative);
    checkFilter(request.tags ?? [], this.#expressions);
  }

  /** Runs one operation under the group's lock, waiting for it. */
  *#locked<T>(create: boolean, work: (group: LockedGroup) => T): Steps<T> {
    const { ring } = this.#ground;
    const { dir } = this.#request;
    const { value } = yield* untilUnlocked(
      ring.path,
      () => withGroup(ring.path, this.name, { dir, create }, work),
    );
    return value;
  }

  /** The group's record; made when it is new. */
  *#opening(): Steps<GroupRecord> {
    const { ring } = this.#ground;
    const { oldest, newest } = yield* ring.stating();
    const { from = "oldest", tags = [] } = this.#request;
    const floor = from === "end" || oldest === 0n ? newest : oldest - 1n;
    const ns = (yield* timing(ring, floor)) ?? 0n;
    const record = yield* this.#locked(true, (group) => {
      if (group.record !== null) return group.record;
      const fresh: GroupRecord = {
        gen: 1,
        pool: ring.extension()?.id ?? "",
        floor,
        ns,
        next: floor,
        pending: [],
        holders: [],
        tags,
        where: this.#expressions,
        lost: 0n,
        acked: new Date().toISOString(),
      };
      group.save(fresh);
      return fresh;
    });
    if (!equal(record.tags, tags) || !equal(record.where, this.#expressions)) {
      throw new PlasmiteError("Usage", `Group ${this.name} has another filter`, {
        path: ring.path,
        hint: "All workers of a group need the same tags and conditions; use another group.",
      });
    }
    const { pool, next } = record;
    yield* checkingPosition(ring, this.name, { seq: next, ns: 0n, pool });
    yield* checkingPosition(ring, this.name, { seq: record.floor, ns: record.ns, pool });
    return record;
  }

  /**
   * Takes tasks that are there now: first those whose time is over, then new ones.
   *
   * @throws {PlasmiteError} NotFound when the pool was replaced, Usage for another filter, Busy, Io
   */
  async take(count: number, ackWaitMs: number = ACK_WAIT): Promise<Taken> {
    const { run, ring } = this.#ground;
    ring.checkIdentity();
    if (this.#walk === null) await this.#stand((await run(this.#opening())).next);
    const found = await run(this.#taking(count, ackWaitMs));
    const taken: Handed[] = [];
    for (const { task: { seq, ...task }, message } of found.handed) {
      const frame = message ?? await run(findFrame(ring, seq, takeFrame));
      // Overwritten since: the next call tells that it is lost.
      if (frame !== null) taken.push({ ...task, message: frame });
    }
    const { maxTries = MAX_TRIES } = this.#request;
    return {
      tasks: taken.filter(({ tries }) => tries <= maxTries),
      exhausted: taken.filter(({ tries }) => tries > maxTries),
      lost: found.lost,
      nextDueMs: found.nextDueMs,
      idle: found.idle,
    };
  }

  /** Opens the walk behind `next`. */
  async #stand(next: bigint): Promise<void> {
    const { tags, where } = this.#request;
    this.#walk = await this.#ground.select({
      from: next + 1n,
      follow: true,
      notify: false,
      ...(tags === undefined ? {} : { tags }),
      ...(where === undefined ? {} : { where }),
    });
    this.#passed = next;
  }

  *#taking(count: number, ackWaitMs: number): Steps<{
    handed: { task: Omit<Handed, "message"> & { seq: bigint }; message: StoredFrame | null }[];
    lost: bigint;
    nextDueMs: number | null;
    idle: boolean;
  }> {
    const { oldest, newest } = yield* this.#ground.ring.stating();
    return yield* this.#locked(true, (group) => {
      const before = group.record;
      if (before === null) throw new Error("the group was made before");
      this.#checkPool(before, newest);
      if (before.next < this.#passed) {
        // A torn write has left the older record: tasks behind it have to be found again.
        this.close();
        return { handed: [], lost: 0n, nextDueMs: 0, idle: false };
      }
      const { record, lost } = drop(before, oldest === 0n ? newest + 1n : oldest);
      const nowMs = Date.now();
      const again = due(record, nowMs).slice(0, count);
      const fresh = this.#fresh(record, Math.min(count - again.length, room(record)));
      const nothing = again.length === 0 && fresh.messages.length === 0;
      const untilMs = nowMs + ackWaitMs;
      let after: GroupRecord | null = record;
      if (!nothing || fresh.next > record.next) {
        after = take(record, {
          again: again.map(({ seq }) => seq),
          fresh: fresh.messages.map(({ seq }) => seq),
          next: fresh.next,
          holder: this.#holder,
          untilMs,
        });
      }
      const changed = after !== null && after !== before;
      if (after === null || (changed && !group.save(stamped(after)))) {
        // There are too many holders, or the record would not fit: whoever is done makes room.
        this.#ahead = [...fresh.messages, ...this.#ahead];
        return { handed: [], lost: 0n, nextDueMs: nextDueMs(before), idle: false };
      }
      this.#passed = after.next;
      const token = after.gen;
      const old = (task: Pending) => ({
        task: { seq: task.seq, token, tries: task.tries + 1, untilMs },
        message: null,
      });
      return {
        handed: [
          ...again.map(old),
          ...fresh.messages.map((message) => ({
            task: { seq: message.seq, token, tries: 1, untilMs },
            message,
          })),
        ],
        lost,
        nextDueMs: nextDueMs(after),
        idle: after.pending.length === 0 && after.next >= newest,
      };
    });
  }

  /** Throws NotFound when the group belongs to another pool. */
  #checkPool({ pool, next }: GroupRecord, newest: bigint): void {
    const id = this.#ground.ring.extension()?.id ?? "";
    if ((pool === "" || id === "" || pool === id) && next <= newest) return;
    throw new PlasmiteError("NotFound", `The pool was replaced since group ${this.name} was used`, {
      path: this.#ground.ring.path,
      hint: "Delete the group, or use another name.",
      details: { cursor: this.name, seq: next, actual: newest },
    });
  }

  /** New tasks behind the group's `next`, and how far was looked. */
  #fresh(record: GroupRecord, count: number): { messages: StoredFrame[]; next: bigint } {
    const messages: StoredFrame[] = [];
    const walk = this.#walk;
    if (walk === null || count <= 0) return { messages, next: record.next };
    let { next } = record;
    while (messages.length < count) {
      const kept = this.#ahead.shift();
      const one = kept ?? (walk.next() ? copied(walk) : null);
      walk.takeGap(); // What is lost is counted by number.
      if (one === null) {
        // Everything before the walk's position was looked at, and there is no match; where jq judges
        // in groups that is not sure.
        if (this.#isNative && walk.position - 1n > next) next = walk.position - 1n;
        break;
      }
      if (one.seq <= record.next) continue; // Another worker took it meanwhile.
      messages.push(one);
      next = one.seq;
    }
    return { messages, next };
  }

  *#acking(seq: bigint, token: number): Steps<boolean> {
    return yield* this.#change(seq, token, (record) => ack(record, seq));
  }

  *#failing(seq: bigint, token: number, delayMs?: number): Steps<boolean> {
    return yield* this.#change(seq, token, (record) => {
      const tries = record.pending.find((one) => one.seq === seq)?.tries ?? 1;
      return fail(record, seq, Date.now() + (delayMs ?? retryDelayMs(tries)));
    });
  }

  *#extending(seq: bigint, token: number, ackWaitMs: number): Steps<boolean> {
    return yield* this.#change(seq, token, (record) => extend(record, seq, Date.now() + ackWaitMs));
  }

  /**
   * Puts a task aside that was tried too often: into the pool `dead`, once, and then it is done.
   * Killed in between, it is put aside again, which its id makes a duplicate.
   *
   * @throws {PlasmiteError} what appending and acknowledging throw
   */
  async bury(task: Handed, dead: PoolHandle): Promise<void> {
    const { payload, seq, timestampNs } = task.message;
    const view = new MessageView();
    view.open(payload, new DataView(payload.buffer, payload.byteOffset), 0, payload.length);
    const id = `dead:${this.name}:${timestampNs}:${seq}`;
    const text = new Buf(2 * payload.length);
    printJson(view.doc, view.dataAt, text);
    const json = text.bytes();
    const batch = new FrameBatch(2 * payload.length);
    batch.beginFrame();
    batch.encoder.messageFromJson(
      json,
      0,
      json.length,
      tagsOf([...view.tags(), `dead:${seq}`], { id }),
    );
    const now = Temporal.Now.instant().epochNanoseconds;
    batch.endFrame(Number(now & 0xffff_ffffn), Number(now >> 32n));
    await dead.append(batch, { flush: false, when: { ids: [id] }, stored: () => {} });
    await this.#ground.run(this.#acking(seq, task.token));
  }

  /**
   * The task is done.
   *
   * @returns false when it was done, or lost, already
   * @throws {PlasmiteError} Conflict when it was handed to another
   */
  ack(seq: bigint, token: number): Awaitable<boolean> {
    return this.#ground.run(this.#acking(seq, token));
  }

  /**
   * The task failed and is to be tried again.
   *
   * @param delayMs when; default longer with each try
   * @throws {PlasmiteError} Conflict when it was handed to another
   */
  fail(seq: bigint, token: number, delayMs?: number): Awaitable<boolean> {
    return this.#ground.run(this.#failing(seq, token, delayMs));
  }

  /**
   * The worker needs more time.
   *
   * @throws {PlasmiteError} Conflict when it was handed to another
   */
  extend(seq: bigint, token: number, ackWaitMs: number = ACK_WAIT): Awaitable<boolean> {
    return this.#ground.run(this.#extending(seq, token, ackWaitMs));
  }

  *#change(seq: bigint, token: number, next: (record: GroupRecord) => GroupRecord): Steps<boolean> {
    return yield* this.#locked(false, (group) => {
      const { record } = group;
      const stand = record === null ? "unknown" : standing(record, seq, token);
      if (record === null || stand === "unknown" || stand === "another") {
        throw new PlasmiteError("Conflict", `Task ${seq} was handed to another`, {
          path: this.#ground.ring.path,
          hint: "Its time was over. Drop it: whoever has it now does it.",
          details: { seq },
        });
      }
      if (stand === "done") return false;
      group.save(stamped(next(record)));
      return true;
    });
  }

  /** Releases what taking needs; tasks that were handed out stay handed out. */
  close(): void {
    this.#walk?.close();
    this.#walk = null;
    this.#ahead = [];
  }
}

function stamped(record: GroupRecord): GroupRecord {
  return { ...record, acked: new Date().toISOString() };
}

function copied(walk: Walk): StoredFrame {
  const { u8, payloadAt, payloadLength, seq, timestampNs } = walk.frame;
  return { seq, timestampNs, flags: 0, payload: u8.slice(payloadAt, payloadAt + payloadLength) };
}

function equal(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((one, i) => one === b[i]);
}
