/**
 * `plasmite copy`: copies messages between pools, local or remote
 * (docs/spec/jetstream.md 8).
 *
 * @module
 */

import { poolName } from "../backend/refs.ts";
import { type PoolRef, resolvePool } from "../backend/resolve.ts";
import type { Origin } from "../backend/shipment.ts";
import type { Backend, PoolHandle, Walk } from "../backend/types.ts";
import { hostname } from "../coordination/cursor_file.ts";
import { checkCursorName, checkKey } from "../coordination/names.ts";
import { ErrorKind, PlasmiteError } from "../errors.ts";
import { FrameBatch } from "../pool/batch.ts";
import { DEFAULT_POOL_SIZE } from "../pool/layout.ts";
import { sha256Hex } from "../storage/sha256.ts";
import { parseSize } from "../text/units.ts";
import { pause } from "../timers.ts";
import type { CommandContext } from "./context.ts";
import { AppendingTarget, type CopyTarget, openCursor, ShippingTarget } from "./copy_target.ts";
import { DropNotices } from "./drops.ts";
import { ENDING_SIGNALS } from "./interrupts.ts";
import { noticeOutage, noticeUnreadable, printNotice } from "./notices.ts";
import { connectTo } from "./open.ts";
import { isSameFile } from "./same_file.ts";

/** The maximum number of messages and frame bytes per batch. */
const BATCH = 500;
const BATCH_BYTES = 512 * 1024;
/** Delays between attempts with `--follow`, in milliseconds. */
const FIRST_PAUSE = 250;
const LAST_PAUSE = 5_000;

/** One end of the copy. */
interface End {
  readonly ref: PoolRef;
  readonly pool: PoolHandle;
  /** The identity of the pool: 32 hex digits. */
  readonly identity: string;
  /** Its name as a source: `host.pool`. */
  readonly source: string;
}

/** Runs `copy`. */
export async function run(context: CommandContext): Promise<number> {
  const { args } = context;
  const from = await resolvePool(args.required("FROM"), context);
  const to = await resolvePool(args.required("TO"), context);
  if (from.path === to.path) throw samePool();
  const names = namesOf(context, from);
  const stop = new AbortController();
  const stopped = (): void => stop.abort();
  if (args.has("follow")) {
    for (const one of ENDING_SIGNALS) {
      Deno.addSignalListener(one, stopped);
    }
  }
  const opened: PoolHandle[] = [];
  try {
    const isLocal = !from.isRemote && !to.isRemote;
    const source = await awaitEnd(context, from, { write: false, isLocal }, stop.signal);
    if (source === null) return 0;
    opened.push(source.pool);
    const target = await awaitEnd(context, to, { write: true, isLocal }, stop.signal);
    if (target === null) return 0;
    opened.push(target.pool);
    if (await isSame(source, target)) throw samePool();
    return await copy(context, names, source, target, stop.signal);
  } finally {
    for (const pool of opened) await pool.close();
    if (args.has("follow")) {
      for (const one of ENDING_SIGNALS) Deno.removeSignalListener(one, stopped);
    }
  }
}

function samePool(): PlasmiteError {
  return new PlasmiteError("Usage", "FROM and TO are the same pool", { hint: "Name another one." });
}

/** Whether both ends are one pool under two names, which would copy its own copies for ever. */
async function isSame(from: End, to: End): Promise<boolean> {
  if (from.ref.isRemote || to.ref.isRemote) {
    return from.identity === to.identity && await haveSameNewest(from.pool, to.pool);
  }
  // Identities do not tell files apart: a file may be a copy of another one.
  return isSameFile(from.ref.path, to.ref.path);
}

/** How often two ends are compared while messages are overwritten faster than they can be. */
const COMPARISONS = 16;

/**
 * Whether the newest message of a pool is in the other one, under its number and with its time. That
 * a writer overwrites it meanwhile does not make one pool two.
 */
async function haveSameNewest(from: PoolHandle, to: PoolHandle): Promise<boolean> {
  for (let i = 0; i < COMPARISONS; i++) {
    const { newest } = await from.bounds();
    if (newest === 0n) return true;
    const [one, other] = [await from.get(newest), await to.get(newest)];
    if (one !== null && other !== null) return one.timestampNs === other.timestampNs;
    if ((await to.bounds()).newest < newest) return false;
    // What one end still has after the other one has lost it is not in one pool.
    if (one !== null && await from.get(newest) !== null) return false;
  }
  return true;
}

