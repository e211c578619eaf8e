/**
 * Errors that occur after the client library has removed its socket listeners, such as when a
 * server rejects a client certificate after the handshake, or resets the connection after rejecting
 * the login. They would be uncaught and end the process.
 *
 * Nothing says which socket such an error belongs to. Only errors that sockets raise are handled,
 * and only while there are connections to NATS servers and shortly afterwards: all others belong to
 * the program that uses the library.
 *
 * @module
 */

/** The codes of errors of connections that have ended. */
const RESET = /^(?:ECONNRESET|EPIPE|ECONNABORTED)$/;
/** The messages that give the reason why a connection failed. */
const TLS_ALERT = /fatal alert|peer certificate/i;
/** How long after the end of a connection its errors may arrive, in milliseconds. */
const LATE_MS = 5_000;

/** The connections that are open or being opened. */
const connections = new Set<LateErrors>();
let endedAt = -Infinity;
let isListening = false;

function onError(event: ErrorEvent): void {
  const { error } = event;
  if (!(error instanceof Error)) return;
  if (connections.size === 0 && performance.now() - endedAt > LATE_MS) return;
  // The client library's error is more informative than a connection reset.
  const isAlert = TLS_ALERT.test(error.message);
  if (isAlert) { for (const connection of connections) connection.alert = error; }
  const isReset = "syscall" in error && "code" in error && RESET.test(String(error.code));
  if (isAlert || isReset) event.preventDefault();
}

/** Handles the late errors of one connection, from the attempt to open it on. */
export class LateErrors {
  /** Why the connection failed, if the client library does not know. */
  alert?: Error;

  /** Begins to handle them. */
  constructor() {
    connections.add(this);
    if (isListening) return;
    isListening = true;
    globalThis.addEventListener?.("error", onError);
  }

  /** The connection has ended; its errors may still arrive for a short time. */
  end(): void {
    connections.delete(this);
    endedAt = performance.now();
  }
}
