/**
 * Work groups of a pool file: each message goes to one of several workers
 * (docs/spec/coordination.md 8.1).
 *
 * The group's file is locked only for single operations. New tasks are found before it is locked,
 * with a walk that stays open between calls at the group's position.
 *
 * @module
 */

import {
  checkFilter,
  groupMark,
  type LockedGroup,
  withGroup,
} from "../../coordination/group_file.ts";
import {
  ack,
  ACK_WAIT,
  checkSameFilter,
  checkTaskTime,
  drop,
  due,
  extend,
  fail,
  type GroupRecord,
  MOST_PENDING,
  nextDueMs,
  retryDelayMs,
  room,
  standing,
  take,
} from "../../coordination/group_record.ts";
import { checkCursorName, checkKey } from "../../coordination/names.ts";
import { ErrorKind, PlasmiteError } from "../../errors.ts";
import { untilUnlocked } from "../../storage/lock_wait.ts";
import type { Steps } from "../../storage/steps.ts";
import { pause, waitFor } from "../../timers.ts";

import type { Awaitable } from "../../types.ts";
import type { Group, GroupRequest, HandedTask, TakenTasks, TakeRequest } from "../coordination.ts";
import { bury, checkDead, MAX_TRIES } from "../dead.ts";
import type { StoredFrame } from "../types.ts";
import type { PoolContext } from "./coordinator.ts";
import { checkingPosition, timing } from "./cursors.ts";
import { findStored } from "./lookup.ts";
import { TaskKeys } from "./task_keys.ts";
import { TaskSource } from "./task_source.ts";

/** The longest name of a worker, in bytes. */
const LONGEST_HOLDER = 64;
/** How often to look whether other workers changed the group, in milliseconds. */
const POLL = 100;
/** The selection of new tasks to hand out stops once it reaches this many bytes. */
const MOST_BYTES = 16 << 20;
/** How long to wait before retrying a move to the dead pool, in milliseconds. */
const BURY_AGAIN = 60_000;

/** A task that was handed out, without its message. */
type Handed = Omit<HandedTask, "message"> & { readonly seq: bigint };

/** The result of one attempt to take tasks. */
interface Round {
  /** The tasks, with their messages if they were just read. */
  readonly handed: readonly { readonly task: Handed; readonly message: StoredFrame | null }[];
  /** When the next pending task may be handed out again; null if none is pending. */
  readonly dueMs: number | null;
  /** Whether all tasks are done. */
  readonly idle: boolean;
  /** Whether the limit of pending tasks is reached. */
  readonly full: boolean;
}

/** Why an attempt must be repeated. */
type Again = "reopen" | readonly bigint[];

/** A worker's access to a group. */
export class PoolGroup implements Group {
  readonly name: string;
  readonly #context: PoolContext;
  readonly #request: GroupRequest;
  readonly #holder: string;
  readonly #expressions: readonly string[];
  readonly #keys: TaskKeys | null;
  readonly #source: TaskSource;
  /** The walk may no longer return tasks up to this number. */
  #passed = 0n;
  /** The number of lost messages not reported yet. */
  #lost = 0n;
  #closed = false;
  /** Resolves when all earlier calls of `take` have finished. */
  #turn: Promise<void> = Promise.resolve();

  /** Creates the object without accessing the disk. */
  constructor(context: PoolContext, name: string, request: GroupRequest = {}) {
    this.name = checkCursorName(name);
    this.#context = context;
    this.#request = request;
    this.#holder = checkKey(request.holder ?? `pid ${Deno.pid}`, "holder", LONGEST_HOLDER);
    this.#expressions = (request.where ?? []).map(({ expression }) => expression);
    this.#source = new TaskSource((selection) => context.select(selection), request);
    this.#keys = request.orderedByKey === true ? new TaskKeys() : null;
    checkFilter(request.tags ?? [], this.#expressions);
    checkDead(context.name, request.dead);
  }

  /** Runs one operation under the group's lock, waiting for it. */
  *#locked<T>(create: boolean, work: (group: LockedGroup) => T): Steps<T> {
    const { ring } = this.#context;
    const { dir } = this.#request;
    try {
      const { value } = yield* untilUnlocked(
        ring.path,
        () => withGroup(ring.path, this.name, { dir, create }, work),
      );
      return value;
    } catch (error) {
      // The groups of a pool are deleted with it: then that is the reason.
      if (PlasmiteError.is(error, ErrorKind.NotFound)) ring.checkIdentity();
      throw error;
    }
  }

