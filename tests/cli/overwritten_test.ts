/**
 * Pools whose file is overwritten in place while somebody waits for their next message. Lost: who
 * waited did so for ever, without a word, while every other command reported the damage.
 *
 * @module
 */

import assert from "node:assert/strict";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { Client } from "../../mod.ts";
import { serve } from "../client/remote_util.ts";
import { fails, failsNow } from "../support/fails.ts";
import { PATIENCE_MS, watchdog } from "../support/patience.ts";
import { withDir } from "../support/processes.ts";
import { cli, inTemp, spawnCli } from "./cli_util.ts";

/** Writes over the beginning of a file; nothing else about the file changes. */
function overwrite(path: string, bytes: Uint8Array): void {
  using file = Deno.openSync(path, { write: true });
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
}

const size = (path: string): number => Deno.statSync(path).size;

/** What happens to the file, and the kind of the error that tells it. */
const ACCIDENTS: readonly {
  readonly what: string;
  readonly kind: "Corrupt" | "NotFound";
  happen(path: string): void;
}[] = [
  {
    what: "overwritten with zeros",
    kind: "Corrupt",
    happen: (path) => overwrite(path, new Uint8Array(size(path))),
  },
  {
    what: "overwritten with other bytes",
    kind: "Corrupt",
    happen: (path) => overwrite(path, new Uint8Array(size(path)).fill(0x41)),
  },
  {
    what: "overwritten at its beginning",
    kind: "Corrupt",
    happen: (path) => overwrite(path, new Uint8Array(32)),
  },
  { what: "emptied", kind: "Corrupt", happen: (path) => Deno.truncateSync(path) },
  {
    what: "overwritten with another pool",
    kind: "NotFound",
    happen(path) {
      using client = new Client(path.replace(/[^/]*$/, ""));
      client.createPool("other", size(path)).close();
      overwrite(path, Deno.readFileSync(path.replace(/[^/]*$/, "other.plasmite")));
    },
  },
];

for (const { what, kind, happen } of ACCIDENTS) {
  Deno.test(`all readers of a pool notice that its file was ${what}`, () =>
    withDir(async (dir) => {
      await using server = serve({ dir });
      const client = server.local;
      using pool = client.createPool("p", 1 << 16);
      pool.append({ n: 1 });
      const tail = pool.tail({ idleTimeoutMs: PATIENCE_MS });
      // These two share a watch.
      const follow = (): Promise<Response> =>
        fetch(`${server.url}/v0/pools/p/tail`, { signal: watchdog() });
      const streams = await Promise.all([follow(), follow()]);
      using json = pool.openStream(1, 5, PATIENCE_MS);
      assert(json.nextJson() !== null);
      await tail.next();
      const wait = fails(kind, () => tail.next());
      happen(pool.path);
      assert.throws(() => json.nextJson(), (error) => PlasmiteError.is(error, ErrorKind[kind]));
      await wait;
      for (const stream of streams) {
        const last = (await stream.text()).trim().split("\n").at(-1) ?? "";
        assert.equal(JSON.parse(last).error.kind, kind);
      }
      // It would have read as an empty pool.
      if (what.endsWith("zeros")) failsNow("Corrupt", () => pool.bounds());
    }));
}

Deno.test("every command that waits for messages ends when the file of its pool is zeroed", () =>
  inTemp(async (dir) => {
    await using server = serve({ dir });
    const { local, url } = server;
    using pool = local.createPool("p", 1 << 16);
    using locks = local.createPool("locks", 1 << 16);
    const held = ["claim", "locks", "k", "--as", "somebody", "--ttl", "1h"];
    assert.equal((await cli(["--dir", dir, ...held])).code, 0);
    pool.append({ n: 1 });
    const all = [
      ["follow", "p", "--tail", "1", "--jsonl"],
      ["follow", "p", "--tail", "1", "--no-notify"],
      ["follow", "p", "--cursor", "c"],
      ["follow", "p", "--cursor", "e", "--exec", "cat >&1"],
      ["follow", `${url}/p`, "--tail", "1"],
      ["duplex", "p", "--tail", "1", "--me", "a"],
      ["work", "p", "--group", "g", "--", "cat"],
      ["copy", "p", "q", "--create", "--follow"],
      ["claim", "locks", "k", "--as", "me", "--wait", "1h"],
    ].map((args) => {
      const child = spawnCli(["--dir", dir, ...args], {
        stdin: args[0] === "duplex" ? "piped" : "null",
        stdout: "piped",
        stderr: "piped",
      });
      return { args, child, reader: child.stdout.getReader() };
    });
    for (const { args: [name], reader } of all) {
      if (name !== "claim" && name !== "copy") assert(!(await reader.read()).done);
    }
    for (const path of [pool.path, locks.path]) overwrite(path, new Uint8Array(size(path)));
    const signal = watchdog();
    signal.onabort = () => all.forEach(({ child }) => child.kill());
    for (const { args, child, reader } of all) {
      const said = await new Response(child.stderr).text();
      const { code } = await child.status;
      assert.equal(code, ErrorKind.Corrupt, `${args.join(" ")}: ${said}`);
      const { error } = JSON.parse(said.trim().split("\n").at(-1) ?? "");
      assert.equal(error.message, "bad magic");
      assert.match(error.path, /(^|\/)(p|locks)(\.plasmite)?$/);
      assert(error.hint.length > 0);
      await reader.cancel();
      if (args[0] === "duplex") await child.stdin.close();
    }
    signal.onabort = null;
  }));
