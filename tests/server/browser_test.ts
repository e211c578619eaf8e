/**
 * Browsers that sign in with a key: what the cookie opens, for whom, and for how long
 * (docs/spec/sharing.md 4).
 *
 * @module
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { connect, type IncomingHttpHeaders } from "node:http2";
import { AttemptLimit } from "../../server/access/limit.ts";
import { inTemp } from "../cli/cli_util.ts";
import type { KeyAnswer } from "../support/key_client.ts";
import { type Shared, sharing, soon } from "./shared_util.ts";

const JSON_TYPE = { "content-type": "application/json" };
const SESSION = "/v0/browser/session";

function originOf(server: Shared): string {
  return `https://localhost:${server.port}`;
}

/** Signs in; nothing but the key and the right origin is sent. */
function signIn(server: Shared, access_key: unknown, more: object = {}): Promise<KeyAnswer> {
  return server.remote("").send(SESSION, {
    method: "POST",
    headers: { ...JSON_TYPE, origin: originOf(server), ...more },
    body: JSON.stringify({ access_key }),
  });
}

/** The cookie that an answer sets, as the browser sends it. */
function cookieOf({ headers }: KeyAnswer): string {
  const [cookie = ""] = headers["set-cookie"] ?? [];
  return cookie.split(";")[0] ?? "";
}

async function errorOf(answer: KeyAnswer): Promise<string> {
  return JSON.parse(await answer.text()).error.message;
}

Deno.test("browser: signing in sets the cookie of 1.x, which opens pools and nothing else", async () => {
  await using server = await sharing();
  server.client.createPool("p").close();
  const key = await server.invite("phone");
  const answer = await signIn(server, key);
  assert.equal(answer.status, 200);
  assert.equal(await answer.text(), '{"authenticated":true}');
  assert.match(
    `${answer.headers["set-cookie"]}`,
    /^plasmite_session=[0-9a-f]{64}; Path=\/v0; Max-Age=2592000; Secure; HttpOnly; SameSite=Strict$/,
  );
  assert.equal(answer.headers["cache-control"], "no-store");
  const cookie = cookieOf(answer);
  const get = (path: string, more: Record<string, string> = {}) =>
    server.remote("").send(path, { headers: { cookie, ...more } });
  const looked = await get(SESSION);
  assert.equal(await looked.text(), '{"authenticated":true,"local":false}');
  for (
    const path of ["/v0/pools", "/v0/ui/pools", "/v0/pools/p/info", "/v0/pools/p/tail?timeout_ms=0"]
      .concat("/v0/ui/pools/p/events?timeout_ms=0", "/v0/ui/pools/p/info")
  ) assert.equal((await get(path)).status, 200, path);
  for (const path of ["/v0/access/check", "/metrics", "/v0/access/keys", "/v0/poolsx"]) {
    assert.notEqual((await get(path)).status, 200, path);
  }
  const mcp = await server.remote("").send("/mcp", {
    method: "POST",
    headers: { ...JSON_TYPE, cookie, origin: originOf(server) },
    body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
  });
  assert.equal(mcp.status, 401);
  // The streams of the page are among what it opens: none of this name, instead of no key.
  const streams = await server.remote("").send("/v0/ui/streams/none", {
    method: "POST",
    headers: { ...JSON_TYPE, cookie, origin: originOf(server) },
    body: "{}",
  });
  assert.equal(await errorOf(streams), "no such bundle");
  // With other credentials only those count.
  assert.equal((await get("/v0/pools", { authorization: "Bearer x" })).status, 401);
  // Among other cookies; what is no token counts as none.
  const among = await server.remote("").send("/v0/pools", {
    headers: { cookie: `a=b; ${cookie}; c` },
  });
  assert.equal(among.status, 200);
  for (
    const bad of ["plasmite_session=x", `${cookie}0`, cookie.toUpperCase(), "plasmite_session="]
  ) {
    const refused = await server.remote("").send("/v0/pools", { headers: { cookie: bad } });
    assert.equal(refused.status, 401);
    assert.equal(await errorOf(refused), "missing access key", bad);
  }
  const unknown = `plasmite_session=${"0".repeat(64)}`;
  const ended = await server.remote("").send("/v0/pools", { headers: { cookie: unknown } });
  assert.equal(await errorOf(ended), "browser session ended");
});

