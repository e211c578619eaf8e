/**
 * The pools of a directory, for the tools.
 *
 * Every call opens the pool anew: that costs tens of microseconds, and a pool that was deleted and
 * made again is never mistaken for the old one.
 *
 * @module
 */

import { Appender, type Stored } from "../lib/backend/local/appender.ts";
import type { Client } from "../lib/client/client.ts";
import { Follower } from "../lib/backend/local/follower.ts";
import type { PoolInfo } from "../lib/backend/local/info.ts";
import { filesOf, listed, readingInfo } from "../lib/backend/local/listing.ts";
import { readingFrame } from "../lib/backend/local/lookup.ts";
import { Message } from "../lib/client/message.ts";
import { checkTags, stamp } from "../lib/client/options.ts";
import { encodeValue } from "../lib/backend/encode.ts";
import { poolName, poolPath } from "../lib/backend/refs.ts";
import { removing } from "../lib/backend/local/remove.ts";
import { PoolSlots } from "../lib/backend/local/slots.ts";
import { ErrorKind, PlasmiteError } from "../lib/errors.ts";
import { JsonSyntaxError } from "../lib/lite3/encode.ts";
import { MessageView } from "../lib/lite3/message.ts";
import { FrameBatch } from "../lib/pool/batch.ts";
import { Cursor } from "../lib/pool/cursor.ts";
import { creating, isMissing } from "../lib/pool/creation.ts";
import { FRAME_HEADER } from "../lib/pool/layout.ts";
import { DEFAULT_POOL_SIZE, maxPayload, planLayout } from "../lib/pool/layout.ts";
import { Ring } from "../lib/pool/ring.ts";
import { disk } from "../lib/storage/file.ts";
import { lockTimeout } from "../lib/storage/pause.ts";
import { inTurns, Slice, type Steps } from "../lib/storage/turns.ts";
import {
  type Bounds,
  checkName,
  type Choose,
  type Live,
  type PoolStore,
  type Scanned,
  type Snapshot,
} from "./store.ts";

/** How many calls may wait for the lock of one pool. */
const WRITERS = 64;
/** How long further ones wait for their place, in milliseconds. */
const SLOT_WAIT = 1_000;
/** How many messages are looked at between two looks at the clock. */
const LOOK_UP = 8;

/** A local place for pools. */
export class LocalStore implements PoolStore {
  readonly listEvery = 1000;
  readonly appearEvery = 100;
  readonly #client: Client;
  readonly #hidePaths: boolean;
  readonly #writes = new PoolSlots(WRITERS);

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

