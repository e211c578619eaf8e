/**
 * The command line on pools of a server: real processes, real sockets, real TLS.
 *
 * @module
 */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { ErrorKind } from "../../lib/errors.ts";
import { makeCertificate } from "../../server/certificate.ts";
import { CLI, cli, errorOf, inTemp, type Outcome, spawnCli } from "./cli_util.ts";
import { serve } from "../client/remote_util.ts";
import { until } from "../support/patience.ts";
import { freePort } from "../support/ports.ts";

const decoder = new TextDecoder();

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function documents(text: string): { seq: number; time: string; data: Record<string, unknown> }[] {
  return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

const seqs = ({ stdout }: Outcome): number[] => documents(stdout).map(({ seq }) => seq);

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** A child whose output is read line by line. */
function spawn(args: readonly string[]): {
  child: Deno.ChildProcess;
  lines: string[];
  until(count: number): Promise<void>;
  end(): Promise<number>;
} {
  const child = spawnCli(args, { stdout: "piped", stderr: "piped" });
  const lines: string[] = [];
  const reading = (async () => {
    let rest = "";
    for await (const chunk of child.stdout) {
      const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = parts.pop() ?? "";
      lines.push(...parts);
    }
  })();
  return {
    child,
    lines,
    until: async (count) => {
      while (lines.length < count) await sleep(5);
    },
    end: async () => {
      const [{ code }] = await Promise.all([child.status, reading, child.stderr.cancel()]);
      return code;
    },
  };
}

Deno.test("feed, follow, fetch, pool info and pool list on a server", () =>
  inTemp(async (dir) => {
    await using server = serve({ dir });
    using local = server.local.createPool("chat");
    const url = `${server.url}/chat`;
    const fed = await cli(["feed", url], { stdin: '{"n":1}\n{"n":12345678901234567}\n{"n":3}\n' });
    assert.equal(fed.code, 0, fed.stderr);
    assert.deepEqual(
      documents(fed.stdout).map(({ seq, time }) => [seq, time]),
      [1, 2, 3].map((seq) => [seq, local.get(seq).timeRfc3339]),
    );
    assert.ok(server.seen.includes("POST /v0/pools/chat/append_batch"), server.seen.join("\n"));
    const one = await cli(["feed", url, '{"n":4}', "--tag", "odd", "--durability", "flush"]);
    assert.equal(one.code, 0, one.stderr);
    assert.ok(server.seen.includes("POST /v0/pools/chat/append_lite3?durability=flush"));
    const fetched = await cli(["fetch", url, "2"]);
    assert.match(fetched.stdout, /"n":12345678901234567[,}]/);
    const none = await cli(["fetch", url, "99"]);
    assert.equal(none.code, ErrorKind.NotFound);
    const missing = errorOf(none);
    assert.deepEqual([missing["message"], missing["seq"], missing["path"]], [
      "message not found",
      99,
      "chat",
    ]);
    const info = await cli(["pool", "info", url, "--json"]);
    const report = JSON.parse(info.stdout);
    assert.deepEqual([report.name, report.path, report.bounds], [
      url,
      "chat.plasmite",
      { newest: 4, oldest: 1 },
    ]);
    const list = JSON.parse((await cli(["pool", "list", `${server.url}/`, "--json"])).stdout);
    assert.deepEqual(
      list.pools.map(({ name, mtime }: { name: string; mtime: null }) => [name, mtime]),
      [["chat", null]],
    );
    const path = await cli(["pool", "list", `${server.url}/x`]);
    assert.equal(errorOf(path)["message"], "remote base url must not include a path");
  }));

