/**
 * Bearer tokens that no header can carry are refused where they are given: by the server at its start,
 * by the client before anything is sent.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { Client } from "../../lib/client/client.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { RemoteClient } from "../../mod.ts";
import { createApp } from "../../server/app.ts";
import { cli, errorOf, inTemp } from "../cli/cli_util.ts";

const BAD: readonly string[] = [
  "töken",
  "two words",
  "tab\tbed",
  "日本",
  "line\nline",
  "bell\x07",
  "del\x7f",
  "nbsp\u00a0x",
  "\u202eabc",
  "é",
];

// The server started, said "bearer", and let nobody in: each client said that its header was invalid.
Deno.test("serve refuses a token that no client can send", () =>
  inTemp(async (dir) => {
    const file = `${dir}/token`;
    for (const token of BAD) {
      Deno.writeTextFileSync(file, `${token}\n`);
      for (const args of [["--token", token], ["--token-file", file]]) {
        for (const rest of [["check"], []]) {
          const run = await cli(["--dir", dir, "serve", "--bind", "127.0.0.1:0", ...args, ...rest]);
          assert.equal(run.code, ErrorKind.Usage, `${JSON.stringify(token)}: ${run.stdout}`);
          const error = errorOf(run);
          assert.equal(error["message"], "invalid bearer token");
          assert.match(String(error["hint"]), /printable ASCII.*serve init/);
          assert.equal(error["path"], args[0] === "--token" ? undefined : file);
          assert.ok(!run.stderr.includes(token), "a secret is not repeated");
        }
      }
    }
    // Not UTF-8 at all, and nothing.
    Deno.writeFileSync(file, new Uint8Array([0x74, 0xff, 0xfe]));
    for (const args of [["--token-file", file], ["--token", ""], ["--token-file", "/dev/null"]]) {
      assert.equal((await cli(["serve", ...args, "check"])).code, ErrorKind.Usage, args.join(" "));
    }
    // Blanks around a token in a file are nobody's: editors leave them.
    for (
      const text of [
        "secret",
        " secret \r\n",
        "\ufeffsecret\n",
        "!#$%&'*+-.^_`|~:;<=>?@[]{}()/\\\",",
      ]
    ) {
      Deno.writeTextFileSync(file, text);
      const run = await cli(["serve", "--token-file", file, "check", "--json"]);
      assert.equal(run.code, 0, run.stderr);
    }
  }));

Deno.test("feed, follow, fetch and mcp refuse such a token and send nothing", () =>
  inTemp(async (dir) => {
    const asked: string[] = [];
    const server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen: () => {} },
      (request) => {
        asked.push(request.url);
        return new Response("{}", { status: 401 });
      },
    );
    try {
      const url = `http://127.0.0.1:${server.addr.port}`;
      const file = `${dir}/token`;
      for (const token of ["", ...BAD.slice(0, 5)]) {
        Deno.writeTextFileSync(file, token);
        for (const args of [["--token", token], ["--token-file", file]]) {
          const lines = [
            ["feed", `${url}/p`, "{}", ...args],
            ["follow", `${url}/p`, "--no-follow", ...args],
            ["fetch", `${url}/p`, "1", ...args],
            ["mcp", "--remote", url, ...args],
          ];
          for (const line of token === BAD[0] ? lines : lines.slice(0, 1)) {
            const run = await cli(line, { stdin: "" });
            assert.equal(run.code, ErrorKind.Usage, `${line.join(" ")}: ${run.stderr}`);
            assert.match(
              String(errorOf(run)["message"]),
              /^(?:invalid bearer token|token file is empty)$/,
            );
            if (token !== "") assert.ok(!run.stderr.includes(token), "a secret is not repeated");
          }
        }
      }
      assert.deepEqual(asked, []);
    } finally {
      await server.shutdown();
    }
  }));

Deno.test("the library refuses such a token on both sides", () =>
  inTemp((dir) => {
    for (const token of ["", ...BAD]) {
      const invalid = (error: unknown): boolean => PlasmiteError.is(error, ErrorKind.Usage);
      assert.throws(() => new RemoteClient("http://127.0.0.1:1", { token }), invalid);
      assert.throws(() => new RemoteClient("http://127.0.0.1:1").withToken(token), invalid);
      assert.throws(() => createApp(new Client(dir), { token }), invalid);
    }
    return Promise.resolve();
  }));
