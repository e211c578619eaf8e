/**
 * OAuth for `/mcp`, with a client written from docs/spec/sharing.md 5 and 9: hosted agents sign in
 * with nothing else.
 *
 * @module
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { StateFolder } from "../../server/access/folder.ts";
import { KeyStore } from "../../server/access/keys.ts";
import { OAuthStore } from "../../server/oauth/store.ts";
import { inTemp } from "../cli/cli_util.ts";
import { CALLBACK, challengeOf, OAuthClient, pairOf, reachable, type Read } from "./oauth_util.ts";
import { sharing, soon } from "./shared_util.ts";

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** An OAuth error: its status and code. */
function refusal({ status, json }: Read): string {
  return `${status} ${json?.error}`;
}

function stateOf(dir: string) {
  return JSON.parse(Deno.readTextFileSync(`${dir}/.plasmite-serve/oauth.json`));
}

Deno.test("oauth: whoever comes to /mcp without a token is told where to get one", async () => {
  await using server = await reachable();
  const client = new OAuthClient(server);
  const { origin } = client;
  for (const bearer of [null, "x", "0".repeat(64), "pk1.x.y"]) {
    const refused = await client.mcp(bearer);
    assert.equal(refused.status, 401);
    assert.equal(refused.text, '{"error":"invalid_token"}');
    assert.equal(
      refused.headers["www-authenticate"],
      `Bearer resource_metadata="${origin}/.well-known/oauth-protected-resource/mcp"`,
    );
  }
  const looked = await client.get("/mcp");
  assert.equal(looked.status, 405);
  assert.equal(looked.headers["www-authenticate"], undefined);
  for (const path of ["", "/mcp"]) {
    const { json } = await client.get(`/.well-known/oauth-protected-resource${path}`);
    assert.deepEqual(json, {
      authorization_servers: [origin],
      bearer_methods_supported: ["header"],
      resource: `${origin}/mcp`,
    });
  }
  assert.deepEqual((await client.get("/.well-known/oauth-authorization-server")).json, {
    issuer: origin,
    authorization_endpoint: `${origin}/oauth/authorize`,
    token_endpoint: `${origin}/oauth/token`,
    registration_endpoint: `${origin}/oauth/register`,
    revocation_endpoint: `${origin}/oauth/revoke`,
    response_types_supported: ["code"],
    grant_types_supported: ["authorization_code", "refresh_token"],
    code_challenge_methods_supported: ["S256"],
    token_endpoint_auth_methods_supported: ["none"],
    authorization_response_iss_parameter_supported: true,
  });
  // The listener for this machine needs nothing and has none of that.
  assert.equal((await server.local("/.well-known/oauth-authorization-server")).status, 404);
  const wrong = await client.form("/oauth/authorize", {});
  assert.equal(wrong.status, 405);
  assert.equal(wrong.headers["allow"], "GET,HEAD");
});

Deno.test("oauth: without a shared address there is none, but keys open /mcp", async () => {
  await using server = await sharing({ sharedAddress: undefined });
  const client = new OAuthClient(server);
  for (const path of ["oauth-protected-resource/mcp", "oauth-authorization-server"]) {
    const { status, text } = await client.get(`/.well-known/${path}`);
    assert.deepEqual([status, text], [404, ""]);
  }
  const refused = await client.mcp(null);
  assert.deepEqual([refused.status, refused.json.error.kind], [503, "Permission"]);
  assert.equal((await client.get("/mcp")).status, 405);
  const [, , secret = ""] = (await server.invite("agent")).split(".");
  assert.equal((await client.mcp(secret)).status, 200);
});

