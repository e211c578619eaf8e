/**
 * Converts errors of the server and the connection to the library's error kinds
 * (docs/spec/command-line.md 9, docs/spec/http-api.md 10).
 *
 * @module
 */

import { refusedByDeno } from "../../environment.ts";
import {
  DOCUMENT_FIELDS,
  type ErrorContext,
  type ErrorDetails,
  ErrorKind,
  type ErrorKindName,
  PlasmiteError,
  type Suggestion,
} from "../../errors.ts";
import { ConnectFailure, WrongCertificate, WrongScheme } from "./socket.ts";

/** What a request changes on the server, phrased for errors with an unknown outcome. */
export interface Effect {
  /** `append` */
  readonly name: string;
  /** `it may have been stored` */
  readonly doubt: string;
  /** What to do before sending it again, as one sentence. */
  readonly hint: string;
}

/** The additional context of a remote error. */
interface RemoteErrorContext extends ErrorContext {
  /** See {@linkcode RemoteError.unsent}. */
  readonly unsent?: boolean;
  /** See {@linkcode RemoteError.outcomeUnknown}. */
  readonly outcomeUnknown?: boolean;
}

/** Replacement wording for an error. */
interface Words {
  readonly kind?: ErrorKindName;
  readonly message?: string;
  readonly hint?: string;
  readonly outcomeUnknown?: boolean;
  readonly topic?: string;
}

/**
 * An error of a remote pool.
 *
 * @example Tell whether a failed append may have been stored
 * ```ts
 * import { connect, RemoteError } from "@plasmite/core";
 *
 * await using pool = connect("http://127.0.0.1:1/demo"); // Nothing listens there.
 * try {
 *   await pool.append({ n: 1 });
 * } catch (error) {
 *   if (!(error instanceof RemoteError)) throw error;
 *   console.assert(error.status === 0 && !error.outcomeUnknown); // It is safe to retry.
 * }
 * ```
 */
export class RemoteError extends PlasmiteError {
  /** The HTTP status; 0 for a connection failure, 200 for an error reported within a stream. */
  readonly status: number;
  /** Whether it is certain that the server did not process the request. */
  readonly unsent: boolean;
  /**
   * Whether the server may have processed the request although no response arrived: a message may
   * have been stored. Such a request is not retried, because it might be processed twice.
   */
  override readonly outcomeUnknown: boolean;

  /** Creates an error with an HTTP status. */
  constructor(
    status: number,
    kind: ErrorKindName,
    message: string,
    context: RemoteErrorContext = {},
  ) {
    super(kind, message, context);
    this.name = "RemoteError";
    this.status = status;
    this.unsent = context.unsent ?? false;
    this.outcomeUnknown = context.outcomeUnknown ?? false;
  }

  /**
   * A copy with a different context, kind or message.
   *
   * @internal
   */
  protected override copy(
    context: RemoteErrorContext,
    kind: ErrorKindName = this.kindName,
    message: string = this.message,
  ): RemoteError {
    const { status, unsent, outcomeUnknown } = this;
    return new RemoteError(status, kind, message, { unsent, outcomeUnknown, ...context });
  }

  /**
   * The same error with different wording.
   *
   * @internal
   */
  reworded({ kind, message, ...context }: Words): RemoteError {
    return this.copy({ ...this.context, ...context }, kind, message);
  }

  /** Whether the same call can be retried: the server did nothing, and may do it later. */
  override get isRepeatable(): boolean {
    if (this.outcomeUnknown || this.kind === ErrorKind.Permission) return false;
    return REPEATABLE.includes(this.status);
  }
}

/** Statuses for no connection, a held lock, a reached limit, or an unreachable server. */
const REPEATABLE: readonly number[] = [0, 423, 502, 503, 504];

/** The error of a request that may have taken effect. */
export function unanswered(error: RemoteError, { name, doubt, hint }: Effect): RemoteError {
  const what = error.status === 0 ? `No answer to the ${name}` : error.message;
  return error.reworded({
    kind: "Io",
    message: `${what}; ${doubt}`,
    hint,
    outcomeUnknown: true,
  });
}

/** Whether the same request may succeed later: no connection, overload, or a server failure. */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof RemoteError)) return false;
  if (error.cause instanceof WrongCertificate) return false;
  if (error.status === 0 && error.kind === ErrorKind.Permission) return false; // Denied by Deno.
  const { status } = error;
  if (status === 0 || status === 408 || status === 423 || status === 429) return true;
  return status >= 500 && error.kind !== ErrorKind.Corrupt;
}

/**
 * How long the next request may wait if the server refused this one because it would wait too long:
 * what the server says, or else half of the time.
 *
 * @param ms how long the refused request would have waited, in milliseconds
 * @returns null for any other error, and if there is nothing shorter to try
 */
export function shorterWait(error: unknown, ms: number): number | null {
  if (!PlasmiteError.is(error, ErrorKind.Usage) || ms <= 1) return null;
  if (error.message !== "tail timeout exceeds server limit") return null;
  const limit = Number(/\d+/.exec(error.hint ?? "")?.[0] ?? 0);
  return limit > 0 && limit < ms ? limit : ms >> 1;
}

/** The error kind of a status without an error document. */
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
      // A status of 502 or higher comes from a gateway in front of the server.
      return status === 500 || status === 501 ? "Internal" : "Io";
  }
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function integer(value: unknown): bigint | undefined {
  if (typeof value === "bigint") return value;
  return typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : undefined;
}

