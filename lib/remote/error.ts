/**
 * What a server or the way to it reports, in the library's own error kinds
 * (docs/spec/command-line.md 9, docs/spec/http-api.md 10).
 *
 * @module
 */

import { type ErrorContext, ErrorKind, type ErrorKindName, PlasmiteError } from "../errors.ts";

/** An error of a remote pool. `status` is the HTTP status, 0 when no answer came. */
export class RemoteError extends PlasmiteError {
  /** The HTTP status; 0 for a failure of the connection, 200 for one told inside a stream. */
  readonly status: number;
  /** Whether it is certain that the server did nothing with the request. */
  readonly unsent: boolean;

  /** Makes an error with an HTTP status. */
  constructor(
    status: number,
    kind: ErrorKindName,
    message: string,
    context: ErrorContext & { readonly unsent?: boolean } = {},
  ) {
    super(kind, message, context);
    this.name = "RemoteError";
    this.status = status;
    this.unsent = context.unsent ?? false;
  }

  /** The same error with more context; what it already says is kept. */
  override with(context: ErrorContext): RemoteError {
    return new RemoteError(this.status, this.kindName, this.message, {
      hint: this.hint ?? context.hint,
      path: this.path ?? context.path,
      seq: this.seq ?? context.seq,
      offset: this.offset ?? context.offset,
      causes: this.causes ?? context.causes,
      cause: this.cause ?? context.cause,
      unsent: this.unsent,
    });
  }
}

/** Whether the same request may succeed later: no connection, too much at once, a server in trouble. */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof RemoteError)) return false;
  const { status } = error;
  if (status === 0 || status === 408 || status === 423 || status === 429) return true;
  return status >= 500 && error.kind !== ErrorKind.Corrupt;
}

/** The kind that a bare status stands for. */
function kindOf(status: number): ErrorKindName {
  switch (status) {
    case 400:
    case 413:
      return "Usage";
    case 401:
    case 403:
      return "Permission";
    case 404:
      return "NotFound";
    case 409:
      return "AlreadyExists";
    case 410:
      return "RetentionGap";
    case 423:
      return "Busy";
    default:
      return status >= 500 ? "Internal" : "Io";
  }
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function integer(value: unknown): bigint | undefined {
  if (typeof value === "bigint") return value;
  return typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : undefined;
}

/**
 * The error in an envelope that was parsed, or null when it is none.
 *
 * @param path what the error is about: the pool's name; paths of the server mean nothing here
 */
export function envelopeError(
  status: number,
  value: unknown,
  path: string | undefined,
): RemoteError | null {
  if (value === null || typeof value !== "object" || !("error" in value)) return null;
  const { error } = value;
  if (error === null || typeof error !== "object") return null;
  const fields = error as { readonly [key: string]: unknown };
  const name = text(fields["kind"]);
  if (name === undefined) return null;
  const line = integer(fields["line"]);
  return new RemoteError(
    status,
    Object.hasOwn(ErrorKind, name) ? name as ErrorKindName : "Io",
    text(fields["message"]) ?? "error",
    {
      hint: text(fields["hint"]),
      path: path ?? text(fields["path"]),
      seq: integer(fields["seq"]),
      offset: integer(fields["offset"]),
      causes: line === undefined ? [] : [`line ${line}`],
    },
  );
}

/** The error of an answer without an envelope. */
export function statusError(status: number, path: string | undefined): RemoteError {
  const hint = status >= 300 && status < 400
    ? "The server redirects, which is never followed. Use the final address."
    : undefined;
  return new RemoteError(status, kindOf(status), `remote error status ${status}`, { path, hint });
}

/** What an exception and its causes say, outermost first. */
function messages(error: unknown): string[] {
  const found: string[] = [];
  for (let at = error; at instanceof Error && found.length < 4; at = at.cause) {
    if (at.message !== "" && at.message !== "fetch failed") found.push(at.message);
  }
  return found.length > 0 ? found : [String(error)];
}

/** Failures before a byte of the request went out, by the names that Node and Deno give them. */
const NEVER_SENT =
  /client error \(Connect\)|ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|CERT|certificate/;

/** A failure of the connection. */
export function transportError(
  cause: unknown,
  path: string | undefined,
  message = "request failed",
): RemoteError {
  const causes = messages(cause);
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  return new RemoteError(0, "Io", message, {
    path,
    hint: "Check the address, that the server is running, and the certificate (--tls-ca).",
    causes,
    cause,
    unsent: NEVER_SENT.test(`${code} ${causes.join(" ")}`),
  });
}

/** An answer that makes no sense. */
export function unreadable(pool: string | undefined): RemoteError {
  return new RemoteError(200, "Internal", "unexpected answer of the server", {
    path: pool,
    hint: "Check that the address is that of a Plasmite server.",
  });
}