/** How to open an end; `isLocal`: whether both ends are local, so that no sign-in is needed. */
interface EndOptions {
  readonly write: boolean;
  readonly isLocal: boolean;
}

/**
 * Opens an end. With `--follow`, a server that cannot be reached yet is waited for: a machine may
 * start before its network does. Null if the command is ended meanwhile.
 */
async function awaitEnd(
  context: CommandContext,
  ref: PoolRef,
  options: EndOptions,
  signal: AbortSignal,
): Promise<End | null> {
  const open = (): Promise<End> => openEnd(context, ref, options);
  if (!context.args.has("follow") || !ref.isRemote) return await open();
  const { isUnreachable, OutagePatience } = await import("./outage.ts");
  const argument = options.write ? "TO" : "FROM";
  const onTrouble = (error: PlasmiteError): void => noticeWait(context, argument, ref, error);
  try {
    return await new OutagePatience(signal, onTrouble, isUnreachable).run(open);
  } catch (error) {
    if (signal.aborted) return null;
    throw error;
  }
}

function noticeWait(
  context: CommandContext,
  argument: "FROM" | "TO",
  { path }: PoolRef,
  { hint, message }: PlasmiteError,
): void {
  printNotice(context, {
    kind: "reconnect",
    message: `${argument} cannot be reached; trying again until it can.`,
    pool: context.args.required(argument),
    details: { error: message, hint, pool_path: path },
  });
}

async function openEnd(
  context: CommandContext,
  ref: PoolRef,
  { isLocal, write }: EndOptions,
): Promise<End> {
  // The sign-in options apply to the other end.
  const isOther = !ref.isRemote && !isLocal;
  const backend = isOther
    ? await ref.connect({ serving: true })
    : await connectTo(context, ref, true);
  try {
    const pool = await openPool(context, ref, backend, write);
    const info = await pool.info();
    return {
      ref,
      pool,
      identity: info.identity ?? identityOf(ref),
      source: sourceOf(ref),
    };
  } finally {
    await backend.close();
  }
}

async function openPool(
  context: CommandContext,
  ref: PoolRef,
  backend: Backend,
  write: boolean,
): Promise<PoolHandle> {
  const { args } = context;
  const isCreated = write && (args.has("create") || args.has("create-size"));
  const size = args.text("create-size");
  if (isCreated && ref.creation === "no") {
    throw new PlasmiteError("Usage", "--create does not work on a server", {
      hint: "Create the pool where the server is.",
    });
  }
  if (isCreated && ref.creation === "sized" && size === undefined) {
    throw new PlasmiteError("Usage", "--create requires --create-size for a stream", {
      hint: "Add --create-size, such as --create-size 64M: a stream without a limit is no pool.",
    });
  }
  const sizeBytes = size === undefined ? DEFAULT_POOL_SIZE : Number(parseSize(size));
  try {
    return await backend.open(ref.name, { write, ...(isCreated && { create: { sizeBytes } }) });
  } catch (error) {
    const { explainMissing } = await import("./missing.ts");
    throw explainMissing(error, context, ref);
  }
}

/** An identity for a pool without one: a property that a new pool of that name would not share. */
function identityOf({ isRemote, path }: PoolRef): string {
  let text = path;
  if (!isRemote) {
    const { birthtime, dev, ino } = Deno.statSync(path);
    text = `${dev} ${ino} ${birthtime?.getTime()}`;
  }
  return sha256Hex(new TextEncoder().encode(text)).slice(0, 32);
}

/** `host.pool`; the host is empty if it may not be read. */
function sourceOf({ isRemote, name, path }: PoolRef): string {
  if (!isRemote) return `${hostname()}.${poolName(path)}`;
  const host = /^[^:]+:\/\/(\[[^\]]+\]|[^:/,]+)/.exec(path)?.[1] ?? "";
  return `${host}.${name}`;
}

/** What no other pool has. Copies of one file share an identity, and may be on several servers. */
function uniqueOf({ identity, pool, ref }: End): string {
  return ref.isRemote && pool.ship === undefined ? `${identity} ${ref.path}` : identity;
}

