/**
 * What people need to work together through a pool: leases, cursors, work groups. These are the
 * shapes, the same for local and remote pools; docs/spec/coordination.md has the promises.
 *
 * @module
 */

import type { Message } from "./message.ts";
import type { Durability, JsonObject, Seq, TailOptions } from "./options.ts";
import type { Tail } from "./tail.ts";

export type { CursorInfo } from "../backend/coordination.ts";

/**
 * Options of a search for the newest message of each group.
 *
 * @example The state of all services that are not gone
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool("services");
 * pool.append({ up: true }, ["service:api"]);
 * pool.append({ up: true }, ["service:web"]);
 * pool.append({}, ["service:web", "gone"]);
 * const having = '.meta.tags | index("gone") | not';
 * const [api, ...others] = await pool.latestByAsync("service:", { having });
 * console.assert(api?.seq === 1n && others.length === 0);
 * ```
 */
export interface LatestOptions {
  /** Only messages that carry all of these tags. */
  readonly tags?: string | readonly string[];
  /** Only messages for which this jq expression is true, before they are grouped. */
  readonly where?: string | readonly string[];
  /** Only groups for whose newest message this jq expression is true. */
  readonly having?: string | readonly string[];
}

/**
 * Options of a claim.
 *
 * @example Wait for a key
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool("claims");
 * const options = { holder: "ann", ttlMs: 5_000, waitMs: 30_000 };
 * await using lease = await pool.claim("deploy", options);
 * console.assert(lease.holder === "ann");
 * ```
 */
export interface ClaimOptions {
  /** The name of the one who claims. */
  readonly holder: string;
  /** How long the lease lasts without renewal, in milliseconds: 1 s to 24 h, default 60 s. */
  readonly ttlMs?: number;
  /** How long to wait for keys that another holds, in milliseconds; default 0. */
  readonly waitMs?: number;
  /** Whether the lease is renewed by itself until it is released; default true. */
  readonly autoRenew?: boolean;
  /** Aborts the wait; the claim rejects with its reason. */
  readonly signal?: AbortSignal;
}

/**
 * A lease: some keys belong to a holder until it is released or expires. It does not keep the
 * process alive; when the process ends, the keys are free after the rest of the time.
 *
 * It is advisory: those who do not ask are not kept out, and a holder that sleeps past its time may
 * still act. Pass `token` to what you change, and refuse smaller ones there.
 *
 * @example One deployment at a time
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool("claims");
 * {
 *   await using lease = await pool.claim(["deploy"], { holder: "ann" });
 *   lease.signal.throwIfAborted(); // Aborts when the lease is lost.
 *   console.assert(lease.token === 1n);
 * } // Released here.
 * await using next = await pool.claim(["deploy"], { holder: "bob" });
 * console.assert(next.token > 1n);
 * ```
 */
export interface Lease extends AsyncDisposable {
  /** The keys. */
  readonly keys: readonly string[];
  /** The name of the holder. */
  readonly holder: string;
  /** The fencing token: later leases of the same key have higher ones. */
  readonly token: bigint;
  /** When it expires unless it is renewed. */
  readonly until: Date;
  /** Whether the pool is so small that the claim may be overwritten before it expires. */
  readonly shortRetention: boolean;
  /**
   * Aborted when the lease is lost: taken by another, no longer retained, or expired. The reason is
   * the error.
   */
  readonly signal: AbortSignal;
  /**
   * Renews the lease for the time it was claimed for.
   *
   * @throws {PlasmiteError} Conflict if it was lost
   */
  renew(): Promise<void>;
  /**
   * Releases the keys; a second call does nothing, nor does a call after the lease was lost.
   *
   * @throws {PlasmiteError} Conflict if another has them
   */
  release(): Promise<void>;
}

/**
 * Options of a cursor.
 *
 * @example Begin with what comes from now on
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool("demo");
 * pool.append({ n: 1 });
 * await using cursor = await pool.cursor("mail", { from: "end" });
 * console.assert(cursor.seq === 1n);
 * ```
 */
