/**
 * docs/mcp.md: the set-up that people paste into their harness. A key that is spelled wrong there costs
 * each of them an evening, as harnesses ignore what they do not know. Every block is parsed, and what
 * it says is connected to: the command it starts, the address and header it sends.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { command as shellCommand, exists, inTemp } from "../cli/cli_util.ts";
import { type Any, Place, until } from "./mcp_util.ts";
import { CLI, inCheckout } from "../support/paths.ts";

// Clients of the SDK leave timers behind when they are closed.
Deno.test.sanitizer({ ops: false, resources: false });

/** One server that a block configures. */
interface Server {
  readonly harness: string;
  readonly name: string;
  readonly config: Any;
}

/** The blocks of "Setting up" with their language and the heading before them. */
function blocks(): { heading: string; language: string; text: string }[] {
  const page = Deno.readTextFileSync(inCheckout("docs/mcp.md"));
  const [, part = ""] = /\n## Setting up\n([^]*?)\nWith `plasmite serve --access/.exec(page) ?? [];
  const found = [];
  let heading = "";
  for (
    const [, title, language, text] of part.matchAll(/^### (.*)$|^```(\w+)\n([^]*?)^```$/gm)
  ) {
    if (title !== undefined) heading = title;
    else found.push({ heading, language: language ?? "", text: text ?? "" });
  }
  return found;
}

/** As much TOML as the page uses: tables of strings, numbers and arrays of strings. */
function parseToml(text: string): Any {
  const root: Record<string, Record<string, Record<string, unknown>>> = {};
  let table: Record<string, unknown> = {};
  for (const line of text.split("\n")) {
    const [, first, second] = /^\[(\w+)\.(\w+)\]$/.exec(line) ?? [];
    const [, key, value] = /^(\w+) = (.+)$/.exec(line) ?? [];
    if (first !== undefined && second !== undefined) (root[first] ??= {})[second] = table = {};
    else if (key !== undefined && value !== undefined) table[key] = JSON.parse(value);
    else assert.equal(line, "", "a line of TOML");
  }
  return root;
}

function servers(): Server[] {
  return blocks().flatMap(({ heading, language, text }) => {
    if (language !== "json" && language !== "toml") return [];
    const config = language === "toml" ? parseToml(text) : JSON.parse(text) as Any;
    const list = config["mcpServers"] ?? config["servers"] ?? config["mcp_servers"] ?? {};
    return Object.entries(list).map(([name, one]) => ({
      harness: heading,
      name,
      config: one as Any,
    }));
  });
}

/** Lists the tools behind a transport. */
async function toolsOf(
  transport: StdioClientTransport | StreamableHTTPClientTransport,
): Promise<string[]> {
  const client = new Client({ name: "plasmite-tests", version: "1" });
  await client.connect(transport);
  try {
    return (await client.listTools()).tools.map(({ name }) => name);
  } finally {
    await client.close();
  }
}

/** `plasmite serve` with a token, with or without TLS, until `body` is done. */
async function serving(
  place: Place,
  tls: boolean,
  body: (address: string) => Promise<void>,
): Promise<void> {
  const ready = `${place.dir}/ready-${tls}`;
  const flags = tls
    ? [
      ...["--tls-cert", `${place.dir}/plasmite-tls-cert.pem`],
      ...["--tls-key", `${place.dir}/plasmite-tls-key.pem`],
    ]
    : [];
  const server = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", CLI, "--dir", `${place.dir}/pools`, "serve", "--bind", "127.0.0.1:0"],
      ...["--token-file", `${place.dir}/plasmite-auth-token.txt`, ...flags],
    ],
    env: { PLASMITE_SERVE_READY_FILE: ready },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
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
    await body(address);
  } finally {
    server.kill("SIGTERM");
    await server.status;
  }
}

Deno.test("set-up: every harness has a local and a remote server", () => {
  const found = servers();
  const remote = ({ config }: Server) =>
    "url" in config || (config["args"] as string[]).includes("--remote");
  for (
    const harness of ["Claude Code", "Claude Desktop", "VS Code", "Cursor", "Codex", "Gemini CLI"]
  ) {
    const own = found.filter((one) => one.harness === harness);
    assert.ok(own.some(remote) && own.some((one) => !remote(one)), harness);
  }
  assert.ok(found.length >= 13, `${found.length} servers`);
  // Where each harness looks; each has a key of its own.
  const keyOf = new Map(
    blocks().filter(({ language }) => language === "json")
      .map(({ heading, text }) => [heading, Object.keys(JSON.parse(text)).at(-1)]),
  );
  assert.equal(keyOf.get("VS Code"), "servers");
  for (const harness of ["Claude Code", "Claude Desktop", "Cursor", "Gemini CLI"]) {
    assert.equal(keyOf.get(harness), "mcpServers", harness);
  }
});

