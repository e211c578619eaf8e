/**
 * Requests that mean one thing in one place and another elsewhere: a pool that is read under the name
 * of another route, a host that only looks like this machine, a page of somebody else that takes the
 * streams of everyone.
 *
 * @module
 */

import assert from "node:assert/strict";
import { bench, initialized, listening, raw } from "./server_util.ts";

/** Head and body of the answer to a request line and headers sent as they are. */
async function send(
  port: number,
  line: string,
  ...headers: string[]
): Promise<{ status: number; length: string | null; body: string }> {
  const text = await raw(
    port,
    [`${line} HTTP/1.1`, ...headers, "connection: close", "", ""].join("\r\n"),
  );
  const [head = "", ...rest] = text.split("\r\n\r\n");
  return {
    status: Number(head.split(" ")[1]),
    length: /\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? null,
    body: rest.join("\r\n\r\n"),
  };
}

const HOST = "host: 127.0.0.1";

Deno.test("server routes: what a path names is the pool that is answered, in every spelling", async () => {
  const { server, client, end } = await listening();
  const names = [
    "pools",
    "info",
    "ui",
    "tail",
    "v0",
    "append",
    "mcp",
    "%70ools",
    "a b",
    "ü",
    "a+b",
  ];
  for (const name of names) {
    using pool = client.createPool(name, 65536);
    pool.append({ is: name });
  }
  for (const name of names) {
    const plain = encodeURIComponent(name);
    const every = [...new TextEncoder().encode(name)]
      .map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
    for (const segment of [plain, every, every.toUpperCase()]) {
      const info = await send(server.port, `GET /v0/pools/${segment}/info`, HOST);
      assert.equal(JSON.parse(info.body).pool.name, name, segment);
      const ui = await send(server.port, `GET /v0/ui/pools/${segment}/info`, HOST);
      assert.equal(JSON.parse(ui.body).pool.name, name, segment);
      const one = await send(server.port, `GET /v0/pools/${segment}/messages/1`, HOST);
      assert.equal(JSON.parse(one.body).message.data.is, name, segment);
      const body = `{"data":{"is":${JSON.stringify(name)}}}`;
      const stored = await raw(
        server.port,
        `POST /v0/pools/${segment}/append HTTP/1.1\r\n${HOST}\r\nconnection: close\r\n` +
          `content-type: application/json\r\ncontent-length: ${
            new TextEncoder().encode(body).length
          }\r\n\r\n${body}`,
      );
      assert.match(stored, / 200 OK/, segment);
    }
  }
  for (const name of names) {
    using pool = client.openPool(name);
    assert.equal(pool.info().bounds.newestSeq, 4n);
    for (const seq of [1n, 2n, 3n, 4n]) assert.deepEqual(pool.get(seq).data, { is: name });
  }
  // A route's words are written out, and nothing is taken away from a path or put into order.
  const nowhere = [
    "/v0/%70ools/pools/info",
    "/v0/p%6fols/info/info",
    "/%76%30/pools/info/info",
    "/v0%2fpools/info/info",
    "/v0/pools/info/%69nfo",
    "/v0/pools/info/info/",
    "/v0/pools/",
    "/v0/pools//info",
    "//v0/pools/info/info",
    "/v0//pools/info/info",
    "/V0/pools/info/info",
    "/v0/./pools/info/info",
    "/v0/x/../pools/info/info",
    "/v0/pools/x/../info/info",
    "/v0/pools/info/info/..",
    "/healthz/",
    "/health%7a",
    "/%75i",
    "/ui/%70ools/info",
    "/ui/assets/../../v0/pools",
    "/ui/assets/%2e%2e/page.js",
    "/%6dcp",
    "/v0/open%61pi.json",
  ];
  for (const path of nowhere) {
    const { status } = await send(server.port, `GET ${path}`, HOST);
    assert.equal(status, 404, path);
  }
  const names_ = [
    "%2e%2e",
    "..",
    ".",
    "%2E",
    "..%2f..%2fetc",
    "x%2finfo",
    "%252e%252e%2f",
    "%ff",
    "%",
    "%zz",
  ];
  for (const segment of names_) {
    const { status } = await send(server.port, `GET /v0/pools/${segment}/info`, HOST);
    assert.equal(status, 400, segment);
  }
  // Encoded twice it is another name, decoded once.
  assert.equal((await send(server.port, "GET /v0/pools/%2570ools/info", HOST)).status, 200);
  assert.equal((await send(server.port, "GET /v0/pools/%2569nfo/info", HOST)).status, 404);
  await end();
});

