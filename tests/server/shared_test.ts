/**
 * Two listeners: what others get with a key and nobody without one, and what stays from one start to
 * the next (docs/spec/sharing.md 1.3, 1.4, 2).
 *
 * @module
 */

import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { Client } from "../../mod.ts";
import { administration, localServer } from "../../server/access/administration.ts";
import { machineNames, makeCertificate } from "../../server/certificate.ts";
import { DEFAULT_FLAGS, type ServeFlags } from "../../server/config.ts";
import { startServer } from "../../server/serve.ts";
import { resolveServe } from "../../server/config.ts";
import { parseOrigin, resolveShared } from "../../server/shared_config.ts";
import { startSharing } from "../../server/sharing.ts";
import { inTemp } from "../cli/cli_util.ts";
import { raw, read } from "./server_util.ts";
import { sharedFlags, sharing } from "./shared_util.ts";

function failsWith(kind: ErrorKind): (error: unknown) => boolean {
  return (error) => PlasmiteError.is(error, kind);
}

const STATE = ".plasmite-serve";

// Lost: a directory that moved to 1.x, whose server then made another key.
Deno.test("shared: the first start leaves the state that 1.x has, private and whole", () =>
  inTemp(async (dir) => {
    await using server = await sharing({ sharedAddress: "https://pi.local:9743" }, dir);
    const folder = `${dir}/${STATE}`;
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
    assert.equal((Deno.statSync(folder).mode ?? 0) & 0o777, 0o700);
    for (const name of names) {
      assert.equal((Deno.statSync(`${folder}/${name}`).mode ?? 0) & 0o777, 0o600, name);
    }
    const read = (name: string) => JSON.parse(Deno.readTextFileSync(`${folder}/${name}`));
    const identity = read("identity.json");
    assert.match(identity.cert_file, /^cert-[0-9a-f]{16}\.pem$/);
    assert.match(identity.key_file, /^key-[0-9a-f]{16}\.pem$/);
    const { cert_file, key_file, ...rest } = identity;
    assert.deepEqual(rest, {
      front_cert_file: null,
      generated: true,
      browser_leaf_v1: true,
      shared_address: "https://pi.local:9743",
    });
    assert.deepEqual(Object.keys(identity).slice(0, 3), [
      "cert_file",
      "key_file",
      "front_cert_file",
    ]);
    assert.equal(read("local.json"), server.running.local);
    assert.deepEqual(
      names.filter((name) => !/^(?:lock|(?:identity|local|remote-bind)\.json)$/.test(name)).sort(),
      [cert_file, key_file].sort(),
    );
    const certificate = new X509Certificate(Deno.readTextFileSync(`${folder}/${cert_file}`));
    assert.equal(certificate.validFrom, "Jan  1 00:00:00 1975 GMT");
    assert.equal(certificate.validTo, "Jan  1 00:00:00 4096 GMT");
    assert.equal(certificate.ca, false);
    assert.equal(certificate.subject, certificate.issuer);
    assert.match(Deno.inspect(certificate.keyUsage), /DigitalSignature|1\.3\.6\.1\.5\.5\.7\.3\.1/);
    const { publicKey } = certificate;
    assert.equal(publicKey.asymmetricKeyDetails?.namedCurve, "prime256v1");
    const spki = publicKey.export({ type: "spki", format: "der" });
    const digest = createHash("sha256").update(spki).digest("hex");
    assert.equal(server.running.identity.fingerprint, digest);
    for (const name of ["localhost", "pi.local"]) assert.ok(certificate.checkHost(name), name);
    for (const ip of ["127.0.0.1", "::1"]) assert.ok(certificate.checkIP(ip), ip);
    assert.doesNotMatch(certificate.subjectAltName ?? "", /DNS:plasmite/);
  }));

