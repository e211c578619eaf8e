/**
 * Coordination in a pool on a server (docs/spec/http-api.md 12.1 to 12.5). Features that the server
 * does not support are rejected here, because the server would silently ignore them.
 *
 * @module
 */

import { checkRelease } from "../../coordination/lease.ts";
import { checkCursorName } from "../../coordination/names.ts";
import { ErrorKind, PlasmiteError } from "../../errors.ts";
import type { Where } from "../../filter/where.ts";
import { formatTime } from "../../text/time.ts";
import type { Bounds } from "../../types.ts";
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
import { SetCursor } from "../set_cursor.ts";
import type {
  ClaimRequest,
  Feature,
  Latest,
  LatestRequest,
  LeaseState,
  PoolHandle,
  ReleaseRequest,
  StoredFrame,
} from "../types.ts";
import { checkFeature } from "./features.ts";
import { HttpGroup } from "./group.ts";
import { jsonFields, type Transport } from "./transport.ts";
import { Waits } from "./waits.ts";
import { cursorOf, leaseOf, messagesOf, releasedOf, wireMessage } from "./wire.ts";

/** The parts of a server's pool that coordination uses. */
export interface HttpPoolContext
  extends HasDeadPool, Pick<PoolHandle, "select" | "get" | "bounds"> {
  /** The connection. */
  readonly transport: Transport;
  /** The path of one of the pool's routes. */
  route(rest: string): string;
}

/** Coordination in one pool on a server. */
export class HttpCoordination implements Coordination {
  readonly #pool: HttpPoolContext;
  readonly #waits: Waits;

  /** @param pool the pool */
  constructor(pool: HttpPoolContext) {
    this.#pool = pool;
    this.#waits = new Waits();
  }

  async #need(feature: Feature): Promise<void> {
    await checkFeature(this.#pool.transport, feature);
  }

  async latest(key: string): Promise<StoredFrame | null> {
    await this.#need("latest");
    const { name, transport, route } = this.#pool;
    const path = route(`latest?${new URLSearchParams({ key })}`);
    try {
      return frameOf(
        await transport.read(path, { pool: name }, (bytes) => wireMessage(bytes, name)),
      );
    } catch (error) {
      if (!PlasmiteError.is(error, ErrorKind.NotFound) || error.details["key"] === undefined) {
        throw error;
      }
      return null;
    }
  }

  async latestBy(by: string, request: LatestRequest = {}): Promise<Latest> {
    await this.#need("latest");
    const query = latestQuery(by, request);
    // Conditions that need jq are evaluated in this process.
    if (query === null) return await latestBy(this.#pool, by, request);
    const { name, transport, route } = this.#pool;
    const call = { pool: name, signal: request.signal };
    return await transport.read(route(`latest?${query}`), call, (bytes) => {
      const messages = messagesOf(bytes, "messages", name).map(({ message }) => frameOf(message));
      const { latest, forgotten } = jsonFields(bytes, name);
      const groups = Array.isArray(latest)
        ? latest.map(({ key, seq }) => ({ key: String(key), seq: BigInt(seq) }))
        : [];
      return { messages, latest: groups, forgotten: forgotten === true };
    });
  }

  async claim(request: ClaimRequest): Promise<LeaseState> {
    await this.#need("claim");
    const { keys, holder, ttlMs, token, waitMs = 0, signal } = request;
    const { name } = this.#pool;
    const body = {
      action: token === undefined ? "claim" : "renew",
      keys,
      holder,
      ttl_ms: ttlMs,
      token,
    };
    const end = performance.now() + waitMs;
    return await this.#waits.until(end, signal, async (timeout) => {
      const fields = { ...body, timeout_ms: timeout };
      return { done: await this.#claims(fields, (value) => leaseOf(value, name), signal) };
    }, isHeld);
  }

  async release(request: ReleaseRequest): Promise<Released> {
    await this.#need("claim");
    const { keys, holder, token, force } = request;
    checkRelease(force, token);
    const { name } = this.#pool;
    const fields = { action: "release", keys, holder, token, force };
    return await this.#claims(fields, (value) => releasedOf(value, name));
  }

