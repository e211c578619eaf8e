/**
 * Pools of a server, over its HTTP interface (docs/spec/http-api.md).
 *
 * @module
 */

import type { PoolInfo } from "./local/info.ts";
import { ErrorKind, PlasmiteError } from "../errors.ts";
import type { FrameBatch } from "../pool/batch.ts";
import { maxAgeNs } from "../pool/header.ts";
import { DEFAULT_POOL_SIZE, type Limits, limitsOf } from "../pool/layout.ts";
import { remotePoolName } from "./http/address.ts";
import { RemoteAppender } from "./http/appender.ts";
import { type Effect, RemoteError, unreadable } from "./http/error.ts";
import { RemoteSource } from "./http/source.ts";
import type { Pushdown } from "./http/source_options.ts";
import { jsonFields, Transport, type TransportOptions } from "./http/transport.ts";
import { lastSeqOf, poolInfo, readableBounds, wireMessage } from "./http/wire.ts";
import type { Awaitable, Bounds } from "../types.ts";
import type { Coordination } from "./coordination.ts";
import { Filter } from "./filter.ts";
import { findLast, type Search } from "./last.ts";
import { LaterWalk } from "./later.ts";
import { namedList } from "./named.ts";
import { openOrCreate } from "./open_or_create.ts";
import type {
  AppendRequest,
  Backend,
  Choose,
  Conditions,
  NewPool,
  OpenOptions,
  PoolHandle,
  Selection,
  StoredFrame,
  Walk,
} from "./types.ts";
import type { SeqSet } from "./seq_set.ts";
import { lastWanted, SelectedWalk } from "./walk.ts";

/** Nanoseconds in a millisecond. */
const MS = 1_000_000n;
/** How long the bounds from opening a pool count as current, in milliseconds. */
const FRESH = 1_000;
const LITE3 = "application/x-plasmite-lite3";
const CREATION: Effect = {
  name: "creation of the pool",
  doubt: "it may have been created",
  hint: "Look whether the pool is there before creating it again.",
};
const DELETION: Effect = {
  name: "deletion of the pool",
  doubt: "it may have been deleted",
  hint: "Look whether the pool is still there before deleting it again.",
};

/** A server as a backend. */
export class HttpBackend implements Backend {
  readonly place: string;
  readonly #transport: Transport;
  /** Opens another pool of this server. */
  readonly #opener: OpenPool = (name, options) => this.open(name, options);
  #closed = false;

  /**
   * Creates a backend without sending anything.
   *
   * @param address `http(s)://host[:port]`
   * @throws {PlasmiteError} Usage for a bad address, token or certificate file
   */
  constructor(address: string | URL, options: TransportOptions = {}) {
    this.#transport = new Transport(address, options);
    this.place = this.#transport.base.origin;
  }