Deno.test("server hosts: only names and addresses of this machine, in every form", async () => {
  const { server, end } = await listening({ allowHosts: ["Proxy.Example"] });
  const { port } = server;
  const good = [
    "127.0.0.1",
    `127.0.0.1:${port}`,
    "127.255.255.254:1",
    "localhost",
    "LOCALHOST:9700",
    "[::1]",
    "[::1]:9700",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]:80",
    "[::FFFF:7F00:1]",
    "proxy.example",
    "PROXY.example:443",
  ];
  for (const host of good) {
    assert.equal((await send(port, "GET /v0/pools", `host: ${host}`)).status, 200, host);
  }
  const bad = [
    "127.0.0.999",
    "127.0.0.256:9700",
    "127.0.0",
    "127.1",
    "127.0.0.01",
    "0127.0.0.1",
    "0x7f.0.0.1",
    "2130706433",
    "127.0.0.1.1",
    "127.0.0.1.",
    "localhost.",
    "proxy.example.",
    "127.0.0.1..",
    "127.0.0.1:65536",
    "127.0.0.1:",
    "127.0.0.1:80:80",
    "127.0.0.1:9700@evil.example",
    "user@127.0.0.1",
    "user:pw@localhost",
    "127.0.0.1/",
    "127.0.0.1, evil.example",
    "127.0.0.1 evil.example",
    "[::1",
    "::1",
    "[::1]x",
    "[::1%25lo]",
    "[::1::]",
    "[127.0.0.1]",
    "[::2]",
    "[::ffff:10.0.0.1]",
    "10.0.0.1",
    "0.0.0.0",
    "[::]",
    "localhost.evil.example",
    "evil.localhost",
    "local host",
    "localhost..",
    ".localhost",
    "ｌocalhost",
    "evil.example",
    "-",
  ];
  for (const host of bad) {
    const { status } = await send(port, "GET /v0/pools", `host: ${host}`);
    assert.ok(status === 400 || status === 403, `${host}: ${status}`);
    // An absolute request line names another one.
    if (/[\s@,/]|[^!-~]/.test(host)) continue;
    const absolute = await send(port, `GET http://${host}/v0/pools`, HOST);
    assert.ok(
      absolute.status === 400 || absolute.status === 403,
      `http://${host}: ${absolute.status}`,
    );
  }
  await end();
});