export interface CursorOptions {
  /**
   * Where a new cursor starts: before the oldest message (default), after the newest, or after a
   * sequence number. An existing one stays where it is.
   */
  readonly from?: "oldest" | "end" | Seq;
  /** The directory of cursors; default beside the pool. Only for local pools. */
  readonly dir?: string;
  /** Whether each acknowledgement waits for the disk (`flush`); default `fast`. */
  readonly durability?: Durability;
}

/**
 * Options of setting a cursor.
 *
 * @example Move a cursor only if nobody else did
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool("demo");
 * pool.append({ n: 1 });
 * await pool.setCursor("mail", "oldest", { ifSeq: null }); // It does not exist yet.
 * const { seq } = await pool.setCursor("mail", 1, { ifSeq: 0 });
 * console.assert(seq === 1n);
 * ```
 */
export interface SetCursorOptions {
  /** The required current position; null if the cursor must not exist. Otherwise Conflict. */
  readonly ifSeq?: Seq | null;
  /** The directory of cursors; default beside the pool. Only for local pools. */
  readonly dir?: string;
  /** Whether to wait for the disk (`flush`); default `fast`. */
  readonly durability?: Durability;
}

/**
 * Options of a cursor's tail: those of a pool's tail, without a start, which is the position.
 *
 * @example Only what concerns me
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool("mail");
 * pool.append({ text: "hi" }, ["to:ann"]);
 * pool.append({ text: "hello" }, ["to:bob"]);
 * await using cursor = await pool.cursor("bob");
 * for await (const message of cursor.tail({ tags: "to:bob", maxMessages: 1 })) {
 *   await cursor.ack(message.seq);
 * }
 * console.assert(cursor.seq === 2n && cursor.lag === 0n);
 * ```
 */
export type CursorTailOptions = Omit<TailOptions, "sinceSeq" | "since" | "sinceTimeNs" | "from">;

/**
 * A named position in a pool that outlives its reader. One reader holds it at a time.
 *
 * Every message is delivered at least once, in order: what was not acknowledged when a reader ended
 * is delivered again to the next one.
 *
 * @example Continue where the last reader stopped
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool<{ n: number }>("demo");
 * await pool.appendBatch([{ n: 1 }, { n: 2 }]);
 * for (const expected of [1, 2]) {
 *   await using cursor = await pool.cursor("shipping");
 *   for await (const message of cursor.tail()) {
 *     console.assert(message.data.n === expected);
 *     await cursor.ack(message.seq);
 *     break;
 *   }
 * }
 * ```
 */
export interface Cursor<T extends object = JsonObject> extends AsyncDisposable {
  /** Its name. */
  readonly name: string;
  /** Whether it was created by this call. */
  readonly isNew: boolean;
  /** Everything up to this number is done. */
  readonly seq: bigint;
  /**
   * The number of messages after `seq`; of a remote pool, as far as they were seen by this reader.
   */
  readonly lag: bigint;
  /**
   * Follows the pool from the position on. Messages that do not match move the position, but never
   * past one that is not acknowledged. One tail at a time; the next one begins with what is not
   * acknowledged.
   *
   * @throws {PlasmiteError} Usage for invalid options, or while another tail of this cursor is open;
   *   the tail rejects with NotFound if the pool was replaced
   */
  tail(options?: CursorTailOptions): Tail<T>;
  /**
   * Acknowledges everything up to a delivered message. Of a local pool it is done when the call
   * returns; of a remote one, wait for the promise.
   *
   * @throws {PlasmiteError} Usage if that message was not delivered, Conflict if another moved the
   *   cursor, Io
   */
  ack(seq: Seq): void | Promise<void>;
  /** Ends the tail and releases the cursor; its position stays. A second call does nothing. */
  close(): Promise<void>;
}

/**
 * Options of a work group.
 *
 * @example Tasks of one kind, tried three times
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool("tasks");
 * pool.append({ file: "a.png" }, ["resize"]);
 * using group = await pool.group("resizers", { tags: "resize", maxTries: 3, ackWaitMs: 10_000 });
 * const [task] = await group.take();
 * console.assert(task?.tries === 1);
 * await task?.ack();
 * ```
 */