// Lost: all keys that were handed out, after a restart or with a new name.
Deno.test("shared: keys outlive restarts and new names; a bare start goes on as before", () =>
  inTemp(async (dir) => {
    let first = await sharing({ sharedAddress: "https://localhost:9743" }, dir);
    const key = await first.invite("alex");
    const cert = first.running.identity.cert;
    const check = async (server: typeof first): Promise<number> =>
      (await server.remote(key).send("/v0/access/check")).status;
    assert.equal(await check(first), 200);
    await first.stop();
    first = await sharing({ sharedAddress: "https://localhost:9743" }, dir);
    assert.equal(first.running.identity.cert, cert);
    assert.equal(await check(first), 200);
    await first.stop();
    const renamed = await sharing({ sharedAddress: "https://other.example" }, dir);
    assert.notEqual(renamed.running.identity.cert, cert);
    assert.equal(await check(renamed), 200);
    const other = renamed.remote(key);
    assert.equal((await other.send("/v0/access/check")).status, 200);
    const names = new X509Certificate(renamed.running.identity.cert);
    assert.ok(names.checkHost("other.example"));
    assert.ok(names.checkHost("localhost"));
    await renamed.stop();
    const old = new X509Certificate(cert);
    assert.equal(old.checkHost("other.example"), undefined);
    // Without any option: two listeners, where they were, under the same name.
    const bare = await resolveShared({ ...DEFAULT_FLAGS, given: [] }, dir);
    assert.deepEqual(bare?.remote, { hostname: "127.0.0.1", port: 0 });
    assert.equal(bare?.remembered, "https://other.example");
    const again = await startSharing(new Client(dir), { ...bare, local: bare.remote }, {
      registry: false,
    });
    assert.equal(again.identity.sharedAddress, "https://other.example");
    assert.equal(again.identity.cert, renamed.running.identity.cert);
    await again.shutdown();
  }));

Deno.test("shared: which start has how many listeners, and on which addresses", () =>
  inTemp(async (dir) => {
    const two = async (flags: Partial<ServeFlags>, given: string[] = []) => {
      const config = await resolveShared({ ...DEFAULT_FLAGS, ...flags, given }, dir);
      return config && `${config.remote.hostname}:${config.remote.port}`;
    };
    // A fresh directory.
    assert.equal(await two({}), null);
    assert.equal(await two({ allowNonLoopback: true }, ["allow-non-loopback"]), null);
    const server = { server: "https://pi.local:9800" };
    assert.equal(await two(server), "0.0.0.0:9800");
    assert.equal(await two({ server: "https://pi.local" }), "0.0.0.0:443");
    assert.equal(await two({ sharedAddress: "https://pi.local:9800" }), "0.0.0.0:9743");
    assert.equal(await two({ ...server, remoteBind: "192.0.2.1:1" }), "192.0.2.1:1");
    assert.equal(await two({ remoteBind: "[::1]:1" }), "::1:1");
    const usage = failsWith(ErrorKind.Usage);
    const wrong: Partial<ServeFlags>[] = [
      { ...server, sharedAddress: "https://pi.local" },
      { ...server, bind: "0.0.0.0:9700" },
      { ...server, bind: "192.0.2.1:9700" },
      { ...server, remoteBind: "pi.local:9743" },
      { ...server, remoteBind: "127.0.0.1:9700" },
      { ...server, remoteBind: "0.0.0.0:9700" },
      { ...server, insecureNoTls: true },
      { ...server, token: "t" },
      { ...server, tlsCert: "/nowhere" },
      { ...server, maxBodyBytes: 0 },
      { ...server, corsOrigins: ["*"] },
    ];
    for (const flags of wrong) await assert.rejects(two(flags), usage, JSON.stringify(flags));
    assert.equal(await two({ ...server, token: "t", access: "read-only" }), "0.0.0.0:9800");
    assert.equal(
      await two({ ...server, allowNonLoopback: true, tlsSelfSigned: true }),
      "0.0.0.0:9800",
    );
    // A directory that was shared, by us on one address, or by 1.x.
    await (await sharing({ sharedAddress: "https://pi.local:9800" }, dir)).stop();
    assert.equal(await two({}), "127.0.0.1:0");
    assert.equal(await two({ bind: "[::1]:9700" }, ["bind"]), "127.0.0.1:0");
    Deno.removeSync(`${dir}/${STATE}/remote-bind.json`);
    assert.equal(await two({}), "0.0.0.0:9800");
    const old: [Partial<ServeFlags>, string][] = [
      [{ allowNonLoopback: true }, "allow-non-loopback"],
      [{ token: "t" }, "token"],
      [{ tokenFile: "t" }, "token-file"],
      [{ access: "read-only" }, "access"],
      [{ access: "read-write" }, "access"],
      [{ corsOrigins: ["https://a.example"] }, "cors-origin"],
      [{ tlsSelfSigned: true }, "tls-self-signed"],
      [{ insecureNoTls: true }, "insecure-no-tls"],
      [{ tlsCert: "c", tlsKey: "k" }, "tls-cert"],
    ];
    for (const [flags, name] of old) assert.equal(await two(flags, [name]), null, name);
    assert.equal(await two({ bind: "192.0.2.1:9700" }, ["bind"]), null);
  }));

