/**
 * Keys with limits: they open what they say, and nothing more when files are lost, damaged or
 * rewritten by a program that does not know of limits (docs/spec/sharing.md 1.4, 1.8).
 *
 * @module
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { keyIdOf, newSecret, verifierOf } from "../../lib/access/key.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { keyAuthenticator } from "../../server/access/authenticator.ts";
import { StateFolder } from "../../server/access/folder.ts";
import { checkedName, KeyStore, nowSeconds } from "../../server/access/keys.ts";
import {
  checkedPatterns,
  expiryOf,
  matches,
  type Restriction,
  type Rights,
} from "../../server/access/rights.ts";
import { inTemp } from "../cli/cli_util.ts";
import { bench, read } from "./server_util.ts";

const FULL_FILE = "keys.json";
const RESTRICTED_FILE = "restricted-keys.json";

function limits(pools: string[], rights: Rights, expiresAt: number | null = null): Restriction {
  return { pools, rights, expiresAt };
}

/** Adds a key and returns its secret. */
function added(store: KeyStore, name: string, restriction: Restriction | null): string {
  const secret = newSecret();
  store.add({ name, verifier: verifierOf(secret), restriction });
  return secret;
}

function failsWith(kind: ErrorKind): (error: unknown) => boolean {
  return (error) => PlasmiteError.is(error, kind);
}

// Lost: a directory that moved to 1.x and back, or a key whose id cannot be found there.
Deno.test("keys: the file of full keys is exactly what 1.x writes", () =>
  inTemp((dir) => {
    const folder = StateFolder.make(dir);
    const store = KeyStore.load(folder);
    const secret = added(store, "alex", null);
    const sha = (data: Uint8Array | string): string =>
      createHash("sha256").update(data).digest("hex");
    const verifier = sha(Uint8Array.fromHex(secret));
    const [entry, ...more] = JSON.parse(folder.read(FULL_FILE) ?? "");
    assert.deepEqual(more, []);
    assert.deepEqual(Object.keys(entry), ["name", "verifier", "revoked", "created_at"]);
    assert.equal(entry.verifier, verifier);
    assert.equal(entry.revoked, false);
    assert.equal(store.list()[0]?.id, sha(verifier));
    store.revoke(sha(verifier));
    store.revoke(sha(verifier));
    assert.equal(JSON.parse(folder.read(FULL_FILE) ?? "")[0].revoked, true);
    assert.throws(() => store.revoke(sha("another")), failsWith(ErrorKind.NotFound));
    // Fields of a later version stay.
    folder.write(FULL_FILE, JSON.stringify([{ ...entry, colour: "red" }]));
    const later = KeyStore.load(folder);
    later.revoke(keyIdOf(verifier));
    assert.equal(JSON.parse(folder.read(FULL_FILE) ?? "")[0].colour, "red");
  }));

// Lost: a guest's key opened everything after 1.x had rewritten its file.
Deno.test("keys: a limited key is never in the file that 1.x reads, and dies with ours", () =>
  inTemp((dir) => {
    const folder = StateFolder.make(dir);
    const store = KeyStore.load(folder);
    const full = added(store, "owner", null);
    const guest = added(store, "guest", limits(["ci"], "read"));
    assert.ok(!(folder.read(FULL_FILE) ?? "").includes(verifierOf(guest)));
    // 1.x writes its file again, with what it knows.
    const known = JSON.parse(folder.read(FULL_FILE) ?? "");
    folder.write(FULL_FILE, JSON.stringify(known));
    assert.equal(KeyStore.load(folder).find(guest)?.can("append", "ci"), false);
    // Somebody put it in there all the same: of two entries the stricter one counts.
    const entry = { name: "guest", verifier: verifierOf(guest), revoked: false, created_at: null };
    folder.write(FULL_FILE, JSON.stringify([...known, entry]));
    assert.equal(KeyStore.load(folder).find(guest)?.can("append", "ci"), false);
    assert.equal(KeyStore.load(folder).list().length, 2);
    folder.write(FULL_FILE, JSON.stringify([...known, { ...entry, revoked: true }]));
    assert.equal(KeyStore.load(folder).find(guest), null);
    folder.write(FULL_FILE, JSON.stringify(known));
    const kept = folder.read(RESTRICTED_FILE) ?? "";
    Deno.removeSync(`${folder.path}/${RESTRICTED_FILE}`);
    const without = KeyStore.load(folder);
    assert.equal(without.find(guest), null);
    assert.notEqual(without.find(full), null);
    const damages = [
      "",
      kept.slice(0, -1),
      kept.replace('"read"', '"everything"'),
      kept.replace('["ci"]', '"ci"'),
      kept.replace('"revoked":false', '"revoked":"no"'),
      kept.replace('"version":1', '"version":2'),
      "[]",
      "null",
    ];
    for (const text of damages) {
      folder.write(RESTRICTED_FILE, text);
      if (text === "null") {
        assert.equal(KeyStore.load(folder).find(guest), null);
        continue;
      }
      assert.throws(() => KeyStore.load(folder), failsWith(ErrorKind.Corrupt), text);
    }
    folder.write(RESTRICTED_FILE, kept);
    for (const text of ["{}", "[1]", '[{"name":"x"}]', "[", '[{"name":"x","verifier":"00"}]']) {
      folder.write(FULL_FILE, text);
      assert.throws(() => KeyStore.load(folder), failsWith(ErrorKind.Corrupt), text);
    }
  }));

