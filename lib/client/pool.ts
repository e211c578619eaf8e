/**
 * An open pool: append, get, tail, replay.
 *
 * @module
 */

import { isGranted } from "../environment.ts";
import { checkKey } from "../coordination/names.ts";
import { ErrorKind, PlasmiteError } from "../errors.ts";
import { compileWhereSync, type Where } from "../filter/where.ts";
import { Lite3Doc } from "../lite3/doc.ts";
import { validateMessage } from "../lite3/validate.ts";
import { openToAppend } from "../pool/mending.ts";
import { FrameBatch } from "../pool/batch.ts";
import { findFar } from "../pool/jump.ts";
import { Ring } from "../pool/ring.ts";
import { disk } from "../storage/file.ts";
import { isReadOnlyDisk } from "../storage/os_error.ts";
import { inPlace } from "../storage/steps.ts";
import { inTurns } from "../storage/turns.ts";
import { Appender, type Stored } from "../backend/local/appender.ts";
import { LocalBackend } from "../backend/local.ts";
import { describePool, describing, type PoolBounds, type PoolInfo } from "../backend/local/info.ts";
import { findFrame } from "../backend/local/lookup.ts";
import {
  type Appended,
  type Appending,
  appendingAll,
  appendingOne,
  collecting,
  onlyOne,
} from "./conditional.ts";
import { checkLatest, CoordinatedPool } from "./coordinated.ts";
import type { LatestOptions } from "./coordination.ts";
import { LocalAccess } from "./local_access.ts";
import { type IntegerPolicy, Message } from "./message.ts";
import {
  type AppendOptions,
  type BatchOptions,
  checkBytes,
  checkDurability,
  checkMs,
  checkSeq,
  type Durability,
  type JsonObject,
  type ReplayOptions,
  type Seq,
  shown,
  stamp,
  type TailOptions,
} from "./options.ts";
import {
  appendOptions,
  checkAppend,
  checkBatch,
  checkOptions,
  TAIL_KINDS,
} from "./option_kinds.ts";
import { Lite3Stream, Stream } from "./stream.ts";
import { type Tail, TailIterator, type Take, takeMessage } from "./tail.ts";
import { type Lite3Frame, takeFrame } from "../backend/frames.ts";

// Synchronous calls cannot load a module when they need it.
Ring.findFar = findFar;

/**
 * The interface that local and remote pools share, for code that works with either.
 *
 * @example Write code for local and remote pools
 * ```ts
 * import { type AsyncPool, Client } from "@plasmite/core";
 *
 * async function count(pool: AsyncPool): Promise<bigint> {
 *   return (await pool.infoAsync()).metrics?.messageCount ?? 0n;
 * }
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool("demo");
 * await pool.appendAsync({ n: 1 });
 * console.assert(await count(pool) === 1n);
 * ```
 */
export interface AsyncPool<T extends object = JsonObject>
  extends AsyncDisposable, Pick<CoordinatedPool<T>, keyof CoordinatedPool<T>> {
  /** The pool's name. */
  readonly name: string;
  /** Appends one message; appends made at the same time are combined. */
  appendAsync(data: T | Uint8Array, options?: AppendOptions): Promise<Message<T>>;
  /** Appends several messages in order. */
  appendBatch(items: readonly (T | Uint8Array)[], options?: BatchOptions): Promise<Message<T>[]>;
  /** Reads one message by its sequence number; rejects with NotFound if it is not retained. */
  getAsync(seq: Seq): Promise<Message<T>>;
  /** Returns sizes, bounds and metrics. */
  infoAsync(): Promise<PoolInfo>;
  /**
   * Follows the pool: returns its messages as they are appended.
   *
   * @param options what to read and when to end
   * @returns the stream; breaking out of a `for await` loop closes it
   * @throws {PlasmiteError} Usage for invalid options
   */
  tail(options?: TailOptions): Tail<T>;
}

function checkFlag(errorOnGap: boolean): boolean {
  if (typeof errorOnGap === "boolean") return errorOnGap;
  throw new PlasmiteError("Usage", `invalid errorOnGap: ${shown(errorOnGap)}`, {
    hint: "Pass true or false.",
  });
}

