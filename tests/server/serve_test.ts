/**
 * The server on sockets: configuration rules, TLS end to end, start, stop, restart, trouble.
 *
 * @module
 */

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { Client, type ErrorKindName, PlasmiteError } from "../../mod.ts";
import { fingerprintOf } from "../../server/certificate.ts";
import { checkJson, checkServe, checkText } from "../../server/check.ts";
import { DEFAULT_FLAGS, parseBind, resolveServe, type ServeFlags } from "../../server/config.ts";
import { initCommands, initText } from "../../server/init_report.ts";
import { serveInit } from "../../server/init.ts";
import { makeRecord, register, runningServers, type ServerRecord } from "../../server/registry.ts";
import { startServer } from "../../server/serve.ts";
import { initialized, lines } from "./server_util.ts";
import { ROOT } from "../support/paths.ts";
import { pause, until } from "../support/patience.ts";
import { freePort } from "../support/ports.ts";

async function fails(
  promise: Promise<unknown>,
  kind: ErrorKindName,
  message: string | RegExp,
): Promise<PlasmiteError> {
  let caught: unknown;
  await promise.catch((error) => caught = error);
  assert.ok(PlasmiteError.is(caught), String(caught));
  assert.equal(caught.kindName, kind);
  if (typeof message === "string") assert.equal(caught.message, message);
  else assert.match(caught.message, message);
  return caught;
}

Deno.test("serve: configurations that are not safe are refused, in order, with advice", async () => {
  const { dir, flags } = await initialized();
  const { tokenFile, tlsCert, tlsKey } = flags;
  await Deno.writeTextFile(`${dir}/empty`, " \n");
  const cases: [Partial<ServeFlags>, ErrorKindName, string, RegExp][] = [
    [{ bind: "example.com:1" }, "Usage", "invalid bind address", /host:port/],
    [
      { token: "a", tokenFile: "b" },
      "Usage",
      "--token cannot be combined with --token-file",
      /serve init/,
    ],
    [{ tokenFile: `${dir}/none` }, "Usage", "failed to read token file", /path/],
    [{ tokenFile: `${dir}/empty` }, "Usage", "token file is empty", /serve init/],
    [{ token: "" }, "Usage", "--token must not be empty", /serve init/],
    [{ tlsCert: `${dir}/none` }, "Io", "failed to read TLS certificate", /path/],
    [{ tlsCert: `${dir}/empty` }, "Usage", "TLS certificate file contains no certificates", /PEM/],
    [
      { corsOrigins: ["*"], bind: "0.0.0.0:1" },
      "Usage",
      "CORS wildcard origin is not allowed",
      /exact/,
    ],
    [
      { bind: "0.0.0.0:1" },
      "Usage",
      "non-loopback bind requires explicit opt-in",
      /--allow-non-loopback/,
    ],
    [{ tlsCert }, "Usage", "TLS requires both --tls-cert and --tls-key", /serve init/],
    [{ tlsKey }, "Usage", "TLS requires both --tls-cert and --tls-key", /serve init/],
    [
      { tlsCert, tlsKey, tlsSelfSigned: true },
      "Usage",
      "--tls-self-signed cannot be combined with --tls-cert/--tls-key",
      /serve init/,
    ],
    [
      { tlsCert: `${dir}/none`, tlsKey: `${dir}/none`, tlsSelfSigned: true },
      "Usage",
      "--tls-self-signed cannot be combined with --tls-cert/--tls-key",
      /serve init/,
    ],
    [
      { tlsKey: `${dir}/none`, tlsSelfSigned: true },
      "Usage",
      "--tls-self-signed cannot be combined with --tls-cert/--tls-key",
      /serve init/,
    ],
    [{ maxBodiesBytes: 0 }, "Usage", "--max-bodies-bytes must be greater than zero", /default/],
    [
      { maxBodiesBytes: 1000, maxBodyBytes: 1001 },
      "Usage",
      "--max-bodies-bytes is less than --max-body-bytes",
      /largest/,
    ],
    [{ maxBodyBytes: 0 }, "Usage", "--max-body-bytes must be greater than zero", /default/],
    [
      { maxTailConcurrency: 0 },
      "Usage",
      "--max-tail-concurrency must be greater than zero",
      /default/,
    ],
    [
      { bind: "0.0.0.0:1", allowNonLoopback: true },
      "Usage",
      "non-loopback write requires --token-file",
      /serve init/,
    ],
    [
      { bind: "10.0.0.1:1", allowNonLoopback: true, token: "t" },
      "Usage",
      "non-loopback write requires --token-file",
      /serve init/,
    ],
    [
      { bind: "[::]:1", allowNonLoopback: true, tokenFile },
      "Usage",
      "non-loopback write requires TLS",
      /serve init/,
    ],
  ];
  for (const [given, kind, message, hint] of cases) {
    const error = await fails(resolveServe({ ...DEFAULT_FLAGS, ...given }), kind, message);
    assert.match(error.hint ?? "", hint, message);
  }
  const good: Partial<ServeFlags>[] = [
    { bind: "0.0.0.0:1", allowNonLoopback: true, access: "read-only" },
    { bind: "0.0.0.0:1", allowNonLoopback: true, tokenFile, insecureNoTls: true },
    { bind: "0.0.0.0:1", allowNonLoopback: true, tokenFile, tlsCert, tlsKey },
    { bind: "localhost:0" },
    { bind: "[::1]:0", token: "x" },
  ];
  for (const given of good) await resolveServe({ ...DEFAULT_FLAGS, ...given });
  assert.deepEqual(parseBind("[::1]:9"), { hostname: "::1", port: 9 });
  for (
    const bad of ["", "1.2.3:4", "1.2.3.4", "1.2.3.4:70000", "256.1.1.1:1", "[x]:1", "01.2.3.4:1"]
  ) {
    assert.throws(() => parseBind(bad), /invalid bind address/, bad);
  }
  await Deno.remove(dir, { recursive: true });
});

