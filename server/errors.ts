/**
 * What a failure looks like on the wire: a status, an envelope, and nothing about local paths
 * (docs/spec/http-api.md 1).
 *
 * @module
 */

import { missingFlag, refusedByDeno } from "../lib/environment.ts";
import { ErrorKind, type ErrorKindName, PlasmiteError } from "../lib/errors.ts";
import { type HeaderPairs, JSON_HEADERS } from "./headers.ts";

/** The status of each kind; what an operating system refuses is 403, never 401. */
const STATUS: Readonly<Record<ErrorKindName, number>> = {
  Internal: 500,
  Usage: 400,
  NotFound: 404,
  AlreadyExists: 409,
  Busy: 423,
  Permission: 403,
  Corrupt: 500,
  Io: 500,
  RetentionGap: 410,
  Conflict: 409,
};

/** An error that has a status or headers of its own. */
export class HttpError extends PlasmiteError {
  /** The status to answer with. */
  readonly status: number;
  /** Further headers. */
  readonly headers: HeaderPairs;
  /** The line of the body that is wrong, from 1; batch append only. */
  readonly line: number | undefined;

  /** Makes an error for the client. */
  constructor(
    status: number,
    kind: ErrorKindName,
    message: string,
    context: {
      readonly hint?: string;
      readonly path?: string;
      readonly seq?: bigint;
      readonly headers?: HeaderPairs;
      readonly line?: number;
    } = {},
  ) {
    const { headers, line, ...rest } = context;
    super(kind, message, rest);
    this.status = status;
    this.headers = headers ?? [];
    this.line = line;
  }
}

/** A request that is wrong: 400 `Usage`. */
export function bad(message: string, hint: string): HttpError {
  return new HttpError(400, "Usage", message, { hint });
}

/** Too much at once: 423 with a pause to make. */
export function busy(message: string): HttpError {
  return new HttpError(423, "Busy", message, {
    hint: "Try again in a second, or raise --max-tail-concurrency.",
    headers: [["retry-after", "1"]],
  });
}

/** The status for any exception. */
function statusOf(error: unknown): number {
  if (error instanceof HttpError) return error.status;
  if (PlasmiteError.is(error)) return STATUS[error.kindName];
  return missingFlag(error) === undefined ? 500 : STATUS.Permission;
}

/** The last component: all that a client may know of a path. */
function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** The envelope as JSON text. Of exceptions that are not ours nothing is told. */
export function errorJson(thrown: unknown): string {
  const error = PlasmiteError.is(thrown) ? thrown : refusedByDeno(thrown);
  if (!PlasmiteError.is(error)) {
    return '{"error":{"kind":"Internal","message":"internal error"}}';
  }
  const parts = [`"kind":"${error.kindName}"`, `"message":${JSON.stringify(error.message)}`];
  // Hints of the library may name files; those of the server never do.
  if (error.hint !== undefined && (error instanceof HttpError || !error.hint.includes("/"))) {
    parts.push(`"hint":${JSON.stringify(error.hint)}`);
  }
  if (error.path !== undefined) parts.push(`"path":${JSON.stringify(baseName(error.path))}`);
  if (error.seq !== undefined) parts.push(`"seq":${error.seq}`);
  if (error.offset !== undefined) parts.push(`"offset":${error.offset}`);
  if (error instanceof HttpError && error.line !== undefined) parts.push(`"line":${error.line}`);
  return `{"error":{${parts.join(",")}}}`;
}

/** The answer for any exception. */
export function errorResponse(error: unknown): Response {
  const more = error instanceof HttpError ? error.headers : [];
  return new Response(errorJson(error), {
    status: statusOf(error),
    headers: more.length === 0 ? JSON_HEADERS : [...JSON_HEADERS, ...more],
  });
}

/** Whether it is a bug of ours: all else is what a client did wrong or what a pool's state is. */
export function isServerFault(error: unknown): boolean {
  return PlasmiteError.is(error)
    ? error.kind === ErrorKind.Internal
    : missingFlag(error) === undefined;
}
