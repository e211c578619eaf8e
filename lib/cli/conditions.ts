/**
 * Conditions on messages as the command line gives them: `--where`, `--having`.
 *
 * @module
 */

import type { Where } from "../filter/where.ts";
import type { CommandContext } from "./context.ts";

/**
 * Compiles every value of an option, in order; what that needs is loaded only if there is one.
 *
 * @throws {PlasmiteError} Usage
 */
export async function conditions(context: CommandContext, option = "where"): Promise<Where[]> {
  if (!context.args.has(option)) return [];
  const { compileWhere } = await import("../filter/where.ts");
  const where: Where[] = [];
  for (const expression of context.args.texts(option)) where.push(await compileWhere(expression));
  return where;
}

/** A filter that no message can match, and why; undefined if there is none. */
export async function hopelessOf(
  { args }: CommandContext,
): Promise<{ readonly expression: string; readonly why: string } | undefined> {
  if (!args.has("where")) return undefined;
  const { whyHopeless } = await import("../filter/refusal.ts");
  for (const expression of args.texts("where")) {
    const why = whyHopeless(expression);
    if (why !== undefined) return { expression, why };
  }
  return undefined;
}

/**
 * Tells of a filter that no message can match, which would be waited for in silence. Call it when
 * the pool is open: what is wrong with that is an error, and alone on stderr.
 */
export async function noticeHopeless(context: CommandContext): Promise<void> {
  const found = context.args.has("quiet-drops") ? undefined : await hopelessOf(context);
  if (found === undefined) return;
  const { expression, why } = found;
  const { printNotice } = await import("./notices.ts");
  printNotice(context, {
    kind: "filter",
    message: `The filter '${expression}' matches no message: ${why}`,
    pool: context.args.required("POOL"),
    details: { where: expression },
  });
}
