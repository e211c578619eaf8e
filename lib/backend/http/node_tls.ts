/**
 * TLS connections with their own trust store, or without verification. Deno's TLS can only *add*
 * certificates to the built-in ones and cannot skip verification for a single connection, so these
 * connections use `node:tls`. Loaded only if such options are given.
 *
 * @module
 */

import { connect, type TLSSocket } from "node:tls";
import { connectFailure, type Dial, type Socket } from "./socket.ts";

/** Which certificates to trust. */
export interface Trust {
  /** The only certificates to trust, as PEM; undefined for the built-in ones. */
  readonly ca: readonly string[] | undefined;
  /** Accept any certificate for any host. */
  readonly skipVerify: boolean;
  /**
   * Checks the server's certificate (DER bytes) after the handshake has proved possession of its
   * key, and throws to reject it. At that point nothing has been sent.
   */
  readonly check?: (certificate: Uint8Array<ArrayBuffer>) => void;
}

/** A Node socket that is read only on demand. */
class NodeSocket implements Socket {
  readonly #socket: TLSSocket;
  #ended = false;
  #error: Error | undefined;
  #wake: () => void = () => {};

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on("readable", () => this.#wake());
    socket.on("end", () => {
      this.#ended = true;
      this.#wake();
    });
    socket.on("error", (error: Error) => {
      this.#error ??= error;
      this.#wake();
    });
    socket.on("close", () => {
      if (!this.#ended) this.#error ??= new Error("connection closed");
      this.#wake();
    });
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    for (;;) {
      const chunk: Uint8Array<ArrayBuffer> | null = this.#socket.read();
      if (chunk !== null) return chunk;
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  write(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => error ? reject(error) : resolve());
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  keepAlive(on: boolean): void {
    if (on) this.#socket.ref();
    else this.#socket.unref();
  }
}

/** Connects to `base` over TLS, trusting the certificates given by `trust`. */
export function trustingDialer(base: URL, { ca, skipVerify, check }: Trust): Dial {
  const host = base.hostname.replace(/^\[|\]$/g, "");
  const trust = skipVerify ? { rejectUnauthorized: false } : ca === undefined ? {} : {
    ca: [...ca],
  };
  return (signal) =>
    new Promise((resolve, reject) => {
      const fail = (error: unknown): void => {
        signal.removeEventListener("abort", aborted);
        reject(connectFailure(error, base));
      };
      if (signal.aborted) return fail(signal.reason);
      const socket = connect({
        host,
        port: Number(base.port || 443),
        ...(/:|^[\d.]+$/.test(host) ? {} : { servername: host }),
        ALPNProtocols: ["http/1.1"],
        ...trust,
      });
      const aborted = (): void => {
        socket.destroy();
        fail(signal.reason);
      };
      signal.addEventListener("abort", aborted, { once: true });
      socket.on("error", fail);
      socket.once("secureConnect", () => {
        signal.removeEventListener("abort", aborted);
        try {
          check?.(Uint8Array.from(socket.getPeerCertificate(true).raw));
        } catch (error) {
          socket.destroy();
          return fail(error);
        }
        socket.setNoDelay(true);
        resolve(new NodeSocket(socket));
      });
    });
}
