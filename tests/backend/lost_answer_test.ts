/**
 * Answers that get lost: a request that changes something goes out once, and the error says that it
 * may have been done.
 *
 * @module
 */

import assert from "node:assert/strict";
import { ErrorKind } from "../../lib/errors.ts";
import { RemoteError } from "../../lib/backend/http/error.ts";
import { RemoteClient, type RemoteClientOptions } from "../../lib/remote/client.ts";
import { makeCertificate } from "../../server/certificate.ts";
import { CLI, cli, errorOf, inTemp } from "../cli/cli_util.ts";
import { type LosingProxy, losingProxy, type Loss, LOSSES } from "./losing_proxy.ts";
import { serve } from "../client/remote_util.ts";
import { freePort } from "../support/ports.ts";

const STORED = /it may have been stored/;

/** The error of work that must fail without telling what became of it. */
async function doubtful(work: Promise<unknown>, message: RegExp): Promise<RemoteError> {
  const error = await work.then(() => assert.fail("it must not succeed"), (error) => error);
  assert.ok(error instanceof RemoteError, String(error));
  assert.match(error.message, message);
  assert.deepEqual(
    [error.kindName, error.outcomeUnknown, error.unsent, error.path],
    ["Io", true, false, "p"],
    error.message,
  );
  assert.match(error.hint ?? "", /before/);
  return error;
}

const data = (n: number): Record<string, unknown> => ({ n, text: "x".repeat(100) });

/** A client of the library for each way of connecting. */
const certificate = await makeCertificate("127.0.0.1");
const WAYS: Record<string, RemoteClientOptions> = {
  "plain": {},
  "TLS": { tls: { caCerts: [certificate.cert] } },
  "TLS without verification": { tls: { skipVerify: true } },
  // Deno's own fetch sends a POST again when a kept connection dies.
  "a fetch of the caller": { fetch: (input, init) => fetch(input, init) },
};

// Lost: a payment, an order, a command that was carried out twice, with exit code 0.
for (const [way, options] of Object.entries(WAYS)) {
  Deno.test(`library, ${way}: an append whose answer is lost is sent once and says so`, () =>
    inTemp(async (dir) => {
      await using server = serve({ dir });
      using local = server.local.createPool("p", 8 << 20);
      const tls = options.tls === undefined ? {} : { tls: certificate };
      await using proxy = await losingProxy(server.port, tls);
      await using client = new RemoteClient(proxy.url, { ...options, timeoutMs: 10_000 });
      await using pool = client.uncheckedPool("p");
      await using hasty = new RemoteClient(proxy.url, { ...options, timeoutMs: 250 });
      await using hastyPool = hasty.uncheckedPool("p");
      let stored = 0;
      const lose = async (name: string, loss: Loss, count: number): Promise<void> => {
        const used = name === "silence" ? hastyPool : pool;
        await used.info(); // The connection is warm, and batches are known to be understood.
        const before = proxy.seen;
        proxy.lose(loss);
        await doubtful(
          count === 1
            ? used.append(data(++stored))
            : used.appendBatch(Array.from({ length: count }, () => data(++stored))),
          STORED,
        );
        assert.equal(proxy.seen - before, 1, `${name}: sent once`);
        assert.equal(local.bounds().newestSeq, BigInt(stored), `${name}: stored once`);
        assert.deepEqual(local.get(stored).data, data(stored));
      };
      for (const [name, loss] of Object.entries(LOSSES)) {
        await lose(name, loss, 1);
        await lose(name, loss, 50);
        // And the client goes on.
        assert.equal((await pool.append(data(++stored))).seq, BigInt(stored));
      }
    }));
}

// Lost: the knowledge that nothing happened, and with it the chance to try again.
Deno.test("library: what was never sent is not said to be stored", () =>
  inTemp(async (dir) => {
    const other = await makeCertificate("127.0.0.1");
    await using server = serve({ dir, cert: certificate.cert, key: certificate.key });
    const port = freePort();
    const own = (input: string | URL | Request, init?: RequestInit): Promise<Response> =>
      fetch(input, init);
    const cases: [string, RemoteClientOptions, string?][] = [
      [`http://127.0.0.1:${port}`, {}],
      [`http://127.0.0.1:${port}`, { fetch: own }],
      [`https://127.0.0.1:${port}`, { tls: { skipVerify: true } }],
      [`https://127.0.0.1:${port}`, {}],
      ["http://name.invalid", {}],
      // Nobody has said whom to trust, and no access key is saved.
      [server.url, {}, "Permission"],
      [server.url, { token: "x" }],
      [server.url, { tls: { caCerts: [other.cert] } }],
      [server.url.replace("https", "http"), {}],
    ];
    for (const [url, options, kind = "Io"] of cases) {
      await using client = new RemoteClient(url, options);
      const error = await client.uncheckedPool("p").append({ a: 1 }).catch((error) => error);
      assert.ok(error instanceof RemoteError, String(error));
      assert.deepEqual(
        [error.kindName, error.message, error.unsent, error.outcomeUnknown],
        [kind, "request failed", true, false],
        `${url}: ${error.causes}`,
      );
    }
  }));

// Lost: a pool that was made, and the caller who believes that it was not.
Deno.test("library: creating and deleting a pool are not repeated either", () =>
  inTemp(async (dir) => {
    await using server = serve({ dir });
    await using proxy = await losingProxy(server.port, { match: "/v0/pools" });
    await using client = new RemoteClient(proxy.url);
    for (const name of ["the connection is closed", "502 of a gateway", "closed inside the body"]) {
      const loss = LOSSES[name];
      assert.ok(loss !== undefined);
      await client.listPools();
      const before = proxy.seen;
      proxy.lose(loss);
      await doubtful(client.createPool("p"), /it may have been created/);
      proxy.lose(loss);
      await doubtful(client.deletePool("p"), /it may have been deleted/);
      assert.equal(proxy.seen - before, 2);
      assert.deepEqual(await client.listPools(), []);
    }
  }));