Deno.test("follow on a server: every way to choose", () =>
  inTemp(async (dir) => {
    await using server = serve({ dir, maxTailTimeoutMs: 100 });
    using local = server.local.createPool("p");
    for (let i = 1; i <= 9; i++) local.append({ i }, [i % 2 === 0 ? "even" : "odd"]);
    const url = `${server.url}/p`;
    const follow = (...args: string[]): Promise<Outcome> =>
      cli(["follow", url, "--jsonl", ...args]);
    const expect: [string[], number, number[]][] = [
      [["--no-follow"], 0, range(1, 9)],
      [["--no-follow", "--tail", "2"], 0, [8, 9]],
      [["--no-follow", "--tail", "2", "--tag", "odd"], 0, [7, 9]],
      [["--no-follow", "--where", ".data.i > 7"], 0, [8, 9]],
      [["--no-follow", "--one"], 0, [1]],
      [["--tail", "3", "--timeout", "0s"], 124, [7, 8, 9]],
      [["--since", "1h", "--timeout", "0s"], 124, range(1, 9)],
      [["--since", "1h", "--tag", "even", "--timeout", "0s"], 124, [2, 4, 6, 8]],
      [["--tail", "2", "--replay", "0"], 0, [8, 9]],
      [["--tail", "1", "--one"], 0, [9]],
      [["--timeout", "250ms"], 124, []],
    ];
    const outcomes = await Promise.all(expect.map(([args]) => follow(...args)));
    for (const [i, [args, code, wanted]] of expect.entries()) {
      const outcome = outcomes[i];
      assert.ok(outcome);
      assert.deepEqual(
        [outcome.code, seqs(outcome)],
        [code, wanted],
        args.join(" ") + outcome.stderr,
      );
    }
    for (const option of ["--create", "--no-notify"]) {
      const refused = await follow(option);
      assert.equal(refused.code, ErrorKind.Usage);
      assert.equal(errorOf(refused)["message"], `remote follow does not support ${option}`);
    }
    const gone = await cli(["follow", `${server.url}/none`]);
    assert.equal(gone.code, ErrorKind.NotFound);
    assert.equal(errorOf(gone)["path"], "none");
  }));

Deno.test("follow starts at the live edge and reports losses", () =>
  inTemp(async (dir) => {
    await using server = serve({ dir });
    using local = server.local.createPool("p", 65536);
    for (let i = 1; i <= 400; i++) local.append({ i, text: "x".repeat(300) });
    const url = `${server.url}/p`;
    const live = spawn(["follow", url, "--jsonl", "--one"]);
    while (!server.seen.some((line) => line.includes("since_seq=401"))) await sleep(10);
    local.append({ i: 401 });
    assert.equal(await live.end(), 0);
    assert.equal(documents(live.lines.join("\n"))[0]?.seq, 401);
    // Messages that are overwritten between the look at the bounds and the read.
    await using racing = serve({
      dir,
      after: (request, response) => {
        if (request.url.endsWith("/info")) {
          for (let i = 0; i < 400; i++) local.append({ i, text: "x".repeat(300) });
        }
        return response;
      },
    });
    const lossy = await cli(["follow", `${racing.url}/p`, "--no-follow", "--jsonl"]);
    assert.equal(lossy.code, 1, lossy.stderr);
    const { notice } = JSON.parse(lossy.stderr);
    assert.equal(notice.kind, "drop");
    assert.equal(notice.details.pool_path, `${racing.url}/p`);
  }));

Deno.test("a follower continues when its server is killed and restarted", () =>
  inTemp(async (dir) => {
    let server = serve({ dir });
    const { port } = server;
    using local = server.local.createPool("p", 4 << 20);
    const follower = spawn([
      "follow",
      `${server.url}/p`,
      "--jsonl",
      "--since",
      "1h",
      "--where",
      ".data.n > 0",
    ]);
    let sent = 0;
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 50; i++) local.append({ n: ++sent });
      await follower.until(sent - 25);
      await server.stop();
      for (let i = 0; i < 50; i++) local.append({ n: ++sent });
      server = serve({ dir, port });
      await follower.until(sent);
    }
    follower.child.kill("SIGTERM");
    await follower.end();
    assert.deepEqual(documents(follower.lines.join("\n")).map(({ seq }) => seq), range(1, sent));
    await server.stop();
  }));

