/**
 * The list of pools as a stream: what has changed is told, nothing else, and its place is given back
 * (docs/spec/http-api.md 3).
 *
 * @module
 */

import assert from "node:assert/strict";
import { bench, read } from "./server_util.ts";
import { soon } from "./shared_util.ts";

const PATH = "/v0/ui/pools/stream";

/** Reads the lists of a stream. */
function listsOf(answer: Response) {
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  return {
    /** The next list: names and newest numbers; null at the end. */
    async next(): Promise<Record<string, number> | null> {
      for (;;) {
        const [event, ...rest] = text.split("\n\n");
        if (rest.length > 0) {
          text = rest.join("\n\n");
          if (event?.startsWith(":")) continue;
          const [, data = ""] = /^event: pools\ndata: (.*)$/.exec(event ?? "") ?? [];
          const { pools } = JSON.parse(data);
          return Object.fromEntries(
            pools.map((pool: { name: string; bounds: { newest?: number } }) => [
              pool.name,
              pool.bounds.newest ?? 0,
            ]),
          );
        }
        const { done, value } = await soon(reader?.read() ?? Promise.reject(new Error("no body")));
        if (done) return null;
        text += value;
      }
    },
    leave: () => reader?.cancel(),
  };
}

// Lost: a page that shows pools which are long gone, or asks for the list every second.
Deno.test("pools stream: the list at the start, and after every change", async () => {
  const { app, client, end } = await bench();
  using a = client.createPool("a");
  const answer = await app.request(PATH);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("content-type"), "text/event-stream");
  assert.equal(answer.headers.get("cache-control"), "no-cache, no-transform");
  const lists = listsOf(answer);
  assert.deepEqual(await lists.next(), { a: 0 });
  a.append({ n: 1 });
  assert.deepEqual(await lists.next(), { a: 1 });
  client.createPool("b").close();
  assert.deepEqual(await lists.next(), { a: 1, b: 0 });
  // That messages grow older is no change: the next thing told is the next that happens.
  await new Promise((resolve) => setTimeout(resolve, 500));
  client.deletePool("b");
  assert.deepEqual(await lists.next(), { a: 1 });
  await app.shutdown();
  assert.equal(await lists.next(), null);
  await end();
});

Deno.test("pools stream: it takes a place among the streams, until it ends in any way", async () => {
  const { app, client, end } = await bench({ maxTailConcurrency: 1 });
  client.createPool("p").close();
  const first = await app.request(PATH);
  assert.equal((await read(app.request(PATH))).status, 423);
  assert.equal((await read(app.request("/v0/pools/p/tail"))).status, 423);
  assert.equal((await read(app.request(PATH, { method: "HEAD" }))).status, 200);
  await first.body?.cancel();
  const second = listsOf(await app.request(PATH));
  assert.deepEqual(await second.next(), { p: 0 });
  await second.leave();
  const third = await app.request(PATH);
  assert.equal(third.status, 200);
  await app.shutdown();
  assert.equal(await third.text(), "");
  await end();
});
