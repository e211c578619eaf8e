/**
 * A listening socket for an app: opens it, listens again after failures, stops it.
 *
 * @module
 */

import { messageOf, PlasmiteError } from "../lib/errors.ts";
import { pause, startTimer } from "../lib/timers.ts";
import type { App } from "./app.ts";
import { addressText, isLoopback, isWildcard } from "./config.ts";
import { errorResponse } from "./errors.ts";
import { headOnWire } from "./head.ts";
import { notePeer } from "./peer.ts";

/** How long to wait for readers that do not read, in milliseconds. */
const LAST_CALL = 500;
/** The pause before listening again after the accept loop has failed, in milliseconds. */
const RELISTEN = 100;

/** Where and how to listen. */
export interface ListenerOptions {
  /** The address. */
  readonly hostname: string;
  /** The port; 0 for any. */
  readonly port: number;
  /** Certificate and key in PEM; null without TLS. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** Whether to record the address of each client. */
  readonly peers?: boolean;
  /** Called when it had to listen again. */
  readonly onTrouble?: ((error: unknown) => void) | undefined;
}

/** A listening socket. */
export class Listener {
  /** The actual port. */
  readonly port: number;
  /** Resolves when it has stopped. */
  readonly finished: Promise<void>;
  readonly #options: ListenerOptions;
  readonly #app: App;
  #server: Deno.HttpServer<Deno.NetAddr>;
  #stopping = false;
  #stopped: Promise<void> | null = null;

  /**
   * Listens.
   *
   * @param makeApp creates the app; its argument returns the host that the runtime invents
   * @throws {PlasmiteError} Io when the address is taken, Usage for a bad certificate or key
   */
  constructor(
    options: ListenerOptions,
    makeApp: (more: { readonly inventedHost: () => string | null }) => App,
  ) {
    this.#options = options;
    this.#app = makeApp({
      inventedHost: () => inventedHost(this.#server.addr, options.tls !== null),
    });
    this.#server = this.#open();
    this.port = this.#server.addr.port;
    this.finished = this.#keepListening();
  }

  /** The bound address, `IP:PORT`, IPv6 in brackets. */
  get address(): string {
    return addressText({ hostname: this.#server.addr.hostname, port: this.port });
  }

  #listen(port: number): Deno.HttpServer<Deno.NetAddr> {
    const { hostname, tls, peers = false } = this.#options;
    return Deno.serve({
      hostname,
      port,
      ...(tls === null ? {} : { cert: tls.cert, key: tls.key }),
      onListen: () => {},
      // Only streams that are cut off on purpose fail here; the app handles all other errors.
      onError: (error) => errorResponse(error),
    }, (request, info) => {
      if (peers) notePeer(request, info.remoteAddr);
      const head = request.method === "HEAD";
      const answer = this.#app.fetch(request);
      return head ? headOnWire(answer) : answer;
    });
  }

  /** Opens the listener. */
  #open(): Deno.HttpServer<Deno.NetAddr> {
    const { hostname, port, tls } = this.#options;
    try {
      return this.#listen(port);
    } catch (cause) {
      if (cause instanceof Deno.errors.InvalidData || cause instanceof TypeError) {
        throw new PlasmiteError("Usage", "invalid TLS certificate or key", {
          hint: "Give a PEM certificate and the private key that belongs to it.",
          causes: [cause.message],
          cause,
        });
      }
      const what = tls === null ? "failed to bind server" : "failed to bind TLS server";
      throw new PlasmiteError("Io", what, {
        hint: cause instanceof Deno.errors.AddrInUse
          ? `${addressText({ hostname, port })} is in use. Stop the server there ` +
            "(`plasmite serve status --all` lists them), or choose another --bind address or port."
          : "Choose another --bind address or port.",
        causes: [messageOf(cause)],
        cause,
      });
    }
  }

  /**
   * The accept loop fails when file descriptors run out; open connections continue
   * (docs/spec/http-api.md 13).
   */
  async #keepListening(): Promise<void> {
    for (;;) {
      try {
        await this.#server.finished;
        return;
      } catch (error) {
        if (this.#stopping) return;
        this.#options.onTrouble?.(error);
      }
      while (!this.#stopping) {
        await pause(RELISTEN);
        try {
          this.#server = this.#listen(this.port);
          break;
        } catch {
          continue; // Still no free file descriptor.
        }
      }
      if (this.#stopping) return;
    }
  }

  /** Ends streams, finishes appends and stops, within half a second. */
  shutdown(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  async #stop(): Promise<void> {
    this.#stopping = true;
    const ended = Promise.all([this.#app.shutdown(), this.#server.shutdown()]);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = startTimer(resolve, LAST_CALL);
    });
    await Promise.race([ended.then(() => {}, () => {}), late]);
    clearTimeout(timer);
  }
}

/** The host that the runtime (Deno 2.9) assumes for a request without a `Host` header. */
function inventedHost({ hostname, port }: Deno.NetAddr, tls: boolean): string {
  const local = isLoopback(hostname) || isWildcard(hostname);
  const host = local ? "localhost" : hostname.includes(":") ? `[${hostname}]` : hostname;
  return port === (tls ? 443 : 80) ? host : `${host}:${port}`;
}