Deno.test("TLS: the named certificate only, or none at all with a warning; tokens", () =>
  inTemp(async (dir) => {
    const { cert, key } = await makeCertificate("127.0.0.1");
    const other = await makeCertificate("127.0.0.1");
    const ca = `${dir}/ca.pem`;
    const wrong = `${dir}/wrong.pem`;
    const token = `${dir}/token`;
    Deno.writeTextFileSync(ca, cert);
    Deno.writeTextFileSync(wrong, other.cert);
    Deno.writeTextFileSync(token, "s3cret\n");
    await using server = serve({ dir, cert, key, token: "s3cret" });
    using _pool = server.local.createPool("p");
    const url = `${server.url}/p`;
    const auth = ["--token-file", token];
    const fed = await cli(["feed", url, '{"a":1}', ...auth, "--tls-ca", ca]);
    assert.equal(fed.code, 0, fed.stderr);
    const follow = ["follow", url, "--jsonl", "--tail", "20", "--timeout", "200ms"];
    const followed = await cli([...follow, ...auth, "--tls-ca", ca]);
    assert.deepEqual([followed.code, seqs(followed)], [124, [1]], followed.stderr);
    const skipped = await cli([...follow, ...auth, "--tls-skip-verify", "--tls-ca", wrong]);
    assert.deepEqual([skipped.code, seqs(skipped)], [124, [1]], skipped.stderr);
    assert.match(skipped.stderr, /^warning: --tls-skip-verify/);
    const refused: [string[], number, RegExp][] = [
      [auth, 8, /request failed/],
      [[...auth, "--tls-ca", wrong], 8, /request failed/],
      [["--tls-ca", ca], 6, /missing bearer token/],
      [["--tls-ca", ca, "--token", "wrong"], 6, /invalid bearer token/],
      [["--tls-ca", `${dir}/none`], 2, /failed to read TLS CA\/certificate file/],
      [["--tls-ca", token], 2, /contains no certificates/],
      [["--token-file", `${dir}/none`], 2, /failed to read token file/],
      [["--token", "a", ...auth], 2, /cannot be combined/],
    ];
    for (const [args, code, message] of refused) {
      const outcome = await cli([...follow, ...args]);
      assert.equal(outcome.code, code, args.join(" ") + outcome.stderr);
      assert.match(String(errorOf(outcome)["message"]), message);
    }
    const clear = await cli(["feed", "http://server.invalid:9700/p", "{}", ...auth]);
    assert.equal(clear.code, ErrorKind.Usage);
    assert.match(String(errorOf(clear)["message"]), /bearer token requires https/);
  }));

Deno.test("feed repeats only what cannot have been stored", () =>
  inTemp(async (dir) => {
    let script: (() => Response | Promise<Response> | undefined)[] = [];
    let broken = 0;
    await using server = serve({
      dir,
      before: ({ url }) => url.includes("/append") ? script.shift()?.() : undefined,
      after: ({ url }, response) => {
        if (!url.includes("/append") || broken-- <= 0) return response;
        // Stored, but the answer never arrives.
        return new Response(
          new ReadableStream({ start: (controller) => controller.error(new Error("cut")) }),
        );
      },
    });
    using local = server.local.createPool("p");
    const url = `${server.url}/p`;
    const busy = (): Response =>
      Response.json({ error: { kind: "Busy", message: "too much" } }, { status: 423 });
    const feed = (...args: string[]): Promise<Outcome> => cli(["feed", url, '{"a":1}', ...args]);
    script = [busy];
    const at_once = await feed();
    assert.equal(at_once.code, ErrorKind.Busy);
    assert.doesNotMatch(at_once.stderr, /Retry attempts/);
    const full = (): Response =>
      Response.json({ error: { kind: "Busy", message: "no memory left" } }, { status: 503 });
    script = [busy, full];
    const patient = await feed("--retry", "2", "--retry-delay", "1ms");
    assert.equal(patient.code, 0, patient.stderr);
    assert.equal(local.bounds().newestSeq, 1n);
    script = [busy, busy, busy];
    const tired = await feed("--retry", "1", "--retry-delay", "1ms");
    assert.equal(tired.code, ErrorKind.Busy);
    assert.match(String(errorOf(tired)["hint"]), /Retry attempts: 2 \(waited 1ms\)\./);
    // A server that waits for the pool's lock before it says so has been waited for.
    const slowly = async (): Promise<Response> => {
      await new Promise((resolve) => setTimeout(resolve, 600));
      return busy();
    };
    script = [slowly, slowly];
    const waited = await feed("--retry", "1", "--retry-delay", "1ms");
    assert.match(String(errorOf(waited)["hint"]), /Retry attempts: 2 \(waited \d+\.\ds\)\./);
    script = [];
    broken = 1;
    const unknown = await feed("--retry", "5", "--retry-delay", "1ms");
    assert.equal(unknown.code, ErrorKind.Io);
    assert.equal(local.bounds().newestSeq, 2n, "stored once, not again");
    const { port } = server;
    await server.stop();
    const waiting = feed("--retry", "1000", "--retry-delay", "20ms");
    await sleep(150);
    await using again = serve({ dir, port });
    const late = await waiting;
    assert.equal(late.code, 0, late.stderr);
    assert.equal(again.local.poolInfo("p").bounds.newestSeq, 3n);
  }));

