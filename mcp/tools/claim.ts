/**
 * `plasmite_claim`.
 *
 * @module
 */

import type { Coordination, Released } from "../../lib/backend/coordination.ts";
import { hidden } from "../../lib/backend/hidden.ts";
import type { LeaseState, PoolHandle } from "../../lib/backend/types.ts";
import { checkHolder } from "../../lib/coordination/lease.ts";
import { checkKey } from "../../lib/coordination/names.ts";
import { isMissing } from "../../lib/pool/unfinished.ts";
import { formatTime } from "../../lib/text/time.ts";
import { BadArgument } from "../args.ts";
import { timeout, waiting } from "../deadline.ts";
import { choice, flag, optionalBetween, optionalSequence, pool, text, texts } from "../input.ts";
import type { GrantedPools } from "../pools.ts";
import { closed, field, FLAG, maybe, TEXT, WHOLE } from "../schema.ts";
import { tool } from "../tool.ts";

const DAY_MS = 86_400_000;

function leased({ holder, keys, seq, token, untilNs, shortRetention }: LeaseState) {
  return {
    summary: `${holder} holds ${keys.join(", ")} until ${formatTime(untilNs)}, token ${token}.${
      shortRetention
        ? " The pool is small for its traffic: the claim may be overwritten before it expires."
        : ""
    }`,
    result: { claim: { holder, keys, seq, token, until: formatTime(untilNs) } },
  };
}

function released({ keys, seq, token }: Released) {
  const done = seq > 0n;
  return {
    summary: done ? `Released ${keys.join(", ")}.` : `${keys.join(", ")} was not held any more.`,
    result: { claim: { keys, released: done, seq, token } },
  };
}

/** Refuses names that no claim has, before a pool is created for it. Throws Usage. */
function checkParties(keys: readonly string[], holder: string): void {
  for (const key of keys) checkKey(key, "key");
  checkHolder(holder);
}

async function opened(pools: GrantedPools, name: string, create: boolean): Promise<PoolHandle> {
  try {
    return await pools.open(name, { write: true });
  } catch (error) {
    if (!create || !isMissing(error)) throw error;
  }
  await pools.make(name);
  return await pools.open(name, { write: true });
}

/** Claims, renews and releases keys. */
export const claim = tool({
  name: "plasmite_claim",
  title: "Claim keys",
  description:
    "Claim keys (names of files, tasks, anything) so that no other agent that asks has them at the same time: all of them or none. action claim takes them, and called again with the same keys renews; renew and release need the token of the claim. A claim ends by itself after ttl_ms. Another holder is the error Busy with holder and until; timeout_ms waits for it. Use a pool for claims only.",
  needs: "append",
  waits: ({ timeout_ms: ms }) => typeof ms === "number" && ms > 0,
  hints: { readOnly: false, destructive: false, idempotent: false },
  input: {
    pool: pool("Name of the pool of the claims, such as claims."),
    action: choice(["claim", "renew", "release"], "What to do."),
    keys: texts("What to claim: all of these keys together, or those of the claim."),
    holder: text("Your own id among the agents. Always use the same."),
    ttl_ms: optionalBetween(
      1_000,
      DAY_MS,
      "How long the claim lasts unless it is renewed, in milliseconds; default 60000, for renew as before.",
    ),
    token: optionalSequence("The token that claim returned; for renew and release."),
    force: flag("With release: end the claims of others, too"),
    timeout_ms: timeout(0, "the answer is Busy in any case; call again."),
    create: flag("Create the pool (1 MiB) if it is missing"),
  },
  pool: "pool",
  missing: "check the name, or pass create: true to create it.",
  output: {
    claim: field(closed({
      holder: maybe(TEXT),
      keys: field({ type: "array", items: TEXT }),
      released: maybe(FLAG),
      seq: field(WHOLE),
      token: field(WHOLE),
      until: maybe(TEXT),
    })),
  },
  run: async (values, context) => {
    const { pool: name, action, keys, holder, ttl_ms: ttlMs, token, force, create } = values;
    if (token === undefined && (action === "renew" || (action === "release" && !force))) {
      throw new BadArgument("token", `missing; ${action} needs the token that claim returned`);
    }
    const { pools } = context;
    if (create) checkParties(keys, holder);
    // There is nothing to renew or to release in a new pool.
    const pool = await opened(pools, name, create && action === "claim");
    try {
      const coordination: Coordination = await pool.coordinate();
      if (action === "release") {
        return released(await coordination.release({ keys, holder, token, force }));
      }
      const request = { keys, holder, ttlMs, token: action === "renew" ? token : undefined };
      return leased(
        await waiting(
          values.timeout_ms,
          context,
          (waitMs, signal) => coordination.claim({ ...request, waitMs, signal }),
        ),
      );
    } catch (error) {
      throw hidden(error, pools.grant, name);
    } finally {
      await pool.close();
    }
  },
});