Deno.test("serve init: private files, true fingerprint, a 1.x key, nothing overwritten unasked", async () => {
  const dir = await Deno.makeTempDir();
  const options = {
    bind: "0.0.0.0:9700",
    outputDir: `${dir}/it's here`,
    tokenFile: "token.txt",
    tlsCert: "cert.pem",
    tlsKey: "sub/key.pem",
    force: false,
  };
  const { paths, fingerprint, ...rest } = await serveInit(options);
  assert.equal(rest.replaced, false);
  const mode = async (path: string): Promise<number> => ((await Deno.stat(path)).mode ?? 0) & 0o777;
  for (const path of [paths.token_file, paths.tls_key, paths.access_key]) {
    assert.equal(await mode(path), 0o600, path);
  }
  assert.equal(await mode(`${dir}/it's here/sub`), 0o700);
  const token = (await Deno.readTextFile(paths.token_file)).trim();
  assert.match(token, /^[0-9a-f]{64}$/);
  const cert = new X509Certificate(await Deno.readTextFile(paths.tls_cert));
  assert.equal(fingerprint, `SHA256:${cert.fingerprint256}`);
  assert.equal(cert.ca, false);
  for (const name of ["localhost"]) assert.ok(cert.checkHost(name), name);
  for (const ip of ["127.0.0.1", "::1"]) assert.ok(cert.checkIP(ip), ip);
  const spki = cert.publicKey.export({ type: "spki", format: "der" });
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(spki))).toHex();
  assert.equal(await Deno.readTextFile(paths.access_key), `pk1.${hash}.${token}\n`);
  const result = { paths, fingerprint, ...rest };
  const shown = initText(result) + JSON.stringify(initCommands(result));
  assert.ok(!shown.includes(token), "the token is never printed");
  assert.ok(initCommands(result).server[0]?.includes(`'${dir}/it'\\''s here/token.txt'`));
  const error = await fails(
    serveInit(options),
    "AlreadyExists",
    "serve init artifact already exists",
  );
  assert.equal(error.path, paths.token_file);
  assert.match(error.hint ?? "", /--force/);
  assert.equal((await Deno.readTextFile(paths.token_file)).trim(), token);
  assert.equal((await serveInit({ ...options, force: true })).replaced, true);
  assert.notEqual((await Deno.readTextFile(paths.token_file)).trim(), token);
  await fails(
    serveInit({ ...options, tlsCert: "./token.txt" }),
    "Usage",
    "serve init requires distinct artifact paths",
  );
  assert.deepEqual(
    [...Deno.readDirSync(options.outputDir)].map(({ name }) => name).sort(),
    ["cert.pem", "plasmite-access-key.txt", "sub", "token.txt"],
  );
  await Deno.remove(dir, { recursive: true });
});