Deno.test("oauth: registration takes what 1.x takes", async () => {
  await using server = await reachable();
  const client = new OAuthClient(server);
  const made = await client.register({
    client_name: "Ä".repeat(64),
    redirect_uris: [CALLBACK, "https://app.example/cb?x=1", "http://localhost/", "http://[::1]:1/"],
    grant_types: ["authorization_code", "refresh_token"],
    scope: "anything",
  });
  assert.equal(made.status, 201);
  assert.match(made.json.client_id, /^[0-9a-f]{64}$/);
  assert.deepEqual(Object.keys(made.json), [
    "client_id",
    "client_name",
    "redirect_uris",
    "token_endpoint_auth_method",
  ]);
  assert.equal(made.json.token_endpoint_auth_method, "none");
  const unnamed = await client.register({ redirect_uris: [CALLBACK] });
  assert.equal(unnamed.json.client_name, "MCP client");
  const uris = (...redirect_uris: unknown[]) => ({ redirect_uris });
  const bad: unknown[] = [
    {},
    [],
    null,
    uris(),
    uris(...Array(9).fill(CALLBACK)),
    uris("http://app.example/"),
    uris("https://me@app.example/"),
    uris("https://app.example/#x"),
    uris("https://app.example/\r\nx"),
    uris("javascript:alert(1)"),
    uris("custom://x"),
    uris(`https://app.example/${"x".repeat(2048)}`),
    uris("http://127.0.0.1.evil.example/"),
    uris(1),
    { redirect_uris: CALLBACK },
    { ...uris(CALLBACK), client_name: "" },
    { ...uris(CALLBACK), client_name: "Ä".repeat(65) },
    { ...uris(CALLBACK), client_name: "a\u0007" },
    { ...uris(CALLBACK), client_name: 5 },
    { ...uris(CALLBACK), token_endpoint_auth_method: "client_secret_post" },
  ];
  for (const metadata of bad) {
    const refused = refusal(await client.register(metadata));
    assert.equal(refused, "400 invalid_client_metadata", JSON.stringify(metadata).slice(0, 99));
  }
});

// Lost: the key, to a page that passes itself off as another, or to whoever is redirected to.
Deno.test("oauth: the page shows who asks, escaped, and lets browsers answer it", async () => {
  await using server = await reachable();
  const client = new OAuthClient(server);
  const evil = '<script>alert("1")</script>';
  const { json } = await client.register({ client_name: evil, redirect_uris: [CALLBACK] });
  const page = await client.authorize(json.client_id);
  assert.equal(page.status, 200);
  assert.match(`${page.headers["content-type"]}`, /^text\/html/);
  assert.ok(!page.text.includes("<script"));
  for (const shown of ["&lt;script&gt;", CALLBACK, client.resource]) {
    assert.ok(page.text.includes(shown), shown);
  }
  assert.match(page.text, /<input type="password"[^>]* name="access_key"/);
  assert.equal(page.text.match(/<button name="decision"/g)?.length, 2);
  const policy = `${page.headers["content-security-policy"]}`;
  assert.match(policy, /^default-src 'none'; base-uri 'none'; frame-ancestors 'none'/);
  // Either would keep the browser from coming back.
  assert.doesNotMatch(policy, /form-action|script/);
  assert.equal(page.headers["referrer-policy"], undefined);
  assert.equal(page.headers["cache-control"], "no-store");
  const style = /<style>([^<]*)<\/style>/.exec(page.text)?.[1] ?? "";
  const hash = createHash("sha256").update(style).digest("base64");
  assert.ok(policy.includes(`style-src 'sha256-${hash}'`));
  assert.match(
    `${page.headers["set-cookie"]}`,
    /^plasmite_oauth=[0-9a-f]{64}; Secure; HttpOnly; SameSite=Lax; Path=\/oauth\/approve; Max-Age=600$/,
  );
});

Deno.test("oauth: what is wrong with a request for the page is never redirected", async () => {
  await using server = await reachable();
  const client = new OAuthClient(server);
  const id = await client.registered();
  assert.equal(refusal(await client.authorize("0".repeat(64))), "400 invalid_client");
  const bad: [Record<string, string | null>, string?][] = [
    [{ client_id: null }],
    [{ response_type: "token" }],
    [{ response_type: null }],
    [{ redirect_uri: `${CALLBACK}/` }],
    [{ redirect_uri: CALLBACK.replace("4321", "4322") }],
    [{ redirect_uri: null }],
    [{ code_challenge: "short" }],
    [{ code_challenge: null }],
    [{ code_challenge_method: "plain" }],
    [{ code_challenge_method: null }],
    [{ resource: null }],
    [{ resource: client.origin }],
    [{}, `&resource=${encodeURIComponent("https://other.example/mcp")}`],
    [{ state: "x".repeat(1025) }],
    [{}, "&state=again"],
    [{}, "&foo=1&foo=2"],
  ];
  for (const [more, suffix] of bad) {
    const answer = await client.authorize(id, more, suffix);
    assert.equal(refusal(answer), "400 invalid_request", JSON.stringify([more, suffix]));
    assert.equal(answer.headers["location"], undefined);
  }
  const good: [Record<string, string | null>, string?][] = [
    [{ state: null }],
    [{ state: "x".repeat(1024) }],
    [{ scope: "" }],
    [{ scope: "anything" }],
    [{}, `&resource=${encodeURIComponent(client.resource)}`],
  ];
  for (const [more, suffix] of good) {
    assert.equal((await client.authorize(id, more, suffix)).status, 200, JSON.stringify(more));
  }
});

