/**
 * The library in Node, Bun and a browser, from the npm package as it is published: programs written
 * for the reference's Node package run with another name, and all runtimes share one pool. Otherwise
 * a program on another runtime could write between the steps of a Deno program, or not load at all.
 *
 * @module
 */

import assert from "node:assert/strict";
import { createApp } from "../../server/app.ts";
import { Client } from "../../lib/client/client.ts";
import { DENO_ONLY, OLDEST_NODE } from "../../.ci/package/node.ts";
import { makeNpmPackage } from "../../.ci/package/npm.ts";
import { Connections } from "../../lib/access/connections.ts";
import { formatAccessKey, newSecret } from "../../lib/access/key.ts";
import { makePair, standIn } from "../support/access_server.ts";
import { cli, exists, inTemp } from "../cli/cli_util.ts";
import { hasBrowser, launch } from "../support/browser.ts";
import { PATIENCE_MS } from "../support/patience.ts";

const HAS_NPM = await exists("npm") && await exists("node") && await exists("tar");
const BUN = "bun@1.4.5";

interface Ran {
  readonly code: number;
  readonly out: string;
}

/** A project with the package installed, and what runs in it. */
class Project {
  constructor(readonly dir: string) {}

  get pools(): string {
    return `${this.dir}/pools`;
  }

