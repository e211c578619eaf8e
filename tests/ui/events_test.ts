/** How the page reads the server's streams of events, without a browser. */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { events } from "../../server/ui/events.js";

/** What the page is given of a stream that arrives in these pieces. */
async function given(...pieces: readonly string[]): Promise<string[]> {
  const real = globalThis.fetch;
  const body = ReadableStream.from(pieces.map((piece) => new TextEncoder().encode(piece)));
  globalThis.fetch = () => Promise.resolve(new Response(body));
  const told: string[] = [];
  try {
    await events("p", new URLSearchParams(), new AbortController().signal, {
      open: () => told.push("open"),
      batch: (lines: string[]) => told.push(lines.join(",")),
      next: (seq: bigint) => told.push(`next ${seq}`),
    });
  } finally {
    globalThis.fetch = real;
  }
  return told;
}

// Lost: the newest match of a filtered stream, whenever the network put it into one piece with the
// position behind it, because a message before the position counts as known.
Deno.test("page events: a message is given before the position behind it, however they arrive", async () => {
  const message = "data: {1}\n\n";
  const position = ": next 2\n\n";
  const expected = ["open", "{1}", "next 2", "{2}"];
  const all = `${message}${position}data: {2}\n\n`;
  assert.deepEqual(await given(all), expected);
  assert.deepEqual(await given(message, position, "data: {2}\n\n"), expected);
  assert.deepEqual(await given(...all), expected);
});
