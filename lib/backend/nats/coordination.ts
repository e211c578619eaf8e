/**
 * Coordination through a stream: the newest message by key, and leases.
 *
 * @module
 */

import { checkCursorName, checkKey } from "../../coordination/names.ts";
import { PlasmiteError } from "../../errors.ts";
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
import { latestBy } from "../latest.ts";
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
import { NatsLeases } from "./leases.ts";
import type { Target } from "./publisher.ts";
import { leaderMessage } from "./stream.ts";
import { type Incoming, keySubject } from "./wire.ts";

/** Coordination in one stream. */
export class NatsCoordination implements Coordination {
  readonly #pool: PoolHandle & HasDeadPool;
  readonly #target: Target;
  readonly #leases: NatsLeases;
  readonly #cursors: NatsCursors;
  readonly #frame: (message: Incoming) => StoredFrame;

  /**
   * @param pool the pool, used for reading
   * @param target its stream
   * @param frame encodes a message
   */
  constructor(
    pool: PoolHandle & HasDeadPool,
    target: Target,
    frame: (message: Incoming) => StoredFrame,
  ) {
    this.#pool = pool;
    this.#target = target;
    this.#leases = new NatsLeases(target);
    this.#cursors = new NatsCursors(target, pool);
    this.#frame = frame;
  }

  async latest(key: string): Promise<StoredFrame | null> {
    const { link, path, stream } = this.#target;
    const lookup = { last_by_subj: keySubject(stream, checkKey(key, "key")) };
    const found = await leaderMessage(link, stream, lookup, path);
    return found === null ? null : this.#frame(found);
  }

  latestBy(by: string, request: LatestRequest = {}): Promise<Latest> {
    return latestBy(this.#pool, by, request);
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
    return new NatsGroup(checked, this.#target, this.#pool, this.#frame, request);
  }
}

function checkDir(dir: string | undefined): void {
  if (dir === undefined) return;
  throw new PlasmiteError("Usage", "Cursors of a stream are in the stream", {
    hint: "Leave out the directory: it is for local pools.",
  });
}