// Lost: the private key of the server, to whoever had put a link there or could read the folder.
Deno.test("keys: a folder or file that others can use is refused", () =>
  inTemp((dir) => {
    const folder = StateFolder.make(dir);
    folder.write(FULL_FILE, "[]");
    const file = `${folder.path}/${FULL_FILE}`;
    assert.equal((Deno.statSync(folder.path).mode ?? 0) & 0o777, 0o700);
    assert.equal((Deno.statSync(file).mode ?? 0) & 0o777, 0o600);
    const refused = failsWith(ErrorKind.Permission);
    for (const mode of [0o640, 0o604, 0o610, 0o622]) {
      Deno.chmodSync(file, mode);
      assert.throws(() => KeyStore.load(folder), refused, mode.toString(8));
    }
    Deno.chmodSync(file, 0o600);
    for (const mode of [0o710, 0o701, 0o750, 0o777]) {
      Deno.chmodSync(folder.path, mode);
      assert.throws(() => StateFolder.find(dir), refused, mode.toString(8));
    }
    Deno.chmodSync(folder.path, 0o700);
    Deno.renameSync(file, `${dir}/elsewhere`);
    Deno.symlinkSync(`${dir}/elsewhere`, file);
    assert.throws(() => KeyStore.load(folder), refused);
    Deno.renameSync(folder.path, `${dir}/other`);
    Deno.symlinkSync(`${dir}/other`, folder.path);
    assert.throws(() => StateFolder.find(dir), refused);
    assert.throws(() => StateFolder.make(dir), refused);
  }));

Deno.test("keys: one holder of the lock; who only makes a change is waited for", () =>
  inTemp(async (dir) => {
    const folder = StateFolder.make(dir);
    const held = await folder.lock();
    await assert.rejects(folder.lock(30), failsWith(ErrorKind.Busy));
    const waiting = folder.lock(60_000);
    held.release();
    (await waiting).release();
  }));

Deno.test("keys: names and expiries that mean something, and no others", () => {
  assert.equal(checkedName("  alex \t"), "alex");
  assert.equal(checkedName("ü".repeat(64)).length, 64);
  for (const name of ["", "  ", "ü".repeat(65), "a\nb", "a\u0085b", "a\x7fb"]) {
    assert.throws(() => checkedName(name), failsWith(ErrorKind.Usage), JSON.stringify(name));
  }
  assert.equal(expiryOf("90s", 1000), 1090);
  assert.equal(expiryOf("2m", 1000), 1120);
  assert.equal(expiryOf("3h", 1000), 1000 + 10_800);
  assert.equal(expiryOf("30d", 1000), 1000 + 2_592_000);
  for (
    const text of ["", "0s", "0d", "30", "d", "-1d", "1.5h", "1w", "1D", "1d ", "999999999999d"]
  ) {
    assert.throws(() => expiryOf(text, 1000), failsWith(ErrorKind.Usage), text);
  }
  assert.deepEqual(checkedPatterns([" ci ", "logs-*", "ci"]), ["ci", "logs-*"]);
  const bad = [[], [""], ["ci", " "], ["a/b"], ["a,b"], ["a\nb"], ["*.plasmite"], [
    "x".repeat(256),
  ]];
  for (const patterns of [...bad, Array.from({ length: 65 }, (_, i) => `p${i}`)]) {
    assert.throws(() => checkedPatterns(patterns), failsWith(ErrorKind.Usage), patterns.join());
  }
});

// Lost: pools that nobody had shared, or a server that stood still over a pattern.
Deno.test("keys: patterns match whole names, in time that does not explode", () => {
  const cases: [string, string, boolean][] = [
    ["ci", "ci", true],
    ["ci", "cii", false],
    ["ci", "Ci", false],
    ["*", "", true],
    ["*", "anything", true],
    ["logs-*", "logs-", true],
    ["logs-*", "logs-a.b", true],
    ["logs-*", "xlogs-a", false],
    ["*-logs", "a-logs-b", false],
    ["*-logs", "a-logs-logs", true],
    ["a*b*c", "aXbYc", true],
    ["a*b*c", "acb", false],
    ["?", "é", true],
    ["?", "😀", true],
    ["?", "", false],
    ["a.c", "abc", false],
    ["[ab]", "a", false],
    ["(a+)+", "aaa", false],
  ];
  for (const [pattern, name, expected] of cases) {
    assert.equal(matches(pattern, name), expected, `${pattern} ${name}`);
  }
  // With a regular expression this would not end.
  assert.equal(matches(`${"a*".repeat(60)}b`, "a".repeat(250)), false);
});

