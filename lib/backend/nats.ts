/**
 * Pools that are streams of NATS JetStream (docs/spec/jetstream.md).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import type { Coordination } from "./coordination.ts";
import type { FrameBatch } from "../pool/batch.ts";
import { DEFAULT_POOL_SIZE, type Limits } from "../pool/layout.ts";
import type { Bounds } from "../types.ts";
import type { HasDeadPool } from "./dead.ts";
import { Filter } from "./filter.ts";
import { findLast, type Search } from "./last.ts";
import { LaterWalk } from "./later.ts";
import type { PoolInfo } from "./local/info.ts";
import { namedList } from "./named.ts";
import { NatsAppender } from "./nats/appender.ts";
import { type Choice, choiceOf } from "./nats/choice.ts";
import { DirectGets, takesDirect } from "./nats/direct.ts";
import { Code, hasCode } from "./nats/errors.ts";
import type { GroupTasks } from "./nats/group_tasks.ts";
import { atLeast, Connector, type Link } from "./nats/link.ts";
import { boundsAt, lookAt, type Opened } from "./nats/opened.ts";
import { notTaking } from "./nats/publisher.ts";
import { checkStreamName, type NatsAddress, natsAddress } from "./nats/ref.ts";
import { NatsSource } from "./nats/source.ts";
import {
  boundsOf,
  isOurs,
  leaderMessage,
  MARKER,
  poolInfoOf,
  RESERVE,
  seqSince,
  type StreamInfo,
  streamInfo,
  takesOurs,
} from "./nats/stream.ts";
import { type Incoming, Reader, subjectPrefix, timeOf } from "./nats/wire.ts";
import { openOrCreate } from "./open_or_create.ts";
import type { AccessOptions } from "./resolve.ts";
import type { SeqSet } from "./seq_set.ts";
import type {
  AppendRequest,
  Backend,
  Choose,
  ListOptions,
  NewPool,
  OpenOptions,
  PoolChange,
  PoolHandle,
  Selection,
  StoredFrame,
  Trimmed,
  TrimTo,
  Walk,
} from "./types.ts";
import type { Shipment } from "./shipment.ts";
import { lastWanted, SelectedWalk } from "./walk.ts";

/** The account of a user on NATS servers. */
export class NatsBackend implements Backend {
  readonly place: string;
  readonly #connector: Connector;
  /** The tasks that were handed out over this connection. */
  readonly #groups = new Map<string, GroupTasks>();
  #closed = false;

  /**
   * Prepares a backend without connecting.
   *
   * @param address `nats://host:port`, or parsed
   * @throws {PlasmiteError} Usage for a bad address or options that cannot be used
   */
  constructor(address: NatsAddress | string, options: AccessOptions = {}) {
    const parsed = typeof address === "string" ? natsAddress(address) : address;
    this.#connector = new Connector(parsed, options);
    this.place = parsed.place;
  }

  features(): ReadonlySet<string> {
    return new Set(["batch", "expect", "key", "id", "latest", "claim", "cursor", "group"]);
  }

