/**
 * Environment variables and the working directory, which may be missing, forbidden or not UTF-8.
 *
 * @module
 */

import { PlasmiteError } from "./errors.ts";
import { isGranted } from "./permissions.ts";

/**
 * The value of a variable that decides what is done; undefined when it is not set.
 *
 * @throws {PlasmiteError} Usage when it is not UTF-8, for then Deno cannot say what it names
 * @throws {Deno.errors.NotCapable} without the permission to read it
 */
export function environmentVariable(name: string): string | undefined {
  try {
    return Deno.env.get(name);
  } catch (error) {
    if (!(error instanceof Deno.errors.InvalidData)) throw error;
    throw new PlasmiteError("Usage", `environment variable ${name} is not UTF-8`, {
      hint: `Only UTF-8 can be passed on. Set ${name} to another value.`,
      cause: error,
    });
  }
}

/** The value of a variable that only shapes what is shown; never prompts and never throws. */
export function optionalVariable(name: string): string | undefined {
  if (!isGranted({ name: "env", variable: name })) return undefined;
  try {
    return Deno.env.get(name);
  } catch {
    return "\ufffd"; // Set, and not UTF-8.
  }
}

/** The working directory, to shorten or to complete paths that are shown; never prompts. */
export function workingDirectory(): string | undefined {
  if (!isGranted({ name: "read", path: "." })) return undefined;
  try {
    return Deno.cwd();
  } catch {
    return undefined; // Removed, or not UTF-8.
  }
}
