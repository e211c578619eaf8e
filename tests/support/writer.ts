/**
 * A process that appends until it is killed or its count is reached:
 * `writer.ts PATH ID sync|batch|async|flush COUNT`. Every acknowledged message is printed as
 * "SEQ ID N", after the library said that it is stored.
 *
 * @module
 */

import { Client, type Message } from "../../mod.ts";
import { type Body, body } from "./body.ts";

const [path = "", id = "", mode = "sync", count = "1000"] = Deno.args;
using client = new Client();
using pool = client.openPool<Body>(path);
const encoder = new TextEncoder();

function acknowledge(messages: readonly Message<Body>[]): void {
  const lines = messages.map(({ seq, data }) => `${seq} ${data.w} ${data.n}\n`).join("");
  const bytes = encoder.encode(lines);
  for (let done = 0; done < bytes.length;) done += Deno.stdout.writeSync(bytes.subarray(done));
}

let n = 0;
const next = (): Body => body(id, ++n);

while (n < Number(count)) {
  switch (mode) {
    case "batch":
      acknowledge(await pool.appendBatch(Array.from({ length: 1 + n % 20 }, next)));
      break;
    case "async":
      acknowledge(await Promise.all([1, 2, 3].map(() => pool.appendAsync(next()))));
      break;
    case "flush":
      acknowledge([pool.append(next(), [], "flush")]);
      break;
    default:
      acknowledge([pool.append(next(), ["t", id])]);
  }
  // One millisecond between appends, as a good neighbour does (docs/spec/format.md 14.6).
  if (n % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
}