Deno.test("server hosts: HTTP/1.1 must name one, HTTP/2 does so in its own way", async () => {
  const { server, end } = await listening();
  const { port } = server;
  for (const more of [[], ["connection: keep-alive"], ["accept: */*"]]) {
    const text = ["GET /v0/pools HTTP/1.1", ...more, "", ""].join("\r\n");
    assert.match(await raw(port, text, "}}"), / 400 .*"invalid host"/s, text);
  }
  const post = "POST /v0/pools/p/append HTTP/1.1\r\ncontent-type: application/json\r\n" +
    'content-length: 11\r\n\r\n{"data":{}}';
  assert.match(await raw(port, post, "}}"), / 400 .*"invalid host"/s);
  await end();

  const { dir, flags, cert } = await initialized();
  const secure = await listening({ ...flags, tokenFile: undefined });
  const http = Deno.createHttpClient({ caCerts: [cert], http1: false, http2: true });
  for (const name of ["localhost", "127.0.0.1"]) {
    const answer = await fetch(`https://${name}:${secure.server.port}/v0/pools`, { client: http });
    assert.equal(answer.status, 200, name);
    await answer.body?.cancel();
  }
  http.close();
  const conn = await Deno.connectTls({
    hostname: "127.0.0.1",
    port: secure.server.port,
    caCerts: [cert],
  });
  await conn.write(
    new TextEncoder().encode("GET /v0/pools HTTP/1.1\r\nconnection: close\r\n\r\n"),
  );
  const buffer = new Uint8Array(4096);
  const n = await conn.read(buffer);
  assert.match(new TextDecoder().decode(buffer.subarray(0, n ?? 0)), / 400 /);
  conn.close();
  await secure.end();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("server HEAD: the same status, length and type as GET, and never a stream", async () => {
  const { server, client, end } = await listening();
  const { port } = server;
  using pool = client.openPool("p");
  for (let i = 0; i < 50; i++) pool.append({ i });
  const paths = [
    "/healthz",
    "/ui",
    "/ui/pools/p",
    "/ui/assets/page.js",
    "/ui/assets/nothing.js",
    "/v0/pools",
    "/v0/ui/pools",
    "/v0/pools/p/info",
    "/v0/pools/ü/info",
    "/v0/pools/nothing/info",
    "/v0/pools/p/messages/7",
    "/v0/pools/p/messages/7/lite3",
    "/v0/pools/p/messages/700",
    "/v0/pools/p/messages/x",
    "/v0/pools/p/append",
    "/v0/pools/p/tail?no_follow=1",
    "/v0/pools/p/tail?max=x",
    "/v0/pools/nothing/tail",
    "/v0/pools/p/tail_lite3?no_follow=1",
    "/v0/ui/pools/p/events?no_follow=1",
    "/v0/access/check",
    "/v0/openapi.json",
    "/v0/serve/status",
    "/mcp",
    "/nowhere",
    "/",
  ];
  for (const path of paths) {
    for (const encoding of ["identity", "gzip"]) {
      const headers = [HOST, `accept-encoding: ${encoding}`];
      const get = await send(port, `GET ${encodeURI(path)}`, ...headers);
      const head = await send(port, `HEAD ${encodeURI(path)}`, ...headers);
      assert.equal(head.status, get.status, path);
      // The ages in an info grow while we look.
      if (!/info$|\/pools$/.test(path)) assert.equal(head.length, get.length, path);
      else assert.ok(head.length !== null, path);
      assert.equal(head.body, "", path);
    }
  }
  // A Host that is refused is refused alike.
  const get = await send(port, "GET /healthz", "host: evil.example");
  const head = await send(port, "HEAD /healthz", "host: evil.example");
  assert.deepEqual({ ...head, body: "" }, { ...get, body: "" });
  await end();
});

Deno.test("server guard: a page may link to a pool, but not open it in a frame of its own", async () => {
  const { app, client, end } = await bench({ maxTailConcurrency: 2 });
  client.createPool("p").close();
  const from = (dest: string | undefined, site = "cross-site", mode = "navigate") => ({
    headers: {
      host: "127.0.0.1",
      "sec-fetch-site": site,
      "sec-fetch-mode": mode,
      ...(dest === undefined ? {} : { "sec-fetch-dest": dest }),
    },
  });
  const frames = [
    "iframe",
    "frame",
    "embed",
    "object",
    "fencedframe",
    "empty",
    "image",
    "",
    undefined,
  ];
  for (const site of ["cross-site", "same-site"]) {
    for (const dest of frames) {
      const answer = await app.request("/v0/pools/p/tail", from(dest, site));
      assert.equal(answer.status, 403, `${site} ${dest}`);
      await answer.body?.cancel();
    }
  }
  assert.equal(app.streams, 0);
  for (const path of ["/ui", "/v0/pools"]) {
    const answer = await app.request(path, from("document"));
    assert.equal(answer.status, 200);
    await answer.body?.cancel();
  }
  // Our own page, and an address that was typed in, may do as they like.
  for (const site of ["same-origin", "none"]) {
    const answer = await app.request("/v0/pools", from("iframe", site));
    assert.equal(answer.status, 200);
    await answer.body?.cancel();
  }
  assert.equal(
    (await app.request("/v0/pools", from("document", "cross-site", "no-cors"))).status,
    403,
  );
  await end();
});
