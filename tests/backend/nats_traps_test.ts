/**
 * What docs/spec/jetstream.md 10 and 11 list and no other file shows: traps, races of processes,
 * credentials with a JWT, leaf nodes and restarts. Real servers of both versions.
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { connect, type NatsConnection, nkeys } from "@nats-io/transport-node";
import { jetstreamManager } from "@nats-io/jetstream";
import { NatsBackend } from "../../lib/backend/nats.ts";
import type { PoolHandle } from "../../lib/backend/types.ts";
import { ErrorKind } from "../../lib/errors.ts";
import { cli, inTemp, spawnCli } from "../cli/cli_util.ts";
import { Authority } from "../support/certificates.ts";
import { storeWhen } from "../support/coordinated.ts";
import { fails } from "../support/fails.ts";
import {
  NATS_VERSIONS,
  NatsServer,
  natsServer,
  type NatsVersion,
  testEachNats,
} from "../support/nats.ts";
import { until, watchdog } from "../support/patience.ts";
import { freePort } from "../support/ports.ts";
import { collect, put } from "./suite.ts";

interface Scene {
  readonly server: NatsServer;
  readonly backend: NatsBackend;
  readonly nc: NatsConnection;
  readonly jsm: Awaited<ReturnType<typeof jetstreamManager>>;
  /** Opens a pool that is made before. */
  pool(name: string, size?: number): Promise<PoolHandle>;
}

function test(title: string, run: (scene: Scene) => Promise<void>): void {
  testEachNats(`nats % traps: ${title}`, async (version) => {
    const server = await NatsServer.start(version);
    const backend = new NatsBackend(server.url);
    const nc = await connect({ servers: `127.0.0.1:${server.port}`, maxReconnectAttempts: -1 });
    const pool = async (name: string, sizeBytes = 1 << 20): Promise<PoolHandle> => {
      await backend.create(name, { sizeBytes });
      return await backend.open(name, { write: true });
    };
    try {
      await run({ server, backend, nc, jsm: await jetstreamManager(nc), pool });
    } finally {
      await nc.close();
      await backend.close();
      await server.end();
    }
  });
}

// T7: a key `*` took the place of every other key, or was the newest of all.
test("keys of wildcards, dots and blanks are keys like others", async ({ jsm, pool }) => {
  const p = await pool("P");
  const keys = ["*", ">", "a.*", "a.b", "a b", "x", " ", ".", "größe"];
  for (const [i, key] of keys.entries()) {
    const { seq } = await storeWhen(p, { key }, [`key:${key}`], { expect: 0n, key });
    assert.equal(seq, BigInt(i + 1), key);
  }
  const coordination = await p.coordinate();
  for (const [i, key] of keys.entries()) {
    assert.equal((await coordination.latest(key))?.seq, BigInt(i + 1), key);
  }
  for (let seq = 1; seq <= keys.length; seq++) {
    const { subject } = (await jsm.streams.getMessage("P", { seq })) ?? {};
    assert.match(subject ?? "", /^plasmite\.P\.k\.[\w-]+$/);
  }
  await p.close();
});

// T8: whoever holds a key must not believe in it when its claim was overwritten.
test("a claim that was overwritten is free, and its holder is told", async ({ pool }) => {
  const p = await pool("P", 16_384);
  const leases = await p.coordinate();
  const mine = await leases.claim({ keys: ["k"], holder: "a", ttlMs: 600_000 });
  await fails("Busy", () => leases.claim({ keys: ["k"], holder: "b" }));
  const filler = { pad: "x".repeat(2_000) };
  for (let i = 0; i < 12; i++) await put(p, [filler]);
  const theirs = await leases.claim({ keys: ["k"], holder: "b" });
  assert.equal(theirs.holder, "b");
  await fails("Conflict", () => leases.claim({ keys: ["k"], holder: "a", token: mine.token }));
  assert(theirs.token > mine.token, "who checks tokens refuses the first");
  await p.close();
});

