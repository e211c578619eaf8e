/**
 * Connections to a server, plain and TLS. `fetch` is not used, because Deno's `fetch` always uses
 * the proxies set in the environment, and the bearer token would be sent to them.
 *
 * @module
 */

import { messageOf, PlasmiteError } from "../../errors.ts";
import { startTimer } from "../../timers.ts";

/** Bytes per read. */
const READ_SIZE = 64 * 1024;

/** A stream of bytes in both directions. */
export interface Socket {
  /** The next bytes, null at the end; valid until the next call. */
  read(): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Writes all bytes. */
  write(bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Closes the stream; a read or write in progress rejects. */
  close(): void;
  /** Sets whether a read in progress keeps the process alive. */
  keepAlive(on: boolean): void;
}

/** Opens a connection; rejects with {@linkcode ConnectFailure}. */
export type Dial = (signal: AbortSignal) => Promise<Socket>;

/** No connection was made, so nothing was sent. */
export class ConnectFailure extends Error {
  /** @param cause the error of the system or the TLS library */
  constructor(cause: unknown) {
    super(messageOf(cause), { cause });
    this.name = "ConnectFailure";
  }
}

/** The server speaks TLS but plain HTTP was sent, or vice versa. */
export class WrongScheme extends Error {
  /** @param wanted the scheme that the server speaks */
  constructor(readonly wanted: "http" | "https") {
    super(`the server speaks ${wanted === "https" ? "TLS" : "plain HTTP"} on this port`);
    this.name = "WrongScheme";
  }
}

/** The server's certificate is not the one pinned by the access key. Nothing was sent. */
export class WrongCertificate extends Error {
  /**
   * Creates the error.
   *
   * @param message what is wrong
   * @param hint what to do about it
   */
  constructor(message: string, readonly hint: string) {
    super(message);
    this.name = "WrongCertificate";
  }
}

/** The messages of TLS libraries about a peer that does not speak TLS. */
const NOT_TLS = /InvalidContentType|wrong version number|packet length too long/i;

/**
 * The error for a connection that could not be opened.
 *
 * @param base the server
 */
export function connectFailure(error: unknown, base: URL): Error {
  if (error instanceof Deno.errors.NotCapable) {
    const { hostname, protocol, port } = base;
    const address = `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;
    return new PlasmiteError("Permission", `no permission to connect to ${address}`, {
      hint: `Run with --allow-net=${address}.`,
      causes: [error.message],
      cause: error,
    });
  }
  if (NOT_TLS.test(messageOf(error))) return new WrongScheme("http");
  return new ConnectFailure(error);
}

/** How long it may take to find out whether a server speaks TLS, in milliseconds. */
const PROBE_MS = 2_000;

/**
 * Whether the server speaks TLS although `base` says `http`. Some servers close the connection
 * silently when they receive plain HTTP.
 */
export async function speaksTls(base: URL): Promise<boolean> {
  const abort = new AbortController();
  const timer = startTimer(() => abort.abort(), PROBE_MS);
  const hostname = base.hostname.replace(/^\[|\]$/g, "");
  try {
    const conn = await Deno.connect({
      hostname,
      port: Number(base.port || 80),
      signal: abort.signal,
    });
    (await secure(conn, hostname, abort.signal)).close();
    return true;
  } catch (error) {
    // An untrusted certificate also proves TLS.
    return error instanceof Deno.errors.InvalidData && !NOT_TLS.test(error.message);
  } finally {
    clearTimeout(timer);
  }
}

/** A Deno socket. */
class DenoSocket implements Socket {
  readonly #conn: Deno.Conn;
  readonly #buffer = new Uint8Array(READ_SIZE);
  #closed = false;

  constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    const count = await this.#conn.read(this.#buffer);
    return count === null ? null : this.#buffer.subarray(0, count);
  }

  async write(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      at += await this.#conn.write(at === 0 ? bytes : bytes.subarray(at));
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#conn.close();
  }

  keepAlive(on: boolean): void {
    if (on) this.#conn.ref();
    else this.#conn.unref();
  }
}

/** Connects to `base`; over TLS, with the certificates that Deno trusts. */
export function dialer(base: URL): Dial {
  const hostname = base.hostname.replace(/^\[|\]$/g, "");
  const tls = base.protocol === "https:";
  const port = Number(base.port || (tls ? 443 : 80));
  return async (signal) => {
    try {
      const conn = await Deno.connect({ hostname, port, signal });
      conn.setNoDelay();
      return new DenoSocket(tls ? await secure(conn, hostname, signal) : conn);
    } catch (error) {
      throw connectFailure(signal.aborted ? signal.reason : error, base);
    }
  };
}

async function secure(
  conn: Deno.TcpConn,
  hostname: string,
  signal: AbortSignal,
): Promise<Deno.TlsConn> {
  const secured = await Deno.startTls(conn, { hostname, alpnProtocols: ["http/1.1"] });
  const close = (): void => secured.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    await secured.handshake();
    return secured;
  } catch (error) {
    if (!signal.aborted) close();
    throw error;
  } finally {
    signal.removeEventListener("abort", close);
  }
}
