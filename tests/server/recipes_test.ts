/**
 * The remote recipes of the user's cookbook, run as they stand there: secure start, the same
 * commands with a URL, a page of another origin.
 *
 * @module
 */

import assert from "node:assert/strict";
import { ErrorKind } from "../../lib/errors.ts";
import { lines } from "./server_util.ts";
import { ROOT } from "../support/paths.ts";

/** Runs a command line of plasmite in `cwd`. */
async function plasmite(
  cwd: string,
  args: string[],
  input = "",
): Promise<{ code: number; out: string; err: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", `${ROOT}cli.ts`, ...args],
    cwd,
    env: { HOME: cwd },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

/** Starts `plasmite serve` on any port; returns its address and what stops it. */
async function serving(
  cwd: string,
  args: string[],
): Promise<{ address: string; stop: () => Promise<number> }> {
  const ready = `${cwd}/ready-${crypto.randomUUID()}.txt`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", `${ROOT}cli.ts`, "serve", ...args],
    cwd,
    env: { HOME: cwd, PLASMITE_SERVE_READY_FILE: ready },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  let address = "";
  while (address === "") {
    address = await Deno.readTextFile(ready).catch(() => "");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return {
    address,
    stop: async () => {
      child.kill("SIGTERM");
      return (await child.status).code;
    },
  };
}

Deno.test("recipe: serve init, serve, feed and follow from elsewhere, with token and TLS", async () => {
  const cwd = await Deno.makeTempDir();
  const init = await plasmite(
    cwd,
    ["serve", "init", "--bind", "0.0.0.0:9700"]
      .concat("--output-dir", "./.plasmite-serve"),
  );
  assert.equal(init.code, 0, init.err);
  assert.match(JSON.parse(init.out).init.tls_fingerprint, /^SHA256:([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  const files = "./.plasmite-serve/plasmite";
  assert.equal((await plasmite(cwd, ["pool", "create", "events"])).code, 0);
  const server = await serving(cwd, [
    ...["--bind", "0.0.0.0:0", "--allow-non-loopback"],
    ...["--token-file", `${files}-auth-token.txt`],
    ...["--tls-cert", `${files}-tls-cert.pem`, "--tls-key", `${files}-tls-key.pem`],
  ]);
  const url = `https://127.0.0.1:${server.address.split(":").at(-1)}/events`;
  const trust = ["--token-file", `${files}-auth-token.txt`, "--tls-ca", `${files}-tls-cert.pem`];
  const one = await plasmite(cwd, ["feed", url, ...trust, '{"sensor": "temp", "value": 23.5}']);
  assert.equal(one.code, 0, one.err);
  const more = '{"sensor":"temp","value":24}\n{"sensor":"hum","value":9007199254740993}\n';
  assert.equal((await plasmite(cwd, ["feed", url, ...trust, "--tag", "b"], more)).code, 0);
  const follow = await plasmite(
    cwd,
    ["follow", url, ...trust, "--tail", "20", "--jsonl", "--timeout", "300ms"],
  );
  assert.deepEqual(lines(follow.out).map(({ seq }) => seq), [1, 2, 3]);
  assert.ok(follow.out.includes('"value":9007199254740993'));
  const shortcut = await plasmite(
    cwd,
    ["follow", url, "--tail", "1", "--jsonl", "--timeout", "300ms", "--tls-skip-verify"]
      .concat("--token-file", `${files}-auth-token.txt`),
  );
  assert.deepEqual(lines(shortcut.out).map(({ seq }) => seq), [3]);
  assert.match(shortcut.err, /tls-skip-verify/);
  const stranger = await plasmite(cwd, ["feed", url, "--tls-ca", `${files}-tls-cert.pem`, "{}"]);
  assert.equal(stranger.code, ErrorKind.Permission);
  const unverified = await plasmite(cwd, ["feed", url, ...trust.slice(0, 2), "{}"]);
  assert.equal(unverified.code, ErrorKind.Io);
  assert.equal(await server.stop(), 0);
  await Deno.remove(cwd, { recursive: true });
});

Deno.test("recipe: a page of another origin lists pools and streams one, and can do nothing else", async () => {
  const cwd = await Deno.makeTempDir();
  await plasmite(cwd, ["pool", "create", "demo"]);
  await plasmite(cwd, ["feed", "demo", '{"x":1}']);
  const server = await serving(cwd, [
    ...["--bind", "0.0.0.0:0", "--allow-non-loopback", "--access", "read-only"],
    ...["--cors-origin", "https://demo.wratify.ai"],
  ]);
  const base = `http://127.0.0.1:${server.address.split(":").at(-1)}`;
  const ask = (path: string, origin: string, init: RequestInit = {}): Promise<Response> =>
    fetch(base + path, { ...init, headers: { origin, "sec-fetch-site": "cross-site" } });
  const pools = await ask("/v0/ui/pools", "https://demo.wratify.ai");
  assert.equal(pools.headers.get("access-control-allow-origin"), "https://demo.wratify.ai");
  assert.equal((await pools.json()).pools[0].name, "demo");
  const events = await ask("/v0/ui/pools/demo/events?max=1", "https://demo.wratify.ai");
  assert.match(await events.text(), /"seq":1,/);
  const other = await ask("/v0/ui/pools", "https://evil.example");
  assert.equal(other.status, 403);
  await other.body?.cancel();
  const write = await ask("/v0/pools/demo", "https://demo.wratify.ai", { method: "DELETE" });
  assert.equal(write.status, 403);
  await write.body?.cancel();
  assert.equal(await server.stop(), 0);
  await Deno.remove(cwd, { recursive: true });
});

Deno.test("recipe: curl and the library see the same pool", async () => {
  const cwd = await Deno.makeTempDir();
  const server = await serving(cwd, ["--bind", "127.0.0.1:0"]);
  const base = `http://${server.address}`;
  const headers = { "content-type": "application/json" };
  const post = async (path: string, body: unknown): Promise<number> => {
    const answer = await fetch(base + path, {
      method: "POST",
      body: JSON.stringify(body),
      headers,
    });
    await answer.body?.cancel();
    return answer.status;
  };
  assert.equal(await post("/v0/pools", { pool: "ci" }), 200);
  // The cookbook posts to /messages; the reference knows only /append.
  assert.equal(await post("/v0/pools/ci/messages", { data: { ok: true }, tags: ["build"] }), 200);
  const local = await plasmite(cwd, ["fetch", "ci", "1"]);
  assert.deepEqual(JSON.parse(local.out).data, { ok: true });
  const status = await plasmite(cwd, ["serve", "status"]);
  assert.equal(JSON.parse(status.out)[0].local_url, base);
  assert.equal(await server.stop(), 0);
  assert.deepEqual(JSON.parse((await plasmite(cwd, ["serve", "status"])).out), []);
  await Deno.remove(cwd, { recursive: true });
});