// Lost: an evening with a bug report about a gateway's 502, or about a missing letter in an address.
Deno.test("gateways and wrong schemes: the error says what is wrong and what to do", () =>
  inTemp(async (dir) => {
    const { cert, key } = await makeCertificate("127.0.0.1");
    await using plain = serve({ dir });
    await using tls = serve({ dir, cert, key });
    plain.local.createPool("p").close();
    const commands = (url: string): string[][] => [
      ["feed", `${url}/p`, '{"a":1}'],
      ["follow", `${url}/p`],
      ["fetch", `${url}/p`, "1"],
      ["duplex", `${url}/p`],
      ["pool", "info", `${url}/p`, "--format", "json"],
      ["pool", "list", url, "--format", "json"],
    ];
    const expect = async (url: string, hint: RegExp): Promise<void> => {
      for (const words of commands(url)) {
        const run = await cli(words);
        const error = errorOf(run);
        assert.deepEqual([run.code, error["kind"]], [8, "Io"], `${words[0]}: ${run.stderr}`);
        assert.match(String(error["hint"]), hint, words[0]);
      }
    };
    await expect(
      tls.url.replace("https", "http"),
      new RegExp(`^The server speaks TLS on this port\\. Use ${tls.url}\\.$`),
    );
    await expect(
      plain.url.replace("http", "https"),
      new RegExp(`^The server speaks plain HTTP on this port\\. Use ${plain.url}\\.$`),
    );
    for (const [status, body] of [[502, "<html>"], [503, '{"message":"no"}'], [504, ""]] as const) {
      await using gateway = serve({ dir, before: () => new Response(body, { status }) });
      await expect(gateway.url, /^A gateway answered/);
    }
    // What nginx, Go and Apache say on their TLS ports.
    for (
      const text of [
        "<center>The plain HTTP request was sent to HTTPS port</center>",
        "Client sent an HTTP request to an HTTPS server.\n",
        "Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
      ]
    ) {
      await using port = serve({ dir, before: () => new Response(text, { status: 400 }) });
      const run = await cli(["feed", `${port.url}/p`, "{}"]);
      assert.equal(errorOf(run)["hint"], "The port speaks TLS. Use https://.");
    }
  }));

Deno.test("feed works with write-only servers, ours and 0.8", () =>
  inTemp(async (dir) => {
    for (const old of [false, true]) {
      await using server = serve({
        dir,
        access: "write-only",
        before: ({ url }) =>
          old && url.endsWith("/open")
            ? Response.json({ error: { kind: "Permission", message: "forbidden" } }, {
              status: 403,
            })
            : undefined,
      });
      if (!old) server.local.createPool("p").close();
      const fed = await cli(["feed", `${server.url}/p`], { stdin: '{"n":1}\n{"n":2}\n' });
      assert.equal(fed.code, 0, fed.stderr);
      assert.equal(documents(fed.stdout).length, 2);
      const read = await cli(["follow", `${server.url}/p`]);
      assert.equal(read.code, ErrorKind.Permission);
    }
    await using server = serve({ dir, access: "read-only" });
    assert.equal((await cli(["feed", `${server.url}/p`, "{}"])).code, ErrorKind.Permission);
    const create = await cli(["feed", `${server.url}/p`, "--create", "{}"]);
    assert.equal(errorOf(create)["message"], "remote feed does not support --create");
    assert.match(String(errorOf(create)["hint"]), /server-side/);
  }));

