/**
 * Converts operating system errors to {@linkcode PlasmiteError}.
 *
 * @module
 */

import { refusedByDeno } from "../environment.ts";
import { type ErrorContext, type ErrorKindName, messageOf, PlasmiteError } from "../errors.ts";

/** What to do about a file where a directory is expected. */
export const NOT_A_DIRECTORY = {
  hint: "There is a file where the directory should be; use another directory.",
  topic: "directory",
} as const;

/** "No such file or directory (os error 2): open '/x'" -> without the call at the end. */
function plainCause(error: unknown): string {
  const text = messageOf(error);
  return text.replace(/: (?:[a-z_]+) '.*$/s, "").replace(/^failed to [^:]*: /, "");
}

/** Whether the error has one of these operating system error numbers. */
export function isOsError(error: unknown, ...numbers: readonly number[]): boolean {
  const number = /\(os error (\d+)\)/.exec(messageOf(error))?.[1];
  return number !== undefined && numbers.includes(Number(number));
}

function kindOf(error: unknown): ErrorKindName {
  if (error instanceof Deno.errors.NotFound) return "NotFound";
  if (error instanceof Deno.errors.AlreadyExists) return "AlreadyExists";
  if (error instanceof Deno.errors.PermissionDenied) return "Permission";
  return "Io";
}

/** The system's numbers of what can be wrong with a disk. */
const DISK = Deno.build.os === "windows"
  ? { full: 112, quota: 1295, large: 223, readOnly: 19 }
  : { full: 28, quota: Deno.build.os === "linux" ? 122 : 69, large: 27, readOnly: 30 };

/** Whether the file system is mounted read-only. */
export function isReadOnlyDisk(error: unknown): boolean {
  return isOsError(error, DISK.readOnly);
}

/** The hint for a write that failed because the disk takes no more data. */
function diskHint(error: unknown): string | undefined {
  if (isOsError(error, DISK.full)) return "The disk is full: make room, then try again.";
  if (isOsError(error, DISK.quota)) return "The disk quota is used up: make room, then try again.";
  if (isOsError(error, DISK.large)) {
    return "The file would be larger than this process or file system allows (see `ulimit -f`).";
  }
  if (isReadOnlyDisk(error)) {
    return "The file system is mounted read-only: mount it writable, or use another directory.";
  }
  return undefined;
}

/** What to do about an error of the system; nothing where its message says it. */
function adviceFor(error: unknown): ErrorContext {
  if (error instanceof Deno.errors.NotADirectory) return NOT_A_DIRECTORY;
  const hint = diskHint(error);
  return hint === undefined ? {} : { hint };
}

const MESSAGES: Partial<Record<ErrorKindName, string>> = {
  NotFound: "not found",
  AlreadyExists: "already exists",
  Permission: "permission denied",
  Io: "i/o error",
};

/** The error for a failed call on `path`; one of ours passes unchanged. */
export function osError(error: unknown, context: ErrorContext, message?: string): PlasmiteError {
  if (error instanceof PlasmiteError) return error;
  const refused = refusedByDeno(error, message, { ...context, causes: [plainCause(error)] });
  if (refused !== undefined) return refused;
  const kind = kindOf(error);
  return new PlasmiteError(kind, message ?? MESSAGES[kind] ?? "i/o error", {
    ...context,
    ...(context.hint === undefined ? adviceFor(error) : {}),
    causes: [plainCause(error)],
    cause: error,
  });
}
