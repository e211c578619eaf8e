/**
 * `--id-from EXPR` of `feed` and `import`: the id of a message from its content
 * (docs/spec/coordination.md 4).
 *
 * @module
 */

import { checkKey } from "../coordination/names.ts";
import { PlasmiteError } from "../errors.ts";
import { compileTextOf, type TextOf } from "../filter/text_of.ts";

/**
 * Compiles the expression.
 *
 * @returns a function that throws Usage, with the topic `id`, where the result is no id
 * @throws {PlasmiteError} Usage
 */
export async function idFrom(expression: string): Promise<TextOf> {
  const textOf = await compileTextOf(expression);
  return (message, isCopy) => {
    try {
      return checkKey(textOf(message, isCopy), "id");
    } catch (error) {
      throw PlasmiteError.is(error) ? error.with({ topic: "id" }) : error;
    }
  };
}