Deno.test("serve check: key and certificate must match, expiry is announced", async () => {
  const one = await initialized();
  const two = await initialized();
  const config = await resolveServe(one.flags);
  const check = await checkServe(config);
  assert.deepEqual(check.warnings, []);
  assert.equal(check.fingerprint, await fingerprintOf(one.cert, ""));
  const json = checkJson(check).check;
  assert.equal(json.auth, "bearer token (--token-file)");
  assert.equal(json.tls, "enabled");
  assert.equal(json.base_url, "https://127.0.0.1:0");
  assert.match(checkText(check), /^Configuration valid\.\n/);
  const late = new Date(Date.now() + 820 * 86_400_000);
  assert.match((await checkServe(config, late)).warnings[0] ?? "", /expires on/);
  const wrong = await resolveServe({ ...one.flags, tlsKey: two.flags.tlsKey });
  await fails(checkServe(wrong), "Usage", "invalid TLS certificate or key");
  const client = new Client(one.dir);
  await fails(startServer(client, wrong), "Usage", "invalid TLS certificate or key");
  const noKey = await resolveServe({ ...one.flags, tlsKey: one.flags.tlsCert });
  await fails(checkServe(noKey), "Usage", "TLS key file contains no private key");
  const open = await resolveServe({
    ...DEFAULT_FLAGS,
    bind: "0.0.0.0:1",
    allowNonLoopback: true,
    access: "read-only",
  });
  assert.equal((await checkServe(open)).warnings.length, 2);
  for (const { dir } of [one, two]) await Deno.remove(dir, { recursive: true });
});

