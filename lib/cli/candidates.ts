/**
 * `plasmite __complete`: values for completion scripts, one per line: names of pools, and tags,
 * keys, cursors and groups of a pool. It prints no errors, because they would appear in the shell
 * prompt.
 *
 * @module
 */

import { advance } from "../backend/advance.ts";
import { poolFiles, poolName } from "../backend/refs.ts";
import { localPool } from "../backend/resolve.ts";
import type { PoolHandle } from "../backend/types.ts";
import { unsafeIn } from "../visible.ts";
import type { CommandContext } from "./context.ts";

/** How many of the newest messages are searched for tags. */
const RECENT = 2000;

/** Runs `__complete pool` or `__complete KIND POOL`. */
export async function run(context: CommandContext): Promise<number> {
  const kind = context.args.required("KIND");
  let names: string[] = [];
  try {
    if (kind === "pool") names = poolFiles(context.dir).map(poolName);
    else if (kind === "tag") names = await recentTags(context);
    else if (kind === "key") {
      const tags = await recentTags(context);
      names = tags.filter((tag) => tag.startsWith("key:")).map((tag) => tag.slice("key:".length));
    } else names = await cursors(context, kind);
  } catch {
    // No directory, no such pool, damage: there is nothing to suggest.
  }
  const plain = names.filter((name) => name !== "" && unsafeIn(name) === undefined);
  context.stdout.text(plain.map((name) => `${name}\n`).join(""));
  return 0;
}

async function openLocal(context: CommandContext): Promise<PoolHandle> {
  const ref = localPool(context.args.text("POOL") ?? "", context);
  return await (await ref.connect()).open(ref.name);
}

/** The names of cursors, or of groups for `group`. */
async function cursors(context: CommandContext, kind: string): Promise<string[]> {
  const pool = await openLocal(context);
  try {
    const all = await (await pool.coordinate()).cursors();
    return all.filter((one) => kind === "cursor" || one.kind === "group").map(({ name }) => name);
  } finally {
    await pool.close();
  }
}

/** The tags of the newest messages, sorted. */
async function recentTags(context: CommandContext): Promise<string[]> {
  const pool = await openLocal(context);
  const walk = await pool.select({ last: RECENT });
  const tags = new Set<string>();
  try {
    while (await advance(walk)) for (const tag of walk.message.tags()) tags.add(tag);
    return [...tags].sort();
  } finally {
    walk.close();
    await pool.close();
  }
}
