/**
 * Tokens in files: `--token-file`, `--mount-token-file`.
 *
 * @module
 */

import { messageOf, PlasmiteError } from "../errors.ts";

/**
 * Reads a token.
 *
 * @param option the option that names the file
 * @param advice what to do about an empty file
 * @throws {PlasmiteError} Usage for a file that cannot be read or is empty
 */
export function readTokenFile(path: string, option: string, advice: string): string {
  let text: string;
  try {
    text = Deno.readTextFileSync(path).trim();
  } catch (error) {
    throw new PlasmiteError("Usage", "failed to read token file", {
      hint: `Check the path of --${option} and its permissions.`,
      path,
      causes: [messageOf(error)],
      cause: error,
    });
  }
  if (text !== "") return text;
  throw new PlasmiteError("Usage", "token file is empty", { path, hint: advice });
}
