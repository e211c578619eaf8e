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
