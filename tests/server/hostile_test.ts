/**
 * The hostile suite on both listeners of a shared directory: pages of other origins, rebound names,
 * requests that only a raw client can send, credentials in wrong places. Nothing is let in, nothing
 * is stored, and no secret is told to anyone (docs/spec/sharing.md 1.2, 2.1).
 *
 * @module
 */

import assert from "node:assert/strict";
import { Client } from "../../mod.ts";
import { CLI, inTemp } from "../cli/cli_util.ts";
import { KeyClient } from "../support/key_client.ts";
import { sharing, soon } from "./shared_util.ts";

/** Sends text to a listener and reads until it closes. */
async function exchange(conn: Deno.Conn, text: string): Promise<string> {
  await conn.write(new TextEncoder().encode(text));
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65_536);
  let got = "";
  for (;;) {
    const n = await conn.read(buffer).catch(() => null);
    if (n === null) return got;
    got += decoder.decode(buffer.subarray(0, n), { stream: true });
  }
}

const END = "connection: close\r\n";

Deno.test("hostile: raw requests to either listener, with a good key on the one that needs it", async () => {
  await using server = await sharing({ allowHosts: ["allowed.example"] });
  server.client.createPool("p").close();
  const secret = (await server.invite("alex")).split(".")[2] ?? "";
  const { cert } = server.running.identity;
  const localPort = Number(server.running.local.split(":")[1]);
  const sides = [
    {
      name: "local",
      port: localPort,
      scheme: "http",
      auth: "",
      open: () => Deno.connect({ hostname: "127.0.0.1", port: localPort }),
    },
    {
      name: "remote",
      port: server.port,
      scheme: "https",
      auth: `authorization: Bearer ${secret}\r\n`,
      open: () => Deno.connectTls({ hostname: "localhost", port: server.port, caCerts: [cert] }),
    },
  ];
  for (const { name, port, scheme, auth, open } of sides) {
    const host = `localhost:${port}`;
    const send = async (line: string, headers: string, body = ""): Promise<string> => {
      using conn = await open();
      return await exchange(conn, `${line} HTTP/1.1\r\n${headers}${auth}${END}\r\n${body}`);
    };
    const good = await send("GET /v0/pools", `host: ${host}\r\n`);
    assert.match(good, /^HTTP\/1\.1 200 /, name);
    const allowed = await send("GET /v0/pools", "host: allowed.example\r\n");
    assert.match(allowed, /^HTTP\/1\.1 200 /, name);
    const json = "content-type: application/json\r\n";
    const body = '{"data":{"evil":1}}';
    const post = `${json}content-length: ${body.length}\r\n`;
    const cases: [string, string, RegExp, string?][] = [
      ["GET /v0/pools", "host: evil.example\r\n", / 403 /],
      ["GET /v0/pools", `host: localhost.evil.example:${port}\r\n`, / 403 /],
      ["GET /v0/pools", "host: evil@localhost\r\n", / 400 /],
      ["GET /v0/pools", "host:\r\n", / 400 /],
      ["GET /v0/pools", "", / 400 /],
      ["GET /v0/pools", `host: ${host}\r\nhost: evil.example\r\n`, / 400 /],
      [`GET ${scheme}://evil.example/v0/pools`, `host: ${host}\r\n`, / 403 /],
      ["GET //v0/pools", `host: ${host}\r\n`, / 404 /],
      ["GET /v0/pools/..%2f..%2fetc/info", `host: ${host}\r\n`, / 400 /],
      ["GET /v0/pools/%2e%2e%2f.plasmite-serve/info", `host: ${host}\r\n`, / 400 /],
      ["GET /v0/pools/.plasmite-serve/info", `host: ${host}\r\n`, / 404 /],
      ["GET /v0/pools/%00/info", `host: ${host}\r\n`, / 400 /],
      [
        "POST /v0/pools/p/append",
        `host: ${host}\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n`,
        / 400 /,
        "0\r\n\r\n",
      ],
      [
        "POST /v0/pools/p/append",
        `host: ${host}\r\norigin: https://evil.example\r\n${post}`,
        / 403 /,
      ],
      ["POST /v0/pools/p/append", `host: ${host}\r\norigin: null\r\n${post}`, / 403 /],
      [
        "POST /v0/pools/p/append",
        `host: ${host}\r\norigin: ${scheme}://127.0.0.1:${port}\r\n${post}`,
        / 403 /,
      ],
      [
        "POST /v0/pools/p/append",
        `host: ${host}\r\norigin: ${scheme}://localhost\r\n${post}`,
        / 403 /,
      ],
      [
        "POST /v0/pools/p/append",
        `host: ${host}\r\norigin: ${scheme}://${host}\r\norigin: ${scheme}://${host}\r\n${post}`,
        / 403 /,
      ],
      [
        "POST /v0/pools/p/append",
        `host: ${host}\r\nsec-fetch-site: cross-site\r\n${post}`,
        / 403 /,
      ],
      ["POST /v0/pools/p/append", `host: ${host}\r\nsec-fetch-site: same-site\r\n${post}`, / 403 /],
      ["GET /v0/pools", `host: ${host}\r\norigin: https://evil.example\r\n`, / 403 /],
      ["POST /mcp", `host: ${host}\r\norigin: https://evil.example\r\n${post}`, / 403 /],
    ];
    for (const [line, headers, status, sent] of cases) {
      const answer = await send(line, headers, sent ?? (line.startsWith("POST") ? body : ""));
      assert.match(answer.split("\r\n")[0] ?? "", status, `${name}: ${line} ${headers}`);
      assert.ok(!answer.includes(secret));
      assert.doesNotMatch(answer, /access-control-allow-origin/i);
    }
    assert.equal(server.client.poolInfo("p").bounds.newestSeq, null, name);
  }
});