  /** Claims, renewals and releases can safely be repeated, so a lost response leaves no doubt. */
  async #claims<T>(
    fields: Readonly<Record<string, unknown>>,
    parse: (value: unknown) => T,
    signal?: AbortSignal,
  ): Promise<T> {
    const { name, transport, route } = this.#pool;
    const call = {
      method: "POST",
      body: bodyOf(fields),
      type: "application/json",
      pool: name,
      signal,
    };
    return await transport.read(
      route("claims"),
      call,
      (bytes) => parse(jsonFields(bytes, name)["claim"]),
    );
  }

  async cursors(dir?: string): Promise<readonly CursorInfo[]> {
    checkDir(dir);
    await this.#need("cursor");
    const { name, transport, route } = this.#pool;
    const { cursors } = await transport.json(route("cursors"), { pool: name });
    return (Array.isArray(cursors) ? cursors : []).map((row) => cursorOf(row, name));
  }

  async cursor(name: string, request: CursorRequest = {}): Promise<Cursor> {
    const { from = "oldest", dir, flush } = request;
    checkDir(dir);
    checkCursorName(name);
    await this.#need("cursor");
    for (;;) {
      const found = await this.#find(name);
      try {
        // Setting the cursor to its current position checks that the pool is unchanged and that no
        // other process holds the cursor.
        const to = found?.seq ?? from;
        const info = await this.#put(name, { to, ifSeq: found?.seq ?? null, flush });
        return new SetCursor(this.#pool, this, info, found === null, flush);
      } catch (error) {
        if (!PlasmiteError.is(error, ErrorKind.Conflict)) throw error;
        // Another client created, moved or deleted it at the same time.
      }
    }
  }

  async #find(name: string): Promise<CursorInfo | null> {
    const { name: pool, transport, route } = this.#pool;
    try {
      const path = route(`cursors/${encodeURIComponent(name)}`);
      const { cursor } = await transport.json(path, { pool });
      const info = cursorOf(cursor, pool);
      if (info.error !== undefined) throw info.error;
      if (info.kind === "cursor") return info;
    } catch (error) {
      if (!isMissingCursor(error)) throw error;
      return null;
    }
    throw new PlasmiteError("Usage", `${name} is a group, not a cursor`, {
      hint: "Use another name for the cursor.",
    });
  }

  async setCursor(name: string, update: CursorUpdate): Promise<CursorInfo> {
    checkDir(update.dir);
    checkCursorName(name);
    await this.#need("cursor");
    return await this.#put(name, update);
  }

  async #put(name: string, { to, ifSeq, flush }: CursorUpdate): Promise<CursorInfo> {
    const { name: pool, transport, route } = this.#pool;
    const seq = typeof to === "bigint" ? to : placed(to, await this.#pool.bounds());
    const body = bodyOf({
      seq,
      if_seq: ifSeq,
      durability: flush === true ? "flush" : undefined,
    });
    const call = { method: "PUT", body, type: "application/json", pool };
    const path = route(`cursors/${encodeURIComponent(name)}`);
    const { cursor } = await transport.json(path, call);
    return cursorOf(cursor, pool);
  }

  async deleteCursor(name: string, dir?: string): Promise<void> {
    checkDir(dir);
    checkCursorName(name);
    await this.#need("cursor");
    const { name: pool, transport, route } = this.#pool;
    const path = route(`cursors/${encodeURIComponent(name)}`);
    await transport.bytes(path, { method: "DELETE", pool });
  }

  group(name: string, request: GroupRequest = {}): Group {
    checkDir(request.dir);
    return new HttpGroup(this.#pool, this.#waits, checkCursorName(name), request);
  }
}

/** The sequence number of a position. */
function placed(to: "oldest" | "end", { oldest, newest }: Bounds): bigint {
  return to === "end" || oldest === 0n ? newest : oldest - 1n;
}

/** Fields as JSON text; bigints as numbers, undefined ones left out. */
export function bodyOf(fields: Readonly<Record<string, unknown>>): string {
  const parts = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined
      ? []
      : [`"${name}":${typeof value === "bigint" ? `${value}` : JSON.stringify(value)}`]
  );
  return `{${parts.join(",")}}`;
}

function frameOf({ seq, timestampNs, payload }: Omit<StoredFrame, "flags">): StoredFrame {
  return { seq, timestampNs, flags: 0, payload };
}

/** The query for selecting on the server; null if the server cannot do it. */
function latestQuery(by: string, request: LatestRequest): URLSearchParams | null {
  const { tags = [], where = [], having = [], sinceNs = 0n, most } = request;
  const isForServer = (conditions: readonly Where[]): boolean =>
    conditions.length <= 1 && conditions.every((one) => one.isForServers);
  // The server trims tags.
  const isPlain = tags.every((tag) => tag !== "" && tag === tag.trim());
  if (!isPlain || !isForServer(where) || !isForServer(having)) return null;
  const query = new URLSearchParams({ by });
  for (const tag of tags) query.append("tag", tag);
  for (const { expression } of where) query.set("where", expression);
  for (const { expression } of having) query.set("having", expression);
  if (sinceNs > 0n) query.set("since", formatTime(sinceNs));
  if (most !== undefined && Number.isFinite(most)) query.set("last", String(most));
  return query;
}

function checkDir(dir: string | undefined): void {
  if (dir === undefined) return;
  throw new PlasmiteError("Usage", "A server keeps the cursors of its pools itself", {
    hint: "Leave the directory out.",
  });
}

/** Whether a rejected claim may succeed later. */
function isHeld(error: unknown): boolean {
  return PlasmiteError.is(error, ErrorKind.Busy) && error.details["until"] !== undefined;
}

function isMissingCursor(error: unknown): boolean {
  return PlasmiteError.is(error, ErrorKind.NotFound) && error.details["cursor"] !== undefined;
}
