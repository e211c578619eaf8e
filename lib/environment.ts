/**
 * What this process was given by whoever started it: permissions, environment variables, a working
 * directory. Each may be missing, forbidden or not UTF-8. Nothing here prompts but
 * {@linkcode environmentVariable}.
 *
 * @module
 */

import { PlasmiteError } from "./errors.ts";

/** Whether a permission is granted in full; never prompts. */
export function isGranted(descriptor: Deno.PermissionDescriptor): boolean {
  try {
    const status = Deno.permissions.querySync(descriptor);
    return status.state === "granted" && !status.partial;
  } catch {
    return false; // A kind of permission that this runtime does not know.
  }
}

const EVERYTHING: readonly Deno.PermissionDescriptor[] = [
  { name: "read" },
  { name: "write" },
  { name: "net" },
  { name: "env" },
  { name: "sys" },
  { name: "run" },
  { name: "ffi" },
  { name: "import" },
];

let everything: boolean | undefined;

/**
 * Whether all permissions are granted. `/proc` and `/dev` need that: asked for with less, they
 * would prompt on a terminal.
 */
export function hasEveryPermission(): boolean {
  return everything ??= EVERYTHING.every(isGranted);
}

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