Deno.test("shared: only origins are addresses", () => {
  const good: [string, string][] = [
    ["https://pi.local:9743", "https://pi.local:9743"],
    ["HTTPS://Pi.Local/", "https://pi.local"],
    ["https://pi.local:443", "https://pi.local"],
    ["https://192.0.2.1:1", "https://192.0.2.1:1"],
    ["https://[::1]:9743", "https://[::1]:9743"],
  ];
  for (const [given, origin] of good) assert.equal(parseOrigin(given), origin);
  const bad = [
    "",
    "pi.local",
    "http://pi.local",
    "https://",
    "https://pi.local/ui",
    "https://pi.local?x",
    "https://pi.local#x",
    "https://me@pi.local",
    "https://@pi.local",
    "https://*.local",
    "https://0.0.0.0:9743",
    "https://pi.local:99999",
  ];
  for (const given of bad) {
    assert.throws(() => parseOrigin(given), failsWith(ErrorKind.Usage), given);
  }
});

// Lost: two servers that both hand out keys for one directory, each without those of the other.
Deno.test("shared: one server owns a directory; the others leave its keys alone", () =>
  inTemp(async (dir) => {
    const server = await sharing({}, dir);
    const config = await resolveShared(sharedFlags(), dir);
    assert.ok(config !== null);
    const busy = failsWith(ErrorKind.Busy);
    await assert.rejects(startSharing(new Client(dir), config, { registry: false }), busy);
    const admin = administration(dir);
    await assert.rejects(admin.invite({ name: "alex" }), busy);
    assert.deepEqual(await admin.keys(), { keys: [] });
    const { fingerprint } = server.running.identity;
    assert.deepEqual(await localServer(dir), {
      local: server.running.local,
      fingerprint,
      sharedAddress: "https://localhost:9743",
    });
    await server.stop();
    // Without a server the command line does it alone.
    const { access_key } = await admin.invite({ name: "alex" });
    assert.match(access_key, new RegExp(`^pk1\\.${fingerprint}\\.[0-9a-f]{64}$`));
    await using again = await sharing({}, dir);
    assert.equal((await again.remote(access_key).send("/v0/access/check")).status, 200);
  }));

// Lost: a key that is bound to a certificate which no client ever sees.
Deno.test("shared: certificates of others are kept, and a proxy's is the one in keys", () =>
  inTemp(async (dir) => {
    const own = await makeCertificate("127.0.0.1");
    const front = await makeCertificate("127.0.0.1");
    const path = (name: string, text: string): string => {
      Deno.writeTextFileSync(`${dir}/${name}`, text);
      return `${dir}/${name}`;
    };
    const flags = { tlsCert: path("c.pem", own.cert), tlsKey: path("k.pem", own.key) };
    const spki = (cert: string): string => {
      const der = new X509Certificate(cert).publicKey.export({ type: "spki", format: "der" });
      return createHash("sha256").update(der).digest("hex");
    };
    const first = await sharing(flags, dir);
    const key = await first.invite("alex");
    assert.equal(key.split(".")[1], spki(own.cert));
    assert.equal(first.running.identity.generated, false);
    await first.stop();
    Deno.removeSync(`${dir}/c.pem`);
    Deno.removeSync(`${dir}/k.pem`);
    const second = await sharing({ sharedAddress: "https://elsewhere.example" }, dir);
    assert.equal(second.running.identity.cert, own.cert);
    assert.equal(second.running.identity.coversAddress, false);
    assert.equal((await second.remote(key).send("/v0/access/check")).status, 200);
    await second.stop();
    const third = await sharing({ frontCert: path("f.pem", front.cert) }, dir);
    assert.equal((await third.invite("behind")).split(".")[1], spki(front.cert));
    assert.equal(third.running.identity.cert, own.cert);
    await third.stop();
    const fourth = await sharing({}, dir);
    assert.equal(fourth.running.identity.fingerprint, spki(front.cert));
    await fourth.stop();
    const both = sharing({ frontCert: path("b.pem", front.cert + front.key) }, dir);
    await assert.rejects(both, failsWith(ErrorKind.Usage));
  }));

