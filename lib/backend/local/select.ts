/**
 * Reads a pool file with a walk over a selection.
 *
 * @module
 */

import type { Resync } from "../../pool/resync.ts";
import { Ring } from "../../pool/ring.ts";
import type { Storage } from "../../storage/storage.ts";
import type { Steps } from "../../storage/steps.ts";
import type { Awaitable, Bounds } from "../../types.ts";
import { Filter } from "../filter.ts";
import { LaterWalk } from "../later.ts";
import type { Selection, Walk } from "../types.ts";
import { lastWanted, SelectedWalk, type WalkPlan } from "../walk.ts";
import { Follower } from "./follower.ts";
import type { Hubs } from "./hub.ts";

/** An open pool, and how to run work on it. */
export interface ReadablePool {
  /** The pool file. */
  readonly ring: Ring;
  /** The storage of the file. */
  readonly storage: Storage;
  /** Whether this process serves others, or does several things at once. */
  readonly serving: boolean;
  /** The change notifications shared by the followers of this process, if any. */
  readonly hubs: Hubs | undefined;
  /** Runs steps synchronously or in time slices. */
  run<T>(steps: Steps<T>): Awaitable<T>;
  /** Keeps the ring open until the returned function is called. */
  retain(): () => void;
}

/**
 * Begins to read.
 *
 * @param resync makes what goes on behind damage, if it is to be skipped
 * @throws {PlasmiteError} NotFound when the pool was deleted or replaced; the errors of opening it
 */
export function* selecting(
  pool: ReadablePool,
  selection: Selection,
  resync: (() => Resync) | null = null,
): Steps<Walk> {
  const { oldest, newest } = yield* pool.ring.living();
  const bounds: Bounds = { oldest, newest };
  const { follow = false, last, since = 0n, tags, where } = selection;
  const until = lastWanted(selection, newest);
  const filter = new Filter(tags, where);
  const plan: Plan = { until, filter, since, start: bounds };
  const yielding = selection.yielding === true;
  const how: How = { notify: follow && selection.notify !== false, yielding, resync };
  const start = startOf(selection, bounds);
  if (last === undefined || oldest === 0n) return yield* walking(pool, start, plan, how);
  const low = start === "oldest" || start < oldest ? oldest : start;
  const high = until !== null && until < newest ? until : newest;
  if (filter.passesAll && since === 0n) {
    const first = high - BigInt(last) + 1n;
    return yield* walking(pool, first < low ? low : first, plan, how);
  }
  // Closing the pool does not end the search.
  return new LaterWalk(bounds, async (search) => {
    const piece = (from: bigint, end: bigint): Awaitable<Walk> => {
      const found: Plan = { ...plan, until: end, counts: true };
      return pool.run(walking(pool, from, found, { notify: false, yielding, resync }));
    };
    const { findLast } = await import("../last.ts");
    const { first, matches } = await findLast(low, high, last, piece, search);
    return await pool.run(walking(pool, first, { ...plan, chosen: matches }, how));
  }, pool.retain());
}

type Plan = Omit<WalkPlan, "from" | "bounds" | "skips">;

/** How to read: with change notifications, yielding to other tasks. */
interface How {
  readonly notify: boolean;
  readonly yielding: boolean;
  readonly resync: (() => Resync) | null;
}

function* walking(
  pool: ReadablePool,
  from: bigint | "oldest",
  plan: Plan,
  how: How,
): Steps<Walk> {
  const follower = yield* following(pool, from, how);
  try {
    pool.ring.checkIdentity(); // The follower opened the path: make sure it is still our file.
  } catch (error) {
    follower.close();
    throw error;
  }
  const { ring } = follower;
  // The walk checks what it delivers. Behind damage, anything may look like a frame; and if all is
  // delivered, checking at once is a little cheaper.
  const chooses = !plan.filter.passesAll || plan.since > 0n || plan.chosen !== undefined;
  follower.cursor.checksLater = chooses && how.resync === null;
  return new SelectedWalk(follower, {
    ...plan,
    from: from === "oldest" ? 0n : from,
    skips: how.resync !== null,
    bounds: () => pool.run(ring.living()),
  });
}

function* following(
  { ring: { path }, storage, serving, hubs }: ReadablePool,
  from: bigint | "oldest",
  { notify, yielding, resync: makeResync }: How,
): Steps<Follower> {
  const resync = makeResync?.() ?? null;
  if (!serving) {
    const ring = yield* Ring.opening(storage, path);
    return new Follower(path, from, notify, yielding, ring, undefined, resync);
  }
  if (!notify || hubs === undefined) {
    return yield* Follower.opening(path, from, notify, undefined, resync);
  }
  const watch = yield* hubs.watching(path);
  let follower: Follower | null = null;
  try {
    return follower = yield* Follower.opening(path, from, true, watch, resync);
  } finally {
    if (follower === null) watch.close();
  }
}

/** The first number of a selection; past the end if an empty pool has nothing to return. */
function startOf({ from = "oldest", last, follow }: Selection, bounds: Bounds): bigint | "oldest" {
  const { oldest, newest } = bounds;
  if (from === "end") return newest + 1n;
  if (oldest === 0n && (last !== undefined || (from === "oldest" && follow !== true))) {
    return newest + 1n;
  }
  if (from !== "oldest" && from !== 0n) return from;
  return oldest === 0n ? "oldest" : oldest; // Messages lost from now on are a gap.
}
