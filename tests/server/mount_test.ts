import "../support/environment.ts";
import assert from "node:assert/strict";
import { cli, errorOf, inTemp } from "../cli/cli_util.ts";
import { CLI } from "../support/paths.ts";
import { ANY_NATS, NatsServer } from "../support/nats.ts";
import { until } from "../support/patience.ts";

/** A `serve` process on a directory. */
class Serving {
  readonly url: string;
  readonly #child: Deno.ChildProcess;
  /** Resolves at the end of its standard error. */
  readonly #drained: Promise<void>;

  private constructor(url: string, child: Deno.ChildProcess, drained: Promise<void>) {
    this.url = url;
    this.#child = child;
    this.#drained = drained;
  }

  static async start(dir: string, ...args: string[]): Promise<Serving> {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", CLI, "--dir", dir, "serve", "--bind", "127.0.0.1:0", ...args],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    let text = "";
    const reader = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
    while (!/http:\/\/[\d.:]+/.test(text)) {
      const { done, value } = await reader.read();
      if (done) throw new Error(`serve ended: ${text}`);
      text += value;
    }
    const drained = (async () => {
      while (!(await reader.read()).done);
    })();
    return new Serving(/http:\/\/[\d.:]+/.exec(text)?.[0] ?? "", child, drained);
  }

  async get(path: string, init?: RequestInit): Promise<{ status: number; body: string }> {
    const answer = await fetch(this.url + path, init);
    return { status: answer.status, body: await answer.text() };
  }

  async end(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#child.status;
    await this.#drained;
  }
}

async function ok(...args: string[]): Promise<string> {
  const { code, stderr, stdout } = await cli(args);
  assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
  return stdout;
}

const json = (body: unknown): RequestInit => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});

/** A test with a stream on a server of its own. */
function test(
  title: string,
  run: (scene: { dir: string; nats: NatsServer; ref: string }) => Promise<void>,
): void {
  Deno.test({
    name: `nats mount: ${title}`,
    ignore: ANY_NATS === undefined,
    fn: () =>
      inTemp(async (dir) => {
        const nats = await NatsServer.start(ANY_NATS ?? "2.15");
        try {
          const ref = `${nats.url}/ORDERS`;
          await ok("pool", "create", ref, "--size", "1M");
          await run({ dir, nats, ref });
        } finally {
          await nats.end();
        }
      }),
  });
}

test("a stream is served like a pool of the directory", async ({ dir, ref }) => {
  await ok("--dir", dir, "pool", "create", "local");
  const serving = await Serving.start(dir, "--mount", `orders=${ref}`);
  try {
    const appended = await serving.get(
      "/v0/pools/orders/append",
      json({ data: { n: 1 }, tags: ["t"] }),
    );
    assert.equal(appended.status, 200, appended.body);
    assert.equal(JSON.parse(appended.body).message.seq, 1);
    const { pools } = JSON.parse((await serving.get("/v0/pools")).body);
    assert.deepEqual(pools.map(({ name }: { name: string }) => name), ["local", "orders"]);
    const message = await serving.get("/v0/pools/orders/messages/1");
    assert.deepEqual(JSON.parse(message.body).message.meta.tags, ["t"]);
    const tail = await serving.get("/v0/pools/orders/tail?max=1");
    assert.match(tail.body, /"n":1/);
    const info = JSON.parse((await serving.get("/v0/pools/orders/info")).body);
    assert.equal(info.pool.bounds.newest, 1);
    assert.equal((await serving.get("/v0/pools/orders/messages/9")).status, 404);
    assert.equal((await serving.get("/v0/pools/orders", { method: "DELETE" })).status, 403);
    const create = await serving.get("/v0/pools", json({ pool: "orders" }));
    assert.equal(create.status, 409);
    assert.equal((await serving.get("/ui/pools/orders")).status, 200);
    // The whole command line works through it, and so do agents.
    await ok("feed", `${serving.url}/orders`, '{"n":2}');
    const told = await ok("follow", `${serving.url}/orders`, "--tail", "9", "--no-follow");
    assert.match(told, /"n": 2/);
    const call = {
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: { name: "plasmite_read", arguments: { pool: "orders" } },
    };
    const request = json(call);
    const headers = { ...request.headers, accept: "application/json, text/event-stream" };
    const agent = await serving.get("/mcp", { ...request, headers });
    assert.match(agent.body, /\\"n\\":2|"n":2/);
  } finally {
    await serving.end();
  }
});