/**
 * The name of the cursor of a source and its ends: what one destination has, another one, or a new
 * one of the same name, does not have yet.
 */
function cursorName(source: string, ends: string): string {
  const plain = source.toLowerCase().replace(/[^a-z0-9._-]/g, "_");
  const hash = sha256Hex(new TextEncoder().encode(`${source} ${ends}`)).slice(0, 8);
  return `copy-${plain}`.slice(0, 55) + `-${hash}`;
}

/** The names under which the positions of a copy are kept. */
interface CopyNames {
  readonly source: string;
  /** That of `--cursor`. */
  readonly cursor: string | undefined;
}

/** Throws Usage. */
function namesOf({ args }: CommandContext, from: PoolRef): CopyNames {
  const source = checkKey(args.text("source") ?? sourceOf(from), "source", 200);
  if (source.startsWith(".")) {
    throw new PlasmiteError("Usage", "The name of this machine cannot be read", {
      hint: "Name the source with --source, or allow --allow-sys=hostname.",
    });
  }
  const cursor = args.text("cursor");
  return { source, cursor: cursor === undefined ? undefined : checkCursorName(cursor) };
}

/** The destination and its cursor, which is stored next to the local pool. */
async function targetOf(
  { args, dir }: CommandContext,
  { source, cursor: given }: CopyNames,
  from: End,
  to: End,
): Promise<CopyTarget> {
  // A local FROM has its cursors beside it. Those of all others are together, and two servers of a
  // host may have pools of one name.
  const ends = from.ref.isRemote ? `${uniqueOf(to)} ${uniqueOf(from)}` : uniqueOf(to);
  const name = given ?? cursorName(source, ends);
  // Positions in other pools are stored separately from the pool's own cursors.
  const apart = (path: string): string => `${path.slice(0, path.lastIndexOf("/") + 1)}.copies`;
  const place = !from.ref.isRemote
    ? { path: from.ref.path }
    : !to.ref.isRemote
    ? { path: to.ref.path, dir: apart(to.ref.path) }
    : { path: dir, dir: `${dir}/.copies` };
  if (to.pool.ship === undefined) {
    const target = new AppendingTarget(to.pool, openCursor({ ...place, name, source }));
    if (!args.has("exact")) return target;
    const { ExactTarget } = await import("./copy_exact.ts");
    const exact = { pool: from.pool, identity: from.identity, name: poolName(from.ref.name) };
    return new ExactTarget(target, to.pool, exact, !to.ref.isRemote);
  }
  const shipment = to.pool.ship(source);
  if (from.ref.isRemote && given === undefined) return new ShippingTarget(shipment, null);
  try {
    return new ShippingTarget(shipment, openCursor({ ...place, name, source }));
  } catch (error) {
    // The destination tracks the position anyway, and the directory may be read-only.
    const isHint = PlasmiteError.is(error) && error.topic !== "copy source" && given === undefined;
    if (!isHint) throw error;
    return new ShippingTarget(shipment, null);
  }
}

async function copy(
  context: CommandContext,
  names: CopyNames,
  from: End,
  to: End,
  signal: AbortSignal,
): Promise<number> {
  const follow = context.args.has("follow");
  const target = await targetOf(context, names, from, to);
  const drops = new DropNotices(context, from.pool.path, false);
  try {
    const until = follow ? undefined : (await from.pool.bounds()).newest;
    let most = BATCH;
    for (let pauseMs = FIRST_PAUSE;;) {
      try {
        await new Copier(context, from, to, target, drops, most).run(until, signal, () => {
          pauseMs = FIRST_PAUSE;
        });
        return 0;
      } catch (error) {
        if (signal.aborted) return 0;
        // Those before the one that is refused are stored, and the error names it.
        if (PlasmiteError.is(error, ErrorKind.Usage) && most > 1) {
          most = 1;
          continue;
        }
        if (!follow || !isPassing(error)) throw error;
        if (pauseMs === FIRST_PAUSE) noticeTrouble(context, to, error);
        await pause(pauseMs, signal).catch(() => {}); // Then the loop ends above.
        if (signal.aborted) return 0;
        pauseMs = Math.min(2 * pauseMs, LAST_PAUSE);
      }
    }
  } finally {
    drops.flush();
    target.close();
  }
}