// Lost: a secret in a log of a proxy, or a caller who is taken for another one.
Deno.test("hostile: credentials count in one place and form only", async () => {
  await using server = await sharing();
  server.client.createPool("p").close();
  const key = await server.invite("alex");
  const [, spki, secret = ""] = key.split(".");
  const nobody = server.remote("");
  const ask = async (path: string, headers: Record<string, string> = {}): Promise<number> => {
    const answer = await nobody.send(path, { headers });
    assert.ok(!(await answer.text()).includes(secret));
    return answer.status;
  };
  assert.equal(await ask("/v0/pools", { authorization: `Bearer ${secret}` }), 200);
  const wrong: Record<string, string>[] = [
    { authorization: `Bearer ${key}` },
    { authorization: `Bearer ${spki}` },
    { authorization: `Bearer ${secret}, Bearer ${secret}` },
    { authorization: `Bearer  ${secret}` },
    { authorization: `Bearer ${secret}\t` + "x" },
    { authorization: `Basic ${btoa(`alex:${secret}`)}` },
    { authorization: secret },
    { cookie: `plasmite_session=${secret}` },
    { "x-api-key": secret },
    { "proxy-authorization": `Bearer ${secret}` },
  ];
  for (const headers of wrong) assert.equal(await ask("/v0/pools", headers), 401);
  for (const name of ["token", "access_token", "key", "access_key"]) {
    assert.equal(await ask(`/v0/pools?${name}=${secret}`), 401, name);
    assert.equal(await ask(`/v0/pools/p/tail?timeout_ms=0&${name}=${secret}`), 401, name);
  }
  // A verifier is not a secret: whoever reads keys.json cannot call.
  const file = await Deno.readTextFile(`${server.dir}/.plasmite-serve/keys.json`);
  const { verifier } = JSON.parse(file)[0];
  const stolen = [verifier, await server.idOf("alex")];
  for (const one of stolen) {
    assert.equal(await ask("/v0/pools", { authorization: `Bearer ${one}` }), 401);
  }
});

/** All text below a directory. */
async function everything(dir: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const { name, isDirectory, isFile } of Deno.readDir(dir)) {
    const path = `${dir}/${name}`;
    if (isDirectory) { for (const [inner, text] of await everything(path)) found.set(inner, text); }
    else if (isFile) found.set(path, new TextDecoder("latin1").decode(await Deno.readFile(path)));
  }
  return found;
}

