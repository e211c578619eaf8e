/**
 * Connections with an access key (docs/spec/sharing.md 1.6): the right certificate is enough,
 * whoever issued it, and with any other no byte of a request is sent.
 *
 * @module
 */

import assert from "node:assert/strict";
import { firstCertificate } from "../../lib/access/certificate.ts";
import { Connections } from "../../lib/access/connections.ts";
import { formatAccessKey, newSecret } from "../../lib/access/key.ts";
import { RemoteError } from "../../lib/backend/http/error.ts";
import { Transport } from "../../lib/backend/http/transport.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { RemoteClient, type RemoteClientOptions } from "../../lib/remote/mod.ts";
import { cli, inTemp } from "../cli/cli_util.ts";
import { serve } from "../client/remote_util.ts";
import { makePair, type Pair, standIn } from "../support/access_server.ts";
import { impostor } from "../support/impostor.ts";
import { ROOT } from "../support/paths.ts";

const SECRET = newSecret();
const DAY = 86_400_000;

/** A TLS server that counts the bytes it is sent after the handshake. */
function counting({ cert, key }: Pair): AsyncDisposable & { port: number; bytes(): number } {
  const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
  let bytes = 0;
  const serving = (async () => {
    for await (const conn of listener) {
      const buffer = new Uint8Array(1024);
      try {
        for (let got = await conn.read(buffer); got !== null; got = await conn.read(buffer)) {
          bytes += got;
        }
      } catch {
        // The client has closed it without a word.
      }
      conn.close();
    }
  })();
  return {
    port: listener.addr.port,
    bytes: () => bytes,
    [Symbol.asyncDispose]: async () => {
      listener.close();
      await serving;
    },
  };
}

async function ask(url: string, spki: string | null): Promise<unknown> {
  const accessKey = spki === null ? null : { spki, secret: SECRET };
  const transport = new Transport(url, { accessKey });
  try {
    return await transport.json("/v0/access/check");
  } finally {
    transport.release();
  }
}

Deno.test("pinning: the right key is enough, whoever issued the certificate", async () => {
  const pairs = {
    "its own": await makePair(),
    "an authority that nobody knows": await makePair({ issued: true }),
    "a wildcard": await makePair({ names: ["x", "localhost"], commonName: "other" }),
  };
  for (const [issuer, pair] of Object.entries(pairs)) {
    await using server = standIn(pair, [SECRET]);
    for (const host of ["localhost", "127.0.0.1"]) {
      const answer = await ask(`https://${host}:${server.port}`, pair.spki);
      assert.deepEqual(answer, { accepted: true }, issuer);
    }
  }
});

// Lost: the secret, and every message, to whoever answers at that address.
Deno.test("pinning: with any other certificate no byte is sent", async () => {
  const other = await makePair();
  const cases: [string, Pair, string | null, RegExp][] = [
    ["another key", await makePair(), other.spki, /key of the server is not the one/],
    [
      "a name in the subject only",
      await makePair({ names: ["elsewhere.example"], addresses: [], commonName: "localhost" }),
      null,
      /is not for localhost/,
    ],
    ["no names", await makePair({ names: [], addresses: ["127.0.0.1"] }), null, /is not for/],
    ["expired", await makePair({ notAfter: new Date(Date.now() - 1000) }), null, /ended 20/],
    ["not begun", await makePair({ notBefore: new Date(Date.now() + DAY) }), null, /begins 20/],
  ];
  for (const [name, pair, spki, message] of cases) {
    await using server = counting(pair);
    for (const pin of [spki ?? pair.spki, ...(spki === null ? [null] : [])]) {
      await assert.rejects(ask(`https://localhost:${server.port}`, pin), (error) => {
        assert.ok(error instanceof RemoteError, String(error));
        assert.ok(error.unsent && error.kind === ErrorKind.Io, name);
        assert.match(String(error.causes), message, name);
        assert.ok(!`${error.message} ${error.hint} ${error.causes}`.includes(SECRET));
        return true;
      });
    }
    assert.equal(server.bytes(), 0, name);
  }
});