// Every acknowledgement was refused as that of another worker: no task was ever done.
test("workers, cursors and claims go through it", async ({ dir, ref }) => {
  await cli(["feed", ref], { stdin: '{"n":1}\n{"n":2}\n{"n":3}\n' });
  const serving = await Serving.start(dir, "--mount", `p=${ref}`);
  const act = async (
    group: string,
    body: object,
  ): Promise<[number, Record<string, unknown>]> => {
    const answer = await serving.get(`/v0/pools/p/groups/${group}`, json(body));
    return [answer.status, JSON.parse(answer.body)];
  };
  const take = async (): Promise<{ seq: number; token: number }[]> => {
    const [, { tasks }] = await act("g", { action: "take", count: 2 });
    return (tasks as { message: { seq: number }; token: number }[])
      .map(({ message: { seq }, token }) => ({ seq, token }));
  };
  try {
    const [first, second] = await take();
    assert.deepEqual(await act("g", { action: "ack", ...first }), [200, { ok: true }]);
    const again = await act("g", { action: "ack", ...first });
    assert.deepEqual(again, [200, { ok: true, already: true }]);
    assert.deepEqual(await act("g", { action: "extend", ...second }), [200, { ok: true }]);
    const other = await act("g", { action: "ack", seq: second?.seq, token: 77 });
    assert.equal(other[0], 409);
    const back = { action: "fail", delay_ms: 0, ...second };
    assert.deepEqual(await act("g", back), [200, { ok: true }]);
    assert.equal((await act("g", { action: "ack", ...second }))[0], 409);
    await until(async () => (await take()).some(({ seq }) => seq === 2));
    const url = `${serving.url}/p`;
    const done = await ok("work", url, "--group", "h", "--drain", "--", "cat");
    assert.deepEqual(done.match(/"n":\d/g), ['"n":1', '"n":2', '"n":3']);
    const listed = JSON.parse(await ok("cursor", "list", ref, "--json"));
    const group = listed.cursors.find(({ name }: { name: string }) => name === "h");
    assert.equal(group.seq, 3);
    assert.match(await ok("fetch", url, "--cursor", "c"), /"n":1/);
    assert.match(await ok("fetch", url, "--cursor", "c"), /"n":2/);
    const claim = await ok("claim", url, "k", "--as", "me");
    assert.match(claim, /"token": ?4/);
    assert.equal((await cli(["claim", url, "k", "--as", "you"])).code, 5);
  } finally {
    await serving.end();
  }
});

// A server whose start depends on another one does not come back after a power cut.
test("while NATS is away only its pools are, and they come back", async ({ dir, nats, ref }) => {
  await ok("--dir", dir, "pool", "create", "local");
  await nats.kill();
  const serving = await Serving.start(dir, "--mount", `orders=${ref}`);
  try {
    const append = (pool: string): Promise<{ status: number; body: string }> =>
      serving.get(`/v0/pools/${pool}/append`, json({ data: { n: 1 } }));
    const back = async (): Promise<void> => {
      let told = "";
      await until(async () => {
        const { status, body } = await append("orders");
        told = body;
        return status === 200;
      }, () => told);
    };
    for (let round = 0; round < 2; round++) {
      let away = await append("orders");
      // The end of the connection is noticed soon.
      await until(async () =>
        away.status === 503 || (away = await append("orders")).status !== 200
      );
      assert.equal(away.status, 503, away.body);
      assert.equal(JSON.parse(away.body).error.kind, "Busy");
      assert.equal((await append("local")).status, 200);
      const { pools } = JSON.parse((await serving.get("/v0/pools")).body);
      assert.deepEqual(pools.map(({ name }: { name: string }) => name), ["local", "orders"]);
      await nats.restart();
      await back();
      if (round === 0) await nats.kill();
    }
  } finally {
    await serving.end();
  }
});

Deno.test("nats mount: what cannot be is refused at the start", () =>
  inTemp(async (dir) => {
    await ok("--dir", dir, "pool", "create", "local");
    const ref = "nats://127.0.0.1:1/S";
    for (
      const args of [
        ["--mount", ref],
        ["--mount", "a=http://h/p"],
        ["--mount", `=${ref}`],
        ["--mount", `local=${ref}`],
        ["--mount", `a=${ref}`, "--mount", `a=${ref}`],
        ["--mount", "a=nats://u:s3cret@h/S"],
        ["--mount", `a=${ref}`, "--mount-creds", `${dir}/none`],
      ]
    ) {
      const outcome = await cli(["--dir", dir, "serve", "--bind", "127.0.0.1:0", ...args]);
      assert.equal(outcome.code, 2, `${args}: ${outcome.stderr}`);
      assert.equal(errorOf(outcome)["kind"], "Usage");
      assert.doesNotMatch(outcome.stderr, /s3cret/);
    }
  }));
