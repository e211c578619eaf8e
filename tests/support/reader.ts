/**
 * A process that follows a pool: `reader.ts PATH`. It prints "SEQ ID N" for every message, "gap
 * FIRST NEXT" for every gap, and "bad …" for what must never be seen; a message of writer "stop"
 * ends it with "end".
 *
 * @module
 */

import { Client } from "../../mod.ts";
import { type Body, isWhole } from "./body.ts";

const [path = ""] = Deno.args;
using client = new Client();
using pool = client.openPool<Body>(path);
const encoder = new TextEncoder();

function print(line: string): void {
  const bytes = encoder.encode(line + "\n");
  for (let done = 0; done < bytes.length;) done += Deno.stdout.writeSync(bytes.subarray(done));
}

let expected: bigint | null = null;
const messages = pool.tail({
  onGap: ({ firstMissing, next }) => {
    if (expected !== null && firstMissing !== expected) {
      print(`bad gap ${firstMissing} ${expected}`);
    }
    expected = next;
    print(`gap ${firstMissing} ${next}`);
  },
});
print("ready");
for await (const { seq, data } of messages) {
  if (expected !== null && seq !== expected) print(`bad order ${seq}, not ${expected}`);
  expected = seq + 1n;
  if (data.w === "stop") break;
  if (!isWhole(data)) print(`bad body ${seq}`);
  print(`${seq} ${data.w} ${data.n}`);
}
print("end");
