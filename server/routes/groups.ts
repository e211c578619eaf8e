/**
 * Work groups: take tasks, acknowledge, fail and extend them (docs/spec/http-api.md 12.5).
 *
 * @module
 */

import { mayUse } from "../../lib/grant.ts";
import type { z } from "zod";
import type * as Schemas from "../schemas.ts";
import type { Group, TakenTasks } from "../../lib/backend/coordination.ts";
import { deadName } from "../../lib/backend/dead.ts";
import { poolName } from "../../lib/backend/refs.ts";
import { requireRight } from "../auth.ts";
import { coordinated } from "../coordinated.ts";
import { bad } from "../errors.ts";
import { checked, plain, readFields, schemas, wholeOf } from "../fields.ts";
import { json } from "../headers.ts";
import { checkPoolName } from "../names.ts";
import { filters } from "../query.ts";
import { timeoutOf, waiting } from "../waiting.ts";
import { type Call, jsonContent, type Route, type RouteHost } from "./route.ts";

type Body = z.infer<typeof Schemas.GroupBody>;

/** The maximum number of tasks per call. */
const MOST_TASKS = 512;

function tasksJson({ tasks, lost, idle }: TakenTasks, { printer }: RouteHost): string {
  const texts = tasks.map(({ message, token, tries, untilMs }) => {
    const until = new Date(untilMs).toISOString();
    const text = printer.text(message);
    return `{"message":${text},"token":${token},"tries":${tries},"until":"${until}"}`;
  });
  return `{"tasks":[${texts.join(",")}],"lost":${lost},"idle":${idle}}`;
}

/** The task of an action. Throws 400. */
function taskOf(body: Body, fields: Record<string, unknown>): [seq: bigint, token: number] {
  const seq = wholeOf(fields, "seq");
  const { token } = body;
  if (seq !== undefined && token !== undefined && token !== null) return [seq, token];
  throw bad("missing field `seq` or `token`", "Send both as take returned them.");
}

async function act(
  call: Call,
  host: RouteHost,
  group: Group,
  body: Body,
  fields: Record<string, unknown>,
): Promise<string> {
  const { action, ack_wait_ms: ackWaitMs = undefined, delay_ms: delayMs = undefined } = body;
  if (action === "take") {
    const waitMs = timeoutOf(wholeOf(fields, "timeout_ms"), host);
    const count = Math.min(body.count ?? 1, MOST_TASKS);
    const taken = await waiting(
      call,
      host,
      (signal) => group.take({ count, waitMs, ackWaitMs, signal }),
      { slot: waitMs > 0 },
    );
    return tasksJson(taken, host);
  }
  const [seq, token] = taskOf(body, fields);
  const done = action === "ack"
    ? await group.ack(seq, token)
    : action === "fail"
    ? await group.fail(seq, token, delayMs)
    : await group.extend(seq, token, ackWaitMs);
  return done ? '{"ok":true}' : '{"ok":true,"already":true}';
}

async function work(call: Call, host: RouteHost): Promise<Response> {
  const { pool, grant } = call;
  const { GroupBody } = await schemas();
  const fields = await readFields(call.request, host.bodies, Object.keys(GroupBody.shape));
  const body = checked(GroupBody, plain(fields));
  const { tags = undefined, from = undefined, holder = undefined, dead = undefined } = body;
  if (dead !== undefined) requireRight(grant, "append", checkPoolName(dead));
  const where = body.action === "take" ? await filters([body.where ?? []].flat()) : [];
  return await coordinated(call, host, async (coordination) => {
    const group = coordination.group(call.part("name"), {
      tags,
      where,
      from,
      holder,
      // If the caller does not say whether a failure was final, the delay applies.
      maxTries: body.max_tries ?? (body.action === "take" ? undefined : Infinity),
      dead,
      // Creating the pool requires the right to create pools.
      createDead: mayUse(grant, "admin", poolName(dead ?? deadName(pool))),
      orderedByKey: body.ordered_by_key === true,
    });
    try {
      return json(await act(call, host, group, body, fields));
    } finally {
      group.close();
    }
  });
}

/** The routes. */
export const GROUP_ROUTES: readonly Route[] = [
  {
    method: "POST",
    paths: ["/v0/pools/{pool}/groups/{name}"],
    summary: "Take tasks, acknowledge, fail or extend them",
    access: "work",
    body: jsonContent((of) => of.GroupBody),
    answer: jsonContent((of) => of.GroupAnswer),
    errors: [409],
    remote: "group",
    handler: work,
  },
];
