/**
 * The pools of a directory, for the tools.
 *
 * Every call opens the pool anew: that costs tens of microseconds, and a pool that was deleted and
 * made again is never mistaken for the old one.
 *
 * @module
 */

import type { Client } from "../lib/client/client.ts";
import { Follower } from "../lib/client/follower.ts";
import type { PoolInfo } from "../lib/client/info.ts";
import { listing, readingInfo } from "../lib/client/listing.ts";
import type { JsonObject } from "../lib/client/options.ts";
import type { Pool } from "../lib/client/pool.ts";
import { poolFiles, poolName, poolPath } from "../lib/client/refs.ts";
import { ErrorKind, PlasmiteError } from "../lib/errors.ts";
import { JsonSyntaxError } from "../lib/lite3/encode.ts";
import { MessageView } from "../lib/lite3/message.ts";
import { FrameBatch } from "../lib/pool/batch.ts";
import { BUSY, Cursor } from "../lib/pool/cursor.ts";
import { creating, isMissing } from "../lib/pool/creation.ts";
import { FRAME_HEADER } from "../lib/pool/layout.ts";
import { DEFAULT_POOL_SIZE, maxPayload, planLayout } from "../lib/pool/layout.ts";
import { Ring } from "../lib/pool/ring.ts";
import { disk } from "../lib/storage/file.ts";
import { lockTimeout, sleep } from "../lib/storage/pause.ts";
import { inTurns } from "../lib/storage/turns.ts";
import { type Bounds, checkName, type Live, type PoolStore, type Snapshot } from "./store.ts";

/** How long one scan may keep the process from doing anything else, in milliseconds. */
const TURN = 15;
/** How often a scan asks for a lock that damage makes it need; a millisecond lies in between. */
const BUSY_TRIES = 10_000;

/** A local place for pools. */
export class LocalStore implements PoolStore {
  readonly listEvery = 1000;
  readonly appearEvery = 100;
  readonly #client: Client;
  readonly #hidePaths: boolean;

  /**
   * @param client the directory
   * @param hidePaths show file names only, for peers on other machines
   */
  constructor(client: Client, hidePaths = false) {
    this.#client = client;
    this.#hidePaths = hidePaths;
  }

  shown(path: string): string {
    return this.#hidePaths ? path.slice(path.lastIndexOf("/") + 1) : path;
  }

  #path(name: string): string {
    checkName(name);
    return poolPath(name, this.#client.poolDir);
  }

