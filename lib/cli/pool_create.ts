/**
 * `plasmite pool create`: all the pools named, or none (docs/spec/command-line.md 4.1).
 *
 * @module
 */

import { Client } from "../client/client.ts";
import type { PoolInfo } from "../backend/local/info.ts";
import { outliveFileSizeLimit } from "../environment.ts";
import { PlasmiteError } from "../errors.ts";
import { UnfinishedPool } from "../pool/creation.ts";
import { planLayout } from "../pool/layout.ts";
import { Ring } from "../pool/ring.ts";
import { disk } from "../storage/file.ts";
import { parseSize } from "../text/units.ts";
import type { CommandContext } from "./context.ts";
import { escapeControls } from "../visible.ts";
import { humanBytes, shortPath, table } from "./human.ts";
import { infoJson } from "./pool_report.ts";
import { type LocalRef, resolveLocalOnly } from "./refs.ts";
import { token } from "./words.ts";

const DEFAULT_SIZE = 1 << 20;

/** Runs `pool create`. */
export function run(context: CommandContext): number {
  outliveFileSizeLimit();
  const { args, dir } = context;
  const refs = args.texts("NAME").map((name) => resolveLocalOnly(name, context, "pool create"));
  const sizeText = args.text("size");
  const sizeBytes = sizeText === undefined ? DEFAULT_SIZE : Number(parseSize(sizeText));
  const indexCapacity = args.count("index-capacity");
  checkSizes(sizeBytes, indexCapacity);
  refuseExisting(refs);
  using client = new Client(dir);
  const infos = createAll(client, refs, {
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

function alreadyExists(ref: string, path: string): PlasmiteError {
  return new PlasmiteError("AlreadyExists", "pool already exists", {
    hint: `Choose a different name, or remove it first with \`plasmite pool delete ${
      token(ref)
    }\`.`,
    path,
  });
}

/** Nothing is made when one of the names cannot be. */
function refuseExisting(refs: readonly LocalRef[]): void {
  const seen = new Set<string>();
  for (const { path, ref } of refs) {
    if (seen.has(path)) {
      throw new PlasmiteError("AlreadyExists", "pool already exists", {
        hint: `${ref} is named twice; use a different name for each pool.`,
        path,
      });
    }
    seen.add(path);
    if (exists(path)) throw alreadyExists(ref, path);
  }
}

/** Whether something has the name already; what a creator that was killed has left does not count. */
function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
  } catch {
    return false;
  }
  try {
    Ring.open(disk, path, { write: false }).close();
    return true;
  } catch (error) {
    return !(error instanceof UnfinishedPool);
  }
}

/** A failure half-way (no space, say) takes back what this run has made. */
function createAll(
  client: Client,
  refs: readonly LocalRef[],
  options: { sizeBytes: number; indexCapacity?: number },
): PoolInfo[] {
  const made: LocalRef[] = [];
  try {
    return refs.map((ref) => {
      using pool = client.createPool(ref.path, options);
      made.push(ref);
      return pool.info();
    });
  } catch (error) {
    for (const ref of made) client.deletePool(ref.path);
    const lost = PlasmiteError.is(error) && error.kindName === "AlreadyExists";
    const next = refs[made.length];
    throw lost && next !== undefined ? alreadyExists(next.ref, next.path) : error;
  }
}

function forPeople(infos: readonly PoolInfo[], refs: readonly LocalRef[], dir: string): string {
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

function forPipes(infos: readonly PoolInfo[], refs: readonly LocalRef[], dir: string): string {
  const rows = infos.map((info, i) => [
    refs[i]?.ref ?? info.name,
    String(info.fileSize),
    String(info.indexCapacity),
    shortPath(info.path, dir),
  ]);
  return table(["NAME", "SIZE", "INDEX", "PATH"], rows);
}
