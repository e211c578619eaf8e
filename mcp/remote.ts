/**
 * The pools of a server, for the tools: `plasmite mcp --remote URL` gives an agent on a laptop the
 * pools of another machine, with the token and the certificate of the other commands.
 *
 * @module
 */

import type { PoolInfo } from "../lib/client/info.ts";
import type { AppendOptions, JsonObject, Seq, TailOptions } from "../lib/client/options.ts";
import type { Lite3Frame } from "../lib/client/tail.ts";
import { ErrorKind, PlasmiteError } from "../lib/errors.ts";
import { MessageView } from "../lib/lite3/message.ts";
import { checkStorable } from "./local.ts";
import {
  type Bounds,
  checkName,
  type Live,
  type PoolStore,
  type Scanned,
  type Snapshot,
} from "./store.ts";

/** What is needed of `RemotePool`. */
export interface RemotePoolLike {
  appendAsync(data: JsonObject, options?: AppendOptions): Promise<{ readonly raw: Uint8Array }>;
  getAsync(seq: Seq): Promise<{ readonly raw: Uint8Array }>;
  tailLite3(
    options?: TailOptions & { readonly reconnect?: boolean },
  ): AsyncGenerator<Lite3Frame, void, unknown>;
  close(): Promise<void>;
}

/** What is needed of `RemoteClient`. */
export interface RemoteClientLike {
  createPool(name: string, sizeBytes?: Seq): Promise<PoolInfo>;
  openPool(name: string): Promise<RemotePoolLike>;
  poolInfo(name: string): Promise<PoolInfo>;
  listPools(): Promise<PoolInfo[]>;
  deletePool(name: string): Promise<void>;
}

/** How long reading what is there may take, in milliseconds; a lost connection would hang it. */
const SCAN_TIMEOUT = 60_000;

/** The pools of a server. */
export class RemoteStore implements PoolStore {
  readonly listEvery = 5000;
  readonly #client: RemoteClientLike;

  /** @param client a connection to the server */
  constructor(client: RemoteClientLike) {
    this.#client = client;
  }

  shown(path: string): string {
    return path;
  }

  async list(): Promise<PoolInfo[]> {
    const pools = await this.#client.listPools();
    return pools.sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  }

  async names(): Promise<string[]> {
    return (await this.list()).map(({ name }) => name);
  }

  async create(name: string, sizeBytes: bigint | undefined): Promise<PoolInfo> {
    checkName(name);
    return await this.#client.createPool(name, sizeBytes);
  }

  async info(name: string): Promise<PoolInfo> {
    checkName(name);
    return await this.#client.poolInfo(name);
  }

  async remove(name: string): Promise<void> {
    checkName(name);
    await this.#client.deletePool(name);
  }