/** Compiles an expression that is evaluated on the bytes. Throws Usage. */
function compileNow(expression: string): Where {
  const where = compileWhereSync(expression);
  if (where !== undefined) return where;
  throw new PlasmiteError("Usage", `the expression needs jq: ${expression}`, {
    hint: "jq is loaded asynchronously: call latestByAsync.",
  });
}

/** Whether writing was refused: by the file mode, by Deno, or by a read-only file system. */
function isWriteRefused(error: unknown): boolean {
  if (!PlasmiteError.is(error)) return false;
  return error.kind === ErrorKind.Permission || isReadOnlyDisk(error.cause);
}

/**
 * Opens a pool file for writing if that is allowed, else for reading only. Without Deno's write
 * permission, it is not requested before something is appended.
 */
function openAsAllowed(path: string): Ring {
  if (!isGranted({ name: "write", path })) return Ring.open(disk, path);
  try {
    return openToAppend(disk, path);
  } catch (error) {
    if (!isWriteRefused(error)) throw error;
    return Ring.open(disk, path);
  }
}

/**
 * An open pool file. Any number of processes can open the same pool and append and read at the same
 * time.
 *
 * @example Append and read a message
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool<{ status: string }>("ci");
 * pool.append({ status: "green" }, ["build"]);
 * console.assert(pool.get(1).data.status === "green");
 * ```
 */
