/**
 * One listening socket with an app behind it: opening, listening again after trouble, stopping.
 *
 * @module
 */

import { messageOf, PlasmiteError } from "../lib/errors.ts";
import { pause, startTimer } from "../lib/timers.ts";
import type { App } from "./app.ts";
import { isLoopback } from "./config.ts";
import { errorResponse } from "./errors.ts";
import { headOnWire } from "./head.ts";
import { notePeer } from "./peer.ts";

/** How long to wait for readers that take nothing, in milliseconds. */
const LAST_CALL = 500;
/** How long to wait before listening again after the accept loop died, in milliseconds. */
const RELISTEN = 100;

/** Where and how to listen. */
export interface ListenerOptions {
  /** The address. */
  readonly hostname: string;
  /** The port; 0 for any. */
  readonly port: number;
  /** Certificate and key in PEM; null without TLS. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** Whether to note which address requests come from. */
  readonly peers?: boolean;
  /** Told when it had to listen again. */
  readonly onTrouble?: ((error: unknown) => void) | undefined;
}

/** A listening socket. */
export class Listener {
  /** The port, also when any was asked for. */
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
   * @param makeApp makes the app; it is told how to find out which host the runtime invents
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

  /** `IP:PORT` as it is bound, IPv6 in brackets. */
  get address(): string {
    const { hostname } = this.#server.addr;
    return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${this.port}`;
  }

  #listen(port: number): Deno.HttpServer<Deno.NetAddr> {
    const { hostname, tls, peers = false } = this.#options;
    return Deno.serve({
      hostname,
      port,
      ...(tls === null ? {} : { cert: tls.cert, key: tls.key }),
      onListen: () => {},
      // Only streams that are broken off on purpose end here; the app answers everything itself.
      onError: (error) => errorResponse(error),
    }, (request, { remoteAddr }) => {
      if (peers) notePeer(request, remoteAddr);
      const head = request.method === "HEAD";
      const answer = this.#app.fetch(request);
      return head ? headOnWire(answer) : answer;
    });
  }

  /** Opens the listener, or says why not. */
  #open(): Deno.HttpServer<Deno.NetAddr> {
    const { port, tls } = this.#options;
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
        hint: "Choose another --bind address or port; this one may be in use.",
        causes: [messageOf(cause)],
        cause,
      });
    }
  }

  /**
   * The accept loop dies when descriptors run out; open connections live on
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
          continue; // Still no descriptor to listen with.
        }
      }
      if (this.#stopping) return;
    }
  }

  /** Ends streams, finishes appends, stops: half a second at most. */
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

/** What the runtime takes for the host of a request that names none (Deno 2.9). */
function inventedHost({ hostname, port }: Deno.NetAddr, tls: boolean): string {
  const local = isLoopback(hostname) || hostname === "0.0.0.0" || hostname === "::";
  const host = local ? "localhost" : hostname.includes(":") ? `[${hostname}]` : hostname;
  return port === (tls ? 443 : 80) ? host : `${host}:${port}`;
}
