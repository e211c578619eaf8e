/**
 * `plasmite pool create`: creates all the named pools, or none (docs/spec/command-line.md 4.1).
 *
 * @module
 */

import type { PoolInfo } from "../backend/local/info.ts";
import type { PoolRef } from "../backend/resolve.ts";
import type { Backend, NewPool } from "../backend/types.ts";
import { outliveFileSizeLimit } from "../environment.ts";
import { ErrorKind, PlasmiteError } from "../errors.ts";
import { isMissing } from "../pool/unfinished.ts";
import { maxAgeNs } from "../pool/header.ts";
import { DEFAULT_POOL_SIZE, planLayout } from "../pool/layout.ts";
import { parseAge, parseSize } from "../text/units.ts";
import type { Awaitable } from "../types.ts";
import { related } from "./command_line.ts";
import type { CommandContext } from "./context.ts";
import { escapeControls } from "../visible.ts";
import { humanBytes, shortPath, table } from "./human.ts";
import { connectTo } from "./open.ts";
import { infoJson } from "./pool_report.ts";
import { localOrStream } from "./local_or_stream.ts";

/** The options of streams; local pools have none of them. */
const STREAM_OPTIONS = ["replicas", "dedupe"];

/** Runs `pool create`. */
export async function run(context: CommandContext): Promise<number> {
  outliveFileSizeLimit();
  const { args, dir } = context;
  const refs: PoolRef[] = [];
  for (const name of args.texts("NAME")) refs.push(await localOrStream(context, name));
  const options = newPool(context, refs);
  await refuseExisting(context, refs);
  const infos = await createAll(context, refs, options);
  context.report(
    () => ({ created: infos.map((info, i) => infoJson(info, refs[i]?.ref ?? info.name, false)) }),
    () => context.stdout.isTerminal ? forPeople(infos, refs, dir) : forPipes(infos, refs, dir),
  );
  return 0;
}

/** Parses the options. Throws Usage before anything is created. */
function newPool(context: CommandContext, refs: readonly PoolRef[]): NewPool {
  const { args } = context;
  const sizeText = args.text("size");
  const sizeBytes = sizeText === undefined ? DEFAULT_POOL_SIZE : Number(parseSize(sizeText));
  const indexCapacity = args.count("index-capacity");
  const usage = (message: string, hint: string): PlasmiteError =>
    new PlasmiteError("Usage", message, { hint });
  const streams = refs.filter(({ creation }) => creation === "sized").length;
  if (streams === 0) {
    const given = STREAM_OPTIONS.find((name) => args.has(name));
    if (given !== undefined) {
      throw usage(`--${given} requires a nats:// reference`, "Leave it out for a local pool.");
    }
    checkSizes(sizeBytes, indexCapacity);
    const maxAge = args.text("max-age");
    const maxAgeMs = maxAge === undefined ? undefined : parseAge(maxAge);
    if (maxAgeMs !== undefined) maxAgeNs(maxAgeMs);
    return { sizeBytes, ...(indexCapacity !== undefined && { indexCapacity }), maxAgeMs };
  }
  if (streams < refs.length) {
    throw usage("local pools and streams are created separately", "Use two commands.");
  }
  if (sizeText === undefined) {
    const hint = "Add --size, such as --size 64M: a stream without a limit is no pool.";
    throw usage("a stream requires --size", hint);
  }
  if (indexCapacity !== undefined) {
    throw usage("--index-capacity is only for local pools", "Leave it out.");
  }
  return { sizeBytes, ...streamOptions(context) };
}

function streamOptions({ args }: CommandContext): NewPool {
  const replicas = args.count("replicas");
  const maxAge = args.text("max-age");
  const dedupe = args.text("dedupe");
  if (replicas !== undefined && ![1, 3, 5].includes(replicas)) {
    throw new PlasmiteError("Usage", `invalid value '${replicas}' for '--replicas <N>'`, {
      hint: "Use 1, 3 or 5.",
    });
  }
  return {
    ...(replicas !== undefined && { replicas }),
    ...(maxAge !== undefined && { maxAgeMs: parseAge(maxAge) }),
    ...(dedupe !== undefined && { dedupeMs: parseAge(dedupe) }),
  };
}