Deno.test("shared: a state that is damaged or open to others stops the start, and stays", () =>
  inTemp(async (dir) => {
    await (await sharing({}, dir)).stop();
    const folder = `${dir}/${STATE}`;
    const attempt = () => sharing({}, dir);
    const identity = Deno.readTextFileSync(`${folder}/identity.json`);
    const corrupt = failsWith(ErrorKind.Corrupt);
    for (
      const text of ["", "[]", '{"cert_file":"../x","key_file":"y"}', identity.slice(1)]
        .concat(identity.replace(/key-[0-9a-f]+/, "key-0000"))
    ) {
      Deno.writeTextFileSync(`${folder}/identity.json`, text);
      await assert.rejects(attempt(), corrupt, text);
      assert.equal(Deno.readTextFileSync(`${folder}/identity.json`), text);
    }
    Deno.writeTextFileSync(`${folder}/identity.json`, identity);
    Deno.writeTextFileSync(`${folder}/restricted-keys.json`, "{", { mode: 0o600 });
    await assert.rejects(attempt(), corrupt);
    Deno.removeSync(`${folder}/restricted-keys.json`);
    Deno.chmodSync(`${folder}/lock`, 0o644);
    await assert.rejects(attempt(), failsWith(ErrorKind.Permission));
    Deno.chmodSync(`${folder}/lock`, 0o600);
    await (await attempt()).stop();
  }));

// Lost: the whole directory, to a page in a browser or a proxy that made a key for itself.
Deno.test("shared: keys are administered from this machine alone", async () => {
  await using server = await sharing({ allowHosts: ["proxy.example"] });
  const key = await server.invite("alex");
  const { fingerprint } = server.running.identity;
  const port = Number(server.running.local.split(":")[1]);
  const json = { "content-type": "application/json" };
  const body = JSON.stringify({ name: "x", server_fingerprint: fingerprint });
  const routes: [string, string, string?][] = [
    ["GET", "/v0/access/status"],
    ["POST", "/v0/access/invite", body],
    ["GET", "/v0/access/keys"],
    ["POST", "/v0/access/revoke", JSON.stringify({ id: "x", server_fingerprint: fingerprint })],
  ];
  const here = `127.0.0.1:${port}`;
  const headers: Record<string, string>[] = [
    { host: "evil.example" },
    { host: "proxy.example" },
    { host: `localhost.evil.example:${port}` },
    { host: here, origin: "http://evil.example" },
    { host: here, origin: `http://localhost:${port}` },
    { host: here, origin: `https://${here}` },
    { host: here, origin: "null" },
    { host: here, origin: "" },
    { host: here, "x-forwarded-for": "192.0.2.7" },
    { host: here, forwarded: "for=192.0.2.7" },
    { host: here, "sec-fetch-site": "cross-site" },
  ];
  for (const [method, path, text = ""] of routes) {
    const fields = { "x-plasmite-server-fingerprint": fingerprint, connection: "close" };
    for (const more of headers) {
      const all = { ...fields, ...(text === "" ? {} : json), "content-length": `${text.length}` };
      const head = Object.entries({ ...all, ...more }).map(([k, v]) => `${k}: ${v}\r\n`).join("");
      const answer = await raw(port, `${method} ${path} HTTP/1.1\r\n${head}\r\n${text}`);
      assert.match(answer, /^HTTP\/1.1 403 /, `${method} ${path} ${JSON.stringify(more)}`);
    }
    const hostless = await raw(port, `${method} ${path} HTTP/1.1\r\nconnection: close\r\n\r\n`);
    assert.match(hostless, /^HTTP\/1.1 40[03] /);
    // Others are told nothing else, whether they have a key or not, whatever they send.
    for (const who of [key, "", key.slice(0, -1)]) {
      for (const sent of [text, "{", ""]) {
        const refused = await server.remote(who).send(path, {
          method,
          headers: { ...json, "x-plasmite-server-fingerprint": fingerprint },
          ...sent === "" ? {} : { body: sent },
        });
        assert.equal(refused.status, 401);
        const { error } = JSON.parse(await refused.text());
        assert.equal(error.message, "access administration is local only");
        assert.equal(error.kind, "Permission");
      }
    }
    const options = (who: string) => server.remote(who).send(path, { method: "OPTIONS" });
    assert.equal((await options("")).status, 401);
    assert.equal((await options(key)).status, 405);
  }
  assert.equal(
    (await server.local("/v0/access/keys", {
      headers: { "x-plasmite-server-fingerprint": fingerprint, origin: `http://${here}` },
    })).status,
    200,
  );
});

