import "../support/environment.ts";
import assert from "node:assert/strict";
import { cli, inTemp } from "../cli/cli_util.ts";
import { CLI } from "../support/paths.ts";
import { ANY_NATS, NatsServer } from "../support/nats.ts";

Deno.test({
  name: "nats mcp: agents use streams as pools",
  ignore: ANY_NATS === undefined,
  fn: () =>
    inTemp(async () => {
      const nats = await NatsServer.start(ANY_NATS ?? "2.15");
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--quiet", CLI, "mcp", "--remote", nats.url],
        stdin: "piped",
        stdout: "piped",
        stderr: "null",
      }).spawn();
      const writer = child.stdin.getWriter();
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      let id = 0;
      let text = "";
      const ask = async (method: string, params: object): Promise<string> => {
        const line = JSON.stringify({ jsonrpc: "2.0", id: ++id, method, params });
        await writer.write(new TextEncoder().encode(`${line}\n`));
        while (!text.includes("\n")) {
          const { done, value } = await reader.read();
          assert(!done, "the server ended");
          text += value;
        }
        const end = text.indexOf("\n");
        const answer = text.slice(0, end);
        text = text.slice(end + 1);
        return answer;
      };
      const call = (name: string, args: object): Promise<string> =>
        ask("tools/call", { name, arguments: args });
      try {
        await ask("initialize", {
          protocolVersion: "2025-06-18",
          capabilities: {},
          clientInfo: { name: "test", version: "1" },
        });
        assert.match(await call("plasmite_pool_create", { name: "P", size: 1 << 20 }), /1048576/);
        assert.match(await call("plasmite_feed", { pool: "P", data: { n: 1 } }), /"seq":1/);
        assert.match(await call("plasmite_read", { pool: "P" }), /\\"n\\":1/);
        assert.match(await call("plasmite_pool_list", {}), /"P"/);
        const info = await cli(["pool", "info", `${nats.url}/P`, "--json"]);
        assert.equal(JSON.parse(info.stdout).file_size, 1 << 20);
      } finally {
        await writer.close();
        await child.status;
        await reader.cancel();
        await nats.end();
      }
    }),
});
