import "../support/environment.ts";
import assert from "node:assert/strict";
import { nkeys } from "@nats-io/transport-node";
import type { AccessOptions } from "../../lib/backend/resolve.ts";
import { NatsBackend } from "../../lib/backend/nats.ts";
import { type ErrorKindName, PlasmiteError } from "../../lib/errors.ts";
import { inTemp } from "../cli/cli_util.ts";
import { Authority, type Pair } from "../support/certificates.ts";
import { NATS_VERSIONS, NatsServer, natsServer } from "../support/nats.ts";
import { freePort } from "../support/ports.ts";
import { put } from "./suite.ts";
import { watchdog } from "../support/patience.ts";

const authority = await Authority.create();

async function write(dir: string, name: string, text: string): Promise<string> {
  await Deno.writeTextFile(`${dir}/${name}`, text);
  return `${dir}/${name}`;
}

/** The server's TLS block. */
async function tlsBlock(dir: string, { cert, key }: Pair, more = ""): Promise<string> {
  const files = [await write(dir, "cert.pem", cert), await write(dir, "key.pem", key)];
  const ca = await write(dir, "ca.pem", authority.pem);
  return `tls { cert_file: "${files[0]}", key_file: "${files[1]}", ca_file: "${ca}", ${more} }`;
}

/** Connects and lists; the number of pools. */
async function look(address: string, options: AccessOptions = {}): Promise<number> {
  const backend = new NatsBackend(address, options);
  try {
    return (await backend.names()).length;
  } finally {
    await backend.close();
  }
}

async function refused(kind: ErrorKindName, work: Promise<unknown>): Promise<PlasmiteError> {
  try {
    await work;
  } catch (error) {
    assert(PlasmiteError.is(error), String(error));
    assert.equal(error.kindName, kind, `${error.message} ${error.causes}`);
    return error;
  }
  throw new assert.AssertionError({ message: "it was accepted" });
}

for (const version of NATS_VERSIONS) {
  const ignore = natsServer(version) === undefined;
  const test = (
    title: string,
    config: string | ((dir: string) => Promise<string>),
    run: (server: NatsServer, dir: string) => Promise<void>,
  ): void =>
    Deno.test({
      name: `nats ${version} access: ${title}`,
      ignore,
      fn: () =>
        inTemp(async (dir) => {
          const more = typeof config === "string" ? config : await config(dir);
          const server = await NatsServer.start(version, more);
          try {
            await run(server, dir);
          } finally {
            await server.end();
          }
        }),
    });

  test(
    "user and password, and nobody without",
    'authorization { user: "me", password: "a:b" }',
    async ({ url }, dir) => {
      assert.equal(await look(url, { creds: "me:a:b\n" }), 0);
      assert.equal(await look(url, { credsFile: await write(dir, "creds", "me:a:b\r\n") }), 0);
      for (const creds of ["me:x", "you:a:b"]) {
        const error = await refused("Permission", look(url, { creds }));
        assert.match(error.message, /refused the credentials/);
      }
      await refused("Permission", look(url));
      await refused("Usage", look(url, { credsFile: `${dir}/none` }));
    },
  );

  test("a token", 'authorization { token: "s3cret" }', async ({ url }) => {
    assert.equal(await look(url, { token: "s3cret" }), 0);
    await refused("Permission", look(url, { token: "other" }));
  });

  const user = nkeys.createUser();
  test(
    "a seed signs a nonce",
    `authorization { users: [{ nkey: "${user.getPublicKey()}" }] }`,
    async ({ url }) => {
      const seed = new TextDecoder().decode(user.getSeed());
      assert.equal(await look(url, { creds: `${seed}\n` }), 0);
      const other = new TextDecoder().decode(nkeys.createUser().getSeed());
      await refused("Permission", look(url, { creds: other }));
    },
  );

  // A server that was reached by its address was checked against the name "localhost".
  test(
    "a certificate is checked against the host that was named",
    async (dir) => await tlsBlock(dir, await authority.sign(["localhost"])),
    async ({ port }, dir) => {
      const tls = { caFile: `${dir}/ca.pem` };
      assert.equal(await look(`nats+tls://localhost:${port}`, { tls }), 0);
      const error = await refused("Io", look(`nats+tls://127.0.0.1:${port}`, { tls }));
      assert.match(error.message, /another host name/);
      assert.equal(await look(`nats+tls://127.0.0.1:${port}`, { tls: { skipVerify: true } }), 0);
      const unknown = await refused("Io", look(`nats+tls://localhost:${port}`));
      assert.match(unknown.message, /not trusted/);
    },
  );

  test(
    "a certificate for an address is good for that address only",
    async (dir) => await tlsBlock(dir, await authority.sign([], ["127.0.0.1"])),
    async ({ port }, dir) => {
      const tls = { caFile: `${dir}/ca.pem` };
      assert.equal(await look(`nats+tls://127.0.0.1:${port}`, { tls }), 0);
      assert.equal(await look(`nats://127.0.0.1:${port}`, { tls }), 0);
      await refused("Io", look(`nats+tls://localhost:${port}`, { tls }));
    },
  );

  test(
    "client certificates",
    async (dir) => await tlsBlock(dir, await authority.sign(["localhost"]), "verify: true"),
    async ({ port }, dir) => {
      const { cert, key } = await authority.sign(["client"]);
      const certFile = await write(dir, "client.pem", cert);
      const keyFile = await write(dir, "client.key", key);
      const caFile = `${dir}/ca.pem`;
      const url = `nats+tls://localhost:${port}`;
      assert.equal(await look(url, { tls: { caFile, certFile, keyFile } }), 0);
      const error = await refused("Io", look(url, { tls: { caFile } }));
      assert.match(error.message, /client certificate/, String(error.causes));
    },
  );

  if (version !== "2.9") {
    test(
      "a server that expects TLS first",
      async (dir) =>
        await tlsBlock(dir, await authority.sign(["localhost"]), "handshake_first: true"),
      async ({ port }, dir) => {
        const caFile = `${dir}/ca.pem`;
        const url = `nats+tls://localhost:${port}`;
        assert.equal(await look(url, { tls: { caFile, first: true } }), 0);
        const error = await refused("Io", look(url, { tls: { caFile } }));
        assert.match(error.message, /cannot reach the NATS server/);
        assert.equal(error.topic, "nats timeout", String(error.causes));
      },
    );
  }

  test("TLS is not dropped when a server does not offer it", "", async ({ port }) => {
    const url = `nats+tls://127.0.0.1:${port}`;
    const error = await refused("Io", look(url, { creds: "me:s3cret" }));
    assert.match(error.message, /does not offer TLS/);
  });

  test("a list whose first server is dead uses the second", "", async ({ port }) => {
    assert.equal(await look(`nats://127.0.0.1:${freePort()},127.0.0.1:${port}`), 0);
    const error = await refused("Io", look(`nats://127.0.0.1:${freePort()}`));
    assert.match(error.message, /cannot reach the NATS server/);
  });

  // A forbidden publish is answered on another way than a request: feed would have waited forever.
  test(
    "what may not be published is told with its subject, one message or many",
    `authorization { users: [
      { user: "me", password: "x", permissions: { publish: { deny: ["plasmite.>"] } } }
    ] }`,
    async ({ url }) => {
      const backend = new NatsBackend(url, { creds: "me:x" });
      await backend.create("p");
      const pool = await backend.open("p", { write: true });
      for (const data of [[{ n: 1 }], [{ n: 1 }, { n: 2 }, { n: 3 }]]) {
        const error = await refused("Permission", put(pool, data));
        assert.match(error.message, /plasmite\.p\.m/);
      }
      await pool.close();
      await backend.close();
    },
  );

  test(
    "what may not be read is told with its subject",
    `authorization { users: [
      { user: "all", password: "x" },
      { user: "me", password: "x", permissions: { publish: { deny: ["$JS.API.CONSUMER.>"] } } }
    ] }`,
    async ({ url }) => {
      const all = new NatsBackend(url, { creds: "all:x" });
      await all.create("p");
      await all.close();
      const backend = new NatsBackend(url, { creds: "me:x" });
      const pool = await backend.open("p");
      const walk = await pool.select({ follow: true });
      const reading = async (): Promise<void> => {
        while (!walk.next()) await walk.wait(undefined, watchdog());
      };
      const error = await refused("Permission", reading());
      assert.match(error.message, /CONSUMER/);
      walk.close();
      await pool.close();
      await backend.close();
    },
  );
}