Deno.test("oauth: an answer to the page counts once, from its own browser, with a key", async () => {
  await using server = await reachable();
  const client = new OAuthClient(server);
  const key = await server.invite("laptop");
  const id = await client.registered();
  const yes = { access_key: key, decision: "approve" };
  const used = { ...yes };

  // Another origin burns nothing.
  const first = await client.open(id);
  for (const origin of [null, "null", "https://evil.example", `${client.origin}/`]) {
    assert.equal(refusal(await client.decide(first, yes, { origin })), "403 invalid_request");
  }
  const approved = await client.decide(first, { ...yes, access_key: ` ${key}\r\n` });
  assert.equal(approved.status, 303);
  const iss = encodeURIComponent(client.origin);
  assert.match(
    `${approved.headers["location"]}`,
    new RegExp(`^${CALLBACK}\\?code=[0-9a-f]{64}&iss=${iss.replaceAll(".", "\\.")}&state=st%26te$`),
  );
  assert.match(`${approved.headers["set-cookie"]}`, /^plasmite_oauth=; .*Max-Age=0/);
  assert.equal(refusal(await client.decide(first, used)), "400 invalid_request");

  const burning: [string, Record<string, string>, { cookie?: string | null }][] = [
    ["403 invalid_request", yes, { cookie: null }],
    ["403 invalid_request", yes, { cookie: `plasmite_oauth=${"0".repeat(64)}` }],
    ["401 access_denied", { ...yes, access_key: "x" }, {}],
    ["401 access_denied", { ...yes, access_key: key.split(".")[2] ?? "" }, {}],
    ["401 access_denied", { ...yes, access_key: `pk1.${"0".repeat(64)}.${key.slice(-64)}` }, {}],
    ["400 invalid_request", { ...yes, decision: "maybe" }, {}],
  ];
  for (const [wanted, fields, more] of burning) {
    const opened = await client.open(id);
    assert.equal(refusal(await client.decide(opened, fields, more)), wanted);
    assert.equal(refusal(await client.decide(opened, yes)), "400 invalid_request");
  }

  const denied = await client.decide(await client.open(id), { decision: "deny" });
  assert.equal(denied.status, 303);
  const refused = `${CALLBACK}?error=access_denied&iss=${iss}&state=st%26te`;
  assert.equal(denied.headers["location"], refused);
  assert.equal(denied.headers["set-cookie"], undefined);
});

Deno.test("oauth: a code is good once, for its client, callback and verifier", async () => {
  await using server = await reachable();
  const client = new OAuthClient(server);
  const key = await server.invite("laptop");
  const id = await client.registered();
  const other = await client.registered();
  const fresh = () => client.code(id, key);

  const code = await fresh();
  // These do not burn it.
  const kept: [string, Record<string, string | undefined>][] = [
    ["400 invalid_target", { resource: undefined }],
    ["400 invalid_target", { resource: `${client.resource}/` }],
    ["400 invalid_request", { code_verifier: undefined }],
    ["400 invalid_request", { client_id: undefined }],
    ["400 invalid_request", { grant_type: undefined }],
    ["400 unsupported_grant_type", { grant_type: "password" }],
  ];
  for (const [wanted, more] of kept) {
    assert.equal(refusal(await client.exchange(id, code, more)), wanted, JSON.stringify(more));
  }
  const good = await client.exchange(id, code);
  assert.equal(good.status, 200);
  assert.equal(good.headers["cache-control"], "no-store");
  assert.equal(good.headers["pragma"], "no-cache");
  const { access_token, refresh_token, ...rest } = good.json;
  assert.match(access_token, /^[0-9a-f]{64}$/);
  assert.match(refresh_token, /^rt1\.[0-9a-f]+\.[0-9a-f]{64}$/);
  assert.deepEqual(rest, { token_type: "Bearer", expires_in: 900 });
  assert.equal(refusal(await client.exchange(id, code)), "400 invalid_grant");

  const burning: [string, Record<string, string>][] = [
    [id, { code_verifier: "w".repeat(43) }],
    [id, { redirect_uri: `${CALLBACK}2` }],
    [other, {}],
  ];
  for (const [who, more] of burning) {
    const next = await fresh();
    assert.equal(refusal(await client.exchange(who, next, more)), "400 invalid_grant");
    assert.equal(refusal(await client.exchange(id, next)), "400 invalid_grant");
  }
  const unknown = { code: "0".repeat(64), verifier: "v".repeat(43) };
  assert.equal(refusal(await client.exchange(id, unknown)), "400 invalid_grant");
  const json = { "content-type": "application/json" };
  assert.equal((await client.post("/oauth/token", "{}", json)).status, 415);
  const form = { "content-type": "application/x-www-form-urlencoded" };
  const twice = "grant_type=refresh_token&grant_type=refresh_token";
  assert.equal(refusal(await client.post("/oauth/token", twice, form)), "400 invalid_request");
});