// Lost: a message in somebody's name, written by a page that they only visited.
Deno.test("browser: with the cookie only pages of this server write, sign in and sign out", async () => {
  await using server = await sharing({ corsOrigins: ["https://listed.example"] });
  server.client.createPool("p").close();
  const key = await server.invite("phone");
  const cookie = cookieOf(await signIn(server, key));
  const own = originOf(server);
  const foreign: Record<string, string>[] = [
    {},
    { origin: "https://evil.example" },
    { origin: "https://listed.example" },
    { origin: "null" },
    { origin: own.replace("https:", "http:") },
    { origin: own.replace("localhost", "127.0.0.1") },
    { origin: "https://localhost" },
    { origin: `${own}, ${own}` },
    { origin: own, "sec-fetch-site": "cross-site", host: "other" },
  ];
  for (const headers of foreign) {
    const at = JSON.stringify(headers);
    const sent = { ...JSON_TYPE, cookie, ...headers };
    const calls: [string, string, string?][] = [
      ["POST", "/v0/pools/p/append", '{"data":{}}'],
      ["POST", "/v0/pools", '{"pool":"q"}'],
      ["DELETE", "/v0/pools/p"],
      ["POST", SESSION, JSON.stringify({ access_key: key })],
      ["DELETE", SESSION],
    ];
    for (const [method, path, body] of calls) {
      const answer = await server.remote("").send(path, {
        method,
        headers: sent,
        ...body === undefined ? {} : { body },
      });
      assert.equal(answer.status, 403, `${method} ${path} ${at}`);
    }
  }
  const listed = await server.remote("").send("/v0/pools", {
    headers: { cookie, origin: "https://listed.example" },
  });
  assert.equal(listed.status, 403);
  const write = (headers: Record<string, string>) =>
    server.remote("").send("/v0/pools/p/append", {
      method: "POST",
      headers: { ...JSON_TYPE, cookie, ...headers },
      body: '{"data":{}}',
    });
  assert.equal((await write({ origin: own })).status, 200);
  assert.equal(server.client.poolInfo("p").bounds.newestSeq, 1n);
  // A bearer needs no origin.
  const bearer = await server.remote(key).send("/v0/pools/p/append", {
    method: "POST",
    headers: JSON_TYPE,
    body: '{"data":{}}',
  });
  assert.equal(bearer.status, 200);
});

Deno.test("browser: wrong keys, and bodies that have none", async () => {
  await using server = await sharing();
  const key = await server.invite("phone");
  const [, spki = "", secret = ""] = key.split(".");
  const wrong = [
    `pk1.${"0".repeat(64)}.${secret}`,
    `pk1.${spki}.${"0".repeat(64)}`,
    secret,
    ` ${key}`,
    key.toUpperCase(),
    "",
  ];
  for (const one of wrong) {
    const answer = await signIn(server, one);
    assert.equal(answer.status, 401, one);
    assert.equal(answer.headers["set-cookie"], undefined);
    assert.equal(await errorOf(answer), "invalid access key");
  }
  for (const one of [null, 1, undefined, {}]) {
    assert.equal((await signIn(server, one)).status, 400, Deno.inspect(one));
  }
  assert.equal((await signIn(server, key, { "content-type": "text/plain" })).status, 415);
});

// Lost: a guest's rights, widened by signing in.
Deno.test("browser: a session may do what its key may, and ends with it", async () => {
  await using server = await sharing({ maxTailTimeoutMs: 600_000 });
  for (const name of ["in", "out"]) server.client.createPool(name).close();
  const guest = await server.invite("guest", { pools: ["in"], rights: "read" });
  const cookie = cookieOf(await signIn(server, guest));
  const headers = { ...JSON_TYPE, cookie, origin: originOf(server) };
  const ask = async (path: string, method = "GET", body?: string) =>
    (await server.remote("").send(path, {
      method,
      headers,
      ...body === undefined ? {} : { body },
    })).status;
  assert.equal(await ask("/v0/pools/in/info"), 200);
  assert.equal(await ask("/v0/pools/out/info"), 403);
  assert.equal(await ask("/v0/pools/in/append", "POST", '{"data":{}}'), 403);
  const streams = await Promise.all(
    ["/v0/pools/in/tail", "/v0/ui/pools/in/events"].map((path) =>
      server.remote("").send(path, { headers })
    ),
  );
  await server.revoke("guest");
  for (const stream of streams) assert.ok(!(await soon(stream.text())).includes("error"));
  const after = await server.remote("").send("/v0/pools/in/info", { headers });
  assert.equal(after.status, 401);
  assert.equal(await errorOf(after), "browser session ended");
  assert.equal(await ask(SESSION), 401);
});