Deno.test("shared: what administration answers, and what it refuses", async () => {
  await using server = await sharing();
  const { fingerprint } = server.running.identity;
  const ask = (path: string, body: unknown) =>
    server.local(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  const status = (await server.local("/v0/access/status")).json;
  assert.deepEqual(
    { ...status, addresses: [] },
    {
      addresses: [],
      next_action: null,
      pool_dir: server.dir,
      pool_dir_identity: [...new TextEncoder().encode(Deno.realPathSync(server.dir))],
      ready: true,
      server_fingerprint: fingerprint,
      shared_address: "https://localhost:9743",
    },
  );
  assert.equal(status.addresses.at(-1).kind, "name");
  const good = { server_fingerprint: fingerprint };
  const full = await ask("/v0/access/invite", { ...good, name: " alex " });
  assert.deepEqual(Object.keys(full.json), ["access_key"]);
  const all = { pools: ["*"], rights: "admin" };
  const unlimited = await ask("/v0/access/invite", {
    ...good,
    ...all,
    name: "alex",
    expires: null,
  });
  // What was asked for is told, so that nobody takes it for a server that knows no limits.
  const { access_key: __, ...asked } = unlimited.json;
  assert.deepEqual(asked, { pools: ["*"], rights: "admin", expires_at: null });
  const limited = await ask("/v0/access/invite", {
    ...good,
    name: "bo",
    pools: ["ci"],
    rights: "read",
  });
  const { access_key: _, ...limits } = limited.json;
  assert.deepEqual(limits, { pools: ["ci"], rights: "read", expires_at: null });
  for (const wrong of [{}, { server_fingerprint: "0".repeat(64) }, { server_fingerprint: null }]) {
    for (const [path, body] of [["invite", { name: "a" }], ["revoke", { id: "b" }]] as const) {
      const refused = await ask(`/v0/access/${path}`, { ...body, ...wrong });
      assert.ok(refused.status === 401 || refused.status === 400, refused.text);
      if (typeof wrong.server_fingerprint === "string") assert.equal(refused.status, 401);
    }
  }
  assert.equal((await server.local("/v0/access/keys")).status, 401);
  const bad = [
    { name: "" },
    { name: "x".repeat(129) },
    { name: "a\nb" },
    { name: 1 },
    {},
    { name: "a", rights: "write" },
    { name: "a", rights: "toString" },
    { name: "a", pools: [] },
    { name: "a", pools: ["a/b"] },
    { name: "a", pools: "ci" },
    { name: "a", expires: "0d" },
    { name: "a", expires: 5 },
  ];
  for (const body of bad) {
    const refused = await ask("/v0/access/invite", { ...good, ...body });
    assert.equal(refused.status, 400, JSON.stringify(body));
    assert.equal(refused.json.error.kind, "Usage");
  }
  const headers = { "x-plasmite-server-fingerprint": fingerprint };
  const { keys } = (await server.local("/v0/access/keys", { headers })).json;
  assert.deepEqual(keys.map(({ name }: { name: string }) => name), ["alex", "alex", "bo"]);
  assert.deepEqual(Object.keys(keys[0]), ["id", "name", "revoked", "created_at", "last_used_at"]);
  assert.deepEqual(Object.keys(keys[2]).slice(5), ["pools", "rights", "expires_at"]);
  const { id } = keys[0];
  for (let i = 0; i < 2; i++) {
    assert.equal(
      (await ask("/v0/access/revoke", { ...good, id })).text,
      `{"id":"${id}","revoked":true}`,
    );
  }
  const unknown = await ask("/v0/access/revoke", { ...good, id: "0".repeat(64) });
  assert.equal(unknown.status, 404);
  assert.equal(unknown.json.error.message, "access key not found");
});

Deno.test("shared: a server with one listener administers a directory that nobody owns", () =>
  inTemp(async (dir) => {
    const start = async (flags: Partial<ServeFlags> = {}) =>
      await startServer(
        new Client(dir),
        await resolveServe({ ...DEFAULT_FLAGS, bind: "127.0.0.1:0", ...flags }),
        { registry: false },
      );
    const one = await start();
    const call = (url: string, path: string, body?: object) =>
      read(fetch(`${url}${path}`, {
        ...body === undefined ? {} : { method: "POST", body: JSON.stringify(body) },
        headers: { "content-type": "application/json" },
      }));
    const before = (await call(one.url, "/v0/access/status")).json;
    assert.equal(before.ready, false);
    assert.equal("server_fingerprint" in before, false);
    assert.match(before.next_action, /plasmite serve https:/);
    const early = await call(one.url, "/v0/access/invite", { name: "a", server_fingerprint: "" });
    assert.equal(early.status, 400);
    assert.match(early.json.error.hint, /plasmite serve https:/);
    assert.ok(![...Deno.readDirSync(dir)].some(({ name }) => name === STATE));
    const owner = await sharing({}, dir);
    const { fingerprint } = owner.running.identity;
    const invitation = { name: "a", server_fingerprint: fingerprint };
    assert.equal((await call(one.url, "/v0/access/invite", invitation)).status, 423);
    await owner.stop();
    const { access_key } = (await call(one.url, "/v0/access/invite", invitation)).json;
    await using again = await sharing({}, dir);
    assert.equal((await again.remote(access_key).send("/v0/access/check")).status, 200);
    const others: Partial<ServeFlags>[] = [{ token: "t" }, { tlsSelfSigned: true }];
    for (const flags of others) {
      const other = await start(flags);
      if (other.url.startsWith("http:")) {
        assert.equal((await call(other.url, "/v0/access/status")).status, 404);
      }
      await other.shutdown();
    }
    const reading = await start({ access: "read-only" });
    assert.equal((await call(reading.url, "/v0/access/invite", invitation)).status, 403);
    await reading.shutdown();
    await one.shutdown();
  }));

Deno.test("shared: a token file opens the remote side too; --access caps it, not this machine", () =>
  inTemp(async (dir) => {
    Deno.writeTextFileSync(`${dir}/token`, "the-token\n");
    await using server = await sharing({ tokenFile: `${dir}/token`, access: "read-only" }, dir);
    const key = await server.invite("alex");
    using pool = server.client.createPool("p");
    pool.append({ a: 1 });
    const spki = key.split(".")[1];
    for (const one of [key, `pk1.${spki}.the-token`]) {
      const ask = async (path: string, method = "GET", body?: string) =>
        (await server.remote(one).send(path, {
          method,
          headers: { "content-type": "application/json" },
          ...body === undefined ? {} : { body },
        })).status;
      assert.equal(await ask("/v0/pools/p/info"), 200);
      assert.equal(await ask("/v0/pools/p/append", "POST", '{"data":{}}'), 403);
      assert.equal(await ask("/v0/pools/p", "DELETE"), 403);
    }
    const stored = await server.local("/v0/pools/p/append", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"data":{}}',
    });
    assert.equal(stored.status, 200);
  }));

