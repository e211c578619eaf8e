/**
 * The time of an append to a server, by HTTP client: `deno run -A bench/remote_bench.ts`.
 *
 * Deno's `fetch` automatically resends a POST if a kept-alive connection fails before the response.
 * The alternatives do not; they are compared with it, over http and https.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { Connections } from "../lib/backend/http/connections.ts";
import { trustingDialer } from "../lib/backend/http/node_tls.ts";
import { type Dial, dialer } from "../lib/backend/http/socket.ts";
import { makeCertificate } from "../server/certificate.ts";

const ROUNDS = 5;
const ROUND_MS = 500;
const CLI = fileURLToPath(new URL("../cli.ts", import.meta.url));
const body = new TextEncoder().encode(
  `{"data":${JSON.stringify({ text: "x".repeat(160) })},"tags":[],"durability":"fast"}`,
);
const target = "/v0/pools/p/append";
const type = "application/json";

/** Starts the program as a server process. */
async function start(dir: string, more: readonly string[]): Promise<[URL, Deno.ChildProcess]> {
  const ready = `${dir}/ready`;
  await Deno.remove(ready).catch(() => {});
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", CLI, "--dir", dir, "serve", "--bind", "127.0.0.1:0", ...more],
    env: { PLASMITE_SERVE_READY_FILE: ready },
    stdout: "null",
    stderr: "null",
  }).spawn();
  for (;;) {
    const address = await Deno.readTextFile(ready).catch(() => "");
    if (address !== "") return [new URL(`http${more.length > 0 ? "s" : ""}://${address}`), child];
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Sends through our own client. */
function own(base: URL, dial: Dial, keep: boolean): () => Promise<void> {
  let connections = new Connections(dial);
  const { signal } = new AbortController();
  const headers = [["host", base.host], ["content-type", type]] as const;
  return async () => {
    const answer = await connections.send({ method: "POST", target, headers, body }, {
      signal,
      repeatable: false,
      onSend: () => {},
    });
    if (answer.status !== 200) throw new Error(`status ${answer.status}`);
    while (await answer.read() !== null);
    if (keep) return;
    connections.close();
    connections = new Connections(dial);
  };
}

/** Sends through `fetch`. */
function fetching(base: URL, client: Deno.HttpClient): () => Promise<void> {
  const url = new URL(target, base);
  return async () => {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "content-type": type },
      body,
      client,
    });
    await answer.text();
    if (!answer.ok) throw new Error(`status ${answer.status}`);
  };
}

/** Prints the median time of one append in microseconds; the candidates take turns. */
async function compare(ways: Record<string, () => Promise<void>>): Promise<void> {
  const times: Record<string, number[]> = {};
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, send] of Object.entries(ways)) {
      const until = performance.now() + ROUND_MS;
      while (performance.now() < until) {
        const since = performance.now();
        await send();
        if (round > 0) (times[name] ??= []).push(performance.now() - since);
      }
    }
  }
  let first: number | undefined;
  for (const [name, all] of Object.entries(times)) {
    all.sort((a, b) => a - b);
    const median = (all[all.length >> 1] ?? 0) * 1000;
    first ??= median;
    // deno-lint-ignore no-console -- this is the result
    console.log(
      `${name.padEnd(48)} ${median.toFixed(0).padStart(6)} µs ${
        (median / first).toFixed(2).padStart(6)
      }`,
    );
  }
}

const dir = await Deno.makeTempDir();
try {
  await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", CLI, "--dir", dir, "pool", "create", "p", "--size", "8M"],
  }).output();
  const { cert, key } = await makeCertificate("127.0.0.1");
  await Deno.writeTextFile(`${dir}/cert`, cert);
  await Deno.writeTextFile(`${dir}/key`, key);
  for (const tls of [false, true]) {
    const flags = tls ? ["--tls-cert", `${dir}/cert`, "--tls-key", `${dir}/key`] : [];
    const [base, child] = await start(dir, flags);
    const caCerts = [cert];
    const dial = tls ? trustingDialer(base, { ca: caCerts, skipVerify: false }) : dialer(base);
    const scheme = tls ? "https" : "http";
    await compare({
      [`${scheme}: fetch, connections kept (repeats)`]: fetching(
        base,
        Deno.createHttpClient({ caCerts }),
      ),
      [`${scheme}: fetch, poolMaxIdlePerHost: 0`]: fetching(
        base,
        Deno.createHttpClient({ caCerts, poolMaxIdlePerHost: 0 }),
      ),
      [`${scheme}: fetch, poolMaxIdlePerHost: 0, no HTTP/2`]: fetching(
        base,
        Deno.createHttpClient({ caCerts, poolMaxIdlePerHost: 0, http2: false }),
      ),
      [`${scheme}: our client, a connection for each`]: own(base, dial, false),
      [`${scheme}: our client, connections kept`]: own(base, dial, true),
    });
    child.kill("SIGTERM");
    await child.status;
  }
} finally {
  await Deno.remove(dir, { recursive: true });
}
