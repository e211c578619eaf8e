/**
 * An app that is loaded with its first request: a server that nobody asks keeps neither the code nor
 * the memory of one that answers (bench/README.md, "Memory of those who wait").
 *
 * @module
 */

import type { App } from "./app.ts";
import { errorResponse, stopping } from "./errors.ts";

/** Options of an app that is loaded late. */
export interface LateOptions {
  /** Loads and makes the app; called once, or again with the next request if it failed. */
  readonly load: () => Promise<App>;
  /** Called when it failed. */
  readonly onFault?: ((error: unknown) => void) | undefined;
}

/** Loads an app with the first request, and passes all requests on to it. */
export class LateApp implements App {
  readonly #options: LateOptions;
  #loading: Promise<App> | null = null;
  #app: App | null = null;
  #stopping = false;

  /** Loads nothing yet. */
  constructor(options: LateOptions) {
    this.#options = options;
  }

  get streams(): number {
    return this.#app?.streams ?? 0;
  }

  readonly fetch = (request: Request): Promise<Response> =>
    this.#app === null ? this.#first(request) : this.#app.fetch(request);

  /** Handles a request that may come before the app is there; all of those wait for the same one. */
  async #first(request: Request): Promise<Response> {
    if (this.#stopping && this.#loading === null) return errorResponse(stopping());
    let app: App;
    try {
      app = await (this.#loading ??= this.#load());
    } catch (error) {
      this.#options.onFault?.(error);
      return errorResponse(error);
    }
    return await app.fetch(request);
  }

  async #load(): Promise<App> {
    try {
      return this.#app = await this.#options.load();
    } catch (error) {
      this.#loading = null;
      throw error;
    }
  }

  readonly request = (path: string, init?: RequestInit): Promise<Response> =>
    this.fetch(new Request(new URL(path, "http://localhost"), init));

  readonly shutdown = async (): Promise<void> => {
    this.#stopping = true;
    const app = await this.#loading?.catch(() => null);
    await app?.shutdown();
  };
}