/** The details in an error document: its other members. */
function detailsOf(envelope: { readonly [key: string]: unknown }): ErrorDetails {
  const details: Record<string, string | bigint | null> = {};
  for (const [name, value] of Object.entries(envelope)) {
    if (DOCUMENT_FIELDS.includes(name)) continue;
    const fact = value === null ? null : text(value) ?? integer(value);
    if (fact !== undefined) details[name] = fact;
  }
  const seq = integer(envelope["seq"]);
  if (seq !== undefined && isFact(envelope)) details["seq"] = seq;
  return details;
}

/** The filter that a server suggests; undefined if there is none. */
function suggestionOf(value: unknown): Suggestion | undefined {
  if (value === null || typeof value !== "object") return undefined;
  const fields = value as { readonly [key: string]: unknown };
  const [expression, why] = [text(fields["expression"]), text(fields["why"])];
  return expression === undefined || why === undefined ? undefined : { expression, why };
}

/** Whether the error's number is a detail: a stored message, a task, or a cursor's position. */
function isFact(envelope: { readonly [key: string]: unknown }): boolean {
  return envelope["kind"] === "Conflict" || envelope["cursor"] !== undefined;
}

/**
 * The error in a parsed document; null if it is not an error document.
 *
 * @param path the name of the pool concerned; the server's paths are meaningless here
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
      seq: isFact(fields) ? undefined : integer(fields["seq"]),
      offset: integer(fields["offset"]),
      causes: line === undefined ? [] : [`line ${line}`],
      details: detailsOf(fields),
      suggestion: suggestionOf(fields["suggestion"]),
    },
  );
}

/** The response of web servers to plain HTTP on a TLS port. */
const WANTS_TLS = /\bhttps?\b[^<]*\b(?:https|ssl|tls)\b/i;

/**
 * The error of a response without an error document.
 *
 * @param text its body
 */
export function statusError(status: number, path: string | undefined, text = ""): RemoteError {
  const message = `remote error status ${status}`;
  return new RemoteError(status, kindOf(status), message, { path, hint: statusHint(status, text) });
}

function statusHint(status: number, text: string): string | undefined {
  if (status >= 300 && status < 400) {
    return "The server redirects, which is never followed. Use the final address.";
  }
  if (status === 400 && WANTS_TLS.test(text)) return "The port speaks TLS. Use https://.";
  if (status < 500) return undefined;
  return status < 502
    ? "The answer gives no reason. Check the log of the server, and that it is a Plasmite server."
    : "A gateway answered in place of the server. Check that the server behind it is running.";
}

/** The messages of an exception and its causes, outermost first. */
export function messages(error: unknown): string[] {
  const found: string[] = [];
  for (let at = error; at instanceof Error && found.length < 4; at = at.cause) {
    if (at.message !== "" && at.message !== "fetch failed") found.push(at.message);
  }
  return found.length > 0 ? found : [String(error)];
}

/** What to do about an untrusted certificate. */
const UNTRUSTED = {
  hint: "Check the certificate of the server, or name the one to trust (tls.caFile).",
  topic: "certificate",
};

/**
 * The error for a request without a token, certificate or access key, if that may be the cause
 * (docs/spec/sharing.md 1.6).
 */
export function anonymousError(error: RemoteError, { origin }: URL): RemoteError {
  const isUntrusted = error.topic === UNTRUSTED.topic;
  if (!isUntrusted && error.status !== 401) return error;
  return error.reworded({
    kind: "Permission",
    hint: `Save an access key for ${origin}, or give a token and the certificate to trust.`,
    topic: "access",
  });
}

/** The error for a request with an access key that the server no longer accepts. */
export function refusedKey(error: RemoteError, { origin }: URL): RemoteError {
  if (error.status !== 401) return error;
  return error.reworded({
    hint: `The access key for ${origin} was revoked or has expired: save a new one.`,
    topic: "access key",
  });
}

/** The messages of Deno and Node about untrusted certificates. */
const CERTIFICATE = /certificate|\bCERT|UnknownIssuer/;

/**
 * A failure of the connection.
 *
 * @param message what failed
 * @param base the server
 */
export function transportError(
  cause: unknown,
  path: string | undefined,
  { message = "request failed", base }: { readonly message?: string; readonly base: URL },
): RemoteError {
  if (cause instanceof WrongScheme) {
    const address = `${cause.wanted}://${base.host}`;
    return new RemoteError(0, "Io", message, {
      path,
      hint: `The server speaks ${
        cause.wanted === "https" ? "TLS" : "plain HTTP"
      } on this port. Use ${address}.`,
      causes: [cause.message],
      cause,
      unsent: true,
    });
  }
  const inner = cause instanceof ConnectFailure ? cause.cause : cause;
  const causes = messages(inner);
  if (inner instanceof WrongCertificate) {
    const context = { path, hint: inner.hint, topic: "access certificate", causes, cause: inner };
    return new RemoteError(0, "Io", message, { ...context, unsent: true });
  }
  const refused = refusedByDeno(inner, message, { path, causes });
  if (refused !== undefined) {
    return new RemoteError(0, "Permission", refused.message, {
      path,
      hint: refused.hint,
      causes,
      cause: inner,
      unsent: true,
    });
  }
  return new RemoteError(0, "Io", message, {
    path,
    ...(CERTIFICATE.test(causes.join(" ")) ? UNTRUSTED : {
      hint: "Check the address and that the server is running.",
    }),
    causes,
    cause: inner,
    unsent: cause instanceof ConnectFailure,
  });
}

/** The error for an invalid response. */
export function unreadable(pool: string | undefined): RemoteError {
  return new RemoteError(200, "Internal", "unexpected answer of the server", {
    path: pool,
    hint: "Check that the address is that of a Plasmite server.",
  });
}
