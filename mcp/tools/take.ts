/**
 * `plasmite_take`.
 *
 * @module
 */

import type { HandedTask } from "../../lib/backend/coordination.ts";
import { Json } from "../../lib/text/json_exact.ts";
import { timeout, waiting } from "../deadline.ts";
import { envelopeOf } from "../envelope.ts";
import { between, optionalBetween, pool, tagFilter, text, where } from "../input.ts";
import { closed, field, FLAG, maybe, MESSAGE, TEXT, WHOLE } from "../schema.ts";
import { tool } from "../tool.ts";
import { counted } from "../words.ts";
import { joined } from "../work.ts";

function taskOf({ message, token, tries, untilMs }: HandedTask) {
  return {
    message: new Json(envelopeOf(message)),
    token,
    tries,
    until: new Date(untilMs).toISOString(),
  };
}

/** Takes tasks of a work group. */
export const take = tool({
  name: "plasmite_take",
  title: "Take tasks",
  description:
    "Take tasks from a pool that several agents work on: each message goes to one member of the group. A task is yours until the time until; then another gets it. Say with plasmite_done how it went. Waits until there is a task, or returns timed_out true. A task that fails 5 times goes to the pool NAME.dead.",
  needs: "read",
  also: "append",
  waits: true,
  hints: { readOnly: false, destructive: false, idempotent: false },
  input: {
    pool: pool(),
    group: text("Name of the group: all that share the work use the same. Created when new."),
    count: between({ least: 1, most: 200, standard: 1 }, "Most tasks to take"),
    timeout_ms: timeout(10_000, "the answer is timed_out true in any case; take again."),
    ack_wait_ms: optionalBetween(
      100,
      86_400_000,
      "How long a task is yours, in milliseconds; default 60000.",
    ),
    tags: tagFilter(),
    where: where(),
  },
  pool: "pool",
  missing: "call plasmite_pool_list to see what exists.",
  output: {
    tasks: field({
      type: "array",
      items: closed({
        message: field(MESSAGE),
        token: field(WHOLE),
        tries: field(WHOLE),
        until: field(TEXT),
      }),
    }),
    timed_out: field(FLAG),
    lost: maybe(WHOLE),
  },
  run: async (values, context) => {
    const { pool: name, group, count, ack_wait_ms: ackWaitMs, tags } = values;
    const condition = await values.where();
    const filter = { tags, where: condition === undefined ? [] : [condition.where] };
    return await joined(context.pools, name, group, filter, async (member) => {
      const { tasks, lost } = await waiting(
        values.timeout_ms,
        context,
        (waitMs, signal) => member.take({ count, ackWaitMs, waitMs, signal }),
      );
      const told = tasks.length === 0
        ? `No task of ${group} in ${name} in time; take again.`
        : `${counted(tasks.length, "task")} of ${group} in ${name}; plasmite_done ends them.`;
      const gone = lost === 0n ? "" : ` ${lost} were overwritten before they were done.`;
      return {
        summary: told + gone,
        result: {
          tasks: tasks.map(taskOf),
          timed_out: tasks.length === 0,
          ...(lost === 0n ? {} : { lost }),
        },
      };
    });
  },
});
