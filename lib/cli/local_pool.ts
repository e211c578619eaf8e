/**
 * The pools of commands that work on local ones only: by name or path.
 *
 * @module
 */

import { isUrl, localPool, type PoolRef } from "../backend/resolve.ts";
import { PlasmiteError } from "../errors.ts";
import type { CommandContext } from "./context.ts";
import { token } from "./words.ts";

/** What a name or path names. A URL throws Usage "… accepts local pool names or paths only". */
export function findLocalPool(context: CommandContext, ref: string): PoolRef {
  if (!isUrl(ref)) return localPool(ref, context);
  const { name: command } = context;
  const name = ref.slice(ref.lastIndexOf("/") + 1);
  // A pool of that name on this machine is another one: no command that deletes it.
  const line = command === "pool delete" || name === ""
    ? "."
    : `: \`plasmite ${command} ${token(name)}\`.`;
  throw new PlasmiteError("Usage", `${command} accepts local pool names or paths only`, {
    hint: `Use a pool name or a path, on the machine that has the pool${line}`,
  });
}