// T10: a limit of messages for each subject cuts the ordinary ones to that number, too.
test("a pool has no limit of messages for a subject", async ({ jsm, pool }) => {
  const p = await pool("P");
  await put(p, [{ n: 1 }, { n: 2 }, { n: 3 }]);
  const { config, state } = await jsm.streams.info("P");
  assert.equal(config.max_msgs_per_subject, -1);
  assert.equal(state.messages, 3);
  await p.close();
});

// T1: an idle follower stayed silent for ever, or printed the new stream as if it were the old.
test("idle followers end when their stream is deleted, or recreated with fewer or more", async (scene) => {
  const { backend, pool } = scene;
  const cases: [string, number | null][] = [["GONE", null], ["FEWER", 1], ["EQUAL", 3], [
    "MORE",
    9,
  ]];
  const ended = cases.map(async ([name, count]) => {
    const p = await pool(name);
    await put(p, [{ n: 1 }, { n: 2 }, { n: 3 }]);
    const told = collect(await p.select({ follow: true, from: 4n }));
    told.catch(() => {}); // It is looked at below.
    await backend.remove(name);
    if (count !== null) {
      const again = await pool(name);
      await put(again, Array.from({ length: count }, (_, n) => ({ new: n })));
      await again.close();
    }
    await fails("NotFound", () => told);
    await p.close();
  });
  await Promise.all(ended);
});

// A server that is restarted must not cost more than the time it is away.
test("with one replica, what was acknowledged survives kill -9, and everybody goes on", async (scene) => {
  const { backend, pool, server } = scene;
  const p = await pool("P");
  const walk = await p.select({ follow: true });
  const told: bigint[] = [];
  const following = (async () => {
    const signal = watchdog();
    while (told.length < 40) {
      if (walk.next()) told.push(walk.frame.seq);
      else await walk.wait(undefined, signal);
    }
  })();
  const numbers: bigint[] = [];
  for (let round = 0; round < 4; round++) {
    numbers.push(...await put(p, Array.from({ length: 10 }, (_, i) => ({ n: 10 * round + i }))));
    if (round === 3) break;
    await server.kill();
    await server.restart();
    // An append waits for the connection.
    await until(async () => await backend.info("P").then(() => true, () => false));
  }
  await following;
  const expected = Array.from({ length: 40 }, (_, i) => BigInt(i + 1));
  assert.deepEqual(numbers, expected);
  assert.deepEqual(told, expected);
  walk.close();
  await p.close();
});

/**
 * Starts so many `feed` at once, of which one must win and the others must be refused. A machine that
 * is too slow for so many may not let all of them reach the server in time: these are told so, and
 * are started again. Then the winner may be among them, if it did not hear that it had won.
 */
async function race(count: number, ...args: string[]): Promise<void> {
  const codes: number[] = [];
  const start = (): Deno.ChildProcess => spawnCli(["feed", ...args]);
  const late: number[] = [];
  for (const { status } of Array.from({ length: count }, start)) {
    const { code } = await status;
    (code === ErrorKind.Io || code === ErrorKind.Busy ? late : codes).push(code);
  }
  for (const _ of late) {
    let code: number = ErrorKind.Io;
    await until(async () => {
      code = (await start().status).code;
      return code !== ErrorKind.Io && code !== ErrorKind.Busy;
    });
    codes.push(code);
  }
  const winners = codes.filter((code) => code === 0).length;
  assert(winners === 1 || (winners === 0 && late.length > 0), `${winners} have won`);
  assert.equal(codes.filter((code) => code === ErrorKind.Conflict).length, count - winners);
}