// Lost: the pools, to whoever once saw a token.
Deno.test("oauth: tokens rotate; an old or a forged one ends the grant, and so does revoking", async () => {
  await using server = await reachable();
  const client = new OAuthClient(server);
  const key = await server.invite("laptop");
  const id = await client.registered();
  const works = async ({ access }: { access: string }) => (await client.mcp(access)).status;
  const next = async (refresh: string) => pairOf(await client.refresh(id, refresh));

  const one = await client.tokens(id, key);
  assert.equal(await works(one), 200);
  // The two kinds of bearer values are not interchangeable.
  const pools = await client.get("/v0/pools", { authorization: `Bearer ${one.access}` });
  assert.equal(pools.status, 401);
  assert.equal((await client.mcp(one.refresh)).status, 401);

  const two = await next(one.refresh);
  assert.deepEqual([await works(one), await works(two)], [401, 200]);
  assert.equal(
    refusal(await client.refresh(id, two.refresh, { resource: "x" })),
    "400 invalid_target",
  );
  const stranger = await client.registered();
  assert.equal(refusal(await client.refresh(stranger, two.refresh)), "400 invalid_grant");
  assert.equal(await works(two), 200);
  assert.equal(refusal(await client.refresh(id, one.refresh)), "400 invalid_grant");
  assert.equal(await works(two), 401);
  assert.equal(refusal(await client.refresh(id, two.refresh)), "400 invalid_grant");

  const three = await client.tokens(id, key);
  const [, grant = ""] = three.refresh.split(".");
  const forged = `rt1.${grant}.${"0".repeat(64)}`;
  assert.equal(refusal(await client.refresh(id, forged)), "400 invalid_grant");
  assert.equal(await works(three), 401);

  for (const kind of ["access", "refresh"] as const) {
    const four = await client.tokens(id, key);
    for (const [token, client_id] of [["x", id], [four[kind], stranger], ["", ""]]) {
      const done = await client.form("/oauth/revoke", { token, client_id });
      assert.deepEqual([done.status, done.text], [200, ""]);
    }
    assert.equal(await works(four), 200);
    await client.form("/oauth/revoke", { token: four[kind], client_id: id });
    assert.equal(await works(four), 401);
    assert.equal(refusal(await client.refresh(id, four.refresh)), "400 invalid_grant");
  }

  // One grant for each client.
  const five = await client.tokens(id, key);
  const six = await client.tokens(id, key);
  assert.deepEqual([await works(five), await works(six)], [401, 200]);
});

// Lost: nothing is open any more to a key that was taken back, whatever was made with it.
Deno.test("oauth: with the access key go its codes, grants and tokens, and what is open", async () => {
  await using server = await reachable();
  server.client.createPool("p").close();
  const client = new OAuthClient(server);
  const key = await server.invite("laptop");
  const id = await client.registered();
  const pair = await client.tokens(id, key);
  const code = await client.code(id, key);
  const arguments_ = { pool: "p", timeout_ms: 60_000 };
  const call = { method: "tools/call", params: { name: "plasmite_wait", arguments: arguments_ } };
  const waiting = await server.remote("").send("/mcp", {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      authorization: `Bearer ${pair.access}`,
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, ...call }),
  });
  // Answers of calls that take a while begin early: then they wait.
  await waiting.first();
  await server.revoke("laptop");
  assert.match(await soon(waiting.text()), /"error_kind":"Permission"/);
  const { clients, ...rest } = stateOf(server.dir);
  assert.deepEqual(rest, { codes: [], grants: [], access_tokens: [] });
  assert.equal(clients.length, 1);
  assert.equal((await client.mcp(pair.access)).status, 401);
  assert.equal(refusal(await client.refresh(id, pair.refresh)), "400 invalid_grant");
  assert.equal(refusal(await client.exchange(id, code)), "400 invalid_grant");
  // The client may be let in again with another key.
  const again = await client.tokens(id, await server.invite("other"));
  assert.equal((await client.mcp(again.access)).status, 200);
});