  command(program: string, args: readonly string[]): Deno.Command {
    return new Deno.Command(program, {
      args: [...args],
      cwd: this.dir,
      env: { HOME: this.dir, npm_config_update_notifier: "false", POOLS: this.pools },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
  }

  async run(program: string, ...args: string[]): Promise<Ran> {
    const { code, stdout, stderr } = await this.command(program, args).output();
    const text = new TextDecoder();
    return { code, out: text.decode(stdout) + text.decode(stderr) };
  }

  /** Runs a program in each runtime that is here. */
  async each(file: string, check: (ran: Ran, runtime: string) => void): Promise<void> {
    for (const runtime of ["node", "bun"]) {
      const program = runtime === "bun" ? `${this.dir}/node_modules/.bin/bun` : runtime;
      if (runtime === "node" || await exists(program)) {
        check(await this.run(program, file), runtime);
      }
    }
  }

  async write(name: string, text: string): Promise<void> {
    await Deno.writeTextFile(`${this.dir}/${name}`, text);
  }
}

async function inProject(work: (project: Project) => Promise<void>): Promise<void> {
  await inTemp(async (dir) => {
    const project = new Project(dir);
    const tarball = await makeNpmPackage(`${dir}/dist`);
    await project.write("package.json", '{"private":true}');
    const quiet = ["--no-fund", "--no-audit", "--ignore-scripts"];
    const installed = await project.run("npm", "install", ...quiet, tarball);
    assert.equal(installed.code, 0, installed.out);
    await Deno.mkdir(project.pools);
    await work(project);
  });
}

const PROGRAMS: Readonly<Record<string, string>> = {
  // The two Node programs of the cookbook, with another package name and directory.
  "green.cjs": `
    const { Client } = require("@plasmite/core");
    (async () => {
      const c = new Client(process.env.POOLS);
      let pool;
      try {
        pool = c.openPool("ci");
        for await (const msg of pool.tail({ timeoutMs: 30000 })) {
          if (msg.data.status === "green") {
            console.log(\`commit \${msg.data.commit} passed — deploying\`);
            break;
          }
        }
      } finally {
        if (pool) pool.close();
        c.close();
      }
    })();`,
  "tagged.cjs": `
    const { Client } = require("@plasmite/core");
    const c = new Client(process.env.POOLS);
    let pool;
    try {
      pool = c.pool("telemetry");
      pool.append({ sensor: "temp", value: 42100 }, ["sensor"]);
      pool.append({ service: "api", sha: "f4e5d6c" }, ["deploy"]);
      pool.append({ service: "api", msg: "latency spike" }, ["alert"]);
    } finally {
      if (pool) pool.close();
      c.close();
    }`,
  "exact.mjs": `
    import { Client, ErrorKind, PlasmiteError } from "@plasmite/core";
    const client = new Client(process.env.POOLS);
    const pool = client.pool("exact");
    const { seq } = pool.append({ z: 1, a: 9007199254740993n, m: -0, text: "größe\\u0000" });
    console.log(new TextDecoder().decode(pool.getJson(seq)).replace(/,"meta".*/s, ""));
    try { client.openPool("nosuch"); } catch (error) {
      console.log(PlasmiteError.is(error, ErrorKind.NotFound), error.kindName);
    }
    const found = [];
    const wanted = pool.tail({ sinceSeq: seq, maxMessages: 1, where: '.data.z == 1' });
    for await (const message of wanted) found.push(message.seq === seq);
    console.log(found);
    client.close();`,
  "writer.mjs": `
    import { Client } from "@plasmite/core";
    const [, , name, count] = process.argv;
    const pool = new Client(process.env.POOLS).pool("shared");
    console.log("ready");
    for (let i = 0; i < Number(count); i++) pool.append({ name, i });
    console.log("done");`,
  "late.mjs": `
    import { Client } from "@plasmite/core";
    const pool = new Client(process.env.POOLS).openPool("held");
    console.log("trying");
    console.log("stored", pool.append({ n: 1 }).seq);`,
  "together.mjs": `
    import { Client } from "@plasmite/core";
    const client = new Client(process.env.POOLS);
    const [, , holder = "node"] = process.argv;
    const pool = client.pool("together-" + holder);
    const kind = (error) => error.kindName;
    pool.append({ n: 1 }, { expect: "none", key: "k" });
    console.log(await pool.appendAsync({ n: 2 }, { expect: "none" }).catch(kind));
    console.log(pool.append({ n: 2 }, { id: "x" }).duplicate, pool.append({ n: 2 }, { id: "x" }).duplicate);
    console.log(pool.latest("k").seq, pool.latestBy("key:").length);
    const lease = await pool.claim("deploy", { holder });
    console.log(lease.token, await pool.claim("deploy", { holder: "eve" }).catch(kind));
    await lease.renew();
    await lease.release();
    const cursor = await pool.cursor("c");
    console.log(await pool.cursor("c").catch(kind));
    for await (const { seq } of cursor.tail({ maxMessages: 2 })) await cursor.ack(seq);
    console.log(cursor.seq, (await pool.cursors())[0].inUse.pid === process.pid);
    await cursor.close();
    const group = await pool.group("g", { from: "oldest", where: ".data.n > 0" });
    const done = [];
    for await (const task of group) {
      done.push(task.message.data.n);
      await task.ack();
      if (done.length === 2) group.close();
    }
    console.log(done.join());
    pool.close();
    const left = await client.openPool("left").claim("k", { holder }); // Keeps no process alive.
    console.log(left.signal.aborted);`,
  "remote.cjs": `
    const { connect, RemoteError } = require("@plasmite/core/remote");
    (async () => {
      const pool = connect(process.argv[2] + "/ci", { token: "t0ken-of-the-test" });
      console.log("seq", (await pool.append({ from: "node" }, ["x"])).seq);
      for await (const { data, tags } of pool.tail({ sinceSeq: 1n, maxMessages: 1 })) {
        console.log(JSON.stringify(data), tags.join());
      }
      try { connect("./pools"); } catch (error) { console.log(error.kindName); }
      await pool.close();
      console.log(Object.keys(require.cache).some((file) => /koffi/.test(file)), typeof RemoteError);
    })();`,
  "saved.mjs": `
    import { connect } from "@plasmite/core/remote";
    const list = async (...args) => {
      try { return (await connect(...args).listPools()).length; }
      catch (error) { return error.kindName + " " + error.causes; }
    };
    const [, , url, accessKey] = process.argv;
    console.log(await list(url), await list(url, { accessKey }), await list(url, { token: "x" }));
    process.exit();`,
  "server.cjs": `require("@plasmite/core/server");`,
};

Deno.test({
  name: "node: one package for Node, Bun and TypeScript",
  ignore: !HAS_NPM,
  fn: async (t) => {
    await inProject(async (project) => {
      for (const [name, text] of Object.entries(PROGRAMS)) await project.write(name, text);

      await t.step("without koffi a local pool says what to install", async () => {
        await Deno.rename(`${project.dir}/node_modules/koffi`, `${project.dir}/koffi`);
        try {
          const { code, out } = await project.run("node", "tagged.cjs");
          assert.notEqual(code, 0);
          assert.match(out, /npm install koffi/);
        } finally {
          await Deno.rename(`${project.dir}/koffi`, `${project.dir}/node_modules/koffi`);
        }
      });

      // Optional: a machine without it still tests Node.
      await project.run("npm", "install", "--no-fund", "--no-audit", BUN);

      await t.step("the cookbook's programs run with another package name", async () => {
        await project.each("tagged.cjs", ({ code, out }) => assert.equal(code, 0, out));
        const stored = await cli(["--dir", project.pools, "follow", "telemetry", ...[
          ...["--no-follow", "--tail", "3", "--jsonl", "--data-only"],
        ]]);
        assert.deepEqual(stored.stdout.trimEnd().split("\n").map((line) => JSON.parse(line)), [
          { sensor: "temp", value: 42100 },
          { service: "api", sha: "f4e5d6c" },
          { service: "api", msg: "latency spike" },
        ]);

        await cli(["--dir", project.pools, "pool", "create", "ci"]);
        const waiting = project.command("node", ["green.cjs"]).spawn();
        // It may begin after any of these: so again and again, until it has seen one.
        let ended = false;
        const output = waiting.output().finally(() => ended = true);
        const green = '{"status":"green","commit":"a1b2c3d"}';
        while (!ended) await cli(["--dir", project.pools, "feed", "ci", green]);
        const { stdout, stderr } = await output;
        assert.equal(
          new TextDecoder().decode(stdout),
          "commit a1b2c3d passed — deploying\n",
          new TextDecoder().decode(stderr),
        );
      });

      await t.step("numbers, order of keys, errors and filters are those of Deno", async () => {
        await project.each("exact.mjs", ({ out }, runtime) =>
          assert.equal(
            out,
            '{"data":{"z":1,"a":9007199254740993,"m":-0.0,"text":"größe\\u0000"}\ntrue NotFound\n[ true ]\n',
            runtime,
          ));
      });

      // Otherwise: a program on Node had its claim, but not the next reader's place.
      const together = (ran: Ran, runtime: string): void =>
        assert.equal(
          ran.out,
          "Conflict\nfalse true\n1n 1\n3n Busy\nBusy\n2n true\n1,2\nfalse\n",
          runtime,
        );
      await t.step("conditions, leases, cursors and groups work as in Deno", async () => {
        await cli(["--dir", project.pools, "pool", "create", "left"]);
        await project.each("together.mjs", (ran, runtime) => {
          together(ran, runtime);
          for (const pool of ["together-node", "left"]) {
            using client = new Client(project.pools);
            client.deletePool(pool);
            client.createPool(pool).close();
          }
        });
      });

      await t.step("writers of all runtimes share a pool, one is killed", async () => {
        await cli(["--dir", project.pools, "pool", "create", "shared", "--size", "4M"]);
        const writers = ["ann", "bob"].map((name) =>
          project.command("node", ["writer.mjs", name, "400"]).spawn()
        );
        const victim = project.command("node", ["writer.mjs", "eve", "100000000"]).spawn();
        const victimOut = victim.stdout.getReader();
        await victimOut.read();
        const bun = `${project.dir}/node_modules/.bin/bun`;
        const others = await exists(bun)
          ? [project.command(bun, ["writer.mjs", "cid", "400"]).spawn()]
          : [];
        using client = new Client(project.pools);
        using pool = client.openPool("shared");
        for (let i = 0; i < 400; i++) pool.append({ name: "deno", i });
        victim.kill("SIGKILL");
        await victim.status;
        await victimOut.cancel();
        await victim.stderr.cancel();
        for (const writer of [...writers, ...others]) {
          const { code, stderr } = await writer.output();
          assert.equal(code, 0, new TextDecoder().decode(stderr));
        }
        const doctor = await cli(["--dir", project.pools, "doctor", "shared"]);
        assert.equal(doctor.code, 0, doctor.stdout + doctor.stderr);
        // Each writer's own order is kept, and what was not overwritten is complete.
        const last = new Map<string, number>();
        const { oldestSeq, newestSeq } = pool.bounds();
        for (let seq = oldestSeq ?? 1n; seq <= (newestSeq ?? 0n); seq++) {
          const { data } = pool.get(seq);
          const { name, i } = data as { name: string; i: number };
          assert.equal(i, (last.get(name) ?? i - 1) + 1, name);
          last.set(name, i);
        }
        assert.equal(last.get("deno"), 399);
        assert.equal(last.get("ann"), 399);
      });

      await t.step("an append waits for the lock of another runtime", async () => {
        await cli(["--dir", project.pools, "pool", "create", "held"]);
        using file = await Deno.open(`${project.pools}/held.plasmite`, { read: true, write: true });
        await file.lock(true);
        const child = project.command("node", ["late.mjs"]).spawn();
        const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
        assert.equal((await reader.read()).value, "trying\n");
        const next = reader.read();
        let stored = false;
        next.then(() => stored = true, () => {});
        await new Promise((resolve) => setTimeout(resolve, 300));
        assert.equal(stored, false, "it wrote under another's lock");
        await file.unlock();
        assert.equal((await next).value, "stored 1n\n");
        await reader.cancel();
        await child.stderr.cancel();
        await child.status;
      });

      await t.step("remote pools need no locks and take URLs only", async () => {
        using client = new Client(project.pools);
        client.pool("ci").close();
        client.deletePool("ci");
        client.createPool("ci").close();
        const app = createApp(client, { token: "t0ken-of-the-test" });
        const server = Deno.serve(
          { port: 0, hostname: "127.0.0.1", onListen: () => {} },
          app.fetch,
        );
        try {
          const { port } = server.addr;
          const ran = await project.run("node", "remote.cjs", `http://127.0.0.1:${port}`);
          assert.equal(ran.out, 'seq 1n\n{"from":"node"} x\nUsage\nfalse function\n');
        } finally {
          await app.shutdown();
          await server.shutdown();
        }
      });

      await t.step(
        "access keys: the saved one, one as an option, and none of another server",
        async () => {
          const pair = await makePair();
          const secret = newSecret();
          const key = { spki: pair.spki, secret };
          await using server = standIn(pair, [secret]);
          const url = `https://localhost:${server.port}`;
          await new Connections(`${project.dir}/.config/plasmite`).save(`${url}/`, key);
          const bun = `${project.dir}/node_modules/.bin/bun`;
          for (const program of await exists(bun) ? ["node", bun] : ["node"]) {
            server.requests.length = 0;
            const given = formatAccessKey(key);
            const ran = await project.run(program, "saved.mjs", url, given);
            assert.match(ran.out, /^0 0 Io [^]*certificate/i, program);
            assert.equal(server.requests.length, 2);
            const other = formatAccessKey({ spki: newSecret(), secret });
            const refused = await project.run(program, "saved.mjs", url, other);
            assert.match(refused.out, /^0 Io the key of the server is not the one/, program);
            assert.equal(server.requests.length, 3);
          }
        },
      );

      await t.step("what runs in Deno only says so", async () => {
        const { code, out } = await project.run("node", "server.cjs");
        assert.notEqual(code, 0);
        assert.match(out, /run in Deno only/);
        assert.equal(DENO_ONLY, "deno_only");
      });

      await t.step(`the oldest Node that is promised, ${OLDEST_NODE}, runs it`, async () => {
        const old = (file: string): Promise<Ran> =>
          project.run("npx", "-y", `node@${OLDEST_NODE}`, file);
        together(await old("together.mjs"), OLDEST_NODE);
        const node = await old("exact.mjs");
        assert.match(node.out, /9007199254740993,[^]*true NotFound\n\[ true \]\n/);
      });

      await t.step("the package is what npm's checkers expect", async () => {
        const [tarball = ""] = [...Deno.readDirSync(`${project.dir}/dist`)].map(({ name }) => name);
        const path = `dist/${tarball}`;
        const lint = await project.run("npx", "-y", "publint@0.3.25", "--strict", path);
        assert.equal(lint.code, 0, lint.out);
        const types = await project.run(
          ...["npx", "-y", "@arethetypeswrong/cli@0.18.5", path, "--profile", "node16"] as const,
        );
        assert.equal(types.code, 0, types.out);
      });

      await t.step({
        name: "in a browser, remote pools work against a server with CORS",
        ignore: !hasBrowser(),
        fn: () => inBrowser(project),
      });
    });
  },
});

/** Appends and follows from a page of another origin. */
async function inBrowser(project: Project): Promise<void> {
  const modules = `${project.dir}/node_modules/@plasmite/core/browser`;
  const page = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/") {
        return new Response("<!doctype html><title>t</title>", {
          headers: { "content-type": "text/html" },
        });
      }
      return new Response(await Deno.readTextFile(modules + pathname), {
        headers: { "content-type": "text/javascript" },
      });
    },
  );
  const origin = `http://127.0.0.1:${page.addr.port}`;
  using client = new Client(project.pools);
  const app = createApp(client, { token: "t0ken-of-the-test", corsOrigins: [origin] });
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, app.fetch);
  const browser = await launch();
  try {
    const tab = await browser.newPage();
    tab.setDefaultTimeout(PATIENCE_MS);
    await tab.goto(`${origin}/`);
    const seen = await tab.evaluate(async (url: string) => {
      const module = "/mod.js";
      const { RemoteClient } = await import(module);
      const remote = new RemoteClient(url, { token: "t0ken-of-the-test", integers: "bigint" });
      await remote.createPool("from-a-browser");
      const pool = await remote.openPool("from-a-browser");
      const receipt = await pool.append({ big: 9007199254740993n }, ["tab"]);
      const found: string[] = [];
      for await (
        const message of pool.tail({ sinceSeq: 1n, maxMessages: 1, where: ".data.big > 1" })
      ) {
        found.push(`${message.seq} ${message.data.big} ${message.tags}`);
      }
      const refused = await remote.openPool("nosuch").then(
        () => "",
        (error: { kindName: string }) => error.kindName,
      );
      await remote.close();
      return [String(receipt.seq), ...found, refused];
    }, `http://127.0.0.1:${server.addr.port}`);
    assert.deepEqual(seen, ["1", "1 9007199254740993 tab", "NotFound"]);
  } finally {
    await browser.close();
    await app.shutdown();
    await server.shutdown();
    await page.shutdown();
  }
}
