/**
 * A client of 1.x, written from the document alone, against our remote listener and against a server
 * with the files of `serve init`; a client of 0.8 against both; and a state folder as 1.x leaves it
 * (docs/spec/sharing.md 1, 2.3, docs/spec/http-api.md 14).
 *
 * @module
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Client } from "../../mod.ts";
import { DEFAULT_FLAGS, resolveServe } from "../../server/config.ts";
import { startServer } from "../../server/serve.ts";
import { resolveShared } from "../../server/shared_config.ts";
import { cli, inTemp } from "../cli/cli_util.ts";
import { makePair } from "../support/access_server.ts";
import { KeyClient } from "../support/key_client.ts";
import { initialized } from "./server_util.ts";
import { sharing, soon } from "./shared_util.ts";

const GZIP = { "accept-encoding": "gzip" };
const LITE3 = { ...GZIP, "content-type": "application/x-plasmite-lite3" };
const JSON_BODY = { ...GZIP, "content-type": "application/json" };

/** The bytes of a message, as such a client encodes them itself. */
function encoded(dir: string): Uint8Array {
  const source = new Client(`${dir}/source`);
  using pool = source.createPool("source");
  pool.append({ from: "1.x" }, ["tag"]);
  return pool.getLite3(1n).payload;
}

// What each of these commands of 1.x sends, in its order.
Deno.test("1.x client: connect, feed, fetch, info, list and follow on the remote listener", () =>
  inTemp(async (dir) => {
    await using server = await sharing({}, dir);
    server.client.createPool("p").close();
    const client = server.remote(await server.invite("laptop"));
    const get = async (path: string) => {
      const answer = await client.send(path, { headers: GZIP });
      assert.equal(answer.status, 200, path);
      assert.equal(answer.headers["content-encoding"], undefined, path);
      return await answer.text();
    };
    const post = async (path: string, body: string | Uint8Array, headers = JSON_BODY) => {
      const answer = await client.send(path, { method: "POST", body, headers });
      return { status: answer.status, json: JSON.parse(await answer.text()) };
    };
    assert.deepEqual(JSON.parse(await get("/v0/access/check")), { accepted: true });
    // feed
    const open = await post("/v0/pools/open", '{"pool":"p"}');
    assert.equal(open.status, 200);
    for (const field of ["path", "file_size", "ring_offset", "ring_size"]) {
      assert.ok(field in open.json.pool, field);
    }
    const missing = await post("/v0/pools/open", '{"pool":"nosuch"}');
    assert.equal(missing.json.error.kind, "NotFound");
    const stored = await post("/v0/pools/p/append_lite3", encoded(dir), LITE3);
    assert.deepEqual(Object.keys(stored.json.message).sort(), ["data", "meta", "seq", "time"]);
    assert.deepEqual(stored.json.message.data, { from: "1.x" });
    // duplex
    await post("/v0/pools/p/append", '{"data":{"n":2},"tags":[],"durability":"fast"}');
    // fetch, pool info, pool list
    assert.deepEqual(JSON.parse(await get("/v0/pools/p/messages/1")).message.meta.tags, ["tag"]);
    assert.deepEqual(JSON.parse(await get("/v0/pools/p/info")).pool.bounds, {
      oldest: 1,
      newest: 2,
    });
    assert.equal(JSON.parse(await get("/v0/pools")).pools[0].name, "p");
    // follow --no-follow asks in small steps, and halves its wait on this text alone.
    const lines = (await get("/v0/pools/p/tail?since_seq=1&max=10&timeout_ms=100")).split("\n");
    assert.deepEqual(lines.filter((line) => line !== "").map((line) => JSON.parse(line).seq), [
      1,
      2,
    ]);
    const long = await client.send("/v0/pools/p/tail?timeout_ms=30001");
    assert.equal(long.status, 400);
    const { error } = JSON.parse(await long.text());
    assert.deepEqual([error.kind, error.message], ["Usage", "tail timeout exceeds server limit"]);
    // follow: live, opened again at once when it ends; its place must be free by then.
    for (let round = 0; round < 3; round++) {
      const { bounds } = JSON.parse(await get("/v0/pools/p/info")).pool;
      const tail = await client.send(`/v0/pools/p/tail?since_seq=${bounds.newest + 1}`, {
        headers: GZIP,
      });
      assert.equal(tail.status, 200);
      const appended = post("/v0/pools/p/append", '{"data":{},"tags":[],"durability":"fast"}');
      let got = await soon(tail.first());
      if (got.trim() === "") got = await soon(tail.text());
      assert.match(got, new RegExp(`"seq":${bounds.newest + 1}\\b`));
      await appended;
      tail.destroy();
    }
    // access disconnect is offline; after a revocation the next request says so.
    await server.revoke("laptop");
    const refused = await client.send("/v0/access/check");
    assert.equal(refused.status, 401);
    assert.equal(JSON.parse(await refused.text()).error.kind, "Permission");
  }));