export class Pool<T extends object = JsonObject> extends CoordinatedPool<T>
  implements AsyncPool<T>, Disposable {
  /** The name or reference it was opened by. */
  readonly name: string;
  readonly #integers: IntegerPolicy;
  #ring: Ring;
  #appender: Appender | null;
  /** Coordination has a file of its own, as leases and cursors outlive the pool. */
  #access: LocalAccess | null = null;
  /** A batch that is not in use. */
  #spare: FrameBatch | null = null;

  /** For internal use: call {@linkcode Client.openPool}. */
  constructor(path: string, name: string, integers: IntegerPolicy) {
    super((write) => this.#reach(write), integers);
    this.name = name;
    this.#integers = integers;
    this.#ring = openAsAllowed(path);
    this.#appender = this.#ring.writable ? new Appender(this.#ring.asWritable()) : null;
  }

  /** The appender; opens the file for writing on first use if it was opened for reading only. */
  #writer(): Appender {
    if (this.#appender !== null) return this.#appender;
    const reading = this.#ring;
    reading.state(); // A closed pool stays closed.
    const ring = openToAppend(disk, reading.path);
    try {
      reading.checkIdentity();
    } catch (error) {
      ring.close();
      throw error;
    }
    reading.close();
    this.#ring = ring;
    return this.#appender = new Appender(ring);
  }

  /** The path of the pool file. */
  get path(): string {
    return this.#ring.path;
  }

  #message({ seq, timestampNs, payload }: Stored): Message<T> {
    return new Message<T>(seq, timestampNs, { payload, integers: this.#integers });
  }

  /** The open file for coordination, for writing if that is needed or allowed. */
  #reach(write: boolean): LocalAccess {
    this.#ring.checkOpen();
    if (this.#access !== null && (this.#access.writable || !write)) return this.#access;
    const ring = write ? openToAppend(disk, this.path) : openAsAllowed(this.path);
    try {
      this.#ring.checkIdentity();
    } catch (error) {
      ring.close();
      throw error;
    }
    this.#access?.close();
    return this.#access = new LocalAccess(ring);
  }

  #store(data: unknown, options: AppendOptions): Message<T> {
    const { encode, flush, when } = appendingOne(data, options);
    if (when === undefined) {
      return this.#message(this.#only(this.#writer().appendSync(encode, flush)));
    }
    const { now } = this.#reach(true);
    const batch = this.#emptyBatch();
    encode(batch);
    const { appended, ...report } = collecting(batch);
    const done = now.append(batch, { flush, when, ...report }, when);
    this.#spare = batch;
    if (!(done instanceof Promise)) return this.#only(appended.map((one) => this.#appended(one)));
    throw new PlasmiteError("Internal", "a conditional append waits", { path: this.path });
  }

  /** A batch for one conditional append, which these cannot share. */
  #emptyBatch(): FrameBatch {
    const batch = this.#spare ?? new FrameBatch();
    this.#spare = null;
    batch.clear();
    return batch;
  }

  /** Appends without blocking. */
  async #storeLater({ encode, flush, signal, when }: Appending): Promise<Message<T>[]> {
    if (when === undefined) {
      const stored = await this.#writer().append(encode, flush, signal);
      return stored.map((one) => this.#message(one));
    }
    const { coordination } = this.#reach(true);
    const batch = this.#emptyBatch();
    encode(batch);
    const { appended, ...report } = collecting(batch);
    await coordination.append(batch, { flush, signal, when, ...report }, when);
    this.#spare = batch;
    return appended.map((one) => this.#appended(one));
  }

  /** A message that was appended; one that was there already is returned as it is stored. */
  #appended(given: Appended): Message<T> {
    const { duplicate } = given;
    const found = duplicate ? inPlace(findFrame(this.#ring, given.seq, takeFrame)) : null;
    const { seq, timestampNs, payload } = found ?? given;
    return new Message<T>(seq, timestampNs, { payload, integers: this.#integers, duplicate });
  }

  #only<M>(stored: readonly M[]): M {
    return onlyOne(stored, this.path);
  }

  /**
   * Appends one message and returns it as stored.
   *
   * Blocks for up to ten seconds while another process holds the lock; {@linkcode Pool.appendAsync}
   * waits without blocking.
   *
   * @param data a JSON object, or its text as bytes; bigint is written as an integer, `undefined`
   *   members are dropped
   * @param tags the tags, or all options
   * @throws {PlasmiteError} Usage for data that cannot be stored (nothing is written), Conflict when
   *   `expect` does not hold or an id was used for other data, Permission when the pool is read-only
   *   for this process, NotFound when it was deleted or replaced, Busy, Corrupt, Io
   */
  append(data: T | Uint8Array, tags?: readonly string[], durability?: Durability): Message<T>;
  /** Appends one message with all options by name. */
  append(data: T | Uint8Array, options: AppendOptions): Message<T>;
  append(
    data: T | Uint8Array,
    tags?: readonly string[] | AppendOptions,
    durability?: Durability,
  ): Message<T> {
    return this.#store(data, appendOptions(tags, durability));
  }

  /**
   * Appends JSON text or a value; returns the stored envelope as UTF-8 JSON text.
   *
   * @param data a JSON object, or its UTF-8 text
   * @throws {PlasmiteError} as {@linkcode Pool.append}
   */
  appendJson(
    payload: Uint8Array | object,
    tags?: readonly string[],
    durability?: Durability,
  ): Uint8Array {
    return this.#store(payload, appendOptions(tags, durability)).raw;
  }

  /**
   * Appends a Lite3 message byte for byte; returns its sequence number.
   *
   * @param payload a Lite3 document with `meta` and `data`
   * @throws {PlasmiteError} Corrupt when the payload is not a complete, readable message
   */
  appendLite3(payload: Uint8Array, durability?: Durability): bigint {
    return this.appendLite3WithReceipt(payload, durability).seq;
  }

  /** Like {@linkcode Pool.appendLite3}, but returns the message as stored. */
  appendLite3WithReceipt(payload: Uint8Array, durability?: Durability): Message<T> {
    checkBytes(payload, "payload");
    const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
    validateMessage(new Lite3Doc().reset(payload, view, 0, payload.length));
    const time = stamp();
    const encode = (batch: FrameBatch): void => batch.addPayload(payload, time.lo, time.hi);
    const flush = checkDurability(durability);
    return this.#message(this.#only(this.#writer().appendSync(encode, flush)));
  }

  /**
   * Appends one message without blocking; appends made in the same turn of the event loop share one
   * lock.
   *
   * @param data a JSON object, or its UTF-8 text
   * @throws {PlasmiteError} as {@linkcode Pool.append}; the signal's reason when it is aborted
   */
  async appendAsync(data: T | Uint8Array, options?: AppendOptions): Promise<Message<T>> {
    return this.#only(await this.#storeLater(appendingOne(data, checkAppend(options))));
  }

  /**
   * Appends several messages in order, under one lock.
   *
   * They are consecutive as long as they take no more than about half of the ring. A larger batch
   * is split into groups, between which other processes can append. With `expect` or `ids` they are
   * one piece, and a larger batch is refused.
   *
   * @param items JSON objects, or their UTF-8 texts
   * @param options options for all of them
   * @returns the messages as stored, in the same order
   * @throws {PlasmiteError} Usage when one of them cannot be stored, Conflict when an expectation
   *   does not hold or an id was used for other data; then none is
   */
  async appendBatch(
    items: readonly (T | Uint8Array)[],
    options?: BatchOptions,
  ): Promise<Message<T>[]> {
    return await this.#storeLater(appendingAll(items, checkBatch(options)));
  }

  /**
   * Returns the newest message with a key.
   *
   * @param key the key, as given to an append
   * @returns the message, or null if none is retained
   * @throws {PlasmiteError} Usage for an invalid key; as {@linkcode Pool.get}
   */
  latest(key: string): Message<T> | null {
    const seq = this.#reach(false).now.latestNow(checkKey(key, "key"));
    return seq === null ? null : this.#message(seq);
  }

  /**
   * Returns the newest message of each group, ordered by sequence number.
   *
   * @param by the beginning of a tag, such as `agent:`, or a path, such as `.data.agent`
   * @param options which messages and groups
   * @returns one message a group; a message that is the newest of several groups once
   * @throws {PlasmiteError} Usage for an invalid path or expression, or for one that only jq can
   *   evaluate, which is for {@linkcode Pool.latestByAsync}; as {@linkcode Pool.get}
   */
  latestBy(by: string, options?: LatestOptions): Message<T>[] {
    const { tags, where, having } = checkLatest(options);
    const request = { tags, where: where.map(compileNow), having: having.map(compileNow) };
    const { messages } = this.#reach(false).now.latestByNow(by, request);
    return messages.map((one) => this.#message(one));
  }

  #found(seq: Seq, frame: Lite3Frame | null): Lite3Frame {
    if (frame !== null) return frame;
    throw new PlasmiteError("NotFound", "message not found", {
      seq: BigInt(seq),
      hint: "It was overwritten or never written; `bounds()` returns what is retained.",
    });
  }

  #read(seq: Seq): Lite3Frame {
    return this.#found(seq, inPlace(findFrame(this.#ring, checkSeq(seq, "seq"), takeFrame)));
  }

  /**
   * Reads one message by its sequence number.
   *
   * @param seq the sequence number, from 1
   * @throws {PlasmiteError} NotFound when it is not retained, Corrupt when it is damaged
   */
  get(seq: Seq): Message<T> {
    return this.#message(this.#read(seq));
  }

  /**
   * Like {@linkcode Pool.get}, but a long search does not block the event loop.
   *
   * @throws {PlasmiteError} as {@linkcode Pool.get}
   */
  async getAsync(seq: Seq): Promise<Message<T>> {
    const frame = await inTurns(findFrame(this.#ring, checkSeq(seq, "seq"), takeFrame));
    return this.#message(this.#found(seq, frame));
  }

  /**
   * Reads one message's envelope as UTF-8 JSON text.
   *
   * @throws {PlasmiteError} as {@linkcode Pool.get}
   */
  getJson(seq: Seq): Uint8Array {
    return this.get(seq).raw;
  }

  /**
   * Reads one message's stored frame.
   *
   * @returns a copy of the frame
   * @throws {PlasmiteError} NotFound when it is not retained
   */
  getLite3(seq: Seq): Lite3Frame {
    return this.#read(seq);
  }

  /** Returns sizes, bounds and metrics. */
  info(): PoolInfo {
    return describePool(this.#ring, this.name);
  }

  /** Like {@linkcode Pool.info}, but does not block the event loop. */
  infoAsync(): Promise<PoolInfo> {
    return inTurns(describing(this.#ring, this.name));
  }

  /** Returns the first and last retained sequence number. */
  bounds(): PoolBounds {
    const { oldest, newest } = inPlace(this.#ring.living());
    return oldest === 0n
      ? { oldestSeq: null, newestSeq: null }
      : { oldestSeq: oldest, newestSeq: newest };
  }

  /**
   * Checks that the path still refers to the open file.
   *
   * @throws {PlasmiteError} NotFound when the pool was deleted or replaced
   */
  checkCurrentPath(): void {
    this.#ring.checkIdentity();
  }

  /**
   * Follows the pool: by default from the oldest retained message, without end.
   *
   * @example Wait for a message
   * ```ts
   * import { Client } from "@plasmite/core";
   *
   * using client = new Client(Deno.makeTempDirSync());
   * using pool = client.pool("ci");
   * pool.append({ status: "green" });
   * for await (const message of pool.tail({ timeoutMs: 30_000 })) {
   *   if (message.data["status"] === "green") break;
   * }
   * ```
   */
  tail(options?: TailOptions): Tail<T> {
    return this.#tail(options, takeMessage<T>(this.#integers));
  }

  /** Opens the file again right away, so that nothing appended from now on is missed. */
  #tail<M>(options: TailOptions | undefined, take: Take<M>): TailIterator<M> {
    const checked = checkOptions(options, "tail", TAIL_KINDS);
    const start = this.#ring.state().newest + 1n;
    const pool = new LocalBackend("").openNow(this.path);
    const newest = (): bigint => {
      const { oldest, newest } = pool.boundsNow();
      return oldest === 0n ? 0n : newest;
    };
    const end = checked.from === "end" && checked.sinceSeq === undefined;
    try {
      return new TailIterator(pool, checked, take, { newest, ...(end ? { start } : {}) });
    } catch (error) {
      pool.close();
      throw error;
    }
  }

  /** Like {@linkcode Pool.tail}, but returns stored frames. */
  async *tailLite3(options?: TailOptions): AsyncGenerator<Lite3Frame, void, unknown> {
    const frames = this.#tail(options, takeFrame);
    try {
      for await (const frame of frames) yield frame;
    } finally {
      frames.close();
    }
  }

  /**
   * Returns stored messages with the original pauses between them, divided by `speed`. They can be
   * selected by sequence number, time, tags and filter, and limited to the last `last` of these.
   * Messages appended later are not included.
   *
   * Up to 16 MiB of the selection are kept in memory. A larger selection is read while it is
   * replayed, and messages that are overwritten before their turn are left out.
   *
   * @param options what to replay and how fast
   * @returns the messages, in order
   * @throws {PlasmiteError} Usage for a speed that is negative or not finite
   */
  async *replay(options: ReplayOptions = {}): AsyncGenerator<Message<T>, void, unknown> {
    const { replayStored } = await import("./replay.ts"); // Rarely used, so loaded on demand.
    for await (const stored of replayStored(this, options)) yield this.#message(stored);
  }

  /** A blocking stream of envelopes, as in the reference's Node binding. */
  openStream(
    sinceSeq?: Seq | null,
    max?: Seq | null,
    timeoutMs?: Seq | null,
    errorOnGap = false,
  ): Stream {
    return new Stream(...this.#blocking(sinceSeq, max, timeoutMs), checkFlag(errorOnGap));
  }

  /** A blocking stream of stored frames, as in the reference's Node binding. */
  openLite3Stream(
    sinceSeq?: Seq | null,
    max?: Seq | null,
    timeoutMs?: Seq | null,
    errorOnGap = false,
  ): Lite3Stream {
    return new Lite3Stream(...this.#blocking(sinceSeq, max, timeoutMs), checkFlag(errorOnGap));
  }

  #blocking(
    sinceSeq: Seq | null | undefined,
    max: Seq | null | undefined,
    timeoutMs: Seq | null | undefined,
  ): [string, bigint | "oldest", bigint | null, number | null] {
    this.#ring.state();
    const since = sinceSeq === null || sinceSeq === undefined ? 0n : checkSeq(sinceSeq, "sinceSeq");
    return [
      this.path,
      since === 0n ? "oldest" : since,
      max === null || max === undefined ? null : checkSeq(max, "max"),
      checkMs(timeoutMs ?? undefined, "timeoutMs") ?? null,
    ];
  }

  /**
   * Closes the file; a second call does nothing. Open streams, leases, cursors and groups are not
   * affected.
   */
  close(): void {
    this.#ring.close();
    this.#access?.close();
    this.#access = null;
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Closes the file. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}
