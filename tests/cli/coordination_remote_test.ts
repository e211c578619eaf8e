/**
 * The commands of coordination on pools of a server: the same words must mean the same there, and a
 * lost answer must not store anything twice (docs/spec/coordination.md 4 and 7).
 *
 * @module
 */

import assert from "node:assert/strict";
import { losingProxy, LOSSES } from "../backend/losing_proxy.ts";
import { serve, type TestServer } from "../client/remote_util.ts";
import { cli, errorOf, inTemp, type Outcome } from "./cli_util.ts";

const seqs = ({ stdout }: Outcome): number[] =>
  stdout.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line).seq);

/** A server with an empty pool `p`, and its URL. */
async function withServer(body: (url: string, server: TestServer) => Promise<void>): Promise<void> {
  await inTemp(async (dir) => {
    await using server = serve({ dir });
    server.local.createPool("p").close();
    await body(`${server.url}/p`, server);
  });
}

Deno.test("remote feed: conditions and ids, refused with the same members", () =>
  withServer(async (url, server) => {
    const first = await cli(["feed", url, "--key", "k", "--id", "x", '{"n":1}']);
    const again = await cli(["feed", url, "--key", "k", "--id", "x", '{"n":1}']);
    assert.deepEqual(JSON.parse(again.stdout), { duplicate: true, ...JSON.parse(first.stdout) });
    const other = await cli(["feed", url, "--id", "x", '{"n":2}']);
    assert.deepEqual([other.code, errorOf(other)["id"], errorOf(other)["seq"]], [10, "x", 1]);
    const late = await cli(["feed", url, "--expect", "none", '{"n":2}']);
    assert.deepEqual([late.code, errorOf(late)["actual"]], [10, 1]);
    const input = { stdin: '{"e":1}\n{"e":2}\n{"e":1}\n' };
    const many = await cli(["feed", url, "--id-from", ".data.e"], input);
    assert.deepEqual(seqs(many), [2, 3, 2]);
    const whole = await cli(["feed", url, "--atomic", "--expect", "3"], input);
    assert.deepEqual(seqs(whole), [4, 5, 6]);
    const plain = await cli(["feed", url, "--atomic"], input);
    assert.deepEqual(seqs(plain), [7, 8, 9]);
    const batches = server.seen.filter((line) => line.includes("append_batch"));
    assert.match(batches.at(-1) ?? "", /expect=6/, "one piece is promised for an expectation");
    assert.deepEqual(seqs(await cli(["latest", url, "--key", "k"])), [1]);
    assert.deepEqual(seqs(await cli(["latest", url, "--by", "id:"])), [1, 2, 3]);
  }));

// An order that a script placed twice because the answer to the first attempt was lost.
Deno.test("remote feed: --retry repeats what may have been stored, if and only if it has an id", () =>
  withServer(async (_url, server) => {
    using pool = server.local.openPool("p");
    await using proxy = await losingProxy(server.port);
    const { "the connection is reset": reset, "502 of a gateway": gateway } = LOSSES;
    let stored = 0n;
    for (const loss of [reset, gateway]) {
      assert.ok(loss !== undefined);
      const retry = ["--retry", "2", "--retry-delay", "1ms"];
      for (const args of [["--id", `x${stored}`], ["--id", "auto"]]) {
        proxy.lose(loss);
        const sent = proxy.seen;
        const data = `{"n":${stored}}`;
        const done = await cli(["feed", `${proxy.url}/p`, ...retry, ...args, data]);
        assert.equal(done.code, 0, done.stderr);
        assert.equal(JSON.parse(done.stdout).duplicate, true);
        assert.equal(proxy.seen - sent, 2);
        assert.equal(pool.bounds().newestSeq, ++stored);
      }
      proxy.lose(loss);
      const sent = proxy.seen;
      const unsure = await cli(["feed", `${proxy.url}/p`, ...retry, "--expect", `${stored}`, "{}"]);
      assert.equal(unsure.code, 8);
      assert.equal(proxy.seen - sent, 1);
      assert.equal(pool.bounds().newestSeq, ++stored);
    }
  }));

Deno.test("remote leases: claim, refuse, run, release", () =>
  withServer(async (url) => {
    const lease = JSON.parse((await cli(["claim", url, "a", "--as", "x"])).stdout);
    assert.deepEqual([lease.holder, lease.keys, lease.token], ["x", ["a"], 1]);
    const held = await cli(["claim", url, "a", "--as", "y"]);
    assert.deepEqual([held.code, errorOf(held)["holder"], errorOf(held)["token"]], [5, "x", 1]);
    const renewed = await cli(["renew", url, "a", "--as", "x", "--token", "1", "--ttl", "5m"]);
    assert.equal(JSON.parse(renewed.stdout).token, 1);
    const released = await cli(["release", url, "a", "--as", "x", "--token", "1"]);
    assert.equal(JSON.parse(released.stdout).released, true);
    const script = 'echo "$PLASMITE_TOKEN $PLASMITE_POOL"; sleep 1.2; exit 4';
    const ran = await cli([
      "claim",
      url,
      "a",
      "--as",
      "y",
      "--ttl",
      "1s",
      "--",
      "sh",
      "-c",
      script,
    ]);
    assert.deepEqual([ran.code, ran.stdout], [4, `4 ${url}\n`]);
    assert.equal((await cli(["claim", url, "a", "--as", "z"])).code, 0);
  }));