  async list(choose?: Choose): Promise<PoolInfo[]> {
    const files = await filesOf(this.#client.poolDir);
    if (choose === undefined) return await inTurns(describingAll(files));
    const chosen = new Set(choose(files.map(poolName)));
    return await inTurns(describingAll(files.filter((path) => chosen.has(poolName(path)))));
  }

  async names(): Promise<string[]> {
    return (await filesOf(this.#client.poolDir)).map(poolName);
  }

  async create(name: string, sizeBytes: bigint | undefined): Promise<PoolInfo> {
    const options = sizeBytes === undefined ? {} : { size: Number(sizeBytes) };
    const path = this.#path(name);
    await this.#writing(path, () => inTurns(creating(disk, path, options)));
    return await this.info(name);
  }

  async info(name: string): Promise<PoolInfo> {
    return await inTurns(readingInfo(this.#path(name), name));
  }

  async remove(name: string): Promise<void> {
    const path = this.#path(name);
    await this.#writing(path, () => inTurns(removing(path)));
  }

  async append(
    name: string,
    data: string,
    tags: readonly string[],
    create: boolean,
  ): Promise<string> {
    const path = this.#path(name);
    const bytes = new TextEncoder().encode(data);
    // Bytes are taken as JSON text, which keeps key order and 64-bit integers.
    const encode = encodeValue(bytes, checkTags(tags), stamp());
    return await this.#writing(path, async () => {
      const ring = await openRing(path, create ? () => checkStorable(bytes, tags) : undefined);
      try {
        const [stored] = await new Appender(ring).append(encode, false);
        if (stored === undefined) throw new PlasmiteError("Internal", "append stored nothing");
        return envelope(stored);
      } finally {
        ring.close();
      }
    });
  }

  /** Runs what may have to wait for a pool's lock; only so many wait for the same pool. */
  #writing<T>(path: string, work: () => Promise<T>): Promise<T> {
    return this.#writes.run(path, SLOT_WAIT, work, () => lockTimeout(path));
  }

  async get(name: string, seq: bigint): Promise<string> {
    const frame = await inTurns(readingFrame(this.#path(name), seq));
    if (frame !== null) return envelope(frame);
    throw new PlasmiteError("NotFound", "message not found", { seq });
  }

  async open(name: string): Promise<Snapshot> {
    const path = this.#path(name);
    return new LocalSnapshot(await inTurns(Ring.opening(disk, path, { write: false })));
  }

  async follow(name: string, from?: bigint): Promise<Live> {
    return await LocalLive.open(this.#path(name), from);
  }
}

/** An envelope as JSON text. */
function envelope({ seq, timestampNs, payload }: Stored): string {
  return new TextDecoder().decode(
    new Message(seq, timestampNs, { payload, integers: "auto" }).raw,
  );
}

/** Opens a pool for appending; `beforeCreate` is asked before a missing one is made. */
async function openRing(path: string, beforeCreate: (() => void) | undefined): Promise<Ring> {
  try {
    return await inTurns(Ring.opening(disk, path, { write: true }));
  } catch (error) {
    if (beforeCreate === undefined || !isMissing(error)) throw error;
  }
  beforeCreate();
  try {
    await inTurns(creating(disk, path));
  } catch (error) {
    // Another process made it at the same moment: then it is there to open.
    if (!PlasmiteError.is(error, ErrorKind.AlreadyExists)) throw error;
  }
  return await inTurns(Ring.opening(disk, path, { write: true }));
}

/** Refuses data that no new pool could take, so that none is left behind for nothing. */
export function checkStorable(data: Uint8Array, tags: readonly string[]): void {
  const batch = new FrameBatch();
  batch.beginFrame();
  try {
    batch.encoder.messageFromJson(data, 0, data.length, tags);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    throw new PlasmiteError("Usage", "invalid json", {
      hint: "Pass one JSON object.",
      causes: [`${error.message} at byte ${error.offset}`],
      cause: error,
    });
  }
  const most = maxPayload(planLayout(DEFAULT_POOL_SIZE).ringSize);
  if (batch.out.len - FRAME_HEADER <= most) return;
  throw new PlasmiteError("Usage", "payload exceeds ring capacity", {
    hint: "A new pool has 1 MiB. Make a larger one first with plasmite_pool_create and size.",
  });
}

function* describingAll(paths: readonly string[]): Steps<PoolInfo[]> {
  const pools: PoolInfo[] = [];
  for (const path of paths) {
    const info = yield* listed(path);
    if (info !== null) pools.push(info);
    yield "more";
  }
  return pools;
}

async function boundsOf(ring: Ring): Promise<Bounds> {
  const { oldest, newest } = await inTurns(ring.stating());
  return oldest === 0n ? { oldest: 0n, newest: 0n } : { oldest, newest };
}

class LocalSnapshot implements Snapshot {
  readonly #ring: Ring;
  readonly #view = new MessageView();

  constructor(ring: Ring) {
    this.#ring = ring;
  }

  bounds(): Promise<Bounds> {
    return boundsOf(this.#ring);
  }

  scan(
    from: bigint,
    to: bigint,
    visit: (message: MessageView) => boolean,
    signal?: AbortSignal,
  ): Promise<Scanned> {
    return inTurns(this.#scanning(from, to, visit), signal);
  }

  *#scanning(
    from: bigint,
    to: bigint,
    visit: (message: MessageView) => boolean,
  ): Steps<Scanned> {
    const cursor = new Cursor(this.#ring, from);
    let examined = from - 1n;
    let gap = false;
    for (let looked = 1;; yield "more") {
      const ready = yield* cursor.filling();
      if (cursor.gap !== null) {
        gap = true;
        if (cursor.gap.last > examined) examined = cursor.gap.last < to ? cursor.gap.last : to;
        cursor.gap = null;
      }
      if (ready === 0) return { examined, gap };
      for (; cursor.next(); looked++) {
        const { seq } = cursor;
        if (seq > to || !visit(this.#at(cursor))) return { examined, gap };
        examined = seq;
        if (seq === to) return { examined, gap };
        if (looked % LOOK_UP === 0) yield "more";
      }
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
  readonly #slice: Slice;

  private constructor(follower: Follower, start: Bounds) {
    this.#follower = follower;
    this.#slice = follower.slice ?? new Slice();
    this.start = start;
  }

  static async open(path: string, from: bigint | undefined): Promise<LocalLive> {
    const ring = await inTurns(Ring.opening(disk, path, { write: false }));
    try {
      // They are taken first: what comes in between is followed, never passed over.
      const start = await boundsOf(ring);
      const follower = new Follower(path, from ?? start.newest + 1n, true, true, ring);
      return new LocalLive(follower, start);
    } catch (error) {
      ring.close();
      throw error;
    }
  }

  bounds(): Promise<Bounds> {
    return boundsOf(this.#follower.ring);
  }

  async next(signal?: AbortSignal): Promise<MessageView | null> {
    if (this.#slice.over) {
      await this.#slice.next();
      signal?.throwIfAborted();
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
    return await this.#follower.wait(ms, signal);
  }

  close(): void {
    this.#follower.close();
  }
}