Deno.test({
  name: "nats 2.15 access: JetStream that is off is told",
  ignore: natsServer("2.15") === undefined,
  fn: async () => {
    const server = await NatsServer.start("2.15", "", false);
    try {
      const error = await refused("Usage", look(server.url));
      assert.match(error.message, /JetStream is off/);
    } finally {
      await server.end();
    }
  },
});

// Anybody who takes the port of the server would get the password.
Deno.test("nats access: a server without TLS gets no byte of the credentials", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const { port } = listener.addr;
  let received = "";
  const serving = (async () => {
    for await (const connection of listener) {
      const info = {
        server_id: "x",
        version: "2.15.3",
        max_payload: 1024,
        headers: true,
        proto: 1,
      };
      await connection.write(new TextEncoder().encode(`INFO ${JSON.stringify(info)}\r\n`));
      const buffer = new Uint8Array(1024);
      try {
        for (let n = await connection.read(buffer); n !== null; n = await connection.read(buffer)) {
          received += new TextDecoder().decode(buffer.subarray(0, n));
        }
      } catch (error) {
        if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
      }
      connection.close();
    }
  })();
  await refused("Io", look(`nats+tls://127.0.0.1:${port}`, { creds: "me:s3cret" }));
  assert.equal(received, "");
  listener.close();
  await serving;
});

// A reset behind a refused login ended the process; then every error with the word ECONNRESET
// vanished from a program that had once used NATS.
Deno.test("nats access: late errors of sockets are handled, those of the program are not", async () => {
  await refused("Io", look(`nats://127.0.0.1:${freePort()}`));
  const isHandled = (error: Error): boolean =>
    !globalThis.dispatchEvent(new ErrorEvent("error", { error, cancelable: true }));
  const reset = Object.assign(new Error("read ECONNRESET"), {
    code: "ECONNRESET",
    syscall: "read",
  });
  assert.equal(isHandled(reset), true);
  assert.equal(isHandled(new Error("upstream failed: read ECONNRESET")), false);
  const now = performance.now.bind(performance);
  performance.now = () => now() + 60_000;
  try {
    assert.equal(isHandled(reset), false, "long after the last connection");
  } finally {
    performance.now = now;
  }
});