// Lost: everything that a client of 1.x needs from a server of ours with one listener.
Deno.test("1.x client: the key that serve init writes opens a server with one listener", async () => {
  const { dir, flags } = await initialized();
  const client = new Client(dir);
  client.createPool("p").close();
  const server = await startServer(client, await resolveServe(flags), { registry: false });
  const key = (await Deno.readTextFile(`${dir}/new/files/plasmite-access-key.txt`)).trim();
  const caller = new KeyClient(server.port, key);
  assert.equal(await (await caller.send("/v0/access/check")).text(), '{"accepted":true}');
  const stored = await caller.send("/v0/pools/p/append_lite3", {
    method: "POST",
    body: encoded(dir),
    headers: LITE3,
  });
  assert.equal(JSON.parse(await stored.text()).message.seq, 1);
  const wrong = new KeyClient(server.port, `${key.slice(0, -1)}${key.endsWith("0") ? "1" : "0"}`);
  assert.equal((await wrong.send("/v0/access/check")).status, 401);
  const pinned = key.replace(/^pk1\.[0-9a-f]{64}/, `pk1.${"0".repeat(64)}`);
  await assert.rejects(new KeyClient(server.port, pinned).send("/v0/access/check"), /pinned/);
  await server.shutdown();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("0.8 client: a secret is a token, with the certificate as the one to trust", () =>
  inTemp(async (dir) => {
    await using server = await sharing({}, dir);
    server.client.createPool("p").close();
    const secret = (await server.invite("old")).split(".")[2] ?? "";
    await Deno.writeTextFile(`${dir}/leaf.pem`, server.running.identity.cert);
    await Deno.writeTextFile(`${dir}/secret`, secret);
    const url = `https://localhost:${server.port}/p`;
    const how = ["--token-file", `${dir}/secret`, "--tls-ca", `${dir}/leaf.pem`];
    const fed = await cli(["feed", url, ...how, '{"from":"0.8"}']);
    assert.equal(fed.code, 0, fed.stderr);
    const followed = await cli(["follow", url, ...how, "--tail", "1", "--one", "--jsonl"]);
    assert.equal(JSON.parse(followed.stdout).data.from, "0.8");
  }));

// Lost: all keys and the certificate, when a directory moved from 1.x to us.
Deno.test("1.x state: a folder as 1.x leaves it is served as it is, and given back unharmed", () =>
  inTemp(async (dir) => {
    const folder = `${dir}/.plasmite-serve`;
    Deno.mkdirSync(folder, { mode: 0o700 });
    const put = (name: string, text: string) =>
      Deno.writeTextFileSync(`${folder}/${name}`, text, { mode: 0o600 });
    const pair = await makePair({
      names: ["localhost", "pi.local"],
      notBefore: new Date("1975-01-01T00:00:00Z"),
      notAfter: new Date("4096-01-01T00:00:00Z"),
    });
    put("cert-0011223344556677.pem", pair.cert);
    put("key-8899aabbccddeeff.pem", pair.key);
    put("lock", "");
    const identity = {
      cert_file: "cert-0011223344556677.pem",
      key_file: "key-8899aabbccddeeff.pem",
      front_cert_file: null,
      generated: true,
      browser_leaf_v1: true,
      shared_address: "https://pi.local:9800",
    };
    put("identity.json", JSON.stringify(identity));
    put("local.json", '"127.0.0.1:9700"');
    put("browser-sessions.json", "{}");
    const sha = (data: Uint8Array | string) => createHash("sha256").update(data).digest("hex");
    const secrets = ["a".repeat(64), "b".repeat(64)];
    const keys = secrets.map((secret, i) => ({
      name: `key ${i}`,
      verifier: sha(Uint8Array.fromHex(secret)),
      revoked: i === 1,
      created_at: i === 0 ? null : 1_700_000_000,
    }));
    put("keys.json", JSON.stringify(keys));
    const bare = await resolveShared({ ...DEFAULT_FLAGS, given: [] }, dir);
    assert.deepEqual(bare?.remote, { hostname: "0.0.0.0", port: 9800 });
    const server = await sharing({ sharedAddress: "https://pi.local:9800" }, dir);
    const check = async (secret = "") =>
      (await new KeyClient(server.port, `pk1.${pair.spki}.${secret}`).send("/v0/access/check"))
        .status;
    assert.equal(await check(secrets[0]), 200);
    assert.equal(await check(secrets[1]), 401);
    await server.invite("guest", { rights: "read" });
    await server.stop();
    // Nothing that 1.x reads has changed by that.
    assert.deepEqual(JSON.parse(Deno.readTextFileSync(`${folder}/keys.json`)), keys);
    assert.deepEqual(JSON.parse(Deno.readTextFileSync(`${folder}/identity.json`)), identity);
    assert.equal(Deno.readTextFileSync(`${folder}/cert-0011223344556677.pem`), pair.cert);
    // A new name: a new certificate for the same key, the old files stay.
    const renamed = await sharing({ sharedAddress: "https://new.example" }, dir);
    assert.equal(renamed.running.identity.fingerprint, pair.spki);
    await renamed.stop();
    const now = JSON.parse(Deno.readTextFileSync(`${folder}/identity.json`));
    assert.deepEqual(Object.keys(now), Object.keys(identity));
    assert.equal(now.key_file, identity.key_file);
    assert.notEqual(now.cert_file, identity.cert_file);
    assert.equal(Deno.readTextFileSync(`${folder}/cert-0011223344556677.pem`), pair.cert);
  }));
