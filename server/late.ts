/**
 * An app that is loaded with its first request: a server that nobody asks keeps neither the code nor
 * the memory of one that answers (bench/README.md, "Memory of those who wait").
 *
 * @module
 */

import { messageOf, PlasmiteError } from "../lib/errors.ts";
import type { App } from "./app.ts";
import { errorResponse, HttpError, stopping } from "./errors.ts";

/** For clients. Their next attempt may find the server that a supervisor has started anew. */
function unreadable(): HttpError {
  return new HttpError(503, "Busy", "server cannot load its code", {
    hint: "Try again in a moment. If that does not help, its operator has to start it again.",
    headers: [["retry-after", "1"], ["connection", "close"]],
  });
}

/** For the operator. */
function broken(cause: unknown): PlasmiteError {
  return new PlasmiteError("Io", "the server cannot load its code", {
    hint: "Start it again. Its program may have been replaced or removed while it ran.",
    causes: [messageOf(cause)],
    cause,
  });
}

/** Loads an app with the first request, and passes all requests on to it. */
export class LateApp implements App {
  readonly #load: () => Promise<App>;
  readonly #onBroken: (error: PlasmiteError) => void;
  #loading: Promise<App> | null = null;
  #app: App | null = null;
  #stopping = false;

  /**
   * Loads nothing yet.
   *
   * @param load makes the app; called once at most
   * @param onBroken called for requests after that has failed, which is final: the runtime remembers
   *   what it could not read. The server should end then, so that a supervisor starts it anew.
   */
  constructor(load: () => Promise<App>, onBroken: (error: PlasmiteError) => void = () => {}) {
    this.#load = load;
    this.#onBroken = onBroken;
  }

  get streams(): number {
    return this.#app?.streams ?? 0;
  }

  readonly fetch = (request: Request): Promise<Response> =>
    this.#app === null ? this.#early(request) : this.#app.fetch(request);

  /** Handles a request that came before the app was there. */
  async #early(request: Request): Promise<Response> {
    if (this.#stopping) return errorResponse(stopping());
    let app: App;
    try {
      app = this.#app = await (this.#loading ??= this.#load());
    } catch (error) {
      this.#onBroken(broken(error));
      return errorResponse(unreadable());
    }
    return await app.fetch(request);
  }

  readonly request = (path: string, init?: RequestInit): Promise<Response> =>
    this.fetch(new Request(new URL(path, "http://localhost"), init));

  readonly shutdown = async (): Promise<void> => {
    this.#stopping = true;
    const app = await this.#loading?.catch(() => null);
    await app?.shutdown();
  };
}