  #path(name: string): string {
    return `${this.place}/${checkStreamName(name)}`;
  }

  async #stream(name: string): Promise<{ link: Link; info: StreamInfo; path: string }> {
    const path = this.#path(name);
    const link = await this.#connector.link();
    return { link, path, info: await streamInfo(link, name, path) };
  }

  async open(name: string, options: OpenOptions = {}): Promise<NatsPool> {
    const { create, write = false } = options;
    const open = (): Promise<NatsPool> => this.#open(name, write);
    return await (create === undefined
      ? open()
      : openOrCreate(open, () => this.create(name, create)));
  }

  async #open(name: string, write: boolean): Promise<NatsPool> {
    const { info, link, path } = await this.#stream(name);
    if (write && !takesOurs(info.config)) throw notTaking(name, path);
    // Derived names, such as that of a dead pool, contain a dot.
    const others = (other: string, more: OpenOptions): Promise<PoolHandle> =>
      this.open(other.replaceAll(".", "_"), more);
    return new NatsPool(this.#connector, { link, path, info, others, groups: this.#groups });
  }

  async create(name: string, options: NewPool = {}): Promise<PoolInfo> {
    const path = this.#path(name);
    const size = checkSize(options.sizeBytes ?? DEFAULT_POOL_SIZE);
    const link = await this.#connector.link();
    await refuseExisting(link, name, path);
    const config = {
      name,
      subjects: [`${subjectPrefix(name)}>`],
      retention: "limits",
      discard: "old",
      storage: "file",
      max_bytes: size,
      max_msgs: -1,
      max_consumers: -1,
      max_age: (options.maxAgeMs ?? 0) * 1_000_000,
      num_replicas: options.replicas ?? 1,
      allow_direct: true,
      ...(options.dedupeMs === undefined ? {} : {
        duplicate_window: options.dedupeMs * 1_000_000,
      }),
      ...(atLeast(link.version, 2, 10) ? { metadata: { [MARKER]: "1" } } : {}),
      ...(atLeast(link.version, 2, 12) ? { allow_atomic: true } : {}),
    };
    try {
      const info = await link.api<StreamInfo>(`STREAM.CREATE.${name}`, config, path);
      return poolInfoOf(info, path, link);
    } catch (error) {
      if (hasCode(error, Code.otherConfiguration)) throw alreadyExists(path);
      if (hasCode(error, Code.subjectsOverlap)) throw await overlap(link, name, path);
      throw error;
    }
  }

  async list(choose?: Choose, { foreign = false }: ListOptions = {}): Promise<readonly PoolInfo[]> {
    const link = await this.#connector.link();
    const streams = await link.list<StreamInfo>("STREAM.LIST", "streams", this.place);
    const infos = streams.filter(({ config }) => foreign || isOurs(config))
      .map((info) => poolInfoOf(info, `${this.place}/${info.config.name}`, link));
    return namedList(infos, choose);
  }

  async names(): Promise<readonly string[]> {
    return (await this.list()).map(({ name }) => name);
  }

  async info(name: string): Promise<PoolInfo> {
    const { info, link, path } = await this.#stream(name);
    return poolInfoOf(info, path, link);
  }

  async change(name: string, change: PoolChange): Promise<PoolInfo> {
    const path = this.#path(name);
    if (change.sizeBytes !== undefined) checkSize(change.sizeBytes);
    const { changeStream } = await import("./nats/retention.ts");
    const link = await this.#connector.link();
    return poolInfoOf(await changeStream({ link, name, path }, change), path, link);
  }

  async trim(name: string, to: TrimTo): Promise<Trimmed> {
    const path = this.#path(name);
    const { trimStream } = await import("./nats/retention.ts");
    return await trimStream({ link: await this.#connector.link(), name, path }, to);
  }

  async remove(name: string): Promise<void> {
    const path = this.#path(name);
    const link = await this.#connector.link();
    await link.api(`STREAM.DELETE.${name}`, null, path);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#connector.release();
  }
}

function checkSize(size: number): number {
  if (Number.isSafeInteger(size) && size >= 2 * RESERVE) return size;
  throw new PlasmiteError("Usage", "invalid pool size", {
    hint: `Give the size in bytes as a whole number, at least ${2 * RESERVE}.`,
  });
}

function alreadyExists(path: string): PlasmiteError {
  return new PlasmiteError("AlreadyExists", "pool already exists", {
    hint: "Choose a different name, or remove it first.",
    path,
  });
}

/** Servers accept the creation of a stream that exists with the same configuration. */
async function refuseExisting(link: Link, name: string, path: string): Promise<void> {
  try {
    await streamInfo(link, name, path);
  } catch (error) {
    if (hasCode(error, Code.noStream)) return;
    throw error;
  }
  throw alreadyExists(path);
}

/** The error for subjects used by another stream; names that stream if it can be found. */
async function overlap(link: Link, name: string, path: string): Promise<PlasmiteError> {
  const subject = `${subjectPrefix(name)}m`;
  const { streams } = await link.api<{ streams?: readonly string[] | null }>(
    "STREAM.NAMES",
    { subject },
    path,
  );
  const other = streams?.[0];
  return new PlasmiteError(
    "Usage",
    `The subjects of this pool belong to stream ${other ?? "of another name"}`,
    { hint: "Use another name, or change the subjects of that stream.", path },
  );
}

/** What a walk begins with. */
interface Start {
  readonly bounds: Bounds;
  readonly info: StreamInfo;
  readonly choice: Choice | null;
}

/** An existing stream. */
interface OpenStream {
  readonly link: Link;
  readonly path: string;
  readonly info: StreamInfo;
  /** Opens another pool of the backend. */
  readonly others: (name: string, options: OpenOptions) => Promise<PoolHandle>;
  /** The tasks that were handed out, by group. */
  readonly groups: Map<string, GroupTasks>;
}

/** A stream as a pool. */
export class NatsPool implements PoolHandle, HasDeadPool {
  readonly name: string;
  readonly path: string;
  readonly limits: Limits;
  readonly #connector: Connector;
  readonly #link: Link;
  readonly #info: StreamInfo;
  readonly #appender: NatsAppender;
  readonly #opened: Opened;
  readonly #gets: DirectGets;
  readonly #others: OpenStream["others"];
  readonly #groups: OpenStream["groups"];
  #closed = false;

  /** Use {@linkcode NatsBackend.open}. */
  constructor(connector: Connector, { groups, info, link, others, path }: OpenStream) {
    this.#groups = groups;
    this.#others = others;
    this.name = info.config.name;
    this.path = path;
    this.#connector = connector.retain();
    this.#link = link;
    this.#info = info;
    this.#gets = new DirectGets(link, info.config);
    this.#appender = new NatsAppender(link, info.config, path);
    this.#opened = { target: this.#appender.target, created: info.created };
    this.limits = this.#appender.limits();
  }

  async bounds(): Promise<Bounds> {
    return await boundsAt(this.#opened);
  }

  async info(): Promise<PoolInfo> {
    return poolInfoOf(await lookAt(this.#opened), this.path, this.#link);
  }

  async get(seq: bigint): Promise<StoredFrame | null> {
    const number = Number(seq);
    if (seq < 1n || !Number.isSafeInteger(number)) return null;
    // A server without the message may lag behind; only the leader knows that there is none.
    const found = await this.#gets.get(number) ??
      await leaderMessage(this.#link, this.name, { seq: number }, this.path);
    return found === null ? null : this.#frame(found);
  }

  #frame(message: Incoming): StoredFrame {
    const reader = new Reader(this.name, this.path);
    reader.encode(message);
    const payload = reader.out.bytes().slice();
    return { seq: message.seq, timestampNs: timeOf(message), flags: 0, payload };
  }

  async append(batch: FrameBatch, request: AppendRequest): Promise<void> {
    await this.#appender.append(batch, request);
  }

  sizeBytes(): number {
    return Math.max(0, this.#info.config.max_bytes);
  }

  open(name: string, options: OpenOptions): Promise<PoolHandle> {
    return this.#others(name, options);
  }

  ship(source: string): Shipment {
    return this.#appender.ship(source);
  }

  async select(selection: Selection): Promise<Walk> {
    const info = await lookAt(this.#opened);
    const bounds = boundsOf(info, this.path);
    const { follow = false, last, source, tags = [], where = [], since = 0n } = selection;
    const isChosen = tags.length > 0 || source !== undefined;
    const isFiltered = isChosen || where.length > 0 || since > 0n;
    const choice = isChosen
      ? await choiceOf(this.#link, info, { path: this.path, tags, follow, source })
      : null;
    const start: Start = { bounds, choice, info };
    if (last === undefined && since > 0n) {
      return this.#walk(await this.#since(selection, since, bounds), start);
    }
    if (last === undefined || (!isFiltered && isDense(info))) {
      return this.#walk(selection, start);
    }
    const connector = this.#connector.retain();
    return new LaterWalk(
      bounds,
      (search) => this.#lastWalk(selection, start, search),
      () => void connector.release(),
    );
  }

  /** Starts at the given time, instead of reading everything before it. */
  async #since(selection: Selection, since: bigint, bounds: Bounds): Promise<Selection> {
    const { from = "oldest" } = selection;
    if ((from !== "oldest" && from !== 0n) || bounds.oldest === 0n) return selection;
    const found = await seqSince(this.#link, this.name, since, this.path);
    const start = found > bounds.newest ? bounds.newest + 1n : found;
    return start > bounds.oldest ? { ...selection, from: start } : selection;
  }

  #walk(
    selection: Selection,
    { bounds, choice, info }: Start,
    until?: bigint | null,
    chosen?: SeqSet,
  ): Walk {
    const { oldest, newest } = bounds;
    const { from = "oldest", last } = selection;
    const end = until !== undefined ? until : lastWanted(selection, newest);
    let start = from === "end" ? newest + 1n : from === "oldest" || from === 0n ? oldest : from;
    if (oldest === 0n && start === 0n) start = newest + 1n;
    if (last !== undefined && chosen === undefined) {
      const high = end !== null && end < newest ? end : newest;
      const low = start > oldest ? start : oldest;
      const first = high - BigInt(last) + 1n;
      start = oldest === 0n ? newest + 1n : first < low ? low : first;
    }
    const source = new NatsSource(this.#connector, {
      stream: this.name,
      path: this.path,
      info,
      start,
      choice,
      isDirect: end !== null && takesDirect(this.#link, info.config),
      target: end !== null && end < newest ? end : newest,
      reconnect: selection.reconnect !== false,
      onTrouble: selection.onTrouble,
      onUnreadable: selection.onUnreadable,
      skipCorrupt: selection.skipCorrupt === true,
      source: selection.source,
      excluded: selection.excluded,
    });
    return new SelectedWalk(source, {
      from: start,
      until: end,
      filter: new Filter(selection.tags, selection.where),
      since: selection.since ?? 0n,
      skips: selection.skipCorrupt === true,
      start: bounds,
      chosen,
      bounds: () => this.bounds(),
    });
  }

  async #lastWalk(
    selection: Selection,
    start: Start,
    search: Search,
  ): Promise<Walk> {
    const { last = 0, until, ...rest } = selection;
    const { oldest, newest } = start.bounds;
    const high = until !== undefined && until < newest ? until : newest;
    const low = typeof rest.from === "bigint" && rest.from > oldest ? rest.from : oldest;
    const piece = (from: bigint, to: bigint): Walk =>
      this.#walk({ ...rest, from, last: undefined }, start, to);
    const { first, matches } = oldest === 0n
      ? { first: newest + 1n, matches: undefined }
      : await findLast(low, high, last, piece, search);
    const found = { ...selection, from: first, last: undefined };
    return this.#walk(found, start, undefined, matches);
  }

  async coordinate(): Promise<Coordination> {
    const { NatsCoordination } = await import("./nats/coordination.ts");
    const frame = (message: Incoming): StoredFrame => this.#frame(message);
    return new NatsCoordination(this, this.#opened, this.#groups, frame);
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    this.#appender.close();
    return this.#connector.release();
  }
}

/**
 * Whether no message was removed from the middle, so that the last N messages have the last N
 * numbers.
 */
function isDense({ state }: StreamInfo): boolean {
  return state.messages === 0 || state.messages === state.last_seq - state.first_seq + 1;
}