  /** Reads the group's record; creates it if the group is new. */
  *#opening(): Steps<GroupRecord> {
    const { ring } = this.#context;
    ring.checkIdentity();
    const { oldest, newest } = yield* ring.living();
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
    checkSameFilter(this.name, record, { tags, where: this.#expressions }, ring.path);
    const { pool, next } = record;
    yield* checkingPosition(ring, this.name, { seq: next, ns: 0n, pool });
    yield* checkingPosition(ring, this.name, { seq: record.floor, ns: record.ns, pool });
    return record;
  }

  async take(request: TakeRequest = {}): Promise<TakenTasks> {
    checkTaskTime(request.ackWaitMs ?? ACK_WAIT);
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = before.then(() => promise);
    try {
      // Only one call at a time may read the walk.
      await waitFor((wake) => void before.then(wake), () => {}, undefined, request.signal);
      return await this.#take(request);
    } finally {
      resolve();
    }
  }

  async #take({ count = 1, ackWaitMs = ACK_WAIT, waitMs = 0, signal }: TakeRequest): Promise<
    TakenTasks
  > {
    const end = performance.now() + waitMs;
    let mark: string | null = null;
    for (;;) {
      signal?.throwIfAborted();
      if (this.#closed) throw closed(this.name);
      const { handed, ...round } = await this.#round(count, ackWaitMs, waitMs > 0, signal);
      const tasks = await this.#deliver(handed);
      if (tasks.length === 0) {
        if (handed.length > 0) continue; // All were moved to the dead pool, or lost.
        this.#source.throwFailure();
        if (performance.now() < end && !this.#closed) {
          if (mark !== null) await this.#pause(round, end, mark, signal);
          mark = this.#mark();
          continue;
        }
      }
      const lost = this.#lost;
      this.#lost = 0n;
      return { tasks, lost, idle: round.idle };
    }
  }

  #mark(): string {
    return groupMark(this.#context.ring.path, this.name, this.#request.dir);
  }

  /** Waits for a possible task: a change of the pool or the group, or the next due time. */
  async #pause(
    { dueMs, full }: Omit<Round, "handed">,
    end: number,
    mark: string,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    for (;;) {
      const due = dueMs === null ? Infinity : dueMs - Date.now();
      const ms = Math.min(end - performance.now(), due, POLL);
      if (ms <= 0) return;
      if (full) await pause(ms, signal);
      else if (await this.#source.wait(ms, signal)) return;
      if (this.#closed || this.#mark() !== mark) return;
    }
  }

  /** Tries to take tasks once. */
  async #round(
    count: number,
    ackWaitMs: number,
    notify: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Round> {
    const { run, ring } = this.#context;
    for (;;) {
      ring.checkIdentity();
      if (!this.#source.isOpen) {
        const { next } = await run(this.#opening());
        await this.#source.open(next + 1n, notify);
        this.#passed = next;
      }
      await this.#source.lookAhead(Math.min(count, MOST_PENDING), signal);
      const round = await run(this.#taking(count, ackWaitMs));
      if (round === "reopen") this.#source.reset();
      else if (!("handed" in round)) {
        for (const seq of round) {
          this.#keys?.add(seq, await run(findStored(ring, seq)));
        }
      } else return round;
    }
  }

  /** Takes tasks under the group's lock. */
  *#taking(count: number, ackWaitMs: number): Steps<Round | Again> {
    const { oldest, newest } = yield* this.#context.ring.living();
    return yield* this.#locked(true, (group): Round | Again => {
      const before = group.record;
      if (before === null) return "reopen"; // It was deleted.
      this.#checkPool(before, newest);
      // A torn write left the older record: tasks after it must be found again.
      if (before.next < this.#passed) return "reopen";
      const { record, lost } = drop(before, oldest === 0n ? newest + 1n : oldest);
      const unknown = this.#keys?.unknown(record) ?? [];
      if (unknown.length > 0) return unknown;
      const nowMs = Date.now();
      const { free, taken } = this.#keys?.available(record, nowMs) ??
        { free: due(record, nowMs), taken: null };
      const again = free.slice(0, count);
      const fresh = this.#fresh(record, count - again.length, taken);
      const untilMs = nowMs + ackWaitMs;
      let after: GroupRecord | null = record;
      if (again.length > 0 || fresh.next > record.next) {
        after = take(record, {
          again: again.map(({ seq }) => seq),
          fresh: fresh.messages.map(({ seq }) => seq),
          blocked: fresh.blocked,
          next: fresh.next,
          holder: this.#holder,
          untilMs,
        });
      }
      const dueMs = nextDueMs(after ?? before, nowMs);
      if (after === null || (after !== before && !group.save(stamped(after)))) {
        // There are too many holders, or the record does not fit: wait until tasks are completed.
        this.#source.putBack(fresh.read);
        return { handed: [], dueMs, idle: false, full: true };
      }
      this.#lost += lost;
      this.#passed = after.next;
      const token = after.gen;
      return {
        handed: [
          ...again.map(({ seq, tries }) => ({
            task: { seq, token, tries: tries + 1, untilMs },
            message: null,
          })),
          ...fresh.messages.map((message) => ({
            task: { seq: message.seq, token, tries: 1, untilMs },
            message,
          })),
        ],
        dueMs,
        idle: after.pending.length === 0 && after.next >= newest,
        full: room(after) === 0,
      };
    });
  }

  /** Throws NotFound when the group belongs to another pool. */
  #checkPool({ pool, next }: GroupRecord, newest: bigint): void {
    const id = this.#context.ring.extension()?.id ?? "";
    if ((pool === "" || id === "" || pool === id) && next <= newest) return;
    throw new PlasmiteError("NotFound", `The pool was replaced since group ${this.name} was used`, {
      path: this.#context.ring.path,
      hint: "Delete the group, or use another name.",
      details: { cursor: this.name, seq: next, actual: newest },
    });
  }

  /**
   * Selects new tasks after the group's `next`.
   *
   * @param taken keys that new tasks must not have; null if keys do not matter
   * @returns tasks to hand out and tasks that must wait, all that was read, and the last number
   *   read
   */
  #fresh(record: GroupRecord, count: number, taken: Set<string> | null): {
    readonly messages: StoredFrame[];
    readonly blocked: bigint[];
    readonly read: StoredFrame[];
    readonly next: bigint;
  } {
    const messages: StoredFrame[] = [];
    const blocked: bigint[] = [];
    const read: StoredFrame[] = [];
    const most = room(record);
    let { next } = record;
    let bytes = 0;
    while (messages.length < count && read.length < most && bytes < MOST_BYTES) {
      const one = this.#source.next();
      if (one === null) {
        const { examined } = this.#source;
        if (examined > next) next = examined;
        break;
      }
      if (one.seq <= record.next) continue; // Another worker took it in the meantime.
      read.push(one);
      bytes += one.payload.length;
      if (taken !== null && this.#keys?.reserve(one, taken) === false) blocked.push(one.seq);
      else messages.push(one);
      next = one.seq;
    }
    return { messages, blocked, read, next };
  }

  /** Reads the messages of tasks, and moves tasks that were tried too often to the dead pool. */
  async #deliver(handed: Round["handed"]): Promise<HandedTask[]> {
    const { run, ring } = this.#context;
    const { maxTries = MAX_TRIES } = this.#request;
    const tasks: HandedTask[] = [];
    let failure: unknown = null;
    for (const { task: { seq, ...task }, message } of handed) {
      try {
        const frame = message ?? await run(findStored(ring, seq));
        if (frame === null) continue; // Overwritten since: the next attempt counts it as lost.
        if (task.tries > maxTries) await this.#bury(frame, task.token);
        else tasks.push({ ...task, message: frame });
      } catch (error) {
        failure ??= error; // The other tasks are already handed out and must be returned.
      }
    }
    if (tasks.length === 0 && failure !== null) throw failure;
    return tasks;
  }

  /**
   * Moves a task to the dead pool. If the process is killed midway, the move is repeated, and the
   * copy's id prevents a duplicate.
   */
  async #bury(message: StoredFrame, token: number): Promise<void> {
    const { run } = this.#context;
    const { dead, createDead = true } = this.#request;
    try {
      await bury(this.#context, message, this.name, dead, createDead);
    } catch (error) {
      await run(this.#postponing(message.seq, token, BURY_AGAIN));
      if (!createDead && PlasmiteError.is(error, ErrorKind.NotFound)) return;
      throw error;
    }
    try {
      await run(this.#acking(message.seq, token));
    } catch (error) {
      // It was handed to another worker, which also moves it.
      if (!PlasmiteError.is(error, ErrorKind.Conflict)) throw error;
    }
  }

  *#acking(seq: bigint, token: number): Steps<boolean> {
    return yield* this.#change(seq, token, (record) => ack(record, seq));
  }

  *#failing(seq: bigint, token: number, delayMs?: number): Steps<boolean> {
    return yield* this.#change(seq, token, (record) => {
      const tries = record.pending.find((one) => one.seq === seq)?.tries ?? 1;
      const { maxTries = MAX_TRIES } = this.#request;
      // After the last try it goes to the dead pool without delay.
      const delay = tries >= maxTries ? 0 : delayMs ?? retryDelayMs(tries);
      return fail(record, seq, Date.now() + delay);
    });
  }

  *#postponing(seq: bigint, token: number, delayMs: number): Steps<boolean> {
    return yield* this.#change(seq, token, (record) => fail(record, seq, Date.now() + delayMs));
  }

  *#extending(seq: bigint, token: number, ackWaitMs: number): Steps<boolean> {
    return yield* this.#change(seq, token, (record) => extend(record, seq, Date.now() + ackWaitMs));
  }

  ack(seq: bigint, token: number): Awaitable<boolean> {
    return this.#context.run(this.#acking(seq, token));
  }

  fail(seq: bigint, token: number, delayMs?: number): Awaitable<boolean> {
    if (delayMs !== undefined) checkTaskTime(delayMs);
    return this.#context.run(this.#failing(seq, token, delayMs));
  }

  extend(seq: bigint, token: number, ackWaitMs: number = ACK_WAIT): Awaitable<boolean> {
    return this.#context.run(this.#extending(seq, token, checkTaskTime(ackWaitMs)));
  }

  *#change(seq: bigint, token: number, next: (record: GroupRecord) => GroupRecord): Steps<boolean> {
    return yield* this.#locked(false, (group) => {
      const { record } = group;
      const stand = record === null ? "unknown" : standing(record, seq, token);
      if (record === null || stand === "unknown" || stand === "another") {
        throw new PlasmiteError("Conflict", `Task ${seq} was handed to another`, {
          path: this.#context.ring.path,
          hint: "Its time was over. Drop it: whoever has it now does it.",
          details: { seq },
        });
      }
      if (stand === "done") return false;
      group.save(stamped(next(record)));
      return true;
    });
  }

  close(): void {
    this.#closed = true;
    this.#source.close();
  }
}

function closed(name: string): PlasmiteError {
  return new PlasmiteError("Usage", `Group ${name} is closed`, {
    hint: "Open the group again.",
  });
}

function stamped(record: GroupRecord): GroupRecord {
  return { ...record, acked: new Date().toISOString() };
}
