/**
 * A process that claims, works and releases: `claimer.ts PATH HOLDER KEYS ROUNDS WITNESS TTL`. Work is
 * a file that must not exist yet; "token T" is printed for each round, "overlap" if it did exist.
 * Without a witness it works until it is killed.
 *
 * @module
 */

import * as coordination from "../../lib/backend/local/coordinator.ts";
import { LocalBackend, type LocalPool } from "../../lib/backend/local.ts";
import { say } from "./coordinated.ts";

const [path = "", holder = "", list = "", rounds = "1", witness = "", ttl = "60000"] = Deno.args;
const keys = list.split(",");
const pool = new LocalBackend(".", { coordination }).open(path, { write: true }) as LocalPool;
const coordinator = await pool.coordinate();
for (let round = 0; round < Number(rounds); round++) {
  const lease = await coordinator.claim({ keys, holder, ttlMs: Number(ttl), waitMs: 60_000 });
  const { token } = lease;
  if (witness !== "") {
    try {
      Deno.openSync(witness, { write: true, createNew: true }).close();
      await new Promise((resolve) => setTimeout(resolve, 1));
      Deno.removeSync(witness);
    } catch {
      say("overlap");
    }
  }
  say(`token ${token}`);
  await coordinator.release({ keys, holder, token });
}
pool.close();
