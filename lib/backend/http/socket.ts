/**
 * Connections to a server, plain and TLS. They are made directly: Deno's `fetch` takes the proxies
 * of the environment, and no option turns that off; a bearer token would go to them.
 *
 * @module
 */

import { messageOf, PlasmiteError } from "../../errors.ts";
import { startTimer } from "../../timers.ts";

/** Bytes that are asked for in one read. */
const READ_SIZE = 64 * 1024;

/** A stream of bytes in both directions. */
export interface Socket {
  /** The next bytes, null at the end; valid until the next call. */
  read(): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Writes all bytes. */
  write(bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Lets go of it; a read or write that is under way rejects. */
  close(): void;
  /** Whether a read that is under way keeps the process alive. */
  keepAlive(on: boolean): void;
}

/** Makes a connection; rejects with {@linkcode ConnectFailure}. */
export type Dial = (signal: AbortSignal) => Promise<Socket>;

/** No connection was made, so that nothing was sent. */
export class ConnectFailure extends Error {
  /** @param cause what the system or the TLS library says */
  constructor(cause: unknown) {
    super(messageOf(cause), { cause });
    this.name = "ConnectFailure";
  }
}

/** The server speaks TLS where plain HTTP was sent, or the other way round. */
export class WrongScheme extends Error {
  /** @param wanted the scheme that the server speaks */
  constructor(readonly wanted: "http" | "https") {
    super(`the server speaks ${wanted === "https" ? "TLS" : "plain HTTP"} on this port`);
    this.name = "WrongScheme";
  }
}

/** What TLS libraries say of a peer that does not speak TLS. */
const NOT_TLS = /InvalidContentType|wrong version number|packet length too long/i;

/**
 * Why no connection was made, as what it is.
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
 * Whether TLS is spoken where `base` says `http`. Some servers close the connection without a word
 * when they get plain HTTP.
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
    // A certificate that is not trusted is a certificate.
    return error instanceof Deno.errors.InvalidData && !NOT_TLS.test(error.message);
  } finally {
    clearTimeout(timer);
  }
}

/** A socket of Deno's. */
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

/** Connects as `base` says; over TLS, whoever Deno trusts is trusted. */
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
