/**
 * What the server's tests share: a directory of pools, an app over it, requests.
 *
 * @module
 */

import "../support/environment.ts";
import { Client } from "../../mod.ts";
import { administration } from "../../server/access/administration.ts";
import { type App, type AppOptions, createApp } from "../../server/app.ts";
import { DEFAULT_FLAGS, resolveServe, type ServeFlags } from "../../server/config.ts";
import { serveInit } from "../../server/init.ts";
import { Server } from "../../server/server.ts";
import { type Running, type ServeHooks, startServer } from "../../server/serve.ts";

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
export async function bench(
  { administered = false, ...options }: AppOptions & { readonly administered?: boolean } = {},
): Promise<Bench> {
  const dir = await Deno.makeTempDir();
  const client = new Client(dir);
  const app = administered
    ? new Server(client, {
      ...options,
      administration: () => Promise.resolve(administration(dir)),
      browser: "local",
    })
    : createApp(client, options);
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

/** A server on a real socket. */
export async function listening(
  flags: Partial<ServeFlags> = {},
  hooks: ServeHooks = {},
): Promise<{ server: Running; client: Client; end: () => Promise<void> }> {
  const dir = await Deno.makeTempDir();
  const client = new Client(dir);
  client.createPool("p").close();
  const config = await resolveServe({ ...DEFAULT_FLAGS, bind: "127.0.0.1:0", ...flags });
  const server = await startServer(client, config, { registry: false, ...hooks });
  return {
    server,
    client,
    end: async () => {
      await server.shutdown();
      await Deno.remove(dir, { recursive: true });
    },
  };
}

/** Sends bytes as they are and reads until the server closes or `until` was seen. */
export async function raw(port: number, text: string, until?: string): Promise<string> {
  using conn = await Deno.connect({ port, hostname: "127.0.0.1" });
  await conn.write(new TextEncoder().encode(text));
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65536);
  let got = "";
  while (until === undefined || !got.includes(until)) {
    const n = await conn.read(buffer).catch(() => null);
    if (n === null) break;
    got += decoder.decode(buffer.subarray(0, n), { stream: true });
  }
  return got;
}

/** Token, key and certificate, and the options that use them. */
export async function initialized(): Promise<{ dir: string; flags: ServeFlags; cert: string }> {
  const dir = await Deno.makeTempDir();
  const { paths } = await serveInit({
    bind: "127.0.0.1:9700",
    outputDir: `${dir}/new/files`,
    tokenFile: "token.txt",
    tlsCert: "cert.pem",
    tlsKey: "key.pem",
    force: false,
  });
  const flags = {
    ...DEFAULT_FLAGS,
    bind: "127.0.0.1:0",
    tokenFile: paths.token_file,
    tlsCert: paths.tls_cert,
    tlsKey: paths.tls_key,
  };
  return { dir, flags, cert: await Deno.readTextFile(paths.tls_cert) };
}