/** Refuses an invalid size before anything is created (docs/spec/format.md 1.5). */
function checkSizes(sizeBytes: number, indexCapacity: number | undefined): void {
  if (indexCapacity !== undefined && 16 * indexCapacity > Math.floor(sizeBytes / 2)) {
    throw new PlasmiteError("Usage", "index capacity is too large for pool size", {
      hint: `Use at most ${Math.floor(sizeBytes / 32)} slots, or a larger --size.`,
    });
  }
  planLayout(sizeBytes, indexCapacity);
}

function alreadyExists(context: CommandContext, { ref, path }: PoolRef): PlasmiteError {
  return new PlasmiteError("AlreadyExists", "pool already exists", {
    hint: `Choose a different name, or remove it first with \`${
      related(context, "pool delete", ref)
    }\`.`,
    path,
  });
}

/** Refuses invalid names before anything is created. */
async function refuseExisting(context: CommandContext, refs: readonly PoolRef[]): Promise<void> {
  const seen = new Set<string>();
  for (const pool of refs) {
    const { path, ref } = pool;
    if (seen.has(path)) {
      throw new PlasmiteError("AlreadyExists", "pool already exists", {
        hint: `${ref} is named twice; use a different name for each pool.`,
        path,
      });
    }
    seen.add(path);
    if (await exists(context, pool)) throw alreadyExists(context, pool);
  }
}

/** Whether the path exists; an unfinished file of a killed creator does not count. */
async function exists(context: CommandContext, ref: PoolRef): Promise<boolean> {
  const { isRemote, name, path } = ref;
  if (!isRemote && !isThere(path)) return false;
  const backend = await connectTo(context, ref);
  try {
    const pool = await backend.open(name);
    await pool.close();
    return true;
  } catch (error) {
    if (isRemote) {
      if (PlasmiteError.is(error, ErrorKind.NotFound)) return false;
      throw error;
    }
    // A dangling link exists too.
    return !isMissing(error) || PlasmiteError.is(error, ErrorKind.NotFound);
  } finally {
    await backend.close();
  }
}

function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Removes the pools of this run after a failure, such as a full disk. */
async function createAll(
  context: CommandContext,
  refs: readonly PoolRef[],
  options: NewPool,
): Promise<PoolInfo[]> {
  const made: PoolRef[] = [];
  const infos: PoolInfo[] = [];
  try {
    for (const ref of refs) {
      infos.push(await using(context, ref, (backend) => backend.create(ref.name, options)));
      made.push(ref);
    }
    return infos;
  } catch (error) {
    for (const ref of made) await using(context, ref, (backend) => backend.remove(ref.name));
    const lost = PlasmiteError.is(error, ErrorKind.AlreadyExists);
    const next = refs[made.length];
    throw lost && next !== undefined ? alreadyExists(context, next) : error;
  }
}

/** Calls a function with the backend of a reference. */
async function using<T>(
  context: CommandContext,
  ref: PoolRef,
  work: (backend: Backend) => Awaitable<T>,
): Promise<T> {
  const backend = await connectTo(context, ref);
  try {
    return await work(backend);
  } finally {
    await backend.close();
  }
}

function forPeople(infos: readonly PoolInfo[], refs: readonly PoolRef[], dir: string): string {
  const [info] = infos;
  if (info === undefined) return "";
  const size = humanBytes(info.fileSize);
  const name = (i: number): string => escapeControls(refs[i]?.ref ?? "");
  const path = (one: PoolInfo): string => escapeControls(shortPath(one.path, dir));
  const index = info.stream === undefined ? `, ${info.indexCapacity} index slots` : "";
  if (infos.length === 1) {
    return `Created ${name(0)} (${size}${index})\n  path: ${path(info)}\n`;
  }
  const rows = infos.map((one, i) => `  - ${name(i)} (${path(one)})\n`);
  return `Created ${infos.length} pools (${size} each)\n${rows.join("")}`;
}

function forPipes(infos: readonly PoolInfo[], refs: readonly PoolRef[], dir: string): string {
  const rows = infos.map((info, i) => [
    refs[i]?.ref ?? info.name,
    String(info.fileSize),
    String(info.indexCapacity),
    shortPath(info.path, dir),
  ]);
  return table(["NAME", "SIZE", "INDEX", "PATH"], rows);
}
