/**
 * `plasmite __complete`: what completion scripts ask for while someone types, names of pools and
 * tags in use, one a line. It never fails loudly: a shell prompt is no place for errors.
 *
 * @module
 */

import { poolFiles, poolName, poolPath } from "../backend/refs.ts";
import { unsafeIn } from "../visible.ts";
import type { CommandContext } from "./context.ts";

/** How many of the newest messages are looked at for tags. */
const RECENT = 2000n;

/** Runs `__complete pool` or `__complete tag POOL`. */
export async function run(context: CommandContext): Promise<number> {
  const { args } = context;
  let names: string[] = [];
  try {
    names = args.required("KIND") === "pool"
      ? poolFiles(context.dir).map(poolName)
      : await recentTags(poolPath(args.text("POOL") ?? "", context.dir));
  } catch {
    // No directory, no such pool, damage: then there is nothing to offer.
  }
  const plain = names.filter((name) => name !== "" && unsafeIn(name) === undefined);
  context.stdout.text(plain.map((name) => `${name}\n`).join(""));
  return 0;
}

/** The tags of the newest messages, sorted. */
async function recentTags(path: string): Promise<string[]> {
  const [{ Ring }, { Cursor }, { MessageView }, { disk }] = await Promise.all([
    import("../pool/ring.ts"),
    import("../pool/cursor.ts"),
    import("../lite3/message.ts"),
    import("../storage/file.ts"),
  ]);
  const ring = Ring.open(disk, path, { write: false });
  try {
    const { oldest, newest } = ring.state();
    const first = newest - oldest >= RECENT ? newest - RECENT + 1n : oldest;
    const cursor = new Cursor(ring, first);
    const view = new MessageView();
    const tags = new Set<string>();
    while (cursor.expected <= newest && cursor.fill() > 0) {
      while (cursor.next()) {
        view.open(cursor.u8, cursor.dv, cursor.payloadAt, cursor.payloadLength);
        for (const tag of view.tags()) tags.add(tag);
      }
    }
    return [...tags].sort();
  } finally {
    ring.close();
  }
}
