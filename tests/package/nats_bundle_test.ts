import "../support/environment.ts";
import assert from "node:assert/strict";
import { bundle } from "../../.ci/package/bundle.ts";
import { inTemp } from "../cli/cli_util.ts";
import { ANY_NATS, NatsServer } from "../support/nats.ts";

// The client library is CommonJS: from source it worked, in every package it did not.
Deno.test({
  name: "nats bundle: what is released reaches a server",
  ignore: ANY_NATS === undefined,
  fn: () =>
    inTemp(async (dir) => {
      await bundle(["cli.ts", "lib/remote/nats.ts"], `${dir}/js`);
      const server = await NatsServer.start(ANY_NATS ?? "2.15");
      const run = async (...args: string[]): Promise<string> => {
        const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
          args: ["run", "-A", "--quiet", "--no-config", "--no-npm", ...args],
        }).output();
        assert.equal(code, 0, new TextDecoder().decode(stderr));
        return new TextDecoder().decode(stdout);
      };
      try {
        const ref = `${server.url}/P`;
        await run(`${dir}/js/cli.js`, "feed", ref, "--create-size", "1M", '{"n":1}');
        const told = await run(
          ...[`${dir}/js/cli.js`, "follow", ref, "--tail", "1", "--no-follow", "--jsonl"],
        );
        assert.match(told, /"n":1/);
        const script = `import { connect } from "./js/lib/remote/nats.js";
          const pool = connect("${ref}");
          console.log(String((await pool.append({ n: 2 })).seq));
          await pool.close();`;
        await Deno.writeTextFile(`${dir}/use.js`, script);
        assert.equal(await run(`${dir}/use.js`), "2\n");
      } finally {
        await server.end();
      }
    }),
});
