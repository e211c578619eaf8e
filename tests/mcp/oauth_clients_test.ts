/**
 * The authorization code of the official SDK clients, of both lines, against `/mcp` of a shared
 * server: what hosted connectors do, from the first refusal to the end of the key
 * (docs/spec/sharing.md 5).
 *
 * @module
 */

import assert from "node:assert/strict";
import * as young from "@modelcontextprotocol/client";
import * as oldAuth from "@modelcontextprotocol/sdk/client/auth.js";
import { Client as OldClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as OldHttp } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { CALLBACK, reachable } from "../server/oauth_util.ts";
import type { Shared } from "../server/shared_util.ts";

/** A fetch that trusts the certificate of the server. */
function trusting(server: Shared): { fetch: typeof fetch } & Disposable {
  const client = Deno.createHttpClient({ caCerts: [server.running.identity.cert] });
  return {
    fetch: async (input, init) => {
      const answer = await fetch(input, { ...init, client });
      if (answer.status === 200) return answer;
      // The SDK leaves the bodies of refusals unread.
      const { status, headers } = answer;
      return new Response(await answer.text() || null, { status, headers });
    },
    [Symbol.dispose]: () => client.close(),
  };
}

/** What a program keeps: the interface that both lines ask for. */
class Kept {
  readonly redirectUrl = CALLBACK;
  readonly clientMetadata = {
    client_name: "SDK",
    redirect_uris: [CALLBACK],
    token_endpoint_auth_method: "none",
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    scope: "mcp",
  };
  // deno-lint-ignore no-explicit-any -- the two lines have types of their own for the same
  readonly #kept = new Map<string, any>();
  asked: URL | null = null;

  state = (): string => "the-state";
  clientInformation = () => this.#kept.get("client");
  saveClientInformation = (value: unknown) => void this.#kept.set("client", value);
  tokens = () => this.#kept.get("tokens");
  saveTokens = (value: unknown) => void this.#kept.set("tokens", value);
  codeVerifier = () => this.#kept.get("verifier");
  saveCodeVerifier = (value: string) => void this.#kept.set("verifier", value);
  discoveryState = () => this.#kept.get("discovery");
  saveDiscoveryState = (value: unknown) => void this.#kept.set("discovery", value);
  invalidateCredentials = (what: string): void => {
    if (what === "all") this.#kept.clear();
    else this.#kept.delete(what);
  };
  redirectToAuthorization = (url: URL): void => {
    this.asked = url;
  };
}

/** Plays the browser: opens the page, answers it with a key, and returns where it is sent to. */
async function approveByForm(call: typeof fetch, url: URL, key: string): Promise<URLSearchParams> {
  const page = await call(url);
  assert.equal(page.status, 200, await page.clone().text());
  const request = /name="request" value="([0-9a-f]+)"/.exec(await page.text())?.[1] ?? "";
  const sent = await call(new URL("/oauth/approve", url), {
    method: "POST",
    redirect: "manual",
    headers: {
      "content-type": "application/x-www-form-urlencoded",
      origin: url.origin,
      cookie: page.headers.get("set-cookie")?.split(";")[0] ?? "",
    },
    body: new URLSearchParams({ request, access_key: key, decision: "approve" }).toString(),
  });
  await sent.body?.cancel();
  assert.equal(sent.status, 303);
  const callback = new URL(sent.headers.get("location") ?? "");
  assert.equal(`${callback.origin}${callback.pathname}`, CALLBACK);
  assert.equal(callback.searchParams.get("state"), "the-state");
  return callback.searchParams;
}

/** A client of one of the two lines. */
interface Line {
  readonly name: string;
  /** The error for a caller who must sign in. */
  readonly unauthorized: new (...args: never[]) => Error;
  connect(url: URL, kept: Kept, call: typeof fetch): Promise<Connected>;
  finish(url: URL, kept: Kept, call: typeof fetch, answer: URLSearchParams): Promise<void>;
}

interface Connected {
  pools(): Promise<string>;
  close(): Promise<void>;
}

const CALL = { name: "plasmite_pool_list", arguments: {} };
const INFO = { name: "test", version: "1" };

const LINES: readonly Line[] = [
  {
    name: "sdk",
    unauthorized: oldAuth.UnauthorizedError,
    connect: async (url, kept, call) => {
      const client = new OldClient(INFO);
      await client.connect(new OldHttp(url, { authProvider: kept, fetch: call }));
      return {
        pools: async () => JSON.stringify(await client.callTool(CALL)),
        close: () => client.close(),
      };
    },
    finish: (url, kept, call, answer) =>
      new OldHttp(url, { authProvider: kept, fetch: call }).finishAuth(answer.get("code") ?? ""),
  },
  {
    name: "client",
    unauthorized: young.UnauthorizedError,
    connect: async (url, kept, call) => {
      const client = new young.Client(INFO);
      await client.connect(
        new young.StreamableHTTPClientTransport(url, { authProvider: kept, fetch: call }),
      );
      return {
        pools: async () => JSON.stringify(await client.callTool(CALL)),
        close: () => client.close(),
      };
    },
    // With the whole answer, so that it also checks who sent it.
    finish: (url, kept, call, answer) =>
      new young.StreamableHTTPClientTransport(url, { authProvider: kept, fetch: call })
        .finishAuth(answer),
  },
];

for (const line of LINES) {
  // Lost: agents that run elsewhere, which accept no key in a header.
  Deno.test(`oauth clients: ${line.name} registers, signs in, calls, refreshes, revokes`, async () => {
    await using server = await reachable();
    server.client.createPool("mine").close();
    using trust = trusting(server);
    const call = trust.fetch;
    const url = new URL(`https://localhost:${server.port}/mcp`);
    const kept = new Kept();
    const key = await server.invite("agent");
    const signIn = async (): Promise<void> => {
      kept.asked = null;
      await assert.rejects(line.connect(url, kept, call), line.unauthorized);
      assert.ok(kept.asked !== null);
      await line.finish(url, kept, call, await approveByForm(call, kept.asked, key));
    };

    await signIn();
    const first = kept.tokens();
    const connected = await line.connect(url, kept, call);
    assert.match(await connected.pools(), /mine/);

    // The access token is over: the client refreshes by itself, in the middle of its work.
    kept.saveTokens({ ...first, access_token: "0".repeat(64) });
    assert.match(await connected.pools(), /mine/);
    const second = kept.tokens();
    assert.notEqual(second.refresh_token, first.refresh_token);
    assert.notEqual(second.access_token, first.access_token);

    const revoked = await call(new URL("/oauth/revoke", url), {
      method: "POST",
      body: new URLSearchParams({
        token: second.refresh_token,
        client_id: kept.clientInformation().client_id,
      }),
    });
    assert.equal(await revoked.text(), "");
    assert.equal(revoked.status, 200);
    await assert.rejects(connected.pools());
    await connected.close().catch(() => {});

    await signIn();
    const again = await line.connect(url, kept, call);
    assert.match(await again.pools(), /mine/);
    await server.revoke("agent");
    await assert.rejects(again.pools());
    await again.close().catch(() => {});
  });
}