/** Whether a later retry may succeed. */
function isPassing(error: unknown): error is PlasmiteError {
  if (!PlasmiteError.is(error) || error.topic === "copy source") return false;
  return error.kind === ErrorKind.Io || error.kind === ErrorKind.Busy;
}

function noticeTrouble(context: CommandContext, to: End, error: PlasmiteError): void {
  printNotice(context, {
    kind: "reconnect",
    message: "The copy is interrupted; trying again until it works.",
    pool: context.args.required("TO"),
    details: { error: error.message, pool_path: to.pool.path },
  });
}

/** The error for a message that the destination does not take: one that is too large, say. */
function refused(error: PlasmiteError, seq: bigint | undefined): PlasmiteError {
  const { causes = [], details, hint, kindName, message, path, topic } = error;
  return new PlasmiteError(kindName, `Message ${seq} cannot be copied: ${message}`, {
    causes,
    details,
    ...(hint !== undefined && { hint }),
    ...(path !== undefined && { path }),
    ...(seq !== undefined && { seq }),
    ...(topic !== undefined && { topic }),
    cause: error,
  });
}

/** One pass over the source. */
class Copier {
  readonly #batch = new FrameBatch();
  #seqs: bigint[] = [];

  constructor(
    readonly context: CommandContext,
    readonly from: End,
    readonly to: End,
    readonly target: CopyTarget,
    readonly drops: DropNotices,
    /** The maximum number of messages per batch. */
    readonly most: number,
  ) {}

  /** Copies up to `until`, or indefinitely. */
  async run(until: bigint | undefined, signal: AbortSignal, progress: () => void): Promise<void> {
    const { from, target } = this;
    const start = await this.#start(await target.last());
    if (until !== undefined && (until === 0n || (start !== "oldest" && start > until))) return;
    const source = { path: from.pool.path, argument: "FROM" };
    const walk = await from.pool.select({
      from: start,
      follow: until === undefined,
      ...(until === undefined ? {} : { until }),
      excluded: { source: this.to.source, pool: this.to.identity },
      onUnreadable: (error) => noticeUnreadable(this.context, source, error),
      onTrouble: (error) => noticeOutage(this.context, source, error),
    });
    try {
      await this.#walk(walk, signal, progress);
    } finally {
      walk.close();
    }
  }

  /** After the last copied message; at the oldest one if that message came from another pool. */
  async #start(last: Origin | null): Promise<bigint | "oldest"> {
    const { identity, pool } = this.from;
    if (last === null || last.pool !== identity) return "oldest";
    const { newest, oldest } = await pool.bounds();
    // Some servers do not report the newest sequence number of an empty pool.
    return oldest !== 0n && last.seq > newest ? "oldest" : last.seq + 1n;
  }

  async #walk(walk: Walk, signal: AbortSignal, progress: () => void): Promise<void> {
    for (;;) {
      const found = walk.next();
      const gap = walk.takeGap();
      if (gap !== null) this.drops.lost(gap);
      if (found) this.#add(walk);
      const isFull = this.#seqs.length >= this.most || this.#batch.bytes >= BATCH_BYTES;
      if (this.#seqs.length > 0 && (isFull || !found)) {
        await this.#store();
        progress();
      }
      if (found) continue;
      if (walk.ended) return;
      this.drops.due();
      await walk.wait(this.drops.waitMs(Infinity), signal);
    }
  }

  #add({ frame }: Walk): void {
    const { payloadAt, payloadLength, seq, timeHi, timeLo, u8 } = frame;
    this.#batch.addPayload(u8.subarray(payloadAt, payloadAt + payloadLength), timeLo, timeHi);
    this.#seqs.push(seq);
  }

  async #store(): Promise<void> {
    const seqs = this.#seqs;
    this.#seqs = [];
    try {
      await this.target.store(this.#batch, this.from.identity, seqs);
    } catch (error) {
      throw seqs.length === 1 && PlasmiteError.is(error, ErrorKind.Usage)
        ? refused(error, seqs[0])
        : error;
    } finally {
      this.#batch.clear();
    }
  }
}