Deno.test("messages copied between servers keep their bytes, tags and order", () =>
  inTemp(async (dir) => {
    await using server = serve({ dir });
    using from = server.local.createPool("from");
    using to = server.local.createPool("to");
    for (let i = 1; i <= 300; i++) {
      from.append({ i, half: i / 3 }, [`t${i % 3}`, ...i % 7 ? [] : [" odd"]]);
    }
    const read = await new Deno.Command("sh", {
      args: [
        "-c",
        `"$D" run -A --quiet "$C" follow "$U/from" --no-follow --format lite3 | ` +
        `"$D" run -A --quiet "$C" feed "$U/to" > /dev/null`,
      ],
      env: { D: Deno.execPath(), C: CLI, U: server.url },
    }).output();
    assert.equal(read.code, 0, decoder.decode(read.stderr));
    for (let i = 1; i <= 300; i++) {
      assert.deepEqual(to.getLite3(i).payload, from.getLite3(i).payload);
    }
  }));

Deno.test("the cookbook's remote pool access: serve init, serve, feed, follow, duplex", () =>
  inTemp(async (dir) => {
    const made = await cli(["serve", "init", "--bind", "0.0.0.0:9700", "--output-dir", dir]);
    assert.equal(made.code, 0, made.stderr);
    const [token, cert, key] = ["auth-token.txt", "tls-cert.pem", "tls-key.pem"].map((name) =>
      `${dir}/plasmite-${name}`
    );
    assert.ok(token !== undefined && cert !== undefined && key !== undefined);
    const pools = `${dir}/pools`;
    const ready = `${dir}/ready`;
    await cli(["--dir", pools, "pool", "create", "events"]);
    const port = freePort();
    const start = (): Deno.ChildProcess =>
      // deno-fmt-ignore
      spawnCli(["--dir", pools, "serve", "--bind", `0.0.0.0:${port}`,
        "--allow-non-loopback", "--token-file", token, "--tls-cert", cert, "--tls-key", key], {
        // Its registry entry goes to a home of its own.
        env: { PLASMITE_SERVE_READY_FILE: ready, HOME: dir },
      });
    const listening = (): Promise<void> =>
      until(() => existsSync(ready), "the server did not begin to listen");
    let server = start();
    try {
      await listening();
      const url = `https://127.0.0.1:${port}/events`;
      const access = ["--token-file", token, "--tls-ca", cert];
      const fed = await cli(["feed", url, ...access, '{"sensor": "temp", "value": 23.5}']);
      assert.equal(fed.code, 0, fed.stderr);
      const follower = spawn(["follow", url, ...access, "--tail", "20", "--jsonl"]);
      await follower.until(1);
      // Killed without warning, and back on the same port.
      server.kill("SIGKILL");
      await server.status;
      Deno.removeSync(ready);
      server = start();
      await listening();
      const more = await cli(["feed", url, ...access], { stdin: '{"n":2}\n{"n":3}\n' });
      assert.equal(more.code, 0, more.stderr);
      await follower.until(3);
      const skipped = await cli(
        ["follow", url, "--token-file", token, "--tail", "20", "--tls-skip-verify", "--no-follow"]
          .concat("--jsonl"),
      );
      assert.deepEqual(seqs(skipped), [1, 2, 3]);
      const spoken = await cli([
        "duplex",
        url,
        ...access,
        "--me",
        "alice",
        "--jsonl",
        "--tail",
        "1",
      ], {
        stdin: '{"from":"bob","msg":"hi"}\n',
      });
      assert.equal(spoken.code, 0, spoken.stderr);
      assert.deepEqual(seqs(spoken), [3, 4]);
      await follower.until(4);
      server.kill("SIGTERM");
      assert.equal((await server.status).code, 0);
      follower.child.kill("SIGTERM");
      await follower.end();
      assert.deepEqual(documents(follower.lines.join("\n")).map(({ seq }) => seq), [1, 2, 3, 4]);
    } finally {
      try {
        server.kill("SIGKILL");
      } catch {
        // It ended already, as it should.
      }
      await server.status;
    }
  }));
