/**
 * `plasmite pool create`: all the pools named, or none (docs/spec/command-line.md 4.1).
 *
 * @module
 */

import type { PoolInfo } from "../backend/local/info.ts";
import { localPool, type PoolRef } from "../backend/resolve.ts";
import type { NewPool } from "../backend/types.ts";
import { outliveFileSizeLimit } from "../environment.ts";
import { ErrorKind, PlasmiteError } from "../errors.ts";
import { isMissing } from "../pool/unfinished.ts";
import { DEFAULT_POOL_SIZE, planLayout } from "../pool/layout.ts";
import { parseSize } from "../text/units.ts";
import { related } from "./command_line.ts";
import type { CommandContext } from "./context.ts";
import { escapeControls } from "../visible.ts";
import { humanBytes, shortPath, table } from "./human.ts";
import { infoJson } from "./pool_report.ts";
import { refuseUrl } from "./refuse_url.ts";

/** Runs `pool create`. */
export async function run(context: CommandContext): Promise<number> {
  outliveFileSizeLimit();
  const { args, dir } = context;
  const refs = args.texts("NAME").map((name) => {
    refuseUrl(context, name);
    return localPool(name, context);
  });
  const sizeText = args.text("size");
  const sizeBytes = sizeText === undefined ? DEFAULT_POOL_SIZE : Number(parseSize(sizeText));
  const indexCapacity = args.count("index-capacity");
  checkSizes(sizeBytes, indexCapacity);
  await refuseExisting(context, refs);
  const infos = await createAll(context, refs, {
    sizeBytes,
    ...(indexCapacity !== undefined && { indexCapacity }),
  });
  context.report(
    () => ({ created: infos.map((info, i) => infoJson(info, refs[i]?.ref ?? info.name)) }),
    () => context.stdout.isTerminal ? forPeople(infos, refs, dir) : forPipes(infos, refs, dir),
  );
  return 0;
}

/** A size that cannot be is refused before anything is made (docs/spec/format.md 1.5). */
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

/** Nothing is made when one of the names cannot be. */
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
    if (await exists(pool)) throw alreadyExists(context, pool);
  }
}

/** Whether something has the name already; what a creator that was killed has left does not count. */
async function exists({ name, path, connect }: PoolRef): Promise<boolean> {
  try {
    Deno.lstatSync(path);
  } catch {
    return false;
  }
  try {
    const pool = await (await connect()).open(name);
    await pool.close();
    return true;
  } catch (error) {
    // A link to nowhere has the name, too.
    return !isMissing(error) || PlasmiteError.is(error, ErrorKind.NotFound);
  }
}

/** A failure half-way (no space, say) takes back what this run has made. */
async function createAll(
  context: CommandContext,
  refs: readonly PoolRef[],
  options: NewPool,
): Promise<PoolInfo[]> {
  const made: PoolRef[] = [];
  const infos: PoolInfo[] = [];
  try {
    for (const ref of refs) {
      infos.push(await (await ref.connect()).create(ref.name, options));
      made.push(ref);
    }
    return infos;
  } catch (error) {
    for (const ref of made) await (await ref.connect()).remove(ref.name);
    const lost = PlasmiteError.is(error, ErrorKind.AlreadyExists);
    const next = refs[made.length];
    throw lost && next !== undefined ? alreadyExists(context, next) : error;
  }
}

function forPeople(infos: readonly PoolInfo[], refs: readonly PoolRef[], dir: string): string {
  const [info] = infos;
  if (info === undefined) return "";
  const size = humanBytes(info.fileSize);
  const name = (i: number): string => escapeControls(refs[i]?.ref ?? "");
  const path = (one: PoolInfo): string => escapeControls(shortPath(one.path, dir));
  if (infos.length === 1) {
    return `Created ${name(0)} (${size}, ${info.indexCapacity} index slots)\n  path: ${
      path(info)
    }\n`;
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
