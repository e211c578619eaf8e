/**
 * A client of OAuth, written from docs/spec/sharing.md 5 alone, and a server for it.
 *
 * @module
 */

import { createHash, randomBytes } from "node:crypto";
import type { ServeFlags } from "../../server/config.ts";
import type { KeyAnswer } from "../support/key_client.ts";
import { freePort } from "../support/ports.ts";
import { type Shared, sharing } from "./shared_util.ts";

/** Where browsers are sent. */
export const CALLBACK = "http://127.0.0.1:4321/callback";
const FORM = { "content-type": "application/x-www-form-urlencoded" };

/** Starts a server whose shared address is the one that it is reached by. */
export function reachable(flags: Partial<ServeFlags> = {}, dir?: string): Promise<Shared> {
  const port = freePort();
  return sharing({
    sharedAddress: `https://localhost:${port}`,
    remoteBind: `127.0.0.1:${port}`,
    ...flags,
  }, dir);
}

/** An answer with its body read. */
export interface Read {
  readonly status: number;
  readonly headers: KeyAnswer["headers"];
  readonly text: string;
  // deno-lint-ignore no-explicit-any -- whatever the server answers is what is tested
  readonly json: any;
}

async function read(answer: KeyAnswer): Promise<Read> {
  const text = await answer.text();
  const isJson = `${answer.headers["content-type"]}`.startsWith("application/json");
  const { status, headers } = answer;
  return { status, headers, text, json: isJson ? JSON.parse(text) : null };
}

/** A pair of tokens. */
export interface TokenPair {
  readonly access: string;
  readonly refresh: string;
}

/** A page that a person would see. */
export interface Opened {
  readonly request: string;
  readonly cookie: string;
  readonly verifier: string;
}

/** Plays a program, and the browser of its user. */
export class OAuthClient {
  readonly server: Shared;
  readonly origin: string;

  constructor(server: Shared) {
    this.server = server;
    this.origin = `https://localhost:${server.port}`;
  }

  get resource(): string {
    return `${this.origin}/mcp`;
  }

  async get(path: string, headers: Record<string, string> = {}): Promise<Read> {
    return await read(await this.server.remote("").send(path, { headers }));
  }

  async post(path: string, body: string, headers: Record<string, string>): Promise<Read> {
    const sent = { method: "POST", headers, body };
    return await read(await this.server.remote("").send(path, sent));
  }

  /** Sends a form; fields that are undefined are left out. */
  form(
    path: string,
    fields: Record<string, string | undefined>,
    headers: Record<string, string> = {},
  ): Promise<Read> {
    const given = Object.entries(fields).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value]]
    );
    return this.post(path, new URLSearchParams(given).toString(), { ...FORM, ...headers });
  }

  register(metadata: unknown = { client_name: "Agent", redirect_uris: [CALLBACK] }): Promise<Read> {
    const json = { "content-type": "application/json" };
    return this.post("/oauth/register", JSON.stringify(metadata), json);
  }

  /** Registers and returns the id. */
  async registered(): Promise<string> {
    const { json } = await this.register();
    return json.client_id;
  }

  /** Asks for the page; `more` replaces parameters, null leaves one out. */
  authorize(
    client: string,
    more: Record<string, string | null> = {},
    suffix = "",
  ): Promise<Read> {
    const fields: Record<string, string | null> = {
      response_type: "code",
      client_id: client,
      redirect_uri: CALLBACK,
      code_challenge: challengeOf("v".repeat(43)),
      code_challenge_method: "S256",
      resource: this.resource,
      state: "st&te",
      ...more,
    };
    const query = Object.entries(fields).flatMap(([name, value]) =>
      value === null ? [] : [[name, value]]
    );
    return this.get(`/oauth/authorize?${new URLSearchParams(query)}${suffix}`);
  }

  /** Opens the page as a browser does. */
  async open(client: string): Promise<Opened> {
    const verifier = randomBytes(32).toString("base64url");
    const page = await this.authorize(client, { code_challenge: challengeOf(verifier) });
    if (page.status !== 200) throw new Error(page.text);
    const [cookie = ""] = page.headers["set-cookie"] ?? [];
    return {
      request: /name="request" value="([0-9a-f]{64})"/.exec(page.text)?.[1] ?? "",
      cookie: cookie.split(";")[0] ?? "",
      verifier,
    };
  }

  /** Answers the page; `more` replaces what a browser would send, undefined leaves it out. */
  decide(
    { request, cookie }: Opened,
    fields: Record<string, string | undefined>,
    more: { readonly origin?: string | null; readonly cookie?: string | null } = {},
  ): Promise<Read> {
    const headers: Record<string, string> = {};
    const origin = more.origin === undefined ? this.origin : more.origin;
    const sent = more.cookie === undefined ? cookie : more.cookie;
    if (origin !== null) headers["origin"] = origin;
    if (sent !== null) headers["cookie"] = sent;
    return this.form("/oauth/approve", { request, ...fields }, headers);
  }

  /** Has a code for a client. */
  async code(client: string, key: string): Promise<{ code: string; verifier: string }> {
    const opened = await this.open(client);
    const { headers } = await this.decide(opened, { access_key: key, decision: "approve" });
    const code = new URL(`${headers["location"]}`).searchParams.get("code") ?? "";
    return { code, verifier: opened.verifier };
  }

  /** Exchanges a code; `more` replaces fields, undefined leaves one out. */
  exchange(
    client: string,
    { code, verifier }: { readonly code: string; readonly verifier: string },
    more: Record<string, string | undefined> = {},
  ): Promise<Read> {
    return this.form("/oauth/token", {
      grant_type: "authorization_code",
      client_id: client,
      code,
      redirect_uri: CALLBACK,
      code_verifier: verifier,
      resource: this.resource,
      ...more,
    });
  }

  refresh(
    client: string,
    refresh: string,
    more: Record<string, string | undefined> = {},
  ): Promise<Read> {
    return this.form("/oauth/token", {
      grant_type: "refresh_token",
      client_id: client,
      refresh_token: refresh,
      resource: this.resource,
      ...more,
    });
  }

  /** The whole way. */
  async tokens(client: string, key: string): Promise<TokenPair> {
    return pairOf(await this.exchange(client, await this.code(client, key)));
  }

  /** Calls a tool, or pings, at `/mcp` with a bearer value. */
  mcp(bearer: string | null, body: object = { method: "ping" }): Promise<Read> {
    return this.post("/mcp", JSON.stringify({ jsonrpc: "2.0", id: 1, ...body }), {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...bearer === null ? {} : { authorization: `Bearer ${bearer}` },
    });
  }
}

/** The tokens of an answer. */
export function pairOf({ json, text }: Read): TokenPair {
  if (typeof json?.access_token !== "string") throw new Error(text);
  return { access: json.access_token, refresh: json.refresh_token };
}

/** The challenge for a verifier. */
export function challengeOf(verifier: string): string {
  return createHash("sha256").update(verifier).digest("base64url");
}