  list(): Promise<PoolInfo[]> {
    return inTurns(listing(this.#client.poolDir));
  }

  names(): Promise<string[]> {
    return Promise.try(() => poolFiles(this.#client.poolDir).map(poolName));
  }

  async create(name: string, sizeBytes: bigint | undefined): Promise<PoolInfo> {
    const options = sizeBytes === undefined ? {} : { size: Number(sizeBytes) };
    await inTurns(creating(disk, this.#path(name), options));
    return await this.info(name);
  }

  async info(name: string): Promise<PoolInfo> {
    return await inTurns(readingInfo(this.#path(name), name));
  }

  remove(name: string): Promise<void> {
    return Promise.try(() => {
      checkName(name);
      this.#client.deletePool(name);
    });
  }

  async append(
    name: string,
    data: string,
    tags: readonly string[],
    create: boolean,
  ): Promise<string> {
    checkName(name);
    const bytes = new TextEncoder().encode(data);
    using pool = await this.#open(name, create ? () => checkStorable(bytes, tags) : undefined);
    // Bytes are taken as JSON text, which keeps key order and 64-bit integers.
    const message = await pool.appendAsync(bytes as unknown as JsonObject, { tags });
    return new TextDecoder().decode(message.raw);
  }

  async #open(name: string, beforeCreate: (() => void) | undefined): Promise<Pool> {
    try {
      return this.#client.openPool(name);
    } catch (error) {
      if (beforeCreate === undefined || !isMissing(error)) throw error;
    }
    beforeCreate();
    try {
      await inTurns(creating(disk, this.#path(name)));
    } catch (error) {
      // Another process made it at the same moment: then it is there to open.
      if (!PlasmiteError.is(error, ErrorKind.AlreadyExists)) throw error;
    }
    return this.#client.openPool(name);
  }

  async get(name: string, seq: bigint): Promise<string> {
    checkName(name);
    using pool = this.#client.openPool(name);
    return new TextDecoder().decode((await pool.getAsync(seq)).raw);
  }

  open(name: string): Promise<Snapshot> {
    return Promise.try(() => new LocalSnapshot(this.#path(name)));
  }

  follow(name: string, from?: bigint): Promise<Live> {
    return Promise.try(() => new LocalLive(this.#path(name), from));
  }
}

/** Refuses data that no new pool could take, so that none is left behind for nothing. */
export function checkStorable(data: Uint8Array, tags: readonly string[]): void {
  const batch = new FrameBatch();
  batch.beginFrame();
  try {
    batch.encoder.messageFromJson(data, 0, data.length, tags);
  } catch (error) {
    if (error instanceof JsonSyntaxError) return; // The append will say so.
    throw error;
  }
  const most = maxPayload(planLayout(DEFAULT_POOL_SIZE).ringSize);
  if (batch.out.len - FRAME_HEADER <= most) return;
  throw new PlasmiteError("Usage", "payload exceeds ring capacity", {
    hint: "A new pool has 1 MiB. Make a larger one first with plasmite_pool_create and size.",
  });
}

function boundsOf(ring: Ring): Bounds {
  const { oldest, newest } = ring.state();
  return oldest === 0n ? { oldest: 0n, newest: 0n } : { oldest, newest };
}

class LocalSnapshot implements Snapshot {
  readonly #ring: Ring;
  readonly #view = new MessageView();

  constructor(path: string) {
    this.#ring = Ring.open(disk, path, { write: false });
  }

  bounds(): Promise<Bounds> {
    return Promise.try(() => boundsOf(this.#ring));
  }

  async scan(
    from: bigint,
    to: bigint,
    visit: (message: MessageView) => boolean,
    signal?: AbortSignal,
  ): Promise<{ examined: bigint; gap: boolean }> {
    const cursor = new Cursor(this.#ring, from);
    let examined = from - 1n;
    let gap = false;
    let turn = performance.now();
    let busy = 0;
    for (;;) {
      const ready = cursor.fill();
      if (cursor.gap !== null) {
        gap = true;
        if (cursor.gap.last > examined) examined = cursor.gap.last < to ? cursor.gap.last : to;
        cursor.gap = null;
      }
      if (ready === 0) return { examined, gap };
      if (ready === BUSY) {
        if (++busy > BUSY_TRIES) throw lockTimeout(this.#ring.path);
        await sleep(1);
      }
      while (cursor.next()) {
        const { seq } = cursor;
        if (seq > to || !visit(this.#at(cursor))) return { examined, gap };
        examined = seq;
        if (seq === to) return { examined, gap };
      }
      signal?.throwIfAborted();
      if (performance.now() - turn < TURN) continue;
      await sleep(0);
      turn = performance.now();
    }
  }

  #at(cursor: Cursor): MessageView {
    const view = this.#view;
    view.seqLo = cursor.seqLo;
    view.seqHi = cursor.seqHi;
    view.timeLo = cursor.timeLo;
    view.timeHi = cursor.timeHi;
    view.open(cursor.u8, cursor.dv, cursor.payloadAt, cursor.payloadLength);
    return view;
  }

  close(): void {
    this.#ring.close();
  }
}

class LocalLive implements Live {
  readonly start: Bounds;
  readonly #follower: Follower;
  #turn = performance.now();

  constructor(path: string, from: bigint | undefined) {
    // They are taken first: what comes in between is followed, never passed over.
    const ring = Ring.open(disk, path, { write: false });
    try {
      this.start = boundsOf(ring);
    } finally {
      ring.close();
    }
    this.#follower = new Follower(path, from ?? this.start.newest + 1n, true, true);
  }

  bounds(): Promise<Bounds> {
    return Promise.try(() => boundsOf(this.#follower.ring));
  }

  async next(signal?: AbortSignal): Promise<MessageView | null> {
    if (performance.now() - this.#turn > TURN) {
      await sleep(0);
      signal?.throwIfAborted();
      this.#turn = performance.now();
    }
    const follower = this.#follower;
    while (!follower.next()) {
      if (!follower.unfinished) return null;
      await follower.wait(undefined, signal);
    }
    return follower.message;
  }

  lost(): boolean {
    return this.#follower.takeGap() !== null;
  }

  async wait(ms: number, signal?: AbortSignal): Promise<boolean> {
    const woken = await this.#follower.wait(ms, signal);
    this.#turn = performance.now();
    return woken;
  }

  close(): void {
    this.#follower.close();
  }
}