Deno.test("browser: signing out ends the session and its streams, and clears the cookie", async () => {
  await using server = await sharing({ maxTailTimeoutMs: 600_000 });
  server.client.createPool("p").close();
  const key = await server.invite("phone");
  const cookies = [cookieOf(await signIn(server, key)), cookieOf(await signIn(server, key))];
  const tails = await Promise.all(
    cookies.map((cookie) => server.remote("").send("/v0/pools/p/tail", { headers: { cookie } })),
  );
  const headers = { cookie: cookies[0] ?? "", origin: originOf(server) };
  const out = await server.remote("").send(SESSION, { method: "DELETE", headers });
  assert.equal(await out.text(), '{"authenticated":false}');
  assert.equal(
    `${out.headers["set-cookie"]}`,
    "plasmite_session=; Path=/v0; Max-Age=0; Secure; HttpOnly; SameSite=Strict",
  );
  await soon(tails[0]?.text() ?? Promise.reject(new Error("no stream")));
  assert.equal((await server.remote("").send(SESSION, { headers })).status, 401);
  const other = await server.remote("").send(SESSION, { headers: { cookie: cookies[1] ?? "" } });
  assert.equal(other.status, 200);
  tails[1]?.destroy();
});

// Lost: a day's work of signing in again, or a token to whoever reads the folder.
Deno.test("browser: sessions outlive a restart; the file has hashes only, and has an end", () =>
  inTemp(async (dir) => {
    const first = await sharing({}, dir);
    const key = await first.invite("phone");
    const cookie = cookieOf(await signIn(first, key));
    const id = await first.idOf("phone");
    await first.stop();
    const path = `${dir}/.plasmite-serve/browser-sessions.json`;
    const file = JSON.parse(Deno.readTextFileSync(path));
    const token = cookie.split("=")[1] ?? "";
    const hash = createHash("sha256").update(token).digest("hex");
    assert.deepEqual(Object.keys(file), [hash]);
    assert.deepEqual(Object.keys(file[hash]), ["key_id", "expires_at"]);
    assert.equal(file[hash].key_id, id);
    const second = await sharing({}, dir);
    const ask = async (server: Shared): Promise<number> =>
      (await server.remote("").send(SESSION, { headers: { cookie } })).status;
    assert.equal(await ask(second), 200);
    await second.stop();
    // So many that are alive, and as many that are over: only the first count.
    const many = (count: number, expires_at: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => {
        const name = createHash("sha256").update(`${i} ${expires_at}`).digest("hex");
        return [name, { key_id: id, expires_at }];
      }));
    const now = Math.floor(Date.now() / 1000);
    const full = { ...many(1023, now + 1000), ...many(1024, now - 1) };
    Deno.writeTextFileSync(
      path,
      JSON.stringify({ ...full, [hash]: { key_id: id, expires_at: now } }),
    );
    const third = await sharing({}, dir);
    assert.equal(await ask(third), 401);
    assert.equal((await signIn(third, key)).status, 200);
    const refused = await signIn(third, key);
    assert.equal(refused.status, 423);
    await third.stop();
    Deno.writeTextFileSync(path, '{"x":1}');
    await assert.rejects(sharing({}, dir), /damaged/);
  }));

Deno.test("browser: this machine needs no sign-in", async () => {
  await using server = await sharing();
  const key = await server.invite("phone");
  const looked = await server.local(SESSION);
  assert.equal(looked.text, '{"authenticated":true,"local":true}');
  const post = await server.local(SESSION, {
    method: "POST",
    headers: JSON_TYPE,
    body: JSON.stringify({ access_key: key }),
  });
  assert.equal(post.status, 401);
  assert.equal(post.headers.get("set-cookie"), null);
});

// Lost: a key that was guessed; or, with a limit on everything, the service of all the others.
Deno.test("browser: who tries keys is stopped for a while, and valid bearers never are", async () => {
  await using server = await sharing();
  const key = await server.invite("phone");
  const cookie = cookieOf(await signIn(server, key));
  const statuses = new Set<number>();
  for (let i = 0; i < 10; i++) {
    statuses.add((await signIn(server, `pk1.${key.split(".")[1]}.${`${i}`.repeat(64)}`)).status);
  }
  assert.deepEqual([...statuses], [401]);
  const stopped = await signIn(server, key);
  assert.equal(stopped.status, 429);
  assert.match(`${stopped.headers["retry-after"]}`, /^[1-6]?[0-9]$/);
  for (let i = 0; i < 20; i++) {
    assert.equal(
      (await server.remote(`${key.slice(0, -64)}${"0".repeat(64)}`).send("/v0/pools")).status,
      401,
    );
  }
  assert.equal((await server.remote(key).send("/v0/pools")).status, 200);
  const signedIn = await server.remote("").send("/v0/pools", { headers: { cookie } });
  assert.equal(signedIn.status, 200);
});

