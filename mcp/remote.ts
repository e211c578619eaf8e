/**
 * The pools of a server, for the tools: `plasmite mcp --remote URL` gives an agent on a laptop the
 * pools of another machine, with the token and the certificate of the other commands.
 *
 * @module
 */

import type { PoolInfo } from "../lib/backend/local/info.ts";
import type { JsonObject } from "../lib/client/options.ts";
import type { FrameSource, PoolReader } from "../lib/backend/source.ts";
import { ErrorKind, PlasmiteError } from "../lib/errors.ts";
import type { MessageView } from "../lib/lite3/message.ts";
import type { RemoteClient } from "../lib/remote/client.ts";
import type { RemotePool } from "../lib/remote/pool.ts";
import { checkStorable } from "./local.ts";
import {
  type Bounds,
  checkName,
  type Choose,
  type Live,
  type PoolStore,
  type Scanned,
  type Snapshot,
} from "./store.ts";

/** How long the server may take for what it already has, in milliseconds. */
const PATIENCE = 30_000;
/** How often a silent server is asked whether what is waited for is gone, in milliseconds. */
const DOUBT = 1_000;

/** The pools of a server. */
export class RemoteStore implements PoolStore {
  readonly listEvery = 5000;
  readonly appearEvery = 1000;
  readonly #client: RemoteClient;

  /** @param client a connection to the server, which stays the caller's to close */
  constructor(client: RemoteClient) {
    this.#client = client;
  }

  shown(path: string): string {
    return path;
  }

  async list(choose?: Choose): Promise<PoolInfo[]> {
    const pools = await this.#client.listPools();
    if (choose === undefined) return pools;
    const chosen = new Set(choose(pools.map(({ name }) => name)));
    return pools.filter(({ name }) => chosen.has(name));
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
    // Bytes are taken as JSON text, which keeps key order and 64-bit integers.
    const store = async (pool: RemotePool): Promise<string> => {
      const message = await pool.appendAsync(bytes as unknown as JsonObject, { tags });
      return new TextDecoder().decode(message.raw);
    };
    try {
      return await this.#with(name, store);
    } catch (error) {
      // A missing pool is the one failure after which nothing can have been stored.
      if (!create || !PlasmiteError.is(error, ErrorKind.NotFound)) throw error;
    }
    checkStorable(bytes, tags);
    try {
      await this.#client.createPool(name);
    } catch (error) {
      if (!PlasmiteError.is(error, ErrorKind.AlreadyExists)) throw error;
    }
    return await this.#with(name, store);
  }

  async get(name: string, seq: bigint): Promise<string> {
    return await this.#with(name, async (pool) => {
      return new TextDecoder().decode((await pool.get(seq)).raw);
    });
  }

  /** Opens a pool for one piece of work. */
  async #with<T>(name: string, work: (pool: RemotePool) => Promise<T>): Promise<T> {
    checkName(name);
    const pool = this.#client.uncheckedPool(name);
    try {
      return await work(pool);
    } finally {
      await pool.close();
    }
  }

  open(name: string): Promise<Snapshot> {
    return Promise.try(() => {
      checkName(name);
      return new RemoteSnapshot(this.#client.reader(name));
    });
  }

  async follow(name: string, from?: bigint): Promise<Live> {
    checkName(name);
    const reader = this.#client.reader(name);
    try {
      const start = await reader.bounds();
      return new RemoteLive(reader, start, from ?? start.newest + 1n);
    } catch (error) {
      reader.close();
      throw error;
    }
  }
}

function silent(path: string): PlasmiteError {
  return new PlasmiteError("Io", "the server did not send what it has", {
    path,
    hint: "Try again; if it goes on, check the server and the network.",
  });
}

class RemoteSnapshot implements Snapshot {
  readonly #reader: PoolReader;

  constructor(reader: PoolReader) {
    this.#reader = reader;
  }

  async bounds(): Promise<Bounds> {
    return await this.#reader.bounds();
  }

  async scan(
    from: bigint,
    to: bigint,
    visit: (message: MessageView) => boolean,
    signal?: AbortSignal,
  ): Promise<Scanned> {
    const source = this.#reader.open(from, false, to);
    try {
      return await this.#scan(source, from, to, visit, signal);
    } finally {
      source.close();
    }
  }

  async #scan(
    source: FrameSource,
    from: bigint,
    to: bigint,
    visit: (message: MessageView) => boolean,
    signal: AbortSignal | undefined,
  ): Promise<Scanned> {
    let examined = from - 1n;
    let gap = false;
    let heard = performance.now();
    while (examined < to) {
      if (source.next()) {
        heard = performance.now();
        if (source.takeGap() !== null) gap = true;
        const { seq } = source.cursor;
        if (seq > to) return { examined: to, gap };
        if (!visit(source.message)) {
          // What is missing in front of it counts as looked at.
          return { examined: seq - 1n, gap };
        }
        examined = seq;
      } else if (!await source.wait(DOUBT, signal)) {
        const { oldest } = await this.#reader.bounds();
        if (oldest === 0n || oldest > to) return { examined: to, gap: true };
        if (performance.now() - heard > PATIENCE) throw silent(this.#reader.path);
      }
    }
    return { examined, gap };
  }

  close(): void {
    this.#reader.close();
  }
}

class RemoteLive implements Live {
  readonly start: Bounds;
  readonly #reader: PoolReader;
  readonly #source: FrameSource;
  #examined: bigint;

  constructor(reader: PoolReader, start: Bounds, from: bigint) {
    this.start = start;
    this.#reader = reader;
    this.#source = reader.open(from, true);
    this.#examined = from - 1n;
  }

  async bounds(): Promise<Bounds> {
    return await this.#reader.bounds();
  }

  async next(signal?: AbortSignal): Promise<MessageView | null> {
    const source = this.#source;
    const asked = performance.now();
    while (!source.next()) {
      // What was there at the start has to be looked at, however long it takes to arrive.
      if (this.#examined >= this.start.newest) return null;
      if (await source.wait(DOUBT, signal)) continue;
      const { oldest } = await this.#reader.bounds();
      if (oldest > this.start.newest) return null;
      if (performance.now() - asked > PATIENCE) throw silent(this.#reader.path);
    }
    this.#examined = source.cursor.seq;
    return source.message;
  }

  lost(): boolean {
    return this.#source.takeGap() !== null;
  }

  async wait(ms: number, signal?: AbortSignal): Promise<boolean> {
    return await this.#source.wait(ms, signal);
  }

  close(): void {
    this.#source.close();
    this.#reader.close();
  }
}
