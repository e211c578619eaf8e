/**
 * Filters that take long.
 *
 * @module
 */

import { compileWhere, type Where } from "../../lib/filter/where.ts";

/** A condition on the stored bytes that takes this long for each message, in milliseconds. */
export async function slowWhere(expression: string, ms: number): Promise<Where> {
  const native = await compileWhere(expression);
  return {
    ...native,
    expression,
    isNative: true,
    batch: () => native.batch(),
    matches: (view) => {
      const until = performance.now() + ms;
      while (performance.now() < until);
      return native.matches(view);
    },
  };
}