// Lost: a read that fails for nothing, because a connection had died while nobody used it.
Deno.test("library: a read on a connection that was closed in the meantime is repeated", () =>
  inTemp(async (dir) => {
    for (const tls of [undefined, certificate]) {
      await using server = serve({ dir });
      using local = server.local.pool("p");
      local.append({ a: 1 });
      await using proxy = await losingProxy(server.port, tls === undefined ? {} : { tls });
      await using client = new RemoteClient(proxy.url, { tls: { skipVerify: true } });
      await using pool = client.uncheckedPool("p");
      await pool.get(1);
      proxy.cutAll();
      // Nothing between: the client cannot have noticed yet.
      assert.equal((await pool.get(1)).seq, 1n);
      proxy.cutAll();
      await using other = new RemoteClient(server.url);
      await other.listPools(); // By then the end of the other connection has arrived too.
      const { seq } = await pool.append({ b: 1 });
      assert.equal(local.bounds().newestSeq, seq, "noticed, so the append took a new connection");
      proxy.lose((client) => void client.destroy());
      await doubtful(pool.append({ c: 1 }), STORED);
    }
  }));

/** Runs the program against a proxy in front of a real server; how the message got there counts. */
async function withProxy(
  tls: boolean,
  body: (proxy: LosingProxy, newest: () => number) => Promise<void>,
): Promise<void> {
  await inTemp(async (dir) => {
    await using server = serve({ dir });
    using local = server.local.createPool("p");
    await using proxy = await losingProxy(server.port, tls ? { tls: certificate } : {});
    await body(proxy, () => Number(local.bounds().newestSeq ?? 0n));
  });
}

// Lost: an event that a script logged twice, and exit code 0 that told it so.
Deno.test("feed and duplex: sent once, exit 8, and the error says that it may have been stored", () =>
  inTemp(async (dir) => {
    const ca = `${dir}/ca.pem`;
    Deno.writeTextFileSync(ca, certificate.cert);
    for (const tls of [false, true]) {
      await withProxy(tls, async (proxy, newest) => {
        const url = `${proxy.url}/p`;
        const three = { stdin: '{"n":1}\n{"n":2}\n{"n":3}\n' };
        const runs: [string[], { stdin?: string; env?: Record<string, string> }, number][] = [
          [["feed", url, '{"n":1}', "--retry", "3", "--retry-delay", "1ms"], {}, 1],
          [["feed", url, "--retry", "3"], three, 3],
          [["duplex", url, "--me", "me"], { stdin: '{"n":1}\n' }, 1],
        ];
        for (const [words, options, count] of runs) {
          for (const name of ["the connection is closed", "the connection is reset"]) {
            const loss = LOSSES[name];
            assert.ok(loss !== undefined);
            const [before, stored] = [proxy.seen, newest()];
            proxy.lose(loss);
            // Without an option the certificate is trusted because Deno is told to.
            const trust = !tls
              ? { words: [] }
              : name === "the connection is reset"
              ? { words: ["--tls-ca", ca] }
              : { words: [], env: { DENO_CERT: ca } };
            const run = await cli([...words, ...trust.words], { ...options, ...trust });
            assert.equal(run.code, ErrorKind.Io, run.stderr);
            const error = errorOf({
              ...run,
              stderr: run.stderr.trim().split("\n").at(-1) ?? "",
            });
            assert.match(String(error["message"]), STORED);
            assert.match(String(error["hint"]), /plasmite follow http.* --tail 5 --no-follow/);
            if (words[0] === "feed") assert.equal(run.stdout, "", "no receipt");
            assert.equal(proxy.seen - before, 1, "sent once");
            assert.equal(newest() - stored, count, "stored once");
          }
        }
      });
    }
  }));

// Lost: an agent's claim that was made twice, and reported once.
Deno.test("mcp --remote: sent once, and the tool's error says that it may have been stored", () =>
  withProxy(false, async (proxy, newest) => {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", CLI, "mcp", "--remote", proxy.url],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const writer = child.stdin.getWriter();
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    const feed = async (
      id: number,
    ): Promise<{ isError?: boolean; content: { text: string }[] }> => {
      const call = { name: "plasmite_feed", arguments: { pool: "p", data: { id } } };
      const request = { jsonrpc: "2.0", id, method: "tools/call", params: call };
      await writer.write(new TextEncoder().encode(`${JSON.stringify(request)}\n`));
      for (;;) {
        const at = text.indexOf("\n");
        if (at >= 0) {
          const line = text.slice(0, at);
          text = text.slice(at + 1);
          const answer = JSON.parse(line);
          if (answer.id === id) return answer.result;
        } else text += (await reader.read()).value ?? assert.fail("it ended");
      }
    };
    let id = 1;
    assert.notEqual((await feed(id)).isError, true);
    for (const loss of Object.values(LOSSES)) {
      if (loss === LOSSES["silence"]) continue;
      proxy.lose(loss);
      const before = proxy.seen;
      const answer = await feed(++id);
      assert.equal(answer.isError, true);
      assert.match(answer.content.map(({ text }) => text).join(" "), STORED);
      assert.equal(proxy.seen - before, 1, "sent once");
      assert.equal(newest(), id, "stored once");
    }
    await writer.close();
    await reader.cancel();
    await child.status;
  }));
