/**
 * Advice about a pool that does not exist: the exact command that would work
 * (docs/spec/command-line.md 1.8). Loaded only if a pool is missing.
 *
 * @module
 */

import type { PoolRef } from "../backend/resolve.ts";
import { isPathRef, poolFiles, poolName } from "../backend/refs.ts";
import { PlasmiteError } from "../errors.ts";
import { standardInput } from "../stdio.ts";
import { unsafeIn } from "../visible.ts";
import { again, related } from "./command_line.ts";
import type { CommandContext } from "./context.ts";
import { changesPool, closestName, token } from "./words.ts";

/** A pool that was not found. */
export type MissingPool = Pick<PoolRef, "ref" | "name" | "isRemote" | "creation">;

/**
 * Adds the hint for a missing pool to a NotFound error of opening `ref`; other errors are returned
 * unchanged.
 *
 * @example
 * ```ts ignore
 * try { pool = await backend.open(ref.name); }
 * catch (error) { throw (await import("./missing.ts")).explainMissing(error, context, ref); }
 * ```
 */
export function explainMissing(error: unknown, context: CommandContext, ref: MissingPool): unknown {
  if (!(error instanceof PlasmiteError) || error.kindName !== "NotFound") return error;
  return new PlasmiteError("NotFound", error.message, {
    hint: missingHint(context, ref),
    path: error.path,
    causes: error.causes,
    cause: error.cause,
  });
}

/** Only the hint; undefined if there is none. */
export function missingHint(context: CommandContext, ref: MissingPool): string | undefined {
  const command = context.name;
  if (ref.creation === "sized") {
    const create = related(context, "pool create", ref.ref, ["--size", "64M"], "end");
    return `Stream not found on the server. Create it with \`${create}\`.`;
  }
  if (ref.isRemote) {
    return `Pool path not found on the server. Create it there: plasmite pool create ` +
      `${token(ref.name)} (with the server's --dir).`;
  }
  if (isPathRef(ref.ref)) {
    return command === "doctor"
      ? undefined
      : "Pool path not found. Check the path, or use a bare name with --dir.";
  }
  return (tip(context, ref) + otherwise(context, ref)).trim() || undefined;
}

/**
 * Suggests a similar name and the command with it; not for commands that change the pool.
 */
function tip(context: CommandContext, ref: MissingPool): string {
  const meant = nearestPool(ref.ref, context.dir);
  if (meant === undefined) return "";
  const question = `Did you mean '${meant}'? `;
  if (changesPool(context.name) || context.args.has("repair")) return question;
  return `${question}Run \`${again(context, { pool: meant })}\`. `;
}

/** Commands that make sense only for an existing pool. */
const EXISTING: ReadonlySet<string> = new Set([
  "doctor",
  "pool delete",
  "pool trim",
  "pool set",
  "cursor list",
  "cursor set",
  "cursor delete",
  "renew",
  "release",
]);

/** Advice without a similar name: create the pool, or look elsewhere. */
function otherwise(context: CommandContext, ref: MissingPool): string {
  const command = context.name;
  const isSource = command === "copy" && ref.ref === context.args.text("FROM");
  // Do not suggest creating a pool whose name would be refused.
  if (EXISTING.has(command) || isSource || unsafeIn(ref.ref) !== undefined) {
    return `List the pools with \`${
      related(context, "pool list")
    }\`, or look elsewhere with --dir.`;
  }
  const create = related(context, "pool create", ref.ref);
  if (!context.at.at(-1)?.flags?.some(({ name }) => name === "create")) {
    return `Create it with \`${create}\`, or look elsewhere with --dir.`;
  }
  const piped = command === "tap" || command === "import" ||
    (command === "feed" && !context.args.has("DATA") && !context.args.has("file") &&
      !standardInput.isTerminal);
  if (piped) return `Add --create to create it, or run \`${create}\` first.`;
  const exact = again(context, { add: ["--create"] });
  return `To create it, the exact command is: ${exact} (or first: ${create})`;
}

/** The pool of the directory whose name differs from `name` by a typing mistake. */
function nearestPool(name: string, dir: string): string | undefined {
  try {
    return closestName(poolName(name), poolFiles(dir).map(poolName));
  } catch {
    return undefined; // The directory cannot be read.
  }
}