// Lost: a key, to whoever may read a log, list processes or ask for counters.
Deno.test("hostile: a real server tells its secrets to nobody, and stops with streams open", () =>
  inTemp(async (dir) => {
    const pools = `${dir}/pools`;
    const home = `${dir}/home`;
    const ready = `${dir}/ready`;
    await Deno.mkdir(home);
    const token = crypto.randomUUID().replaceAll("-", "");
    await Deno.writeTextFile(`${dir}/token`, `${token}\n`, { mode: 0o600 });
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", CLI, "--dir", pools, "serve", "https://localhost:9743"]
        .concat("--bind", "127.0.0.1:0", "--remote-bind", "127.0.0.1:0")
        .concat("--token-file", `${dir}/token`, "--max-tail-timeout-ms", "600000"),
      env: { HOME: home, PLASMITE_SERVE_READY_FILE: ready },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const out = new Response(child.stdout).text();
    const errors = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
    let log = "";
    while (!log.includes("Create access:")) {
      const { value, done } = await errors.read();
      if (done) break;
      log += value;
    }
    const remote = await Deno.readTextFile(ready);
    const local = JSON.parse(await Deno.readTextFile(`${pools}/.plasmite-serve/local.json`));
    assert.match(log, new RegExp(`^Serving ${pools}$`, "m"));
    assert.match(log, new RegExp(`^Local: http://${local}/ui$`, "m"));
    assert.match(log, new RegExp(`^Remote listener: ${remote}$`, "m"));
    assert.match(log, /^Remote HTTPS: https:\/\/localhost:9743$/m);
    assert.match(
      log,
      new RegExp(`^Create access: plasmite --dir ${pools} access invite NAME$`, "m"),
    );
    const url = `http://${local}`;
    const status = await (await fetch(`${url}/v0/access/status`)).json();
    const invite = async (more: object): Promise<string> => {
      const answer = await fetch(`${url}/v0/access/invite`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ server_fingerprint: status.server_fingerprint, ...more }),
      });
      return (await answer.json()).access_key;
    };
    const full = await invite({ name: "alex" });
    const guest = await invite({ name: "guest", pools: ["p"], rights: "read", expires: "1h" });
    new Client(pools).createPool("p").close();
    const port = Number(remote.split(":").at(-1));
    const texts: string[] = [];
    for (const key of [full, guest, `pk1.${full.split(".")[1]}.${token}`]) {
      const client = new KeyClient(port, key);
      for (const path of ["/v0/access/check", "/v0/pools/%ff/info", "/metrics", "/v0/pools"]) {
        texts.push(await (await client.send(path)).text());
      }
      const headers = { "content-type": "application/json" };
      for (const body of [`{"data":"${key}`, `${key}`]) {
        const answer = await client.send("/v0/pools/p/append", { method: "POST", body, headers });
        texts.push(await answer.text());
      }
    }
    for (const path of ["/metrics", "/v0/openapi.json", "/v0/serve/status", "/v0/access/status"]) {
      texts.push(await (await fetch(`${url}${path}`)).text());
    }
    const list = await fetch(`${url}/v0/access/keys`, {
      headers: { "x-plasmite-server-fingerprint": status.server_fingerprint },
    });
    texts.push(await list.text());
    if (Deno.build.os === "linux") {
      texts.push(await Deno.readTextFile(`/proc/${child.pid}/cmdline`));
    }
    const [record = ""] = [...await everything(`${home}/.plasmite/servers`)].map(([, text]) =>
      text
    );
    const { local_url, remote_url, pool_dir } = JSON.parse(record);
    assert.deepEqual(
      { local_url, remote_url, pool_dir },
      {
        local_url: url,
        remote_url: "https://localhost:9743",
        pool_dir: await Deno.realPath(pools),
      },
    );
    texts.push(record);
    // Streams that would last ten minutes do not keep it.
    const streams = await Promise.all(
      [full, guest].map((key) => new KeyClient(port, key).send("/v0/pools/p/tail")),
    );
    const here = await fetch(`${url}/v0/pools/p/tail`);
    child.kill("SIGTERM");
    for (const stream of streams) assert.equal((await soon(stream.text())).trim(), "");
    assert.equal((await soon(here.text())).trim(), "");
    assert.equal((await soon(child.status)).code, 0);
    for (;;) {
      const { value, done } = await errors.read();
      if (done) break;
      log += value;
    }
    texts.push(log, await out);
    const files = [...await everything(pools), ...await everything(home)];
    const secrets = [full, guest].map((key) => key.split(".")[2] ?? "");
    const keyFile = files.find(([path]) => /\/key-[0-9a-f]+\.pem$/.test(path))?.[1] ?? "";
    const privateLine = keyFile.split("\n")[1] ?? "";
    assert.ok(privateLine.length > 40);
    for (const secret of [...secrets, token, privateLine]) {
      for (const text of texts) assert.ok(!text.includes(secret), text);
      for (const [path, text] of files) {
        assert.ok(!text.includes(secret) || text === keyFile, path);
      }
    }
    // Verifiers stay in their files.
    const verifiers = files.flatMap(([, text]) =>
      /"verifier":"([0-9a-f]{64})"/.exec(text)?.[1] ?? []
    );
    assert.equal(verifiers.length, 2);
    for (const verifier of verifiers) for (const text of texts) assert.ok(!text.includes(verifier));
    assert.ok(!files.some(([path]) => path.includes(".plasmite/servers/")), "registered still");
  }));