  async append(
    name: string,
    data: string,
    tags: readonly string[],
    create: boolean,
  ): Promise<string> {
    const bytes = new TextEncoder().encode(data);
    return await this.#with(name, async (pool) => {
      const message = await pool.appendAsync(bytes as unknown as JsonObject, { tags });
      return new TextDecoder().decode(message.raw);
    }, create ? () => this.#create(name, bytes, tags) : undefined);
  }

  async #create(name: string, data: Uint8Array, tags: readonly string[]): Promise<void> {
    checkStorable(data, tags);
    try {
      await this.#client.createPool(name);
    } catch (error) {
      if (!PlasmiteError.is(error, ErrorKind.AlreadyExists)) throw error;
    }
  }

  async get(name: string, seq: bigint): Promise<string> {
    return await this.#with(name, async (pool) => {
      return new TextDecoder().decode((await pool.getAsync(seq)).raw);
    });
  }

  /** Opens a pool for one piece of work. */
  async #with<T>(
    name: string,
    work: (pool: RemotePoolLike) => Promise<T>,
    create?: () => Promise<void>,
  ): Promise<T> {
    const pool = await this.#open(name, create);
    try {
      return await work(pool);
    } finally {
      await pool.close();
    }
  }

  async #open(name: string, create?: () => Promise<void>): Promise<RemotePoolLike> {
    checkName(name);
    try {
      return await this.#client.openPool(name);
    } catch (error) {
      if (create === undefined || !PlasmiteError.is(error, ErrorKind.NotFound)) throw error;
    }
    await create();
    return await this.#client.openPool(name);
  }

  async open(name: string): Promise<Snapshot> {
    return new RemoteSnapshot(this.#client, name, await this.#open(name));
  }

  async follow(name: string, from?: bigint): Promise<Live> {
    const pool = await this.#open(name);
    try {
      const start = await boundsOf(this.#client, name);
      return new RemoteLive(this.#client, name, pool, start, from ?? start.newest + 1n);
    } catch (error) {
      await pool.close();
      throw error;
    }
  }
}

async function boundsOf(client: RemoteClientLike, name: string): Promise<Bounds> {
  const { bounds } = await client.poolInfo(name);
  return { oldest: bounds.oldestSeq ?? 0n, newest: bounds.newestSeq ?? 0n };
}

/** Views one frame after another. */
class FrameView {
  readonly #view = new MessageView();

  of({ seq, timestampNs, payload }: Lite3Frame): MessageView {
    const view = this.#view;
    view.seqLo = Number(seq & 0xffff_ffffn);
    view.seqHi = Number(seq >> 32n);
    view.timeLo = Number(timestampNs & 0xffff_ffffn);
    view.timeHi = Number(timestampNs >> 32n);
    const dv = new DataView(payload.buffer, payload.byteOffset, payload.length);
    view.open(payload, dv, 0, payload.length);
    return view;
  }
}

class RemoteSnapshot implements Snapshot {
  readonly #client: RemoteClientLike;
  readonly #name: string;
  readonly #pool: RemotePoolLike;
  readonly #view = new FrameView();

  constructor(client: RemoteClientLike, name: string, pool: RemotePoolLike) {
    this.#client = client;
    this.#name = name;
    this.#pool = pool;
  }

  bounds(): Promise<Bounds> {
    return boundsOf(this.#client, this.#name);
  }

  async scan(
    from: bigint,
    to: bigint,
    visit: (message: MessageView) => boolean,
    signal?: AbortSignal,
  ): Promise<Scanned> {
    let examined = from - 1n;
    let gap = false;
    const frames = this.#pool.tailLite3({
      sinceSeq: from,
      untilSeq: to,
      timeoutMs: SCAN_TIMEOUT,
      onGap: ({ next }) => {
        gap = true;
        examined = next - 1n < to ? next - 1n : to;
      },
      ...(signal === undefined ? {} : { signal }),
    });
    for await (const frame of frames) {
      if (frame.seq > to || !visit(this.#view.of(frame))) break;
      examined = frame.seq;
      if (frame.seq === to) break;
    }
    return { examined, gap };
  }

  close(): void {
    void this.#pool.close();
  }
}

class RemoteLive implements Live {
  readonly start: Bounds;
  readonly #client: RemoteClientLike;
  readonly #name: string;
  readonly #pool: RemotePoolLike;
  readonly #view = new FrameView();
  readonly #frames: AsyncGenerator<Lite3Frame, void, unknown>;
  readonly #stop = new AbortController();
  #reading: Promise<void> | undefined;
  #arrived: Lite3Frame | undefined;
  #failed: { readonly error: unknown } | undefined;
  #lost = false;
  #examined: bigint;

  constructor(
    client: RemoteClientLike,
    name: string,
    pool: RemotePoolLike,
    start: Bounds,
    from: bigint,
  ) {
    this.#client = client;
    this.#name = name;
    this.#pool = pool;
    this.start = start;
    this.#examined = from - 1n;
    this.#frames = pool.tailLite3({
      sinceSeq: from,
      reconnect: true,
      onGap: () => this.#lost = true,
      signal: this.#stop.signal,
    });
  }

  bounds(): Promise<Bounds> {
    return boundsOf(this.#client, this.#name);
  }

  /** Asks for one more frame; resolves when it is here, or nothing more will come. */
  #read(): Promise<void> {
    return this.#reading ??= this.#frames.next().then(({ value, done }) => {
      if (done !== true) this.#arrived = value;
      else if (!this.#stop.signal.aborted) {
        this.#failed = { error: new PlasmiteError("Io", "the server ended the stream") };
      }
    }, (error) => {
      this.#failed = { error };
    }).finally(() => this.#reading = undefined);
  }

  async next(signal?: AbortSignal): Promise<MessageView | null> {
    if (this.#arrived === undefined && this.#failed === undefined) {
      const here = this.#read();
      // What was there at the start has to be looked at, however long it takes to arrive.
      const ms = this.#examined < this.start.newest ? SCAN_TIMEOUT : 1;
      await within(here, ms, signal);
    }
    if (this.#failed !== undefined) throw this.#failed.error;
    const frame = this.#arrived;
    if (frame === undefined) return null;
    this.#arrived = undefined;
    this.#examined = frame.seq;
    return this.#view.of(frame);
  }

  lost(): boolean {
    const lost = this.#lost;
    this.#lost = false;
    return lost;
  }

  async wait(ms: number, signal?: AbortSignal): Promise<boolean> {
    if (this.#arrived !== undefined || this.#failed !== undefined) return true;
    return await within(this.#read(), ms, signal);
  }

  close(): void {
    this.#stop.abort();
    this.#frames.return().catch(() => {});
    void this.#pool.close();
  }
}

/** Whether `done` came within `ms` milliseconds; rejects with the signal's reason. */
function within(done: Promise<void>, ms: number, signal?: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", aborted);
      settle();
    };
    const aborted = (): void => finish(() => reject(signal?.reason));
    const timer = setTimeout(() => finish(() => resolve(false)), ms);
    signal?.addEventListener("abort", aborted, { once: true });
    done.then(() => finish(() => resolve(true)));
  });
}
