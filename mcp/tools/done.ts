/**
 * `plasmite_done`.
 *
 * @module
 */

import { choice, optionalBetween, pool, sequence, text } from "../input.ts";
import { closed, field, FLAG, maybe, TEXT, WHOLE } from "../schema.ts";
import { tool } from "../tool.ts";
import { joined } from "../work.ts";

const SAID = { ack: "done", fail: "given back", extend: "yours for longer" } as const;

/** Ends or extends a task. */
export const done = tool({
  name: "plasmite_done",
  title: "End a task",
  description:
    "Say how a task of plasmite_take went: ack when it is done, fail to have it tried again, extend to get more time. Conflict means that its time was over and another has it.",
  needs: "read",
  also: "append",
  waits: false,
  hints: { readOnly: false, destructive: false, idempotent: true },
  input: {
    pool: pool(),
    group: text("Name of the group."),
    seq: sequence("Number of the task's message."),
    token: sequence("The token of the task."),
    outcome: choice(["ack", "fail", "extend"], "How it went."),
    delay_ms: optionalBetween(
      0,
      86_400_000,
      "With fail: when it is tried again, in milliseconds, by default later each time. With extend: how long it is yours from now, default 60000.",
    ),
  },
  pool: "pool",
  missing: "call plasmite_pool_list to see what exists.",
  output: {
    done: field(closed({ seq: field(WHOLE), outcome: field(TEXT), already: maybe(FLAG) })),
  },
  run: async ({ pool: name, group, seq, token, outcome, delay_ms: delay }, { pools }) =>
    // Whether a failure was the last one is decided when the task is taken.
    await joined(pools, name, group, { maxTries: Infinity }, async (member) => {
      const id = Number(token);
      const found = outcome === "ack"
        ? await member.ack(seq, id)
        : outcome === "fail"
        ? await member.fail(seq, id, delay)
        : await member.extend(seq, id, delay);
      return {
        summary: found
          ? `Task ${seq} is ${SAID[outcome]}.`
          : `Task ${seq} was over already: done before, or overwritten.`,
        result: { done: { seq, outcome, ...(found ? {} : { already: true }) } },
      };
    }),
});
