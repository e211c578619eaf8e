/**
 * Errors as responses: a status and an envelope, without local paths (docs/spec/http-api.md 1).
 *
 * @module
 */

import { missingFlag, refusedByDeno } from "../lib/environment.ts";
import {
  DOCUMENT_FIELDS,
  type ErrorContext,
  ErrorKind,
  type ErrorKindName,
  PlasmiteError,
} from "../lib/errors.ts";
import { isForCommandLine } from "../lib/hints.ts";
import { type HeaderPairs, JSON_HEADERS } from "./headers.ts";

/** The status of each kind; a refusal by the operating system is 403, never 401. */
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

/** An error with its own status or headers. */
export class HttpError extends PlasmiteError {
  /** The status to answer with. */
  readonly status: number;
  /** Further headers. */
  readonly headers: HeaderPairs;
  /** The line of the body that is wrong, from 1; batch append only. */
  readonly line: number | undefined;
  /** The JSON to answer with, where a protocol wants another than the envelope; else null. */
  readonly body: string | null = null;

  /** Makes an error for the client. */
  constructor(
    status: number,
    kind: ErrorKindName,
    message: string,
    context: Pick<ErrorContext, "hint" | "path" | "seq" | "details" | "suggestion"> & {
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

/** An invalid request: 400 `Usage`. */
export function bad(message: string, hint: string): HttpError {
  return new HttpError(400, "Usage", message, { hint });
}

/**
 * The error for a time above the limit of the server. Clients of 1.x compare this text
 * (docs/spec/http-api.md 14).
 */
export function tooLong(limit: number): HttpError {
  return bad(
    "tail timeout exceeds server limit",
    `Use at most ${limit}. The operator of the server can raise --max-tail-timeout-ms.`,
  );
}

/** How long a call on the directory waits for a slot, in milliseconds. */
export const SLOT_WAIT = 1_000;

/** Too many requests at once: 423. */
export function busy(message: string): HttpError {
  return new HttpError(423, "Busy", message, {
    hint: "Try again in a second. The operator of the server can raise --max-tail-concurrency.",
  });
}

/** The server is stopping: 503. */
export function stopping(): HttpError {
  return new HttpError(503, "Busy", "server is stopping", {
    hint: "Try again in a moment.",
    headers: [["retry-after", "1"], ["connection", "close"]],
  });
}

/** No slot for the directory became free in time. */
export function saturated(): HttpError {
  return busy("server storage executor is saturated");
}

/** The status for any exception. */
function statusOf(error: unknown): number {
  if (error instanceof HttpError) return error.status;
  if (PlasmiteError.is(error)) return STATUS[error.kindName];
  return missingFlag(error) === undefined ? 500 : STATUS.Permission;
}

/** The last component of a path; clients may not see the rest. */
function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

const DAMAGED =
  "The operator of the server can check the pool with `plasmite doctor`, and mend it with " +
  "`plasmite doctor --repair`.";

/** The advice, worded for HTTP clients. */
function hintOf(error: PlasmiteError): string | undefined {
  const { hint, kindName, topic, details: { needed, capacity } } = error;
  if (typeof needed === "bigint" && typeof capacity === "bigint") {
    return `This message takes ${needed} bytes and the pool holds ${capacity} at most. ` +
      "Split the message, or make a larger pool (size_bytes).";
  }
  if (topic === "damage" || topic === "repair") return DAMAGED;
  if (error instanceof HttpError || hint === undefined) return hint;
  // Advice about flags, commands and files of the server does not help a client.
  if (!isForCommandLine(hint) && !hint.includes("/")) return hint;
  switch (kindName) {
    case "Corrupt":
      return DAMAGED;
    case "Permission":
      return "The operator of the server has to allow it access to its files.";
    default:
      return undefined;
  }
}

/** The envelope as JSON text; it reveals nothing about unexpected exceptions. */
export function errorJson(thrown: unknown): string {
  const error = PlasmiteError.is(thrown) ? thrown : refusedByDeno(thrown);
  if (!PlasmiteError.is(error)) {
    return '{"error":{"kind":"Internal","message":"internal error"}}';
  }
  const { path, seq, offset } = error;
  const parts: string[] = [];
  const put = (name: string, value: string | bigint | number | null | undefined): void => {
    if (value === undefined) return;
    const text = typeof value === "string" ? JSON.stringify(value) : `${value}`;
    parts.push(`${JSON.stringify(name)}:${text}`);
  };
  put("kind", error.kindName);
  put("message", error.message);
  put("hint", hintOf(error));
  put("path", path === undefined ? path : baseName(path));
  put("seq", seq ?? error.details["seq"]);
  put("offset", offset);
  put("line", error instanceof HttpError ? error.line : undefined);
  if (error.suggestion !== undefined) {
    const { expression, why } = error.suggestion;
    parts.push(`"suggestion":${JSON.stringify({ expression, why })}`);
  }
  for (const [name, value] of Object.entries(error.details)) {
    if (!DOCUMENT_FIELDS.includes(name)) put(name, value);
  }
  return `{"error":{${parts.join(",")}}}`;
}

/** The response for any exception. */
export function errorResponse(error: unknown): Response {
  const status = statusOf(error);
  const headers = [...JSON_HEADERS, ...(error instanceof HttpError ? error.headers : [])];
  if (status === STATUS.Busy) headers.push(["retry-after", "1"]);
  const own = error instanceof HttpError ? error.body : null;
  return new Response(own ?? errorJson(error), { status, headers });
}

/** Whether an error is a bug, rather than caused by the client or the state of a pool. */
export function isServerFault(error: unknown): boolean {
  return PlasmiteError.is(error)
    ? error.kind === ErrorKind.Internal
    : missingFlag(error) === undefined;
}