Deno.test("oauth: a limited key makes a limited agent", async () => {
  await using server = await reachable();
  for (const name of ["mine", "other"]) server.client.createPool(name).close();
  const client = new OAuthClient(server);
  const key = await server.invite("ci", { pools: ["mine"], rights: "read" });
  const { access } = await client.tokens(await client.registered(), key);
  const list = { method: "tools/call", params: { name: "plasmite_pool_list", arguments: {} } };
  const { text } = await client.mcp(access, list);
  assert.ok(text.includes("mine") && !text.includes("other"), text);
});

Deno.test("oauth: the file has the layout of 1.x and survives restarts and revocation elsewhere", () =>
  inTemp(async (dir) => {
    const port = { sharedAddress: "https://localhost:9743" };
    let kept: { id: string; access: string; refresh: string; key: string };
    let flags = {};
    {
      await using server = await reachable({}, dir);
      flags = {
        sharedAddress: `https://localhost:${server.port}`,
        remoteBind: `127.0.0.1:${server.port}`,
      };
      const client = new OAuthClient(server);
      const key = await server.invite("laptop");
      const id = await client.registered();
      const pair = await client.tokens(id, key);
      const { code } = await client.code(id, key);
      const keyId = await server.idOf("laptop");
      const state = stateOf(dir);
      const [, grantId] = pair.refresh.split(".");
      assert.deepEqual(Object.keys(state), ["clients", "codes", "grants", "access_tokens"]);
      assert.deepEqual(state.clients, [
        { id, name: "Agent", redirect_uris: [CALLBACK], expires_at: null, key_id: keyId },
      ]);
      const { challenge, expires_at, ...issued } = state.codes[0];
      assert.match(challenge, /^[\w-]{43}$/);
      assert.ok(expires_at > Date.now() / 1000 + 500);
      assert.deepEqual(issued, {
        hash: sha256(code),
        client_id: id,
        redirect_uri: CALLBACK,
        resource: client.resource,
        key_id: keyId,
      });
      assert.deepEqual(state.grants, [{
        id: grantId,
        client_id: id,
        resource: client.resource,
        key_id: keyId,
        refresh_hash: sha256(pair.refresh),
      }]);
      assert.equal(state.access_tokens[0].hash, sha256(pair.access));
      assert.equal(state.access_tokens[0].grant_id, grantId);
      const { mode } = Deno.statSync(`${dir}/.plasmite-serve/oauth.json`);
      assert.equal((mode ?? 0) & 0o777, 0o600);
      kept = { id, ...pair, key };
    }
    {
      await using server = await reachable(flags, dir);
      const client = new OAuthClient(server);
      assert.equal((await client.mcp(kept.access)).status, 200);
      const pair = pairOf(await client.refresh(kept.id, kept.refresh));
      assert.equal((await client.mcp(pair.access)).status, 200);
      kept = { ...kept, ...pair };
    }
    {
      // Another address: authorize again.
      await using server = await sharing(port, dir);
      const client = new OAuthClient(server);
      assert.equal((await client.mcp(kept.access)).status, 401);
    }
    {
      await using server = await reachable(flags, dir);
      assert.equal((await new OAuthClient(server).mcp(kept.access)).status, 200);
    }
    const keys = JSON.parse(Deno.readTextFileSync(`${dir}/.plasmite-serve/keys.json`));
    keys[0].revoked = true;
    Deno.writeTextFileSync(`${dir}/.plasmite-serve/keys.json`, JSON.stringify(keys));
    {
      await using server = await reachable(flags, dir);
      const client = new OAuthClient(server);
      assert.equal((await client.mcp(kept.access)).status, 401);
      assert.equal(refusal(await client.refresh(kept.id, kept.refresh)), "400 invalid_grant");
    }
    Deno.writeTextFileSync(`${dir}/.plasmite-serve/oauth.json`, '{"clients":[{"id":1}]}');
    await assert.rejects(reachable(flags, dir), /damaged/);
  }));

