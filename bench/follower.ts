// deno-lint-ignore-file no-console
/**
 * One follower for the latency bench: prints the delay of each message in microseconds.
 *
 * @module
 */

import { Follower } from "../lib/backend/local/follower.ts";

const [path = "", count = "0"] = Deno.args;
const follower = new Follower(path, "end");
const delays: number[] = [];
console.log("ready");
while (delays.length < Number(count)) {
  while (follower.next()) {
    const now = Temporal.Now.instant().epochNanoseconds;
    delays.push(Number(now - follower.cursor.timestampNs) / 1000);
  }
  if (delays.length < Number(count)) await follower.wait();
}
follower.close();
console.log(JSON.stringify(delays));
