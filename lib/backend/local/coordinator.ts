/**
 * Coordination through one open pool file: conditional appends, the newest message by key, leases,
 * cursors and work groups. Loaded on demand.
 *
 * @module
 */

import { KEY_TAG } from "../../coordination/names.ts";
import { PlasmiteError } from "../../errors.ts";
import type { FrameBatch } from "../../pool/batch.ts";
import type { Ring } from "../../pool/ring.ts";
import { inPlace, type Steps } from "../../storage/steps.ts";
import type { Awaitable } from "../../types.ts";
import type {
  Coordination,
  CursorInfo,
  CursorRequest,
  CursorUpdate,
  GroupRequest,
  Released,
} from "../coordination.ts";
import { claimPatiently } from "../claim_wait.ts";
import type { HasDeadPool } from "../dead.ts";
import { latestBy, latestByNow, type Readable } from "../latest.ts";
import type {
  AppendRequest,
  ClaimRequest,
  Conditions,
  Latest,
  LatestRequest,
  LeaseState,
  ReleaseRequest,
  Selection,
  StoredFrame,
  Walk,
} from "../types.ts";
import { appendingWhen } from "./conditions.ts";
import { deletingCursor, listingCursors, PoolCursor, settingCursor } from "./cursors.ts";
import { PoolGroup } from "./groups.ts";
import { KnownTags } from "./known_tags.ts";
import { Leases } from "./leases.ts";
import { findStored } from "./lookup.ts";

export { WritableRing } from "../../pool/writable_ring.ts";

/** The parts of a pool that coordination uses. */
export interface PoolContext extends HasDeadPool {
  /** The open file, owned by the pool. */
  readonly ring: Ring;
  /** Whether the pool is on disk, so that files can be stored next to it. */
  readonly onDisk: boolean;
  /** Runs work synchronously, or in time slices. */
  run<T>(steps: Steps<T>, signal?: AbortSignal): Awaitable<T>;
  /** Runs an append whose caller already holds a slot. */
  runAppend<T>(steps: Steps<T>, signal?: AbortSignal): Awaitable<T>;
  /** Starts to read. */
  select(selection: Selection): Awaitable<Walk>;
}

/** Coordination for one open pool file. */
export class Coordinator implements Coordination {
  readonly #context: PoolContext;
  readonly #known: KnownTags;
  readonly #leases: Leases;

  /**
   * @param context the pool and how to use it
   * @param other another coordinator of the same file, whose cached state is shared
   */
  constructor(context: PoolContext, other?: Coordinator) {
    this.#context = context;
    this.#known = other === undefined ? new KnownTags(context.ring) : other.#known;
    this.#leases = new Leases(context.ring, this.#known);
  }

  /** Appends under conditions. */
  append(batch: FrameBatch, request: AppendRequest, when: Conditions): Awaitable<void> {
    const { ring, runAppend } = this.#context;
    request.signal?.throwIfAborted();
    if ((request.from ?? 0) >= batch.count) return;
    return runAppend(appendingWhen(ring, this.#known, batch, request, when), request.signal);
  }

  latest(key: string): Awaitable<StoredFrame | null> {
    return this.#context.run(this.#newest(key));
  }

  /** Like {@linkcode Coordinator.latest}, but synchronous. */
  latestNow(key: string): StoredFrame | null {
    return inPlace(this.#newest(key));
  }

  *#newest(key: string): Steps<StoredFrame | null> {
    const seq = yield* this.#known.newestOf({ tag: KEY_TAG + key });
    return seq === 0n ? null : yield* findStored(this.#context.ring, seq);
  }

  latestBy(by: string, request: LatestRequest = {}): Promise<Latest> {
    return latestBy(this.#readable(request.signal), by, request);
  }

  /** Like {@linkcode Coordinator.latestBy}, if work on the pool runs synchronously. */
  latestByNow(by: string, request: LatestRequest = {}): Latest {
    return latestByNow(this.#readable(request.signal), by, request);
  }

  #readable(signal: AbortSignal | undefined): Readable {
    const { run, ring, select } = this.#context;
    return { select, get: (seq) => run(findStored(ring, seq), signal) };
  }

  cursors(dir?: string): Awaitable<readonly CursorInfo[]> {
    this.#checkFiles();
    return this.#context.run(listingCursors(this.#context.ring, dir));
  }

  cursor(name: string, request: CursorRequest = {}): Awaitable<PoolCursor> {
    this.#checkFiles();
    return this.#context.run(PoolCursor.opening(this.#context, name, request));
  }

  setCursor(name: string, update: CursorUpdate): Awaitable<CursorInfo> {
    this.#checkFiles();
    return this.#context.run(settingCursor(this.#context.ring, name, update));
  }

  deleteCursor(name: string, dir?: string): Awaitable<void> {
    this.#checkFiles();
    return this.#context.run(deletingCursor(this.#context.ring, name, dir));
  }

  group(name: string, request: GroupRequest = {}): PoolGroup {
    this.#checkFiles();
    return new PoolGroup(this.#context, name, request);
  }

  #checkFiles(): void {
    if (this.#context.onDisk) return;
    throw new PlasmiteError("Usage", "This storage cannot keep cursors", {
      path: this.#context.ring.path,
      hint: "Use a pool in a directory.",
    });
  }

  claim(request: ClaimRequest): Promise<LeaseState> {
    const { run, select } = this.#context;
    return claimPatiently(
      select,
      (patient) => run(this.#leases.claiming(request, patient), request.signal),
      request,
    );
  }

  async release(request: ReleaseRequest): Promise<Released> {
    return await this.#context.run(this.#leases.releasing(request));
  }
}