/** Sets the folder of saved connections for this process while `body` runs. */
async function withSaved(
  body: (connections: Connections) => Promise<void>,
): Promise<void> {
  await inTemp(async (dir) => {
    Deno.env.set("PLASMITE_ACCESS_HOME", dir);
    try {
      await body(new Connections(dir));
    } finally {
      Deno.env.delete("PLASMITE_ACCESS_HOME");
    }
  });
}

Deno.test("library: a saved key is used for its own address and for no other", () =>
  withSaved(async (connections) => {
    const pair = await makePair();
    await using server = standIn(pair, [SECRET]);
    const url = `https://localhost:${server.port}`;
    await connections.save(`${url}/`, { spki: pair.spki, secret: SECRET });
    await using client = new RemoteClient(url);
    assert.deepEqual(await client.listPools(), []);
    await using pool = client.uncheckedPool("p");
    await assert.rejects(pool.append({ n: 1 }), (error) => error instanceof RemoteError);
    assert.ok(server.requests.every((request) => request.endsWith(`Bearer ${SECRET}`)));
    const count = server.requests.length;
    await using elsewhere = new RemoteClient(`https://127.0.0.1:${server.port}`);
    await assert.rejects(
      elsewhere.listPools(),
      (error) => PlasmiteError.is(error, ErrorKind.Permission),
    );
    await using own = new RemoteClient(url, { token: "x" });
    await assert.rejects(own.listPools(), (error) => PlasmiteError.is(error, ErrorKind.Io));
    await using named = new RemoteClient(url, { tls: { caCerts: [pair.cert] } });
    await assert.rejects(
      named.listPools(),
      (error) => PlasmiteError.is(error, ErrorKind.Permission),
    );
    assert.deepEqual(server.requests.slice(count), ["GET /v0/pools null"]);
  }));

Deno.test("library: an access key as an option is all that a program needs", async () => {
  const pair = await makePair();
  await using server = standIn(pair, [SECRET]);
  const url = `https://localhost:${server.port}`;
  const accessKey = formatAccessKey({ spki: pair.spki, secret: SECRET });
  await using client = new RemoteClient(url, { accessKey });
  assert.deepEqual(await client.listPools(), []);
  await using other = client.withToken("x");
  await assert.rejects(other.listPools(), (error) => PlasmiteError.is(error, ErrorKind.Io));
  const wrong: [string, RemoteClientOptions][] = [
    [url, { accessKey: SECRET }],
    [url, { accessKey: "" }],
    [url, { accessKey, token: "x" }],
    [url, { accessKey, tls: {} }],
    [url, { accessKey, fetch }],
    [`http://localhost:${server.port}`, { accessKey }],
  ];
  for (const [address, options] of wrong) {
    assert.throws(() => new RemoteClient(address, options), (error) => {
      assert.ok(PlasmiteError.is(error, ErrorKind.Usage));
      assert.ok(!`${error.message} ${error.hint}`.includes(SECRET));
      return true;
    });
  }
  assert.deepEqual(server.requests, [`GET /v0/pools Bearer ${SECRET}`]);
});

// Lost: an agent's session, which went on failing after the person had saved a key.
Deno.test("library: a key that is saved or replaced later is found by the next call", () =>
  withSaved(async (connections) => {
    const pair = await makePair();
    const secrets = [newSecret(), newSecret()];
    const [first = "", second = ""] = secrets;
    await using server = standIn(pair, secrets);
    const url = `https://localhost:${server.port}`;
    await using client = new RemoteClient(url);
    const permission = (error: unknown): boolean => PlasmiteError.is(error, ErrorKind.Permission);
    await assert.rejects(client.listPools(), permission);
    await connections.save(`${url}/`, { spki: pair.spki, secret: first });
    assert.deepEqual(await client.listPools(), []);
    server.secrets.delete(first);
    await assert.rejects(client.listPools(), permission);
    await connections.save(`${url}/`, { spki: pair.spki, secret: second });
    assert.deepEqual(await client.listPools(), []);
    assert.equal(server.requests.at(-1), `GET /v0/pools Bearer ${second}`);
  }));

