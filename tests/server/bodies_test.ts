/**
 * Request bodies that never end. Without a limit on their time and on the memory of all of them, anyone
 * who may send a request could fill the server's memory, or keep everyone else from appending, forever.
 *
 * @module
 */

import assert from "node:assert/strict";
import { until } from "../mcp/mcp_util.ts";
import { pause } from "../support/patience.ts";
import { listening, raw } from "./server_util.ts";

/** The head of a request whose body is not sent yet. */
function head(path: string, length: number | "chunked", type = "application/json"): string {
  const size = length === "chunked" ? "transfer-encoding: chunked" : `content-length: ${length}`;
  return `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: ${type}\r\n${size}\r\n\r\n`;
}

const encoder = new TextEncoder();

/** Sends bytes and goes on without an answer. */
async function begin(port: number, text: string): Promise<Deno.Conn> {
  const conn = await Deno.connect({ port, hostname: "127.0.0.1" });
  await send(conn, text);
  return conn;
}

/** Sends all of a text, which one `write` may not. */
async function send(conn: Deno.Conn, text: string): Promise<void> {
  for (let bytes = encoder.encode(text); bytes.length > 0;) {
    bytes = bytes.subarray(await conn.write(bytes));
  }
}

/** What is sent back: a head and its body, in however many pieces, or what came before the end. */
async function answerOn(conn: Deno.Conn): Promise<string> {
  const buffer = new Uint8Array(4096);
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const [top = "", ...rest] = text.split("\r\n\r\n");
    const length = Number(/content-length: (\d+)/i.exec(top)?.[1] ?? 0);
    if (rest.length > 0 && rest.join("\r\n\r\n").length >= length) return text;
    const count = await conn.read(buffer);
    if (count === null) return text;
    text += decoder.decode(buffer.subarray(0, count), { stream: true });
  }
}

async function taken(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^plasmite_request_body_bytes (\d+)$/m.exec(text)?.[1]);
}

const ROUTES: [string, string][] = [
  ["/v0/pools/p/append", "application/json"],
  ["/v0/pools/p/append_batch", "application/jsonl"],
  ["/v0/pools/p/append_lite3", "application/x-plasmite-lite3"],
  ["/v0/pools", "application/json"],
  ["/mcp", "application/json"],
];

Deno.test("unfinished bodies: their memory is limited, small appends continue, aborted ones release it", async (t) => {
  for (const [path, type] of ROUTES) {
    for (const length of [100_000, "chunked"] as const) {
      await t.step(`${path}, ${length === "chunked" ? "chunked" : "declared"}`, async () => {
        const { server, end } = await listening({}, {
          maxBodiesBytes: 1 << 20,
          mcp: async () => await Promise.resolve(() => Promise.resolve(new Response())),
        });
        const { port, url } = server;
        const part = " ".repeat(90_000);
        const text = length === "chunked" ? `${part.length.toString(16)}\r\n${part}\r\n` : part;
        const conns: Deno.Conn[] = [];
        const answers: string[] = [];
        for (let i = 0; i < 20; i++) {
          const conn = await begin(port, head(path, length, type) + text);
          conns.push(conn);
          answerOn(conn).then((answer) => answers.push(answer), () => {});
        }
        // A megabyte holds ten of them; a part of it is kept for small ones.
        await until(() => answers.length >= 10);
        for (const answer of answers) {
          assert.match(answer, /^HTTP\/1.1 503 /);
          assert.match(answer, /\r\nretry-after: 1\r\n/);
          assert.match(answer, /"kind":"Busy"/);
        }
        assert.ok(await taken(url) <= 1 << 20);
        const small = await fetch(`${url}/v0/pools/p/append`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: '{"data":{}}',
        });
        assert.equal(small.status, 200, await small.text());
        for (const conn of conns) conn.close();
        await until(async () => await taken(url) === 0, "aborted bodies keep their memory");
        await end();
      });
    }
  }
});

Deno.test("unfinished bodies: one that only drips is ended, one that flows may take longer", async () => {
  const { server, client, end } = await listening({}, { bodyTotalMs: 1_200, bodyIdleMs: 60_000 });
  const { port } = server;
  const drip = async (length: number | "chunked"): Promise<void> => {
    const conn = await begin(port, head("/v0/pools/p/append", length));
    let over = false;
    const answer = answerOn(conn).finally(() => over = true);
    // A byte now and then, so that it never stands still.
    const drop = encoder.encode(length === "chunked" ? "1\r\n \r\n" : " ");
    for (let drops = 0; !over; drops++) {
      assert.ok(drops < 3000, "it may drip forever");
      await conn.write(drop).catch(() => 0);
      await pause(20);
    }
    assert.match(await answer, /^HTTP\/1.1 408 /, `${length}`);
    conn.close();
  };
  await Promise.all([drip(50_000), drip(500), drip("chunked")]);
  // Longer than that; what comes with the head already gives it many seconds more.
  const body = `{"data":{"pad":"${"x".repeat(400_000)}"}}`;
  const conn = await begin(port, head("/v0/pools/p/append", body.length) + body.slice(0, 200_000));
  await pause(1_500);
  await send(conn, body.slice(200_000));
  assert.match(await answerOn(conn), /^HTTP\/1.1 200 /);
  conn.close();
  assert.equal(client.poolInfo("p").bounds.newestSeq, 1n);
  await end();
});

Deno.test("unfinished bodies: they take no slot from complete requests", async () => {
  const { server, end } = await listening({ maxTailConcurrency: 2 });
  const conns = await Promise.all(
    Array.from({ length: 10 }, () => begin(server.port, `${head("/v0/pools/p/append", 50)}{`)),
  );
  const answer = await raw(
    server.port,
    head("/v0/pools/p/append", 11).replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n") +
      '{"data":{}}',
  );
  assert.match(answer, /^HTTP\/1.1 200 /);
  for (const conn of conns) conn.close();
  await end();
});

Deno.test("bodies: many small pieces are put together in place, however small they are", async () => {
  const { server, client, end } = await listening();
  const body = `{"data":{"pad":"${"x".repeat(30_000)}"}}`;
  let chunks = "";
  for (let at = 0; at < body.length; at += 3) {
    const piece = body.slice(at, at + 3);
    chunks += `${piece.length.toString(16)}\r\n${piece}\r\n`;
  }
  const conn = await begin(
    server.port,
    `${head("/v0/pools/p/append", "chunked")}${chunks}0\r\n\r\n`,
  );
  assert.match(await answerOn(conn), /^HTTP\/1.1 200 /);
  conn.close();
  using pool = client.openPool("p");
  assert.equal((pool.get(1).data as { pad: string }).pad.length, 30_000);
  await end();
});