  async features(): Promise<ReadonlySet<string>> {
    if (this.#transport.features === null) await this.#transport.bytes("/healthz");
    return this.#transport.features ?? new Set();
  }

  #name(name: string): string {
    return remotePoolName(name, this.#transport.base);
  }

  async #post(path: string, pool: string, body: string, effect?: Effect): Promise<PoolInfo> {
    return await this.#transport.read(path, {
      method: "POST",
      body,
      type: "application/json",
      pool,
      ...(effect === undefined ? {} : { effect }),
    }, (answer) => poolInfo(jsonFields(answer, pool)["pool"], pool));
  }

  async open(name: string, options: OpenOptions = {}): Promise<HttpPool> {
    const { create, unchecked } = options;
    const pool = this.#name(name);
    if (unchecked === true) return this.pool(pool);
    const open = (): Promise<HttpPool> => this.#open(pool, options.write === true);
    return await (create === undefined
      ? open()
      : openOrCreate(open, () => this.create(pool, create)));
  }

  /** The server's address. */
  get base(): URL {
    return this.#transport.base;
  }

  /** A pool, without checking that it exists. */
  pool(name: string): HttpPool {
    return new HttpPool(this.#transport, this.#name(name), null, this.#opener);
  }

  /**
   * The information from opening a pool; on a write-only server it has no bounds or metrics.
   *
   * @throws {RemoteError} NotFound, Permission
   */
  async opened(name: string): Promise<PoolInfo> {
    const pool = this.#name(name);
    return await this.#post("/v0/pools/open", pool, JSON.stringify({ pool }));
  }

  async #open(pool: string, write: boolean): Promise<HttpPool> {
    if (!write) return new HttpPool(this.#transport, pool, await this.info(pool), this.#opener);
    try {
      return new HttpPool(this.#transport, pool, await this.opened(pool), this.#opener);
    } catch (error) {
      // A write-only server of 0.8 refuses opening, but accepts appends.
      if (!(error instanceof RemoteError) || error.status !== 403) throw error;
      return new HttpPool(this.#transport, pool, null, this.#opener);
    }
  }

  async create(
    name: string,
    options: Omit<NewPool, "sizeBytes"> & { readonly sizeBytes?: number | bigint } = {},
  ): Promise<PoolInfo> {
    const { sizeBytes = DEFAULT_POOL_SIZE, maxAgeMs } = options;
    const pool = this.#name(name);
    const age = maxAgeMs === undefined ? "" : `,"max_age_ms":${Number(maxAgeNs(maxAgeMs) / MS)}`;
    if (age !== "") {
      const { checkFeature } = await import("./http/features.ts");
      await checkFeature(this.#transport, "retention");
    }
    const body = `{"pool":${JSON.stringify(pool)},"size_bytes":${sizeBytes}${age}}`;
    return await this.#post("/v0/pools", pool, body, CREATION);
  }

  async list(choose?: Choose): Promise<readonly PoolInfo[]> {
    const { pools } = await this.#transport.json("/v0/pools");
    if (!Array.isArray(pools)) throw unreadable(undefined);
    return namedList(pools.map((pool) => poolInfo(pool)), choose);
  }

  async names(): Promise<readonly string[]> {
    return (await this.list()).map(({ name }) => name);
  }

  async info(name: string): Promise<PoolInfo> {
    const pool = this.#name(name);
    const path = `/v0/pools/${encodeURIComponent(pool)}/info`;
    return poolInfo((await this.#transport.json(path, { pool }))["pool"], pool);
  }

  async remove(name: string): Promise<void> {
    const pool = this.#name(name);
    const path = `/v0/pools/${encodeURIComponent(pool)}`;
    await this.#transport.bytes(path, { method: "DELETE", pool, effect: DELETION });
  }

  close(): void {
    if (!this.#closed) this.#transport.release();
    this.#closed = true;
  }
}

/** Opens a pool of a server. */
type OpenPool = (name: string, options: OpenOptions) => Promise<PoolHandle>;

/** A pool of a server. */
export class HttpPool implements PoolHandle {
  readonly name: string;
  readonly path: string;
  readonly limits: Limits;
  readonly #transport: Transport;
  readonly #appender: RemoteAppender;
  /** The bounds from opening; they save a request if a walk starts soon afterwards. */
  #known: Bounds | null;
  readonly #openedAt = performance.now();
  /** Size of the file, if it was reported when the pool was opened. */
  readonly #sizeBytes: number | undefined;
  readonly #open: OpenPool;
  #coordination: Coordination | null = null;
  #closed = false;

  /** Use {@linkcode HttpBackend.open}. */
  constructor(transport: Transport, name: string, info: PoolInfo | null, open: OpenPool) {
    this.#sizeBytes = info?.fileSize;
    this.#open = open;
    this.name = name;
    this.path = `${transport.base.origin}/${name}`;
    this.limits = limitsOf(info?.ringSize ?? 0);
    this.#transport = transport.retain();
    this.#appender = new RemoteAppender(transport, name);
    this.#known = info === null ? null : boundsOf(info);
  }

  #path(rest: string): string {
    return `/v0/pools/${encodeURIComponent(this.name)}/${rest}`;
  }

  /** Its address. */
  get url(): string {
    return `${this.#transport.base.origin}/${encodeURIComponent(this.name)}`;
  }

  /** A second handle of the same pool, closed independently. */
  again(): HttpPool {
    return new HttpPool(this.#transport, this.name, null, this.#open);
  }

  async bounds(): Promise<Bounds> {
    return boundsOf(await this.info());
  }

  async info(): Promise<PoolInfo> {
    const answer = await this.#transport.json(this.#path("info"), { pool: this.name });
    return poolInfo(answer["pool"], this.name);
  }

  async get(seq: bigint, exact = false): Promise<StoredFrame | null> {
    try {
      return await this.read(seq, exact);
    } catch (error) {
      if (!PlasmiteError.is(error, ErrorKind.NotFound) || error.seq === undefined) throw error;
      return null;
    }
  }

  /**
   * Like {@linkcode HttpPool.get}, but throws the server's error if it is not retained.
   *
   * @throws {RemoteError} NotFound with the number of a message that is not retained
   */
  async read(seq: bigint, exact = false): Promise<StoredFrame> {
    const { timestampNs, payload } = wireMessage(await this.#message(seq, ""), this.name);
    const bytes = exact ? await this.payload(seq) : payload;
    return { seq, timestampNs, flags: 0, payload: bytes };
  }

  /**
   * The stored payload of a message.
   *
   * @throws {RemoteError} the errors of {@linkcode HttpPool.read}
   */
  payload(seq: bigint): Promise<Uint8Array<ArrayBuffer>> {
    return this.#message(seq, "/lite3", LITE3);
  }

  async #message(seq: bigint, form: string, accept?: string): Promise<Uint8Array<ArrayBuffer>> {
    try {
      return await this.#transport.bytes(this.#path(`messages/${seq}${form}`), {
        pool: this.name,
        ...(accept === undefined ? {} : { accept }),
      });
    } catch (error) {
      if (!PlasmiteError.is(error) || error.seq !== undefined) throw error;
      // The pool or the message may be missing; the number is added only for the message.
      throw error.message === "message not found" ? error.with({ seq }) : error;
    }
  }

  async append(batch: FrameBatch, request: AppendRequest): Promise<void> {
    const { flush, from = 0, signal, stored, when } = request;
    this.#known = null;
    if (when !== undefined) return await this.#appendWhen(batch, request, when);
    const payloads = Array.from({ length: batch.count }, (_, i) => batch.payload(i));
    await this.#appender.all(
      payloads,
      flush,
      (at, run) => {
        // The server's clock is used, and receipts are printed from the batch.
        run.forEach(({ timestampNs }, i) => batch.setTime(at + i, timestampNs));
        const [first] = run;
        if (first !== undefined) stored(at, run.length, first.seq);
      },
      signal,
      from,
    );
  }

  async #appendWhen(batch: FrameBatch, request: AppendRequest, when: Conditions): Promise<void> {
    const { appendWhen } = await import("./http/conditions.ts");
    await appendWhen(this.#transport, this.#appender, batch, request, when);
  }

  async select(selection: Selection): Promise<Walk> {
    if (selection.skipCorrupt === true) {
      const { checkFeature } = await import("./http/features.ts");
      await checkFeature(this.#transport, "skip-corrupt");
    }
    const fresh = performance.now() - this.#openedAt < FRESH;
    const bounds = (fresh ? this.#known : null) ?? await this.bounds();
    this.#known = null;
    if (!this.#looksBack(selection) || this.#pushdown(selection)?.last !== undefined) {
      return this.#walk(selection, bounds);
    }
    return new LaterWalk(bounds, (search) => this.#lastWalk(selection, bounds, search));
  }

  /** Whether the server can select messages and report gaps between them. */
  get #chooses(): boolean {
    return this.#transport.features?.has("select") === true;
  }

  /**
   * The part of a selection that the server evaluates: tags without surrounding spaces, and the
   * first condition that works on the stored bytes and may match something.
   */
  #pushdown(selection: Selection): Pushdown | undefined {
    const { tags = [], where = [], last, since = 0n, countFailures = false } = selection;
    const { skipCorrupt = false } = selection;
    const chosen = tags.length > 0 || where.length > 0 || last !== undefined || skipCorrupt;
    if (!this.#chooses || !chosen) return undefined;
    const plain = tags.filter((tag) => tag !== "" && tag === tag.trim());
    const native = countFailures ? undefined : where.find((one) => one.isForServers);
    // The server can choose the last N only if it evaluates the whole filter.
    const whole = plain.length === tags.length && where.length === (native === undefined ? 0 : 1);
    return {
      tags: plain,
      skipCorrupt,
      since,
      where: native?.expression,
      last: whole ? last : undefined,
    };
  }

  /** Whether this process must search for the start. */
  #looksBack({ last, tags = [], where = [], since = 0n }: Selection): boolean {
    return last !== undefined && (tags.length > 0 || where.length > 0 || since > 0n);
  }

  #walk(
    selection: Selection,
    bounds: Bounds,
    until?: bigint | null,
    chosen?: SeqSet,
  ): Walk {
    const { oldest, newest } = bounds;
    const { from = "oldest", last, since = 0n } = selection;
    const end = until !== undefined ? until : lastWanted(selection, newest);
    const select = this.#pushdown(selection);
    let start: bigint | "oldest" = from === "end" ? newest + 1n : from === 0n ? "oldest" : from;
    if (start === "oldest" && oldest !== 0n) start = oldest; // Messages lost from now on are a gap.
    if (last !== undefined && !this.#looksBack(selection)) {
      const high = end !== null && end < newest ? end : newest;
      const low = start === "oldest" || start < oldest ? oldest : start;
      start = oldest === 0n
        ? newest + 1n
        : high - BigInt(last) < low
        ? low
        : high - BigInt(last) + 1n;
    }
    if (start === "oldest" && oldest === 0n && end !== null) start = newest + 1n;
    const source = new RemoteSource(this.#transport, this.name, {
      select,
      start,
      until: end ?? undefined,
      seen: newest,
      reconnect: selection.reconnect !== false,
      onTrouble: selection.onTrouble,
    });
    return new SelectedWalk(source, {
      from: start === "oldest" ? 0n : start,
      until: end,
      filter: new Filter(selection.tags, selection.where),
      since,
      skips: selection.skipCorrupt === true,
      start: bounds,
      chosen,
      bounds: () => this.bounds(),
    });
  }

  async #lastWalk(selection: Selection, bounds: Bounds, search: Search): Promise<Walk> {
    const { last = 0, until, ...rest } = selection;
    const { oldest, newest } = bounds;
    const high = until !== undefined && until < newest ? until : newest;
    const low = typeof rest.from === "bigint" && rest.from > oldest ? rest.from : oldest;
    const piece = (from: bigint, to: bigint): Walk =>
      this.#walk({ ...rest, from, last: undefined }, bounds, to);
    const { first, matches } = await findLast(low, high, last, piece, search);
    return this.#walk({ ...selection, from: first, last: undefined }, bounds, undefined, matches);
  }

  coordinate(): Awaitable<Coordination> {
    return this.#coordination ??
      import("./http/coordination.ts").then(({ HttpCoordination }) =>
        this.#coordination ??= new HttpCoordination({
          name: this.name,
          transport: this.#transport,
          sizeBytes: async () => this.#sizeBytes ?? (await this.info()).fileSize,
          route: (rest) => this.#path(rest),
          open: this.#open,
          select: (selection) => this.select(selection),
          get: (seq, exact) => this.get(seq, exact),
          bounds: () => this.bounds(),
        })
      );
  }

  close(): void {
    if (!this.#closed) this.#transport.release();
    this.#closed = true;
  }
}

function boundsOf(info: PoolInfo): Bounds {
  return { oldest: readableBounds(info).oldestSeq ?? 0n, newest: lastSeqOf(info) };
}
