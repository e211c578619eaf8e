/**
 * The process environment: permissions, environment variables, the working directory. Each may be
 * missing, forbidden or not UTF-8. Only {@linkcode environmentVariable} may prompt.
 *
 * @module
 */

import { type ErrorContext, messageOf, PlasmiteError } from "./errors.ts";

/** Whether a permission is granted in full; never prompts. */
export function isGranted(descriptor: Deno.PermissionDescriptor): boolean {
  try {
    const status = Deno.permissions.querySync(descriptor);
    return status.state === "granted" && !status.partial;
  } catch {
    return false; // A permission that this runtime does not know.
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

/**
 * Whether all permissions are granted. `/proc` and `/dev` need that: with fewer, accessing them
 * would prompt on a terminal.
 */
export function hasEveryPermission(): boolean {
  return EVERYTHING.every(isGranted);
}

/**
 * Whether files in `/proc` and `/dev` may be tried: with every permission, or where Deno cannot
 * prompt, because it is not on a terminal, and refuses at once. The queries cost a good part of a
 * millisecond in a process that has just started.
 */
export function mayTrySystemFiles(): boolean {
  return !Deno.stdin.isTerminal() || !Deno.stderr.isTerminal() || hasEveryPermission();
}

/** How far the causes of an exception are followed. */
const DEPTH = 5;

/**
 * The flag of the missing Deno permission, such as `--allow-read`, if an exception or one of its
 * causes names one. Errors of the operating system do not.
 */
export function missingFlag(error: unknown): string | undefined {
  let at = error;
  for (let i = 0; i < DEPTH && at instanceof Error; i++, at = at.cause) {
    // A module that may not be read is a TypeError.
    if (!(at instanceof Deno.errors.NotCapable) && !at.message.startsWith("Requires ")) continue;
    const flags = at.message.match(/--allow-[a-z]+/g);
    if (flags !== null) return flags.at(-1);
  }
  return undefined;
}

/** The error for a missing Deno permission; undefined if `error` is anything else. */
export function refusedByDeno(
  error: unknown,
  message = "permission denied",
  context: ErrorContext = {},
): PlasmiteError | undefined {
  const flag = missingFlag(error);
  if (flag === undefined) return undefined;
  return new PlasmiteError("Permission", `${message}: ${flag} is missing`, {
    ...context,
    hint: Deno.build.standalone
      ? `This executable was built without ${flag}; use one that was built with it.`
      : flag === "--allow-all"
      ? "Start it with -A."
      : `Start it with ${flag}, or with -A.`,
    causes: context.causes ?? [messageOf(error)],
    cause: error,
  });
}

/**
 * The value of a variable that affects behaviour; undefined if it is not set.
 *
 * @throws {PlasmiteError} Usage when it is not UTF-8, because Deno cannot return such a value
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

/** The value of a variable that only affects output; never prompts and never throws. */
export function optionalVariable(name: string): string | undefined {
  if (!isGranted({ name: "env", variable: name })) return undefined;
  try {
    return Deno.env.get(name);
  } catch {
    return "\ufffd"; // Set, but not UTF-8.
  }
}

/** The working directory, to shorten or complete displayed paths; never prompts. */
export function workingDirectory(): string | undefined {
  if (!isGranted({ name: "read", path: "." })) return undefined;
  try {
    return Deno.cwd();
  } catch {
    return undefined; // Removed, or not UTF-8.
  }
}

/** The line of `/proc/self/limits` for a soft limit that is none; its columns have fixed widths. */
const UNLIMITED = `\n${"Max file size".padEnd(25)} unlimited `;

/** Whether file size is unlimited, as far as can be determined without a prompt. */
function filesMayGrow(): boolean {
  if (Deno.build.os === "windows") return true;
  if (Deno.build.os !== "linux" || !mayTrySystemFiles()) return false;
  try {
    return Deno.readTextFileSync("/proc/self/limits").includes(UNLIMITED);
  } catch {
    return false; // There is no /proc, or it may not be read.
  }
}

let heeded = false;

/**
 * Makes a write beyond the limit of `ulimit -f` fail like one to a full disk; by default the system
 * kills the process. For programs only: a library should not touch signals.
 */
export function outliveFileSizeLimit(): void {
  if (heeded) return;
  heeded = true;
  // Listening costs a millisecond or two, so do it only if there is a limit.
  if (!filesMayGrow()) Deno.addSignalListener("SIGXFSZ", () => {});
}