// Lost: a follower that asked a stranger for its pool, again and again.
Deno.test("library: a tail that reconnects stops at a server with another key", () =>
  withSaved(async (connections) => {
    const { cert, key, spki } = await makePair();
    await inTemp(async (dir) => {
      await using server = serve({ dir, cert, key, token: SECRET });
      using _local = server.local.createPool("p");
      await connections.save(`${server.url}/`, { spki, secret: SECRET });
      await using client = new RemoteClient(server.url);
      await using pool = client.uncheckedPool("p");
      const next = pool.tail({ from: "end", reconnect: true }).next();
      next.catch(() => {}); // Awaited below.
      while (!server.seen.some((request) => request.includes("/tail"))) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      const { port } = server;
      await server.stop();
      const { cert: other, key: otherKey } = await makePair();
      await using stranger = serve({ dir, port, cert: other, key: otherKey, token: SECRET });
      await assert.rejects(next, (error) => {
        assert.match(String((error as PlasmiteError).causes), /key of the server is not the one/);
        return true;
      });
      assert.deepEqual(stranger.seen, []);
    });
  }));

Deno.test("library: without permissions nothing is looked up, and nothing is asked", () =>
  inTemp(async (dir) => {
    const program = `${dir}/program.ts`;
    Deno.writeTextFileSync(
      program,
      `import { connect } from ${JSON.stringify(`file://${ROOT}mod.ts`)};
       try { await connect("https://localhost:1").listPools(); }
       catch (error) { console.log(error.kindName); }`,
    );
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-net", "--no-prompt", "--quiet", program],
      env: { PLASMITE_ACCESS_HOME: "" },
    }).output();
    assert.equal(new TextDecoder().decode(stdout), "Io\n", new TextDecoder().decode(stderr));
  }));

Deno.test("mcp --remote: uses the saved key", () =>
  withSaved(async (connections) => {
    const pair = await makePair();
    await using server = standIn(pair, [SECRET]);
    const url = `https://localhost:${server.port}`;
    await connections.save(`${url}/`, { spki: pair.spki, secret: SECRET });
    const messages = [
      {
        id: 1,
        method: "initialize",
        params: {
          protocolVersion: "2025-06-18",
          capabilities: {},
          clientInfo: { name: "t", version: "1" },
        },
      },
      { method: "notifications/initialized" },
      { id: 2, method: "tools/call", params: { name: "plasmite_pool_list", arguments: {} } },
    ];
    const stdin = messages.map((one) => `${JSON.stringify({ jsonrpc: "2.0", ...one })}\n`).join("");
    const { stdout, stderr } = await cli(["mcp", "--remote", `${url}/mcp`], {
      stdin,
      env: { PLASMITE_ACCESS_HOME: Deno.env.get("PLASMITE_ACCESS_HOME") ?? "" },
    });
    assert.equal(server.requests.at(-1), `GET /v0/pools Bearer ${SECRET}`, stdout + stderr);
    assert.ok(!(stdout + stderr).includes(SECRET));
  }));

function privateKeyOf({ key }: Pair): Promise<CryptoKey> {
  const body = key.replaceAll(/-----[A-Z ]+-----|\s/g, "");
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  return crypto.subtle.importKey("pkcs8", Uint8Array.fromBase64(body), algorithm, false, ["sign"]);
}

// A certificate is public: whoever shows it without its key would have got the secret.
Deno.test("pinning: a certificate without its private key is worth nothing", async () => {
  const pair = await makePair();
  const other = await makePair();
  const der = firstCertificate(pair.cert);
  assert.ok(der !== undefined);
  for (const [signer, word] of [[pair, "finished"], [other, "alert"]] as const) {
    await using server = impostor(der, await privateKeyOf(signer));
    const url = `https://localhost:${server.port}`;
    await assert.rejects(ask(url, pair.spki), (error) => {
      assert.ok(error instanceof RemoteError);
      // The one who has the key does not speak HTTP, but the handshake is complete.
      assert.equal(error.unsent, word === "alert", error.message);
      return true;
    });
    assert.equal(await server.outcome, word);
  }
});