Deno.test("serve: TLS end to end, HTTP/2 and HTTP/1.1, wrong clients dropped alone", async () => {
  const { dir, flags, cert } = await initialized();
  const client = new Client(`${dir}/pools`);
  client.createPool("p").close();
  const server = await startServer(client, await resolveServe(flags), { registry: false });
  using http = Deno.createHttpClient({ caCerts: [cert] });
  const token = (await Deno.readTextFile(flags.tokenFile ?? "")).trim();
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const url = `${server.url}/v0/pools/p`;
  const stored = await fetch(`${url}/append`, {
    method: "POST",
    body: '{"data":{"x":1}}',
    headers,
    client: http,
  });
  assert.equal((await stored.json()).message.seq, 1);
  const refused = await fetch(`${url}/info`, { client: http });
  assert.equal(refused.status, 401);
  await refused.body?.cancel();
  const status = await fetch(`${server.url}/v0/serve/status`, { client: http });
  assert.equal(status.status, 404);
  await status.body?.cancel();
  for (const protocol of ["h2", "http/1.1"]) {
    using conn = await Deno.connectTls({
      hostname: "127.0.0.1",
      port: server.port,
      caCerts: [cert],
      alpnProtocols: [protocol],
    });
    assert.equal((await conn.handshake()).alpnProtocol, protocol);
  }
  using plain = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  await plain.write(new TextEncoder().encode("GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"));
  await plain.read(new Uint8Array(100)).catch(() => null);
  const tail = await fetch(`${url}/tail`, { headers, client: http });
  const reader = tail.body?.pipeThrough(new TextDecoderStream()).getReader();
  assert.equal(lines((await reader?.read())?.value ?? "")[0].seq, 1);
  await server.shutdown();
  assert.equal((await reader?.read())?.done, true);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("serve: the registry believes only servers that answer", async () => {
  const dir = await Deno.makeTempDir();
  const registry = `${dir}/servers`;
  assert.deepEqual(await runningServers(registry), []);
  const ghost = makeRecord(dir, "http://127.0.0.1:1", null);
  const forget = register(ghost, registry);
  const forgetOther = register(makeRecord(dir, "http://example.com:80", null), registry);
  await Deno.writeTextFile(`${registry}/broken.json`, "{");
  assert.deepEqual(await runningServers(registry), []);
  let record: unknown = null;
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    () => Response.json(record),
  );
  const mine = makeRecord(dir, `http://127.0.0.1:${server.addr.port}`, null);
  record = mine;
  const unregister = register(mine, registry);
  assert.equal(((await Deno.stat(registry)).mode ?? 0) & 0o777, 0o700);
  assert.deepEqual(await runningServers(registry), [mine]);
  record = { ...mine, pid: 0 };
  assert.deepEqual(await runningServers(registry), []);
  unregister();
  // A name can lead to another machine; only a number cannot.
  const named = makeRecord(dir, `http://localhost:${server.addr.port}`, null);
  record = named;
  const forgetNamed = register(named, registry);
  assert.deepEqual(await runningServers(registry), []);
  forgetNamed();
  forget();
  forgetOther();
  register(mine, `${dir}/servers/broken.json/x`)();
  await server.shutdown();
  await Deno.remove(dir, { recursive: true });
});

/** A server in a process of its own. */
class Process {
  readonly #dir: string;
  #child: Deno.ChildProcess | null = null;
  readonly port = freePort();

  constructor(dir: string) {
    this.#dir = dir;
  }

  async start(...args: string[]): Promise<void> {
    const ready = `${this.#dir}/ready.txt`;
    await Deno.remove(ready).catch(() => {});
    const [program = "", ...rest] = args[0] === "bash"
      ? ["bash", "-c", `ulimit -n ${args[1]}; exec "$0" "$@"`, Deno.execPath()]
      : [Deno.execPath()];
    const more = args[0] === "bash" ? args.slice(2) : args;
    this.#child = new Deno.Command(program, {
      args: [...rest, "run", "-A", `${ROOT}cli.ts`, "--dir", `${this.#dir}/pools`, "serve"]
        .concat("--bind", `127.0.0.1:${this.port}`, ...more),
      env: {
        PLASMITE_SERVE_READY_FILE: ready,
        HOME: this.#dir,
      },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    for (;;) {
      const text = await Deno.readTextFile(ready).catch(() => "");
      if (text !== "") {
        assert.equal(text, `127.0.0.1:${this.port}`);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async stop(signal: Deno.Signal): Promise<number> {
    this.#child?.kill(signal);
    return (await this.#child?.status)?.code ?? -1;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }
}

Deno.test("serve: SIGTERM and SIGINT end open streams and exit 0; the registry entry goes", async () => {
  const dir = await Deno.makeTempDir();
  const server = new Process(dir);
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    await server.start();
    const headers = { "content-type": "application/json" };
    const made = await fetch(`${server.url}/v0/pools`, {
      method: "POST",
      body: JSON.stringify({ pool: signal }),
      headers,
    });
    assert.equal(made.status, 200);
    await made.body?.cancel();
    assert.equal([...Deno.readDirSync(`${dir}/.plasmite/servers`)].length, 1);
    const tail = await fetch(`${server.url}/v0/pools/${signal}/tail`);
    const events = await fetch(`${server.url}/v0/ui/pools/${signal}/events`);
    assert.equal(await server.stop(signal), 0);
    assert.equal(await tail.text(), "");
    assert.equal(await events.text(), "retry: 1000\n\n");
    assert.equal([...Deno.readDirSync(`${dir}/.plasmite/servers`)].length, 0);
  }
  await Deno.remove(dir, { recursive: true });
});

Deno.test("serve: a ready file that cannot be written ends the start", async () => {
  const dir = await Deno.makeTempDir();
  const config = await resolveServe({ ...DEFAULT_FLAGS, bind: "127.0.0.1:0" });
  for (const readyFile of ["", `${dir}/none/ready`]) {
    await fails(
      startServer(new Client(dir), config, { readyFile, registry: false }),
      "Io",
      "failed to publish bound server address",
    );
  }
  const server = await startServer(new Client(dir), config, { registry: false });
  const taken = { ...config, port: server.port };
  const { hint } = await fails(
    startServer(new Client(dir), taken, { registry: false }),
    "Io",
    "failed to bind server",
  );
  assert.match(hint ?? "", new RegExp(`^127\\.0\\.0\\.1:${server.port} is in use`));
  await server.shutdown();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("serve: killed and restarted under load, no acknowledged message is lost or doubled", async () => {
  const dir = await Deno.makeTempDir();
  const server = new Process(dir);
  await Deno.mkdir(`${dir}/pools`);
  new Client(`${dir}/pools`).createPool("p", 1 << 22).close();
  await server.start();
  let writing = true;
  const acknowledged = new Map<number, string>();
  const write = async (who: number): Promise<void> => {
    for (let i = 0; writing; i++) {
      const id = `${who}.${i}`;
      try {
        const answer = await fetch(`${server.url}/v0/pools/p/append`, {
          method: "POST",
          body: JSON.stringify({ data: { id } }),
          headers: { "content-type": "application/json" },
        });
        const { message } = await answer.json();
        assert.ok(!acknowledged.has(message.seq));
        acknowledged.set(message.seq, id);
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        await new Promise((resolve) => setTimeout(resolve, 5)); // The server is away.
      }
    }
  };
  const seen = new Map<number, string>();
  let next = 1;
  let last = Infinity;
  const follow = async (): Promise<void> => {
    while (next <= last) {
      try {
        const answer = await fetch(
          `${server.url}/v0/pools/p/tail?since_seq=${next}&timeout_ms=300`,
        );
        let rest = "";
        const stream = answer.body?.pipeThrough(new TextDecoderStream());
        if (stream === undefined) continue;
        for await (const chunk of stream) {
          const parts = (rest + chunk).split("\n");
          rest = parts.pop() ?? "";
          for (const { seq, data } of lines(parts.join("\n"))) {
            assert.equal(seq, next);
            seen.set(seq, data.id);
            next = seq + 1;
          }
        }
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  };
  const writers = [1, 2, 3, 4].map(write);
  const reader = follow();
  for (const signal of ["SIGKILL", "SIGTERM", "SIGKILL"] as const) {
    const before = acknowledged.size;
    await until(() => acknowledged.size > before + 20, "nobody can write");
    await server.stop(signal);
    await server.start();
  }
  writing = false;
  await Promise.all(writers);
  last = Math.max(...acknowledged.keys());
  await reader;
  for (const [seq, id] of acknowledged) assert.equal(seen.get(seq), id);
  assert.equal(await server.stop("SIGTERM"), 0);
  await Deno.remove(dir, { recursive: true });
});

Deno.test({
  name: "serve: out of descriptors it listens again",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const dir = await Deno.makeTempDir();
    const server = new Process(dir);
    await server.start("bash", "64");
    const conns: Deno.Conn[] = [];
    for (let i = 0; i < 100; i++) {
      const conn = await Deno.connect({ hostname: "127.0.0.1", port: server.port })
        .catch(() => null);
      if (conn === null) break; // Refused: the accept loop is down.
      conns.push(conn);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
    for (const conn of conns) conn.close();
    await until(async () => {
      const answer = await fetch(`${server.url}/healthz`).catch(() => null);
      await answer?.body?.cancel();
      return answer?.status === 200;
    }, "it never answers again");
    assert.equal(await server.stop("SIGTERM"), 0);
    await Deno.remove(dir, { recursive: true });
  },
});

// On a busy machine a server that ran was missing in `serve status`.
Deno.test("serve: a server that is slow to answer, but holds its lock, is listed", async () => {
  const dir = await Deno.makeTempDir();
  const records: ServerRecord[] = [];
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    async () => {
      await pause(1_000);
      return Response.json(records[0]);
    },
  );
  const record = makeRecord(dir, `http://127.0.0.1:${server.addr.port}`, null, "answer");
  records.push(record);
  const remove = register(record, `${dir}/servers`);
  assert.deepEqual((await runningServers(`${dir}/servers`)).map(({ pid }) => pid), [Deno.pid]);
  remove();
  assert.deepEqual(await runningServers(`${dir}/servers`), []);
  await Deno.remove(dir, { recursive: true });
});