// Lost: a phone or another machine that uses the address instead of the name, and is refused.
Deno.test("shared: other machines reach it by every name and address of this one, and only there", () =>
  inTemp(async (dir) => {
    const { names, addresses } = machineNames();
    const [address] = addresses.filter((one) => !one.includes(":"));
    const bind = address ?? "127.0.0.1";
    await using server = await sharing({ remoteBind: `${bind}:0` }, dir);
    const { cert } = server.running.identity;
    const [leaf] = [new X509Certificate(cert)];
    for (const name of names) assert.ok(leaf?.checkHost(name), name);
    for (const one of addresses) assert.ok(leaf?.checkIP(one), one);
    const secret = (await server.invite("phone")).split(".")[2] ?? "";
    const client = Deno.createHttpClient({ caCerts: [cert] });
    const answer = await fetch(`https://${bind}:${server.port}/v0/access/check`, {
      client,
      headers: { authorization: `Bearer ${secret}` },
    });
    assert.equal(await answer.text(), '{"accepted":true}');
    client.close();
    if (address === undefined) return;
    // What was bound to one address is not on the others, nor is the side without credentials.
    const port = Number(server.running.local.split(":")[1]);
    await assert.rejects(Deno.connect({ hostname: "127.0.0.1", port: server.port }));
    await assert.rejects(Deno.connect({ hostname: address, port }));
  }));
