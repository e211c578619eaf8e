/**
 * Leases: claim, renew and release keys (docs/spec/http-api.md 12.2).
 *
 * @module
 */

import type { LeaseState } from "../../lib/backend/types.ts";
import type { Released } from "../../lib/backend/coordination.ts";
import { formatTime } from "../../lib/text/time.ts";
import { coordinated } from "../coordinated.ts";
import { bad } from "../errors.ts";
import { checked, plain, readFields, schemas, wholeOf } from "../fields.ts";
import { json } from "../headers.ts";
import { hidden } from "../../lib/backend/hidden.ts";
import { timeoutOf, waiting } from "../waiting.ts";
import { type Call, jsonContent, type Route, type RouteHost } from "./route.ts";

function leaseJson({ holder, keys, seq, token, untilNs, shortRetention }: LeaseState): string {
  const parts = [
    `"holder":${JSON.stringify(holder)}`,
    `"keys":${JSON.stringify(keys)}`,
    `"seq":${seq}`,
    `"token":${token}`,
    `"until":"${formatTime(untilNs)}"`,
  ];
  if (shortRetention) parts.push('"short_retention":true');
  return `{"claim":{${parts.join(",")}}}`;
}

function releasedJson({ keys, seq, token }: Released): string {
  const released = seq > 0n;
  return `{"claim":{"keys":${JSON.stringify(keys)},"released":${released},"seq":${seq},` +
    `"token":${token}}}`;
}

async function claim(call: Call, host: RouteHost): Promise<Response> {
  const { request, pool, grant } = call;
  const { ClaimBody } = await schemas();
  const fields = await readFields(request, host.bodies, Object.keys(ClaimBody.shape));
  const { action, keys, holder, ttl_ms: ttlMs = undefined, force } = checked(
    ClaimBody,
    plain(fields),
  );
  const token = wholeOf(fields, "token");
  const waitMs = timeoutOf(wholeOf(fields, "timeout_ms"), host);
  if (action === "renew" && token === undefined) {
    throw bad("missing field `token`", "Send the token that the claim returned.");
  }
  try {
    return await coordinated(call, host, async (coordination) => {
      if (action === "release") {
        const request = { keys, holder, token, force: force === true };
        return json(releasedJson(await coordination.release(request)));
      }
      const own = action === "renew" ? token : undefined;
      const claimed = (signal?: AbortSignal): Promise<LeaseState> =>
        coordination.claim({ keys, holder, ttlMs, token: own, waitMs, signal });
      return json(leaseJson(waitMs > 0 ? await waiting(call, host, claimed) : await claimed()));
    }, { write: true });
  } catch (error) {
    throw hidden(error, grant, pool);
  }
}

/** The routes. */
export const CLAIM_ROUTES: readonly Route[] = [
  {
    method: "POST",
    paths: ["/v0/pools/{pool}/claims"],
    summary: "Claim, renew or release keys",
    access: "append",
    body: jsonContent((of) => of.ClaimBody),
    answer: jsonContent((of) => of.ClaimAnswer),
    errors: [409],
    remote: "claim",
    handler: claim,
  },
];
