/**
 * Opens the pool that a command line names, and creates it with `--create`. Commands use the result
 * in the same way wherever the pool is.
 *
 * @module
 */

import type { Hubs } from "../backend/local/hub.ts";
import { type PlaceRef, type PoolRef, resolvePool } from "../backend/resolve.ts";
import type { Backend, PoolHandle } from "../backend/types.ts";
import { outliveFileSizeLimit } from "../environment.ts";
import { ErrorKind, PlasmiteError } from "../errors.ts";
import { isMissing } from "../pool/unfinished.ts";
import { DEFAULT_POOL_SIZE, type Limits, limitsOf, planLayout } from "../pool/layout.ts";
import type { Awaitable } from "../types.ts";
import type { CommandContext } from "./context.ts";
import { SERVER_ACCESS } from "./table.ts";

/** How long to wait for a pool that another process is creating, in milliseconds. */
const CREATION_TIMEOUT = 10_000;

/** Options that servers do not have, with the reason. */
const LOCAL_ONLY: readonly (readonly [option: string, hint: (pool: string) => string])[] = [
  ["create", (pool) => `Create the pool server-side: plasmite pool create ${pool}`],
  ["create-size", (pool) => `Create the pool server-side: plasmite pool create ${pool}`],
  ["no-notify", () => "The server notices new messages by itself; leave it out."],
];

/** The pool that a command names. Throws Usage. */
export function findPool(context: CommandContext, argument = "POOL"): Promise<PoolRef> {
  return resolvePool(context.args.required(argument), context);
}

/**
 * Refuses options that require another one.
 *
 * @throws {PlasmiteError} Usage
 */
export function refuseWithout(
  context: CommandContext,
  needed: string,
  options: readonly string[],
): void {
  const stray = options.find((name) => context.args.has(name));
  if (stray === undefined || context.args.has(needed)) return;
  throw new PlasmiteError("Usage", `--${stray} requires --${needed}`, {
    hint: `Add --${needed}, or leave out --${stray}.`,
  });
}

/** How to use a pool. */
export interface OpenPoolOptions {
  /** Whether to append to it. */
  readonly write: boolean;
  /** Whether the command does several things at once, so that nothing may block. */
  readonly serving?: true;
  /** Whether a missing pool may be reported later, by the call that needs it. */
  readonly unchecked?: boolean;
  /** Called before a pool is created; if it throws, no pool is created. */
  readonly validate?: (limits: Limits) => Awaitable<void>;
}

/**
 * Connects to the backend of a place.
 *
 * @throws {PlasmiteError} Usage for options that make no sense there
 */
export async function connectTo(
  context: CommandContext,
  place: PlaceRef,
  serving?: Hubs | true,
): Promise<Backend> {
  if (!place.isRemote) refuseServerAccess(context);
  else if (place.creation === "no") refuseNatsAccess(context);
  const server = async () => (await import("./server_options.ts")).serverOptions(context);
  return await place.connect({ ...(serving && { serving }), server });
}

/** Refuses options about servers for local pools. Throws Usage. */
function refuseServerAccess(context: CommandContext): void {
  const flags = context.at.at(-1)?.flags ?? [];
  const given = flags.some(({ name, group }) => group === SERVER_ACCESS && context.args.has(name));
  if (!given) return;
  throw new PlasmiteError(
    "Usage",
    `${context.name} remote auth/TLS flags require a remote http(s) pool ref`,
    {
      hint: "Use http(s)://host:port/<pool> or nats://host:port/<stream>, or leave the flags out " +
        "for a local pool.",
    },
  );
}

/** Options that only NATS servers understand. */
const NATS_ONLY = ["creds", "tls-cert", "tls-key", "tls-first", "domain"];

function refuseNatsAccess(context: CommandContext): void {
  const given = NATS_ONLY.find((name) => context.args.has(name));
  if (given === undefined) return;
  throw new PlasmiteError("Usage", `--${given} requires a nats:// reference`, {
    hint: `Leave out --${given}, or use nats://host:port/STREAM.`,
  });
}

/** Refuses options that make no sense for a stream. Throws Usage. */
function refuseForStreams({ args }: CommandContext, { neverFlushes }: PoolRef): void {
  const usage = (message: string, hint: string): PlasmiteError =>
    new PlasmiteError("Usage", message, { hint });
  if (args.has("no-notify")) {
    throw usage("--no-notify is only for local pools", "The server tells of new messages.");
  }
  if (args.has("create") && !args.has("create-size")) {
    throw usage(
      "--create requires --create-size for a stream",
      "Add --create-size, such as --create-size 64M: a stream without a limit is no pool.",
    );
  }
  if (neverFlushes === true && args.text("durability")?.trim() === "flush") {
    throw usage(
      "--durability flush is not possible on NATS",
      "Its servers write to the disk when they see fit. Leave it out; replicas help against the " +
        "loss of one server.",
    );
  }
}

async function refuseLocalOnly(context: CommandContext, ref: PoolRef): Promise<void> {
  if (ref.creation === "sized") return refuseForStreams(context, ref);
  for (const [option, hint] of LOCAL_ONLY) {
    if (!context.args.has(option)) continue;
    const { token } = await import("./words.ts");
    throw new PlasmiteError("Usage", `remote ${context.name} does not support --${option}`, {
      hint: hint(token(ref.name)),
    });
  }
}

/**
 * Opens the pool; a missing one is created (with `--create`) or explained with the exact command
 * that would create it.
 *
 * @throws {PlasmiteError} NotFound with a hint, Usage for options that make no sense here or a bad
 *   `--create-size`, and as opening and creating it
 */
export async function openPool(
  context: CommandContext,
  ref: PoolRef,
  options: OpenPoolOptions,
): Promise<PoolHandle> {
  outliveFileSizeLimit();
  if (ref.isRemote) await refuseLocalOnly(context, ref);
  const { serving, unchecked = false, validate, write } = options;
  const backend = await connectTo(context, ref, serving);
  try {
    const pool = await openExisting(
      context,
      ref,
      () => backend.open(ref.name, { write, unchecked }),
    );
    if (pool !== null) return pool;
    const sizeBytes = await sizeOfNew(context);
    const isFile = ref.creation === "any";
    const waiting = validate?.(limitsOf(isFile ? planLayout(sizeBytes).ringSize : sizeBytes));
    if (waiting !== undefined) await waiting;
    return await backend.open(ref.name, { write, create: { sizeBytes } });
  } finally {
    await backend.close();
  }
}

/** Opens with `open`; null for a missing pool that may be created. */
async function openExisting(
  context: CommandContext,
  ref: PoolRef,
  open: () => Awaitable<PoolHandle>,
): Promise<PoolHandle | null> {
  const { args } = context;
  for (const since = performance.now();;) {
    try {
      return await open();
    } catch (error) {
      if (!isMissing(error)) throw error;
      if (args.has("create") || args.has("create-size")) return null;
      // Another process is creating it right now.
      const late = performance.now() - since > CREATION_TIMEOUT;
      if (PlasmiteError.is(error, ErrorKind.Busy) && !late) continue;
      const { explainMissing } = await import("./missing.ts");
      throw explainMissing(error, context, ref);
    }
  }
}

async function sizeOfNew(context: CommandContext): Promise<number> {
  const text = context.args.text("create-size");
  if (text === undefined) return DEFAULT_POOL_SIZE;
  const { parseSize } = await import("../text/units.ts");
  return Number(parseSize(text));
}