// Two deployments at once, because both were told that nobody else had begun.
for (const version of NATS_VERSIONS) {
  Deno.test({
    name: `nats ${version} traps: of forty processes with one expectation, exactly one wins`,
    ignore: natsServer(version) === undefined,
    fn: async () => {
      const server = await NatsServer.start(version);
      try {
        const ref = `${server.url}/P`;
        assert.equal((await cli(["pool", "create", ref, "--size", "1M"])).code, 0);
        assert.equal((await cli(["feed", ref, '{"n":0}'])).code, 0);
        await race(40, ref, "--expect", "1", '{"n":1}');
        await race(12, ref, "--key", "k", "--expect", "none", '{"n":2}');
        const { metrics } = JSON.parse((await cli(["pool", "info", ref, "--json"])).stdout);
        assert.equal(metrics.message_count, 3);
      } finally {
        await server.end();
      }
    },
  });
}

const base64url = (bytes: Uint8Array): string =>
  bytes.toBase64({ alphabet: "base64url", omitPadding: true });

/** A JWT of NATS. */
function jwt(by: nkeys.KeyPair, of: nkeys.KeyPair, name: string, nats: object): string {
  const part = (value: object): string =>
    base64url(new TextEncoder().encode(JSON.stringify(value)));
  const head = part({ typ: "JWT", alg: "ed25519-nkey" });
  const claims = part({
    jti: name,
    iat: Math.floor(Date.now() / 1000),
    iss: by.getPublicKey(),
    name,
    sub: of.getPublicKey(),
    nats: { ...nats, version: 2 },
  });
  const signature = by.sign(new TextEncoder().encode(`${head}.${claims}`));
  return `${head}.${claims}.${base64url(signature)}`;
}

/** The creds file of a user. */
function credsOf(user: nkeys.KeyPair, token: string): string {
  return `-----BEGIN NATS USER JWT-----\n${token}\n------END NATS USER JWT------\n\n` +
    `-----BEGIN USER NKEY SEED-----\n${new TextDecoder().decode(user.getSeed())}\n` +
    `------END USER NKEY SEED------\n`;
}

const UNLIMITED = {
  subs: -1,
  data: -1,
  payload: -1,
  imports: -1,
  exports: -1,
  wildcards: true,
  conn: -1,
  leaf: -1,
};
const JETSTREAM = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };

// Most hosted servers know users by such files only.
testEachNats(
  "nats % traps: a creds file with a JWT, in the account that it is for and no other",
  (version) =>
    inTemp(async (dir) => {
      const operator = nkeys.createOperator();
      const [system, one, two] = [1, 2, 3].map(() => nkeys.createAccount());
      assert(system && one && two);
      const account = (key: nkeys.KeyPair, name: string): string =>
        jwt(operator, key, name, {
          type: "account",
          limits: key === system ? UNLIMITED : { ...UNLIMITED, ...JETSTREAM },
        });
      const preloaded = [[system, "SYS"], [one, "ONE"], [two, "TWO"]] as const;
      const server = await NatsServer.start(
        version,
        `operator: ${jwt(operator, operator, "op", { type: "operator" })}
         system_account: ${system.getPublicKey()}
         resolver: MEMORY
         resolver_preload: {
           ${
          preloaded.map(([key, name]) => `${key.getPublicKey()}: ${account(key, name)}`).join("\n")
        }
         }`,
      );
      try {
        const file = async (name: string, by: nkeys.KeyPair): Promise<string> => {
          const user = nkeys.createUser();
          const claims = { type: "user", subs: -1, data: -1, payload: -1 };
          await Deno.writeTextFile(`${dir}/${name}`, credsOf(user, jwt(by, user, name, claims)));
          return `${dir}/${name}`;
        };
        const ref = `${server.url}/P`;
        const mine = ["--creds", await file("one", one)];
        const theirs = ["--creds", await file("two", two)];
        const stranger = ["--creds", await file("stranger", nkeys.createAccount())];
        const code = async (...args: string[]): Promise<number> => (await cli(args)).code;
        assert.equal(await code("pool", "create", ref, "--size", "1M", ...mine), 0);
        assert.equal(await code("feed", ref, '{"n":1}', ...mine), 0);
        const read = await cli(["follow", ref, "--tail", "9", "--no-follow", "--jsonl", ...mine]);
        assert.match(read.stdout, /"n":1/, read.stderr);
        assert.equal(await code("feed", ref, '{"n":2}', ...theirs), 3, "another account");
        assert.equal(await code("feed", ref, '{"n":2}', ...stranger), 6, "an unknown account");
        assert.equal(await code("feed", ref, '{"n":2}'), 6, "nobody");
      } finally {
        await server.end();
      }
    }),
);

