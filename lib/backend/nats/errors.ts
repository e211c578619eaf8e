/**
 * Converts errors from NATS servers and the client library to errors of this program
 * (docs/spec/jetstream.md 7).
 *
 * @module
 */

import { type ErrorContext, type ErrorKindName, messageOf, PlasmiteError } from "../../errors.ts";
import { Code, KINDS, refusesNew } from "./error_codes.ts";

export { Code } from "./error_codes.ts";

/** The error in an API response or acknowledgement. */
export interface WireError {
  /** Similar to an HTTP status. */
  readonly code?: number;
  /** One of {@linkcode Code}. */
  readonly err_code?: number;
  /** The server's error message. */
  readonly description?: string;
}

/** An error reported by a server. */
export class NatsError extends PlasmiteError {
  /** The error code of the JetStream API; 0 if there is none. */
  readonly code: number;

  /** Creates an error of the named kind. */
  constructor(code: number, kind: ErrorKindName, message: string, context: ErrorContext) {
    super(kind, message, context);
    this.code = code;
  }
}

/** Whether an error has one of these API codes. */
export function hasCode(error: unknown, ...codes: readonly number[]): error is NatsError {
  return error instanceof NatsError && codes.includes(error.code);
}

/** Converts the error in an API response or acknowledgement. */
export function wireError(error: WireError, path: string): NatsError {
  const { code = 0, err_code: errCode = 0, description = "" } = error;
  const causes = description === "" ? [] : [`${description} (${errCode || code})`];
  const isFull = errCode === Code.storeFailed && refusesNew(description);
  const isNoRoom = errCode === Code.noPeers && /insufficient storage/.test(description);
  const known = KINDS[isFull ? Code.full : isNoRoom ? Code.storageFull : errCode];
  if (known !== undefined) {
    const [kind, message, hint] = known;
    return new NatsError(errCode, kind, message, { hint, path, causes });
  }
  if (
    code === 503 || code === 408 || code === 429 || /no suitable peers|offline/.test(description)
  ) {
    const hint = "Try again in a moment.";
    return new NatsError(errCode, "Busy", "The NATS server is busy", { hint, path, causes });
  }
  const hint = "The NATS server reported this; its log may say more.";
  const message = description === "" ? "The NATS server reported an error" : description;
  return new NatsError(errCode, "Internal", message, { hint, path, causes });
}

/** Known causes of connection failures. */
const OBSTACLES: readonly (readonly [RegExp, ErrorKindName, string, string, string])[] = [
  [
    /authorization|authentication|nkeys? not supported|user nkey/i,
    "Permission",
    "The NATS server refused the credentials",
    "Check the credentials or the token.",
    "nats credentials file",
  ],
  [
    /ALTNAME|altnames?|NotValidForName|does not match certificate/i,
    "Io",
    "The certificate of the NATS server is for another host name",
    "Use the name that is in the certificate.",
    "nats host name",
  ],
  [
    /CERTIFICATE_REQUIRED|CertificateRequired|certificate required|bad.?certificate|unknown.?ca\b/i,
    "Io",
    "The NATS server wants a client certificate",
    "Give a client certificate and its key.",
    "nats client certificate",
  ],
  [
    /UNABLE_TO|SELF_SIGNED|DEPTH_ZERO|UnknownIssuer|CERT_|self.signed|unable to (get|verify)/i,
    "Io",
    "The certificate of the NATS server is not trusted",
    "Name the certificate authority to trust.",
    "nats certificate",
  ],
  [
    /does not support 'tls'|not available on this server/,
    "Io",
    "The NATS server does not offer TLS",
    "Use nats:// if the network is trusted, or turn on TLS in the server.",
    "nats no tls",
  ],
  [
    /timeout|timed out/i,
    "Io",
    "cannot reach the NATS server",
    "It does not answer. Check the address, whether it is a NATS server, and whether it expects TLS " +
    "first.",
    "nats timeout",
  ],
];

/** The messages of an error and all its causes. */
function textsOf(error: unknown): string[] {
  const texts: string[] = [];
  for (let at = error; at instanceof Error && texts.length < 8; at = at.cause) {
    const code = "code" in at ? ` ${String(at.code)}` : "";
    texts.push(`${at.name === "Error" ? "" : `${at.name}: `}${at.message}${code}`);
  }
  return texts.length > 0 ? texts : [messageOf(error)];
}

/** The error for a failed attempt to connect. */
export function connectError(error: unknown, place: string): PlasmiteError {
  if (PlasmiteError.is(error)) return error;
  if (error instanceof Deno.errors.NotCapable) throw error; // The entry point explains permissions.
  const causes = textsOf(error);
  for (const [pattern, kind, message, hint, topic] of OBSTACLES) {
    if (!causes.some((text) => pattern.test(text))) continue;
    return new PlasmiteError(kind, message, { hint, topic, path: place, causes, cause: error });
  }
  return new PlasmiteError("Io", "cannot reach the NATS server", {
    hint: "Check the address and that the server is running.",
    path: place,
    causes,
    cause: error,
  });
}

/** The error for an operation that the account is not permitted to perform. */
export function forbidden(subject: string, path: string, cause?: unknown): PlasmiteError {
  return new PlasmiteError("Permission", `The NATS server does not allow subject ${subject}`, {
    hint: "Give the user permission for that subject, or use other credentials.",
    path,
    cause,
  });
}

/** The error for a request without an answer. */
export function silent(path: string, cause?: unknown): NatsError {
  return new NatsError(0, "Busy", "The NATS server does not answer", {
    hint: "Try again in a moment; a cluster may be choosing a leader.",
    path,
    cause,
  });
}

/** The error for a pool that was deleted and recreated while it was open. */
export function replaced(path: string): PlasmiteError {
  return new PlasmiteError("NotFound", "pool path now refers to a different file", {
    hint: "The stream was deleted and created again. Open the pool again to use the new one.",
    path,
  });
}

/** The error for a pool that was deleted while it was open. */
export function deleted(path: string): PlasmiteError {
  return new NatsError(Code.noStream, "NotFound", "pool was deleted", {
    hint: "The stream no longer exists on the server.",
    path,
  });
}