Deno.test("oauth: thirty registrations and pages a minute, eight open pages of a client", async () => {
  await using server = await reachable();
  const client = new OAuthClient(server);
  const id = await client.registered();
  for (let i = 0; i < 8; i++) assert.equal((await client.authorize(id)).status, 200);
  assert.equal(refusal(await client.authorize(id)), "429 temporarily_unavailable");
  for (let i = 10; i < 30; i++) await client.registered();
  const refused = await client.register();
  assert.equal(refusal(refused), "429 temporarily_unavailable");
  assert.ok(Number(refused.headers["retry-after"]) >= 1);
  assert.equal(refusal(await client.authorize(id)), "429 temporarily_unavailable");
  // Over HTTP/2 the answer must not be lost because the body was not read.
  const trusting = Deno.createHttpClient({ caCerts: [server.running.identity.cert] });
  const late = await fetch(`${client.origin}/oauth/register`, {
    client: trusting,
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ redirect_uris: [CALLBACK], padding: "x".repeat(40_000) }),
  });
  assert.deepEqual([late.status, await late.text()], [429, '{"error":"temporarily_unavailable"}']);
  trusting.close();
});

Deno.test("oauth: guessing keys on the page is slowed down, together with signing in", async () => {
  await using server = await reachable();
  const client = new OAuthClient(server);
  const key = await server.invite("laptop");
  const id = await client.registered();
  const opened = await client.open(id);
  for (let i = 0; i < 10; i++) {
    const signIn = await client.post("/v0/browser/session", '{"access_key":"x"}', {
      "content-type": "application/json",
      origin: client.origin,
    });
    assert.equal(signIn.status, 401);
  }
  const yes = { access_key: key, decision: "approve" };
  assert.equal(refusal(await client.decide(opened, yes)), "429 temporarily_unavailable");
  // A valid bearer value is never refused for that.
  const [, , secret = ""] = key.split(".");
  assert.equal((await client.mcp(secret)).status, 200);
});

// Lost: everything, to whoever reads a log.
Deno.test("oauth: no secret is in answers about errors, metrics, listings or files", async () => {
  await using server = await reachable();
  const client = new OAuthClient(server);
  const key = await server.invite("laptop");
  const id = await client.registered();
  const opened = await client.open(id);
  const code = await client.code(id, key);
  const pair = pairOf(await client.exchange(id, code));
  const [, , secret = ""] = key.split(".");
  const texts = [
    (await server.local("/metrics")).text,
    (await server.local("/v0/access/status")).text,
    (await client.exchange(id, code)).text,
    (await client.refresh(id, `${pair.refresh}x`)).text,
    (await client.decide(opened, { access_key: `${key}x`, decision: "approve" })).text,
    (await client.get(`/v0/pools?x=${pair.access}`, { authorization: `Bearer ${pair.access}` }))
      .text,
    ...[...Deno.readDirSync(`${server.dir}/.plasmite-serve`)]
      .map(({ name }) => Deno.readTextFileSync(`${server.dir}/.plasmite-serve/${name}`)),
  ];
  const cookie = opened.cookie.split("=")[1] ?? "";
  for (const hidden of [secret, pair.access, pair.refresh, code.code, code.verifier, cookie]) {
    assert.ok(hidden.length > 40);
    for (const text of texts) assert.ok(!text.includes(hidden), text);
  }
  assert.equal(challengeOf("x").length, 43);
});

// Whoever may register fills the file until the server can read it no more, and does not start.
Deno.test("oauth: registrations never make the file too large to be read", () =>
  inTemp((dir) => {
    const folder = StateFolder.make(dir);
    const filled = (length: number): OAuthStore => {
      const redirect_uris = [`https://a.example/${"x".repeat(length)}`];
      const client = { id: "a", name: "a", redirect_uris, expires_at: null, key_id: null };
      folder.write("oauth.json", JSON.stringify({ clients: [client] }));
      return OAuthStore.load(folder, KeyStore.load(folder));
    };
    const registration = { name: "b", redirectUris: [CALLBACK] };
    const limit = 8 << 20;
    assert.equal(filled(limit - 1024).register(registration).name, "b");
    assert.throws(() => filled(limit).register(registration), { status: 429 });
    assert.equal(stateOf(dir).clients.length, 1);
    return Promise.resolve();
  }));