// T13, T14: without an option of TLS the client ended with a TypeError, which tells nobody anything.
testEachNats(
  "nats % traps: a server that insists on TLS is told to somebody who does not",
  (version) =>
    inTemp(async (dir) => {
      const authority = await Authority.create();
      const { cert, key } = await authority.sign(["localhost"]);
      await Deno.writeTextFile(`${dir}/cert.pem`, cert);
      await Deno.writeTextFile(`${dir}/key.pem`, key);
      await Deno.writeTextFile(`${dir}/ca.pem`, authority.pem);
      const files = `cert_file: "${dir}/cert.pem", key_file: "${dir}/key.pem"`;
      const server = await NatsServer.start(version, `tls { ${files} }`);
      const ref = `nats://localhost:${server.port}/P`;
      const create = ["pool", "create", ref, "--size", "1M"];
      const { code, stderr } = await cli(create);
      assert.equal(code, 8, stderr);
      const { error } = JSON.parse(stderr);
      assert.match(error.message, /certificate of the NATS server is not trusted/);
      assert.match(error.hint, /--tls-ca/);
      assert.equal((await cli([...create, "--tls-ca", `${dir}/ca.pem`])).code, 0);
      await server.end();
    }),
);

/** A server with a domain of its own; `more` connects it to others. */
async function inDomain(
  version: NatsVersion,
  dir: string,
  domain: string,
  more: string,
): Promise<NatsServer> {
  const store = `jetstream { store_dir: "${dir}/${domain}", domain: ${domain}, max_file: 1GB }`;
  return await NatsServer.start(version, `server_name: ${domain}\n${store}\n${more}`, false);
}

// A measurement of the edge was looked for in the hub, where a stream of that name may be another's.
testEachNats(
  "nats % traps: the stream of a leaf node is reached from the hub with --domain",
  (version) =>
    inTemp(async (dir) => {
      const port = freePort();
      const hub = await inDomain(version, dir, "hub", `leafnodes { listen: "127.0.0.1:${port}" }`);
      const remote = `leafnodes { remotes: [{ url: "nats-leaf://127.0.0.1:${port}" }] }`;
      const edge = await inDomain(version, dir, "edge", remote);
      try {
        const local = `${edge.url}/READINGS`;
        const far = [`${hub.url}/READINGS`, "--domain", "edge"];
        const run = async (...args: string[]): Promise<string> => {
          const { code, stderr, stdout } = await cli(args);
          assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
          return stdout;
        };
        await run("pool", "create", local, "--size", "1M");
        await until(async () => (await cli(["pool", "info", ...far])).code === 0, "no connection");
        await run("feed", local, '{"n":1}');
        await run("feed", ...far, '{"n":2}');
        const read = ["--tail", "9", "--no-follow", "--jsonl"];
        assert.equal(await run("follow", ...far, ...read), await run("follow", local, ...read));
        assert.equal((await cli(["pool", "info", `${hub.url}/READINGS`])).code, 3);
        const wrong = await cli(["pool", "info", `${hub.url}/READINGS`, "--domain", "nowhere"]);
        assert.equal(wrong.code, 2, wrong.stderr);
        assert.match(wrong.stderr, /nowhere/);
        // While the hub is dead, the edge goes on.
        await hub.kill();
        await run("feed", local, '{"n":3}');
        await hub.restart();
        await until(
          async () => (await cli(["fetch", ...far, "3"])).code === 0,
          "it never came back",
        );
      } finally {
        await Promise.all([hub.end(), edge.end()]);
      }
    }),
);
