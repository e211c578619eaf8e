/**
 * Makes `console.assert` throw, for the run of the documentation examples (`deno task test`): it
 * only prints by itself, so that an example whose claim is wrong would pass.
 *
 * @module
 */

// deno-lint-ignore no-console
console.assert = (condition?: boolean, ...data: unknown[]): void => {
  if (!condition) throw new Error(["Assertion failed", ...data].join(" "));
};
