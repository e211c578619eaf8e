/**
 * Coordination through a stream: the newest message by key, and leases.
 *
 * @module
 */

import { CLAIM_TAG } from "../../coordination/lease.ts";
import { checkCursorName, checkKey, KEY_TAG } from "../../coordination/names.ts";
import { PlasmiteError } from "../../errors.ts";
import { Lite3Tag, MessageView } from "../../lite3/message.ts";
import { advance } from "../advance.ts";
import { claimPatiently } from "../claim_wait.ts";
import type {
  Coordination,
  Cursor,
  CursorInfo,
  CursorRequest,
  CursorUpdate,
  Group,
  GroupRequest,
  Released,
} from "../coordination.ts";
import type { HasDeadPool } from "../dead.ts";
import { storedOf } from "../frames.ts";
import { latestAmong, latestBy } from "../latest.ts";
import type {
  ClaimRequest,
  Latest,
  LatestRequest,
  LeaseState,
  PoolHandle,
  ReleaseRequest,
  StoredFrame,
} from "../types.ts";
import { noFlush } from "./appender.ts";
import { NatsCursors } from "./cursors.ts";
import { NatsGroup } from "./group.ts";
import { type GroupTasks, tasksOf } from "./group_tasks.ts";
import { NatsLeases } from "./leases.ts";
import type { Opened } from "./opened.ts";
import { leaderMessage } from "./stream.ts";
import { type Incoming, keyOfSubject, keySubject, severalKeys, sourceSubjects } from "./wire.ts";

/** Coordination in one stream. */
export class NatsCoordination implements Coordination {
  readonly #pool: PoolHandle & HasDeadPool;
  readonly #opened: Opened;
  readonly #groups: Map<string, GroupTasks>;
  readonly #leases: NatsLeases;
  readonly #cursors: NatsCursors;
  readonly #frame: (message: Incoming) => StoredFrame;

  /**
   * @param pool the pool, used for reading
   * @param opened its stream
   * @param groups the tasks that this connection was given
   * @param frame encodes a message
   */
  constructor(
    pool: PoolHandle & HasDeadPool,
    opened: Opened,
    groups: Map<string, GroupTasks>,
    frame: (message: Incoming) => StoredFrame,
  ) {
    this.#pool = pool;
    this.#opened = opened;
    this.#groups = groups;
    this.#leases = new NatsLeases(opened.target);
    this.#cursors = new NatsCursors(opened, pool);
    this.#frame = frame;
  }

  async latest(key: string): Promise<StoredFrame | null> {
    const { link, path, stream } = this.#opened.target;
    const subjects = [
      keySubject(stream, checkKey(key, "key")),
      severalKeys(stream),
      sourceSubjects(stream),
    ];
    const [found = null, ...others] = await Promise.all(
      subjects.map((subject) => leaderMessage(link, stream, { last_by_subj: subject }, path)),
    );
    const seq = found?.seq ?? 0n;
    // Copies, and messages with several keys, have subjects that do not tell the key.
    const isNewer = others.some((other) => other !== null && other.seq > seq);
    const other = isNewer ? await this.#newestOf(key, seq + 1n) : null;
    return other ?? (found === null ? null : this.#frame(found));
  }

  /** The newest message with a key from a number on, without claims; null if there is none. */
  async #newestOf(key: string, from: bigint): Promise<StoredFrame | null> {
    const claim = new Lite3Tag(CLAIM_TAG);
    for (let last = 1;; last *= 4) {
      let newest: StoredFrame | null = null;
      let count = 0;
      const walk = await this.#pool.select({ from, last, tags: [KEY_TAG + key] });
      try {
        while (await advance(walk)) {
          count++;
          if (!walk.message.hasTags([claim])) newest = storedOf(walk.frame);
        }
      } finally {
        walk.close();
      }
      if (newest !== null || count < last) return newest;
    }
  }

  async latestBy(by: string, request: LatestRequest = {}): Promise<Latest> {
    const frames = await this.#lastOfKeys(by, request);
    return frames === null
      ? await latestBy(this.#pool, by, request)
      : await latestAmong(frames, by, request);
  }

  /** Messages among which the newest of each key are; null if all messages must be read. */
  async #lastOfKeys(
    by: string,
    { signal, sinceNs = 0n, tags = [], where = [] }: LatestRequest,
  ): Promise<StoredFrame[] | null> {
    if (!by.startsWith(KEY_TAG) || tags.length > 0 || where.length > 0) return null;
    const { lastOfKeys } = await import("./last_of_keys.ts");
    const wants = (key: string): boolean => `${KEY_TAG}${key}`.startsWith(by);
    const found = await lastOfKeys(this.#opened, { wants, signal });
    if (found === null) return null;
    const view = new MessageView();
    const frames: StoredFrame[] = [];
    for (const message of found) {
      const frame = this.#frame(message);
      const key = keyOfSubject(this.#opened.target.stream, message.subject);
      // Another program may have published it without the tag, after one that has it.
      if (!view.openStored(frame).hasTags([new Lite3Tag(`${KEY_TAG}${key}`)])) return null;
      if (frame.timestampNs >= sinceNs) frames.push(frame);
    }
    return frames;
  }

  claim(request: ClaimRequest): Promise<LeaseState> {
    return claimPatiently(
      (selection) => this.#pool.select(selection),
      (patient) => this.#leases.claim(request, patient),
      request,
    );
  }

  release(request: ReleaseRequest): Promise<Released> {
    return this.#leases.release(request);
  }

  async cursors(dir?: string): Promise<readonly CursorInfo[]> {
    checkDir(dir);
    return await this.#cursors.list();
  }

  async cursor(name: string, request: CursorRequest = {}): Promise<Cursor> {
    checkDir(request.dir);
    if (request.flush === true) throw noFlush();
    return await this.#cursors.open(checkCursorName(name), request);
  }

  async setCursor(name: string, update: CursorUpdate): Promise<CursorInfo> {
    checkDir(update.dir);
    return await this.#cursors.setCursor(checkCursorName(name), update);
  }

  async deleteCursor(name: string, dir?: string): Promise<void> {
    checkDir(dir);
    await this.#cursors.remove(checkCursorName(name));
  }

  group(name: string, request: GroupRequest = {}): Group {
    checkDir(request.dir);
    if (request.orderedByKey === true) {
      throw new PlasmiteError("Usage", "A stream cannot hand out tasks ordered by key", {
        hint: "Give each worker the keys that it is for, or work in a local pool.",
      });
    }
    const checked = checkCursorName(name);
    const { created, target } = this.#opened;
    const tasks = tasksOf(this.#groups, `${target.stream} ${created} ${name}`);
    return new NatsGroup(checked, this.#opened, this.#pool, this.#frame, request, tasks);
  }
}

function checkDir(dir: string | undefined): void {
  if (dir === undefined) return;
  throw new PlasmiteError("Usage", "Cursors of a stream are in the stream", {
    hint: "Leave out the directory: it is for local pools.",
  });
}