// The token of a lease must not go to the server as if it were a password.
Deno.test("remote leases: --token is the lease's, and never sent as a bearer token", () =>
  inTemp(async (dir) => {
    const sent: (string | null)[] = [];
    await using server = serve({
      dir,
      before: (request) => {
        sent.push(request.headers.get("authorization"));
        return undefined;
      },
    });
    server.local.createPool("p").close();
    const url = `${server.url}/p`;
    await cli(["claim", url, "a", "--as", "x"]);
    const released = await cli(["release", url, "a", "--as", "x", "--token", "1"]);
    assert.equal(released.code, 0, released.stderr);
    assert.ok(sent.length > 1);
    assert.deepEqual(sent.filter((value) => value !== null), []);
  }));

Deno.test("remote cursors and groups: the server keeps them", () =>
  withServer(async (url, server) => {
    await cli(["feed", url], { stdin: '{"n":1}\n{"n":2}\n{"n":3}\n' });
    const next = (...more: string[]) =>
      cli(["follow", url, "--cursor", "c", "--no-follow", "--jsonl", ...more]);
    assert.deepEqual(seqs(await next("--one")), [1]);
    assert.deepEqual(seqs(await next()), [2, 3]);
    assert.deepEqual(seqs(await next()), []);
    const set = JSON.parse((await cli(["cursor", "set", url, "c", "1", "--json"])).stdout);
    assert.deepEqual([set.cursor.seq, set.cursor.lag], [1, 2]);
    assert.deepEqual(seqs(await cli(["fetch", url, "--cursor", "c"])), [2]);
    const place = await cli(["fetch", url, "--cursor", "c", "--cursor-dir", "x"]);
    assert.equal(place.code, 2);
    const exec = ["--exec", "[ $PLASMITE_SEQ != 2 ]", "--max-tries", "1"];
    const buried = await cli(["follow", url, "--cursor", "d", "--no-follow", ...exec]);
    assert.equal(buried.code, 0, buried.stderr);
    const dead = await cli(["follow", `${server.url}/p.dead`, "--no-follow", "--jsonl"]);
    assert.deepEqual(JSON.parse(dead.stdout).data, { n: 2 });
    const work = ["work", url, "--group", "g", "--drain", "--", "sh", "-c", "echo $PLASMITE_SEQ"];
    assert.equal((await cli(work)).stdout, "1\n2\n3\n");
    const { cursors } = JSON.parse((await cli(["cursor", "list", url, "--json"])).stdout);
    assert.deepEqual(
      cursors.map(({ name, kind, seq }: Record<string, unknown>) => [name, kind, seq]),
      [["c", "cursor", 2], ["d", "cursor", 3], ["g", "group", 3]],
    );
    const removed = JSON.parse((await cli(["cursor", "delete", url, "c", "--json"])).stdout);
    assert.deepEqual(removed, { deleted: { cursor: "c", pool: url } });
  }));

Deno.test("a server that does not know a feature is sent nothing that it would ignore", () =>
  inTemp(async (dir) => {
    await using server = serve({
      dir,
      after: (_request, response) => {
        const headers = new Headers(response.headers);
        headers.delete("plasmite-features");
        return new Response(response.body, { status: response.status, headers });
      },
    });
    server.local.createPool("p").close();
    const url = `${server.url}/p`;
    for (
      const args of [
        ["feed", url, "--expect", "none", "{}"],
        ["feed", url, "--id", "x", "{}"],
        ["feed", url, "--atomic", "{} {}"],
        ["claim", url, "a", "--as", "x"],
        ["latest", url, "--by", "key:"],
        ["follow", url, "--cursor", "c", "--no-follow"],
        ["cursor", "set", url, "c", "0"],
        ["work", url, "--group", "g", "--drain", "--", "true"],
      ]
    ) {
      const refused = await cli(args);
      assert.equal(refused.code, 2, `${args.join(" ")}: ${refused.stdout}${refused.stderr}`);
      assert.match(String(errorOf(refused)["message"]), /this server cannot/i);
    }
    // To open a pool is a POST that changes nothing.
    const changing = server.seen.filter((line) => !/^(GET |POST \/v0\/pools\/open$)/.test(line));
    assert.deepEqual(changing, []);
    using pool = server.local.openPool("p");
    assert.equal(pool.bounds().newestSeq, null);
  }));