export interface GroupOptions {
  /** How long a task belongs to a worker, in milliseconds; default 60,000. */
  readonly ackWaitMs?: number;
  /** How many times a task is tried before it goes to the dead pool; default 5. */
  readonly maxTries?: number;
  /** Only messages with all of these tags are tasks; fixed when the group is created. */
  readonly tags?: string | readonly string[];
  /** Only messages for which this jq expression is true; fixed when the group is created. */
  readonly where?: string | readonly string[];
  /** Where a new group starts; default `"oldest"`. */
  readonly from?: "oldest" | "end";
  /** The name of this worker; default the process id. */
  readonly holder?: string;
  /** Whether no two messages with the same key are handed out at once; default false. */
  readonly orderedByKey?: boolean;
  /** The pool for tasks that were tried too often; default `<pool>.dead`, created when needed. */
  readonly dead?: string;
  /** The directory of the group's file; default beside the pool. Only for local pools. */
  readonly dir?: string;
  /** Called when messages were overwritten before they were done, with their number. */
  readonly onLost?: (count: bigint) => void;
}

/**
 * What to take from a group.
 *
 * @example Wait for up to ten tasks
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool("tasks");
 * await pool.appendBatch([{ n: 1 }, { n: 2 }]);
 * using group = await pool.group("workers");
 * const tasks = await group.take({ count: 10, waitMs: 30_000 }); // Returns with the first.
 * for (const task of tasks) await task.ack();
 * console.assert((await group.take()).length === 0);
 * ```
 */
export interface TakeOptions {
  /** The largest number of tasks; default 1. */
  readonly count?: Seq;
  /** How long to wait for the first one, in milliseconds; default 0. */
  readonly waitMs?: number;
  /** Aborts the wait; rejects with its reason. */
  readonly signal?: AbortSignal;
}

/**
 * A task that belongs to this worker until it is acknowledged, failed, or its time is over.
 *
 * @example Stop working when the time is over
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool("tasks");
 * pool.append({ n: 1 });
 * using group = await pool.group("workers");
 * for (const task of await group.take()) {
 *   task.signal.throwIfAborted();
 *   await task.extend(); // More time.
 *   await task.ack();
 * }
 * ```
 */
export interface Task<T extends object = JsonObject> {
  /** The message. */
  readonly message: Message<T>;
  /** How many times it was handed out, including this time. */
  readonly tries: number;
  /** The token of this hand-out, which only this worker has. */
  readonly token: number;
  /** Until when it belongs to this worker. */
  readonly until: Date;
  /** Aborted when its time is over, or when it is found to be another's. */
  readonly signal: AbortSignal;
  /**
   * Marks it as done.
   *
   * @returns false if it was done or lost already
   * @throws {PlasmiteError} Conflict if another worker has it
   */
  ack(): Promise<boolean>;
  /**
   * Gives it back, to be tried again.
   *
   * @param delayMs when, in milliseconds; by default after 1 s, 2 s … 60 s
   * @returns false if it was done or lost already
   * @throws {PlasmiteError} Conflict if another worker has it
   */
  fail(delayMs?: number): Promise<boolean>;
  /**
   * Takes more time: `ackWaitMs` from now.
   *
   * @returns false if it was done or lost already
   * @throws {PlasmiteError} Conflict if another worker has it
   */
  extend(): Promise<boolean>;
}

/**
 * A work group: several workers, each message to one of them. The iteration takes one task after
 * another and waits for more, until the group is closed.
 *
 * @example A worker
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool<{ n: number }>("tasks");
 * await pool.appendBatch([{ n: 1 }, { n: 2 }]);
 * using group = await pool.group("workers");
 * for await (const task of group) {
 *   await task.ack();
 *   if (task.message.data.n === 2) break;
 * }
 * ```
 */
export interface Group<T extends object = JsonObject> extends AsyncIterable<Task<T>>, Disposable {
  /** Its name. */
  readonly name: string;
  /**
   * Takes tasks: first those whose time has run out, then new ones; none if there is none in time.
   *
   * @throws {PlasmiteError} NotFound if the pool was replaced, Usage if the group was created with
   *   other tags or conditions, Busy, Io
   */
  take(options?: TakeOptions): Promise<Task<T>[]>;
  /** Ends the iteration; tasks that were taken stay this worker's. A second call does nothing. */
  close(): void;
}
