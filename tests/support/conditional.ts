/**
 * A process that appends under a condition, over and over: `conditional.ts PATH NAME newest|key|id
 * COUNT [FROM]`. It prints "stored SEQ SEEN", "duplicate SEQ N" or "conflict".
 *
 * @module
 */

import * as coordination from "../../lib/backend/local/coordinator.ts";
import { LocalBackend, type LocalPool } from "../../lib/backend/local.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { say, storeWhen } from "./coordinated.ts";

const [path = "", name = "", mode = "newest", count = "10", from = "1"] = Deno.args;
const backend = new LocalBackend(".", { coordination });
const pool = backend.open(path, { write: true }) as LocalPool;
const last = Number(from) + Number(count);
for (let n = Number(from); n < last; n++) {
  const { newest } = pool.boundsNow();
  const when = mode === "newest"
    ? { expect: newest }
    : mode === "id"
    ? { ids: [`${n}`] }
    : { expect: (await (await pool.coordinate()).latest("k"))?.seq ?? 0n, key: "k" };
  try {
    const data = mode === "id" ? { n } : { name, seen: String(when.expect ?? 0n) };
    const tags = mode === "key" ? ["key:k"] : mode === "id" ? [`id:${n}`] : [];
    const { seq, duplicate } = await storeWhen(pool, data, tags, when);
    say(duplicate ? `duplicate ${seq} ${n}` : `stored ${seq} ${mode === "id" ? n : when.expect}`);
  } catch (error) {
    if (!PlasmiteError.is(error, ErrorKind.Conflict)) throw error;
    say("conflict");
  }
}
pool.close();