// Lost: the refusal itself, or a body that was looked at before its sender was known.
Deno.test("keys: who has no key learns nothing, whatever else is wrong with the request", async () => {
  const dir = await Deno.makeTempDir();
  const store = KeyStore.load(StateFolder.make(dir));
  const secret = added(store, "alex", null);
  const token = "t".repeat(20);
  const { app, client, end } = await bench({
    authenticator: keyAuthenticator(store, token, null, null),
  });
  client.createPool("p").close();
  const ask = (path: string, authorization?: string, init: RequestInit = {}) =>
    read(app.request(path, {
      ...init,
      headers: { ...init.headers, ...authorization === undefined ? {} : { authorization } },
    }));
  for (const good of [secret, secret.toUpperCase(), token]) {
    assert.equal((await ask("/v0/access/check", `Bearer ${good}`)).text, '{"accepted":true}');
    assert.equal((await ask("/v0/pools/p/tail?since_seq=x", `Bearer ${good}`)).status, 400);
  }
  const key = `pk1.${"0".repeat(64)}.${secret}`;
  const wrong = [key, newSecret(), secret.slice(1), `${secret} `, ` ${secret}`, `${secret}0`, ""];
  const values = [undefined, secret, `Basic ${secret}`, ...wrong.map((one) => `Bearer ${one}`)];
  for (const value of values.filter((one) => one?.trim() !== `Bearer ${secret}`)) {
    for (const path of ["/v0/access/check", "/v0/pools", "/v0/pools/p/tail?since_seq=x"]) {
      const refused = await ask(path, value);
      assert.equal(refused.status, 401, `${path} ${value}`);
      assert.equal(refused.json.error.kind, "Permission");
      assert.equal(
        refused.json.error.message,
        value === undefined ? "missing access key" : "invalid access key",
      );
      assert.equal(refused.headers.get("www-authenticate"), null);
      assert.ok(!refused.text.includes(secret));
    }
    const body = { method: "POST", body: "{", headers: { "content-type": "application/json" } };
    assert.equal((await ask("/v0/pools", value, body)).status, 401);
  }
  assert.equal(store.list()[0]?.last_used_at !== null, true);
  store.revoke(store.list()[0]?.id ?? "");
  assert.equal((await ask("/v0/access/check", `Bearer ${secret}`)).status, 401);
  assert.equal((await ask("/v0/access/check", `Bearer ${token}`)).status, 200);
  await end();
  await Deno.remove(dir, { recursive: true });
});

// Lost: the answer, to a client that was still sending when the server closed the connection.
Deno.test("keys: the body of a refused request is read, but not forever", async () => {
  const { app, end } = await bench({ token: "secret" });
  const send = async (pieces: number): Promise<number> => {
    let taken = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (taken === pieces) return controller.close();
        taken++;
        controller.enqueue(new Uint8Array(1024));
      },
    }, { highWaterMark: 0 });
    const answer = await app.request("/v0/pools/p/append", { method: "POST", body });
    assert.equal(answer.status, 401);
    await answer.body?.cancel();
    return taken;
  };
  assert.equal(await send(40), 40);
  assert.ok(await send(10_000) < 200);
  const silent = new ReadableStream<Uint8Array>();
  const answer = await app.request("/v0/pools", { method: "POST", body: silent });
  assert.equal(answer.status, 401);
  await answer.body?.cancel();
  await end();
});

Deno.test("keys: one whose time is over ends its streams and opens nothing", () =>
  inTemp((dir) => {
    const folder = StateFolder.make(dir);
    const store = KeyStore.load(folder);
    const past = added(store, "past", limits(["*"], "admin", nowSeconds() - 1));
    const future = added(store, "future", limits(["*"], "admin", nowSeconds() + 3600));
    assert.equal(store.find(past), null);
    const grant = store.find(future);
    assert.equal(grant?.can("admin", "any"), true);
    assert.equal(grant?.ended?.aborted, false);
    assert.equal(KeyStore.load(folder).find(past), null);
    assert.deepEqual(
      store.list().map(({ name, rights, pools }) => ({ name, rights, pools })),
      ["past", "future"].map((name) => ({ name, rights: "admin", pools: ["*"] })),
    );
  }));
