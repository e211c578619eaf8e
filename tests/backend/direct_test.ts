/**
 * Requests go to the server that was named, whatever the environment says of proxies, and a client
 * that is idle keeps no process alive.
 *
 * @module
 */

import assert from "node:assert/strict";
import { makeCertificate } from "../../server/certificate.ts";
import { CLI, cli, inTemp, shell } from "../cli/cli_util.ts";
import { serve } from "../client/remote_util.ts";
import { untilFile, watchdog } from "../support/patience.ts";

const certificate = await makeCertificate("127.0.0.1");
const MOD = new URL("../../mod.ts", import.meta.url).href;

/** Records what asks it to pass something on. */
function proxy(): { port: number; seen: string[]; end(): void } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const seen: string[] = [];
  (async () => {
    for await (const conn of listener) {
      const buffer = new Uint8Array(4096);
      const count = await conn.read(buffer).catch(() => null) ?? 0;
      seen.push(new TextDecoder("latin1").decode(buffer.subarray(0, count)));
      conn.close();
    }
  })();
  return {
    port: (listener.addr as Deno.NetAddr).port,
    seen,
    end: () => listener.close(),
  };
}

/** All names that programs look at, for HTTP and SOCKS. */
function variables(port: number, scheme = "http"): Record<string, string> {
  const names = ["http_proxy", "https_proxy", "all_proxy", "ftp_proxy"];
  const value = `${scheme}://127.0.0.1:${port}`;
  const all = [...names, ...names.map((name) => name.toUpperCase())];
  return {
    ...Object.fromEntries(all.map((name) => [name, value])),
    DENO_NO_UPDATE_CHECK: "1", // Deno itself looks for updates through a proxy.
  };
}

// Lost: the bearer token and every message, to a proxy that somebody set for the web.
Deno.test("proxy variables: no command and no client takes them, plain and over TLS", () =>
  inTemp(async (dir) => {
    const ca = `${dir}/ca.pem`;
    Deno.writeTextFileSync(ca, certificate.cert);
    const recorder = proxy();
    await using plain = serve({ dir: `${dir}/plain`, token: "s3cret" });
    const { cert, key } = certificate;
    await using tls = serve({ dir: `${dir}/tls`, token: "s3cret", cert, key });
    // NODE_USE_ENV_PROXY is what makes Node's clients look at the others.
    const http = { ...variables(recorder.port), NODE_USE_ENV_PROXY: "1", NO_PROXY: "example.org" };
    const socks = variables(recorder.port, "socks5");
    const ways = [[plain, []], [tls, ["--tls-ca", ca]], [tls, []]] as const;
    for (const env of [http, socks]) {
      for (const [server, trust] of ways) {
        using local = server.local.pool("p");
        local.append({ n: 0 });
        const url = `${server.url}/p`;
        const access = ["--token", "s3cret", ...trust];
        const commands: [string[], string?][] = [
          [["feed", url, '{"n":1}', ...access]],
          [["feed", url, ...access], '{"n":2}\n{"n":3}\n'],
          [["follow", url, "--no-follow", "--jsonl", ...access]],
          [["fetch", url, "1", ...access]],
          [["duplex", url, ...access], '{"n":4}\n'],
          [["pool", "info", url, ...access]],
          [["pool", "list", server.url, ...access]],
          [
            ["mcp", "--remote", server.url, ...access],
            `${
              JSON.stringify({
                jsonrpc: "2.0",
                id: 1,
                method: "tools/call",
                params: { name: "plasmite_pool_list", arguments: {} },
              })
            }\n`,
          ],
        ];
        const some = env === http ? commands : commands.slice(0, 3);
        const runs = await Promise.all(
          some.map(([words, stdin]) =>
            cli(words, {
              ...(stdin === undefined ? {} : { stdin }),
              env: { ...env, DENO_CERT: ca },
            })
          ),
        );
        for (const [i, { code, stdout, stderr }] of runs.entries()) {
          assert.equal(code, 0, `${some[i]?.[0].join(" ")}: ${stderr}`);
          assert.notEqual(stdout, "", some[i]?.[0].join(" "));
        }
      }
    }
    assert.deepEqual(recorder.seen, []);
    recorder.end();
  }));

// Lost: the list of one's own servers, where the environment names a proxy.
Deno.test("proxy variables: serve status asks the servers themselves", () =>
  inTemp(async (dir) => {
    const recorder = proxy();
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", CLI, "--dir", dir, "serve", "--bind", "127.0.0.1:0"],
      env: {
        HOME: dir,
        DENO_DIR: await denoDir(),
        PLASMITE_SERVE_READY_FILE: `${dir}/ready`,
      },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    try {
      await untilFile(`${dir}/ready`);
      const env = { ...variables(recorder.port), HOME: dir, DENO_DIR: await denoDir() };
      const status = await cli(["serve", "status", "--json"], { env });
      assert.equal(status.code, 0, status.stderr);
      assert.match(status.stdout, /http:\/\/127\.0\.0\.1:/);
      assert.deepEqual(recorder.seen, []);
    } finally {
      child.kill("SIGTERM");
      await child.status;
      recorder.end();
    }
  }));

// Lost: the network of every program that runs under tap, had the variables been taken away.
Deno.test("proxy variables: the child of tap still sees them", () =>
  inTemp(async (dir) => {
    const { code, stdout } = await shell(
      dir,
      `P tap t --create -- sh -c 'echo "$http_proxy $ALL_PROXY"'`,
      { env: variables(9) },
    );
    assert.deepEqual([code, stdout], [0, "http://127.0.0.1:9 http://127.0.0.1:9\n"]);
  }));

// Lost: a script that does not end, because it forgot to close its client.
Deno.test("a client that was not closed keeps no process alive", () =>
  inTemp(async (dir) => {
    const ca = `${dir}/ca.pem`;
    Deno.writeTextFileSync(ca, certificate.cert);
    for (const tls of [false, true]) {
      const { cert, key } = certificate;
      await using server = serve({ dir, ...(tls ? { cert, key } : {}) });
      for (const options of tls ? [{}, { tls: { caFile: ca } }] : [{}]) {
        const code = `
          const { RemoteClient } = await import(${JSON.stringify(MOD)});
          const client = new RemoteClient("${server.url}", ${JSON.stringify(options)});
          const pool = await client.pool("p");
          await Promise.all([1, 2, 3].map((n) => pool.append({ n })));
          console.log("done");`;
        const child = await new Deno.Command(Deno.execPath(), {
          args: ["eval", "--quiet", code],
          env: { DENO_CERT: ca },
          stderr: "inherit",
          signal: watchdog(),
        }).output();
        assert.equal(new TextDecoder().decode(child.stdout), "done\n");
        assert.equal(child.code, 0);
      }
    }
  }));

async function denoDir(): Promise<string> {
  const info = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  return JSON.parse(new TextDecoder().decode(info.stdout)).denoDir;
}
