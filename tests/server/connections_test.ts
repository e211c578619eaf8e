/**
 * A thousand connections that say nothing, or half a request: everyone else is served as before,
 * and the end is quick and clean.
 *
 * @module
 */

import assert from "node:assert/strict";
import { CLI, inTemp } from "../cli/cli_util.ts";

Deno.test("server: 1,000 silent connections do not block appends", () =>
  inTemp(async (dir) => {
    const ready = `${dir}/ready`;
    const server = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", CLI, "--dir", dir, "serve", "--bind", "127.0.0.1:0"],
      env: { PLASMITE_SERVE_READY_FILE: ready, HOME: dir },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    let address = "";
    while (address === "") {
      await new Promise((resolve) => setTimeout(resolve, 20));
      address = await Deno.readTextFile(ready).then((text) => text.trim(), () => "");
    }
    const post = async (path: string, body: string): Promise<number> => {
      const headers = { "content-type": "application/json" };
      const answer = await fetch(`http://${address}${path}`, { method: "POST", headers, body });
      await answer.body?.cancel();
      return answer.status;
    };
    await post("/v0/pools", '{"pool":"p"}');
    const half = new TextEncoder().encode(
      "POST /v0/pools/p/append HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-le",
    );
    const silent: Deno.TcpConn[] = [];
    try {
      const port = Number(address.split(":").at(-1));
      for (let i = 0; i < 1000; i++) {
        const connection = await Deno.connect({ hostname: "127.0.0.1", port });
        silent.push(connection);
        if (i % 2 === 1) await connection.write(half);
      }
      for (let i = 1; i <= 100; i++) {
        assert.equal(await post("/v0/pools/p/append", `{"data":{"n":${i}}}`), 200);
      }
      const info = await (await fetch(`http://${address}/v0/pools/p/info`)).json();
      assert.equal(info.pool.bounds.newest, 100);
      server.kill("SIGTERM");
      assert.equal((await server.status).code, 0);
    } finally {
      for (const connection of silent) connection.close();
    }
  }));