Deno.test("browser: attempts count by address, a network of IPv6 as one", () => {
  const limit = new AttemptLimit();
  const fail = (address: string, times: number): void => {
    for (let i = 0; i < times; i++) limit.failed(address);
  };
  const stopped = (address: string): boolean => {
    try {
      limit.check(address);
      return false;
    } catch {
      return true;
    }
  };
  fail("192.0.2.1", 10);
  assert.equal(stopped("192.0.2.1"), true);
  assert.equal(stopped("192.0.2.2"), false);
  fail("2001:db8:1:2:3::4", 5);
  fail("2001:db8:1:2::9", 5);
  assert.equal(stopped("2001:db8:1:2:ffff::1"), true);
  assert.equal(stopped("2001:db8:1:3::1"), false);
  fail("2001:db8::1", 10);
  assert.equal(stopped("2001:db8:0:0:1::"), true);
  // Somebody with many addresses cannot fill the memory.
  for (let i = 0; i < 20_000; i++) limit.failed(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
  assert.equal(stopped("192.0.2.1"), false);
});

/** One request over HTTP/2, which has no `Host`. */
async function overHttp2(
  server: Shared,
  path: string,
  method: string,
  headers: Record<string, string>,
  body = "",
): Promise<{ status: number; cookie: string }> {
  const session = connect(originOf(server), { ca: server.running.identity.cert });
  try {
    const stream = session.request({ ":method": method, ":path": path, ...headers });
    if (body !== "") stream.end(body);
    const answer = await new Promise<IncomingHttpHeaders & { ":status"?: number }>(
      (resolve, reject) => {
        stream.on("response", resolve);
        stream.on("error", reject);
        session.on("error", reject);
      },
    );
    stream.resume();
    const [cookie = ""] = answer["set-cookie"] ?? [];
    return { status: Number(answer[":status"]), cookie: cookie.split(";")[0] ?? "" };
  } finally {
    session.close();
  }
}

// Lost: browsers speak HTTP/2, whose requests name the server in another place.
Deno.test("browser: over HTTP/2 the same pages may write, and no others", async () => {
  await using server = await sharing();
  server.client.createPool("p").close();
  const body = JSON.stringify({ access_key: await server.invite("phone") });
  const own = originOf(server);
  const post = (origin: string) =>
    overHttp2(server, SESSION, "POST", { ...JSON_TYPE, origin }, body);
  for (const origin of ["https://evil.example", "https://localhost", `${own}0`, "null"]) {
    assert.equal((await post(origin)).status, 403, origin);
  }
  const { status, cookie } = await post(own);
  assert.equal(status, 200);
  const append = (origin: string) =>
    overHttp2(
      server,
      "/v0/pools/p/append",
      "POST",
      { ...JSON_TYPE, cookie, origin },
      '{"data":{}}',
    );
  assert.equal((await append("https://evil.example")).status, 403);
  assert.equal((await append(own)).status, 200);
  assert.equal((await overHttp2(server, "/v0/pools", "GET", { cookie })).status, 200);
});

// Lost: a page that offers what the server then refuses.
Deno.test("browser: the answer tells right by right what a session may do", async () => {
  await using server = await sharing();
  const told: Record<string, string> = {};
  for (const rights of ["read", "append", "read-append", "admin"]) {
    const key = await server.invite(rights, { rights, pools: ["a*"] });
    const cookie = cookieOf(await signIn(server, key));
    const { headers } = await server.remote("").send(SESSION, { headers: { cookie } });
    told[rights] = `${headers["plasmite-access"]}: ${headers["plasmite-rights"]}`;
  }
  assert.deepEqual(told, {
    "read": "read-only: read",
    "append": "write-only: append",
    "read-append": "read-write: read append",
    "admin": "read-write: read append admin",
  });
});

// Lost: sessions that nobody can end, since the browser has forgotten their cookie.
Deno.test("browser: signing in again ends the session that the browser had", async () => {
  await using server = await sharing();
  const status = async (cookie: string): Promise<number> =>
    (await server.remote("").send(SESSION, { headers: { cookie } })).status;
  const first = cookieOf(await signIn(server, await server.invite("first")));
  const second = await server.invite("second");
  assert.equal((await signIn(server, `${second}x`, { cookie: first })).status, 401);
  assert.equal(await status(first), 200, "a wrong key ends nothing");
  const cookie = cookieOf(await signIn(server, second, { cookie: first }));
  assert.equal(await status(first), 401);
  assert.equal(await status(cookie), 200);
});
