/**
 * A process that reads on from a cursor: `consumer.ts PATH NAME LOG`. For each message it appends the
 * number to a log, acknowledges, and prints a line, until nothing more is there.
 *
 * @module
 */

import * as coordination from "../../lib/backend/local/coordinator.ts";
import { LocalBackend, type LocalPool } from "../../lib/backend/local.ts";
import { say } from "./coordinated.ts";

const [path = "", name = "", log = ""] = Deno.args;
using done = Deno.openSync(log, { append: true, create: true });
const pool = new LocalBackend(".", { coordination }).open(path) as LocalPool;
const coordinator = await pool.coordinate();
const cursor = await coordinator.cursor(name);
const walk = await cursor.select();
while (walk.next()) {
  const { seq, timestampNs } = walk.frame;
  cursor.deliver(seq, timestampNs);
  done.writeSync(new TextEncoder().encode(`${seq}\n`));
  cursor.ack(seq);
  say(`got ${seq}`);
}
cursor.close();
walk.close();
pool.close();
