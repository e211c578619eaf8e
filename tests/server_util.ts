/**
 * What the server's tests share: a directory of pools, an app over it, requests.
 *
 * @module
 */

import "./support/environment.ts";
import { Client } from "../mod.ts";
import { type App, type AppOptions, createApp } from "../server/app.ts";

/** An app over an empty directory, and what ends both. */
export interface Bench {
  readonly app: App;
  readonly client: Client;
  readonly dir: string;
  /** Sends JSON and reads the answer. */
  post(path: string, body: unknown, init?: RequestInit): Promise<Answer>;
  get(path: string, init?: RequestInit): Promise<Answer>;
  end(): Promise<void>;
}

/** An answer, read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Parsed on demand. */
  // deno-lint-ignore no-explicit-any -- tests look at all sorts of shapes
  readonly json: any;
}

/** Reads an answer to its end. */
export async function read(response: Response | Promise<Response>): Promise<Answer> {
  const answer = await response;
  const text = await answer.text();
  return {
    status: answer.status,
    headers: answer.headers,
    text,
    get json() {
      return JSON.parse(text);
    },
  };
}

/** Makes a bench. */
export async function bench(options: AppOptions = {}): Promise<Bench> {
  const dir = await Deno.makeTempDir();
  const client = new Client(dir);
  const app = createApp(client, options);
  return {
    app,
    client,
    dir,
    post: (path, body, init) =>
      read(app.request(path, {
        method: "POST",
        body: typeof body === "string" || body instanceof Uint8Array
          ? body as BodyInit
          : JSON.stringify(body),
        ...init,
        headers: { "content-type": "application/json", ...init?.headers },
      })),
    get: (path, init) => read(app.request(path, init)),
    end: async () => {
      await app.shutdown();
      await Deno.remove(dir, { recursive: true });
    },
  };
}

/** The lines of a JSON lines body, heartbeats left out. */
// deno-lint-ignore no-explicit-any -- tests look at all sorts of shapes
export function lines(text: string): any[] {
  return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}
