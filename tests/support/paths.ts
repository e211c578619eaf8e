/**
 * Where the checkout is, as paths: its folder may have blanks, `%` or quotes in its name.
 *
 * @module
 */

import { fileURLToPath } from "node:url";

/** The path of a file of the checkout, given relative to its root. */
export function inCheckout(file: string): string {
  return fileURLToPath(new URL(`../../${file}`, import.meta.url));
}

/** The checkout's root, with a slash at its end. */
export const ROOT: string = inCheckout("");

/** The program. */
export const CLI: string = inCheckout("cli.ts");
