/**
 * Commands that work on local pools only.
 *
 * @module
 */

import { isNats, isUrl } from "../backend/refs.ts";
import { PlasmiteError } from "../errors.ts";
import type { CommandContext } from "./context.ts";
import { token } from "./words.ts";

/** Refuses URLs: throws Usage "… accepts local pool names or paths only". */
export function refuseUrl(context: CommandContext, ref: string): void {
  if (!isUrl(ref)) return;
  const { name: command } = context;
  if (command === "doctor" && isNats(ref)) {
    throw new PlasmiteError("Usage", "doctor checks local pool files", {
      hint: "The servers keep the messages of a stream; `plasmite pool info` tells its state.",
    });
  }
  const name = ref.slice(ref.lastIndexOf("/") + 1);
  // A pool of that name on this machine is another one: no command that deletes it.
  const line = command === "pool delete" || name === ""
    ? "."
    : `: \`plasmite ${command} ${token(name)}\`.`;
  throw new PlasmiteError("Usage", `${command} accepts local pool names or paths only`, {
    hint: `Use a pool name or a path, on the machine that has the pool${line}`,
  });
}
