/**
 * `plasmite mcp --remote`: a harness here, the pools behind a self-signed certificate and a token
 * elsewhere, everything as a person would type it.
 *
 * @module
 */

import assert from "node:assert/strict";
import { ErrorKind } from "../../lib/errors.ts";
import { type Any, Place, until } from "./mcp_util.ts";
import { CLI } from "../cli/cli_util.ts";

function start(
  words: readonly string[],
  env: Record<string, string> = {},
  stdin: "piped" | "null" = "null",
): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", CLI, ...words],
    env,
    stdin,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Pipes messages into `plasmite mcp` and returns what comes out. */
async function converse(words: readonly string[], messages: readonly Any[]) {
  const child = start(["mcp", ...words], {}, "piped");
  const writer = child.stdin.getWriter();
  const text = messages.map((message) => JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
  await writer.write(new TextEncoder().encode(text.join("")));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const lines = new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "");
  return {
    code,
    stderr: new TextDecoder().decode(stderr),
    answers: new Map(lines.map((line) => {
      const answer = JSON.parse(line) as { id: number; result: { structuredContent: Any } };
      return [answer.id, answer.result.structuredContent];
    })),
  };
}

function call(id: number, name: string, args: Any): Any {
  return { id, method: "tools/call", params: { name, arguments: args } };
}

Deno.test("mcp remote: over TLS with token and certificate, and without them", async () => {
  using place = new Place();
  const ready = `${place.dir}/ready`;
  const init = await start(["serve", "init", "--bind", "127.0.0.1:0", "--output-dir", place.dir])
    .output();
  assert.equal(init.code, 0, new TextDecoder().decode(init.stderr));
  const token = `${place.dir}/plasmite-auth-token.txt`;
  const certificate = `${place.dir}/plasmite-tls-cert.pem`;
  const server = start([
    "--dir",
    `${place.dir}/pools`,
    "serve",
    "--bind",
    "127.0.0.1:0",
    "--token-file",
    token,
    "--tls-cert",
    certificate,
    "--tls-key",
    `${place.dir}/plasmite-tls-key.pem`,
  ], { PLASMITE_SERVE_READY_FILE: ready });
  try {
    let address = "";
    await until(() => {
      try {
        address = Deno.readTextFileSync(ready);
      } catch {
        // Not there yet.
      }
      return address !== "";
    });
    const url = `https://${address}`;
    const trusted = ["--token-file", token, "--tls-ca", certificate];
    const { code, stderr, answers } = await converse(["--remote", url, ...trusted], [
      call(1, "plasmite_feed", { pool: "pi", data: { "7": 1, "1": 2 }, create: true }),
      call(2, "plasmite_read", { pool: "pi" }),
      call(3, "plasmite_wait", { pool: "pi", after_seq: 0, where: '.data."7" == 1' }),
      call(4, "plasmite_read", { pool: "other" }),
      call(5, "plasmite_pool_list", {}),
      call(6, "plasmite_feed", { pool: "pi", data: { big: "x".repeat(300_000) } }),
      call(7, "plasmite_read", { pool: "pi" }),
      call(8, "plasmite_fetch", { pool: "pi", seq: 9 }),
    ]);
    assert.equal(code, 0, stderr);
    assert.equal((answers.get(1)?.["message"] as Any)["seq"], 1);
    assert.equal((answers.get(2)?.["messages"] as unknown[]).length, 1);
    assert.equal((answers.get(3)?.["messages"] as unknown[]).length, 1);
    assert.equal(answers.get(4)?.["error_kind"], "NotFound");
    assert.match(String(answers.get(4)?.["hint"]), /plasmite_pool_list/);
    assert.deepEqual((answers.get(5)?.["pools"] as Any[]).map((pool) => pool["name"]), ["pi"]);
    assert.deepEqual((answers.get(7)?.["cut"] as Any[]).map(({ seq }) => seq), [2]);
    assert.match(String(answers.get(8)?.["hint"]), /1 to 2 are retained/);

    // Nothing gets through without trust, and the tools say why.
    const list = [call(1, "plasmite_pool_list", {})];
    const nobody = await converse(["--remote", url, "--token-file", token], list);
    assert.equal(nobody.answers.get(1)?.["error_kind"], "Io");
    const anonymous = await converse(["--remote", `${url}/mcp`, "--tls-ca", certificate], list);
    assert.equal(anonymous.answers.get(1)?.["error_kind"], "Permission");
  } finally {
    server.kill("SIGTERM");
    await server.output();
  }
});

Deno.test("mcp remote: flags that do not fit are refused before anything is served", async () => {
  using place = new Place();
  for (
    const words of [
      ["--dir", place.dir, "--token", "x"],
      ["--remote", "ftp://example.org"],
      ["--remote", "http://example.org/?q"],
    ]
  ) {
    const { code, stderr } = await converse(words, []);
    assert.equal(code, ErrorKind.Usage, words.join(" "));
    assert.match(stderr, /"kind":"Usage"/);
  }
});
