/**
 * A worker of a group: `worker.ts PATH|URL GROUP HOLDER LOG ACK_WAIT_MS`. For each task it appends
 * "HOLDER SEQ TOKEN TRIES" to a log, acknowledges, and prints a line, until everything is done. When
 * it was too slow for ACK_WAIT_MS, and the task is another's by then, it appends "late SEQ TOKEN".
 *
 * @module
 */

import * as coordination from "../../lib/backend/local/coordinator.ts";
import { HttpBackend } from "../../lib/backend/http.ts";
import { LocalBackend } from "../../lib/backend/local.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { say } from "./coordinated.ts";

const [path = "", name = "", holder = "", log = "", ackWait = "500"] = Deno.args;
using file = Deno.openSync(log, { append: true, create: true });
const { origin, pathname } = path.includes("://")
  ? new URL(path)
  : { origin: null, pathname: path };
const backend = origin === null ? new LocalBackend(".", { coordination }) : new HttpBackend(origin);
const pool = await backend.open(origin === null ? path : pathname.slice(1));
const group = (await pool.coordinate()).group(name, { holder, maxTries: 1000 });
const note = (line: string): number => file.writeSync(new TextEncoder().encode(`${line}\n`));
for (;;) {
  const asked = Date.now(); // The hand-out comes after that.
  const { tasks, idle } = await group.take({ count: 2, ackWaitMs: Number(ackWait) });
  for (const { message: { seq }, token, tries } of tasks) {
    note(`${holder} ${seq} ${token} ${tries}`);
    let done = false;
    try {
      done = await group.ack(seq, token);
    } catch (error) {
      if (!PlasmiteError.is(error, ErrorKind.Conflict)) throw error;
    }
    if (!done && Date.now() - asked >= Number(ackWait)) note(`late ${seq} ${token}`);
    say(`did ${seq}`);
  }
  if (idle) break;
  if (tasks.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
}
group.close();
await pool.close();
await backend.close();