Deno.test("set-up: what each block says connects, with the token only", async (t) => {
  using place = new Place();
  const init = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", CLI, "serve", "init", "--bind", "127.0.0.1:0", "--output-dir", place.dir],
    ],
  }).output();
  assert.equal(init.code, 0, new TextDecoder().decode(init.stderr));
  const tokenFile = `${place.dir}/plasmite-auth-token.txt`;
  const token = (await Deno.readTextFile(tokenFile)).trim();

  await serving(place, true, (tls) =>
    serving(place, false, async (plain) => {
      /** The page's places as those of this test. */
      const here = (word: string): string =>
        word
          .replace("/path/to/pools", `${place.dir}/pools`)
          .replace("/home/me/pi-token.txt", tokenFile)
          .replace("/home/me/pi-cert.pem", `${place.dir}/plasmite-tls-cert.pem`)
          .replace("https://raspberrypi.local:9700/mcp", `http://${plain}/mcp`)
          .replace("https://raspberrypi.local:9700", `https://${tls}`);
      for (const { harness, name, config } of servers()) {
        await t.step(`${harness}: ${name}`, async () => {
          if ("command" in config) {
            assert.equal(config["command"], "plasmite");
            const args = ["run", "-A", CLI, ...(config["args"] as string[]).map(here)];
            const stdio = { command: Deno.execPath(), args, env: Deno.env.toObject() };
            const tools = await toolsOf(new StdioClientTransport(stdio));
            assert.ok(tools.includes("plasmite_feed"), tools.join(" "));
            return;
          }
          const url = new URL(here(String(config["url"])));
          const headers: Record<string, string> = {};
          // Each harness has its own way to name a secret that is not in the file.
          for (const [key, value] of Object.entries(config["headers"] ?? {})) {
            headers[key] = String(value).replace(
              /\$\{(input:|env:)?PLASMITE_TOKEN\}|\$PLASMITE_TOKEN|\bTOKEN\b/,
              token,
            );
          }
          if ("bearer_token_env_var" in config) {
            assert.equal(config["bearer_token_env_var"], "PLASMITE_TOKEN");
            headers["Authorization"] = `Bearer ${token}`;
          }
          const tools = await toolsOf(
            new StreamableHTTPClientTransport(url, { requestInit: { headers } }),
          );
          assert.ok(tools.includes("plasmite_feed"), tools.join(" "));
          await assert.rejects(
            toolsOf(new StreamableHTTPClientTransport(url)),
            "without the token",
          );
        });
      }
    }));
});

Deno.test({
  name: "stop hook: it leaves a message with what the hook was told",
  ignore: !(await exists("bash")),
  fn: () =>
    inTemp(async (dir) => {
      const block = blocks().find(({ text }) => text.includes('"Stop"'));
      const { hooks } = JSON.parse(block?.text ?? "{}");
      const [{ hooks: [{ type, command }] }] = hooks.Stop;
      assert.equal(type, "command");
      const run = async (line: string, stdin: string): Promise<string> => {
        const child = new Deno.Command("bash", {
          args: ["-c", `pls() { ${shellCommand([])} "$@"; }; ${line}`],
          env: { HOME: dir, AGENT_ID: "a1" },
          stdin: "piped",
          stdout: "piped",
          stderr: "piped",
        }).spawn();
        const writer = child.stdin.getWriter();
        await writer.write(new TextEncoder().encode(stdin)).catch(() => {});
        await writer.close().catch(() => {});
        const { code, stdout, stderr } = await child.output();
        assert.equal(code, 0, new TextDecoder().decode(stderr));
        return new TextDecoder().decode(stdout);
      };
      const told = { session_id: "s", hook_event_name: "Stop", stop_hook_active: false };
      // What a hook prints is read by the harness: nothing may be printed.
      assert.equal(await run(command, JSON.stringify(told)), "");
      const status = JSON.parse(await run("pls fetch status 1", ""));
      assert.deepEqual([status.data, status.meta.tags], [told, ["stopped", "agent:a1"]]);
    }),
});
