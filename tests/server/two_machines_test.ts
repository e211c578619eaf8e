/**
 * Two machines, simulated by two network namespaces with a cable between them: the real program
 * serves in one and is used from the other. What works on one machine only, because something
 * listens on loopback or looks at a file, fails here (docs/spec/sharing.md 1, 2).
 *
 * @module
 */

import assert from "node:assert/strict";
import { CLI } from "../support/paths.ts";
import { inTemp } from "../cli/cli_util.ts";
import { soon } from "./shared_util.ts";

const SERVER = "10.213.77.1";
const CLIENT = "10.213.77.2";
const ORIGIN = `https://${SERVER}:9743`;
const text = new TextDecoder();

async function ip(...args: readonly string[]): Promise<boolean> {
  try {
    return (await new Deno.Command("ip", { args: [...args], stderr: "null" }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** A machine with a name of its own, so that several runs do not meet. */
class Machine {
  constructor(readonly namespace: string, readonly home: string) {
    Deno.mkdirSync(home, { recursive: true });
  }

  get pools(): string {
    return `${this.home}/pools`;
  }

  /** Starts the program there. */
  spawn(...args: readonly string[]): Deno.ChildProcess {
    const { namespace, home, pools } = this;
    const program = [Deno.execPath(), "run", "-A", "-q", CLI, "--dir", pools, ...args];
    return new Deno.Command("ip", {
      args: ["netns", "exec", namespace, ...program],
      env: { HOME: home },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  }

  /** Runs it to its end. */
  async run(args: readonly string[], stdin = "") {
    const child = this.spawn(...args);
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(stdin));
    await writer.close();
    const { code, stdout, stderr } = await child.output();
    return { code, out: text.decode(stdout), err: text.decode(stderr) };
  }
}

/** Two machines with a cable; gone afterwards, whatever happens. */
async function connected(work: (pi: Machine, laptop: Machine) => Promise<void>): Promise<void> {
  const id = crypto.randomUUID().slice(0, 5);
  const [one, two] = [`pls-a-${id}`, `pls-b-${id}`];
  const need = async (...args: readonly string[]): Promise<void> =>
    assert.ok(await ip(...args), `ip ${args.join(" ")}`);
  try {
    for (const namespace of [one, two]) {
      await need("netns", "add", namespace);
      await need("-n", namespace, "link", "set", "lo", "up");
    }
    const peer = ["type", "veth", "peer", "name", "cable", "netns", two];
    await need("-n", one, "link", "add", "cable", ...peer);
    for (const [namespace, address] of [[one, SERVER], [two, CLIENT]] as const) {
      await need("-n", namespace, "address", "add", `${address}/24`, "dev", "cable");
      await need("-n", namespace, "link", "set", "cable", "up");
    }
    await inTemp((dir) => work(new Machine(one, `${dir}/pi`), new Machine(two, `${dir}/laptop`)));
  } finally {
    for (const namespace of [one, two]) await ip("netns", "delete", namespace);
  }
}

/** Whether there may be namespaces here. */
async function permitted(): Promise<boolean> {
  const name = `pls-try-${crypto.randomUUID().slice(0, 5)}`;
  if (!await ip("netns", "add", name)) return false;
  const good = await ip("-n", name, "link", "add", "try", "type", "veth", "peer", "name", "other");
  await ip("netns", "delete", name);
  return good;
}

/** Reads a stream until a pattern is there. */
async function until(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  pattern: RegExp,
): Promise<string> {
  let seen = "";
  while (!pattern.test(seen)) {
    const { value, done } = await reader.read();
    assert.ok(!done, seen);
    seen += text.decode(value);
  }
  return seen;
}

Deno.test({
  name: "two machines: one serves, the other connects, feeds and follows until it is revoked",
  ignore: Deno.build.os !== "linux" || !await permitted(),
  fn: () =>
    connected(async (pi, laptop) => {
      const server = pi.spawn("serve", ORIGIN);
      const ready = server.stderr.getReader();
      try {
        const lines = await soon(until(ready, /Create access/));
        assert.match(lines, new RegExp(`Remote HTTPS: ${ORIGIN}`));
        const status = JSON.parse((await pi.run(["serve", "status"])).out);
        assert.equal(status[0].remote_url, ORIGIN);

        const invited = await pi.run(["access", "invite", "laptop"]);
        const { access_key: key } = JSON.parse(invited.out);
        const unknown = await laptop.run(["feed", `${ORIGIN}/build`, "{}"]);
        assert.equal(unknown.code, 6, unknown.err);
        const joined = await laptop.run(["access", "connect", ORIGIN], `${key}\n`);
        assert.equal(joined.code, 0, joined.err);
        assert.equal(JSON.parse(joined.out).accepted, true);

        // There and back.
        assert.equal((await pi.run(["pool", "create", "build"])).code, 0);
        const fed = await laptop.run(["feed", `${ORIGIN}/build`, '{"n":1}']);
        assert.equal(fed.code, 0, fed.err);
        const here = await pi.run(["fetch", "build", "1"]);
        assert.deepEqual(JSON.parse(here.out).data, { n: 1 });
        const follower = laptop.spawn("follow", `${ORIGIN}/build`, "--tail", "1", "--jsonl");
        const messages = follower.stdout.getReader();
        await soon(until(messages, /"n":1/));
        await pi.run(["feed", "build", '{"n":2}']);
        await soon(until(messages, /"n":2/));

        // What is for that machine alone is not reached from here.
        const local = await laptop.run(["pool", "list", `http://${SERVER}:9700`]);
        assert.notEqual(local.code, 0);
        const keys = await laptop.run(["access", "keys"]);
        assert.ok(!keys.out.includes("laptop"));
        assert.deepEqual(JSON.parse((await laptop.run(["serve", "status"])).out), []);

        const { keys: [listed] } = JSON.parse((await pi.run(["access", "keys"])).out);
        assert.equal(listed.name, "laptop");
        const revoked = await pi.run(["access", "revoke", listed.id]);
        assert.equal(revoked.code, 0, revoked.err);
        await messages.cancel();
        await follower.stdin.close();
        await follower.stderr.cancel();
        assert.equal((await soon(follower.status)).code, 6);
        const late = await laptop.run(["feed", `${ORIGIN}/build`, "{}"]);
        assert.equal(late.code, 6, late.err);
        const asked = await laptop.run(["access", "status", ORIGIN]);
        assert.equal(asked.code, 1);
        assert.equal(JSON.parse(asked.out).accepted, false);
      } finally {
        server.kill("SIGTERM");
        await ready.cancel();
        await server.stdout.cancel();
        await server.stdin.close();
        await server.status;
      }
    }),
});
