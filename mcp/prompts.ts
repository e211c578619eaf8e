/**
 * Prompts that show how to use pools: claims among agents, CI status, catching up, mail, work queues,
 * watching.
 *
 * @module
 */

/** An argument of a prompt. */
interface PromptArgument {
  readonly name: string;
  readonly description: string;
  readonly required: boolean;
}

/** A prompt as `prompts/list` shows it, and its text. */
interface Prompt {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly arguments: readonly PromptArgument[];
  readonly text: (value: Value) => string;
  /** The problem with the arguments. */
  readonly problem?: (value: Value) => string | undefined;
}

/** The value of an argument, or a default. */
type Value = (name: string, other: string) => string;

const LEASE = "lease must be a whole number with a unit s, m, h or d, from 1s to 1d, such as 10m";

const UNITS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A lease in milliseconds; undefined if it is not one. */
function leaseMs(time: string): number | undefined {
  const [, digits, unit = ""] = /^\s*(\d{1,9})([smhd])\s*$/i.exec(time) ?? [];
  const ms = Number(digits) * (UNITS[unit.toLowerCase()] ?? NaN);
  return ms >= 1_000 && ms <= 86_400_000 ? ms : undefined;
}

/** The name of an agent's cursor: names of cursors are more limited than those of agents. */
function cursorOf(agent: string): string {
  const name = agent.toLowerCase().replace(/[^a-z0-9._-]/g, "-").replace(/^[^a-z0-9]/, "a");
  return name.slice(0, 60).replace(/\.tmp$/, "-tmp");
}

function argument(name: string, description: string, required = false): PromptArgument {
  return { name, description, required };
}

const PROMPTS: readonly Prompt[] = [
  {
    name: "claim_files",
    title: "Claim files before editing",
    description:
      "Coordinate with other agents: see which files are claimed, claim yours, release them.",
    arguments: [
      argument("agent", "Your own id among the agents, such as amp-1", true),
      argument("files", "The files you want to edit, separated by commas", true),
      argument("pool", "Pool of the claims, default claims"),
      argument("lease", "How long a claim counts without renewal, default 10m"),
    ],
    text: (value) => {
      const agent = value("agent", "agent-1");
      const pool = value("pool", "claims");
      const lease = value("lease", "10m");
      const files = value("files", "").split(",").map((file) => file.trim()).filter((file) => file);
      const keys = JSON.stringify(files);
      const holder = JSON.stringify(agent);
      const name = JSON.stringify(pool);
      const common = `"pool":${name},"keys":${keys},"holder":${holder}`;
      const ms = leaseMs(lease) ?? 0;
      return `Coordinate file edits with other agents through the pool "${pool}". Your agent id is "${agent}"; no other agent may use it. A claim holds files for ${lease} unless it is renewed, and no two agents hold the same file at the same time.

1. Claim: call plasmite_claim with {${common},"action":"claim","ttl_ms":${ms},"create":true}. You get all of the files or none. Keep claim.token of the answer.
2. The error Busy means that another agent (holder) has one of them (key) until the time it names: do not edit any of these files. Call again with "timeout_ms":45000 to wait, or work on something else.
3. Edit. Long before ${lease} have passed, and for as long as you need the files, call plasmite_claim with {${common},"action":"renew","token":<token>}. That keeps your place: the lease is unbroken from its first claim on. The error Conflict means that the claim is lost: stop editing and go back to step 1.
4. When done, call plasmite_claim with {${common},"action":"release","token":<token>}.

For more files later, claim just those, and keep their token beside the first: what you still hold stays yours. Never edit a file that you do not hold.`;
    },
    problem: (value) => leaseMs(value("lease", "10m")) === undefined ? LEASE : undefined,
  },
  {
    name: "ci_status",
    title: "Follow CI status",
    description:
      "Split of work for CI: the pipeline writes its status, agents read and wait for it.",
    arguments: [
      argument("pool", "Pool the pipeline writes to, default ci"),
      argument("commit", "Only the status of this commit"),
    ],
    text: (value) => {
      const pool = value("pool", "ci");
      const commit = value("commit", "");
      const where = commit === ""
        ? ""
        : `,"where":${JSON.stringify(`.data.commit == ${JSON.stringify(commit)}`)}`;
      return `Find out how CI stands from the pool "${pool}". The CI pipeline is the only writer: it appends one message per event, for example with the tag build and the data {"status":"green","commit":"a1b2c3d","suite":"unit"}. You only read.

1. Latest status: call plasmite_read with {"pool":"${pool}","count":1${where}}. NotFound means that the pipeline has not run yet.
2. If the run has not ended, wait instead of reading again: call plasmite_wait with {"pool":"${pool}","after_seq":<next_after_seq>,"timeout_ms":45000${where}}. With timed_out true call it again with the new next_after_seq.
3. Newest status of each suite: call plasmite_read with {"pool":"${pool}","latest_by":".data.suite"${where}}.
4. Go on when data.status is "green". When it is "red", report the message and look for details in the messages before it (after_seq slightly lower).

Do not feed messages to "${pool}".`;
    },
  },
  {
    name: "catch_up",
    title: "Catch up on a pool",
    description: "Summarise what happened in a pool lately.",
    arguments: [
      argument("pool", "Pool to catch up on", true),
      argument("since", "How far back, default 1h"),
    ],
    text: (value) => {
      const pool = value("pool", "");
      const since = value("since", "1h");
      return `Catch up on the pool "${pool}".

1. Call plasmite_read with {"pool":"${pool}","since":"${since}","count":200}.
2. If the answer has omitted or cut, follow its note for what matters. With window_incomplete a part of the time is gone, since older messages were overwritten: say so.
3. Summarise in a few lines: who wrote what, what changed, what is unresolved. Name sequence numbers for what you refer to.`;
    },
  },
  {
    name: "mailbox",
    title: "Read and send mail",
    description: "Messages between agents that are neither lost nor read twice.",
    arguments: [
      argument("agent", "Your own id among the agents, such as amp-1", true),
      argument("pool", "Pool of the mail, default mail"),
    ],
    text: (value) => {
      const agent = value("agent", "agent-1");
      const pool = JSON.stringify(value("pool", "mail"));
      const box = `"cursor":"${cursorOf(agent)}","tags":${JSON.stringify([`to:${agent}`])}`;
      return `Exchange messages with other agents through the pool ${pool}. Your agent id is "${agent}". A message to an agent has the tag to:ID.

1. Read your mail: call plasmite_wait with {"pool":${pool},${box},"timeout_ms":45000}. The pool remembers how far you are, also when you are started again.
2. Deal with the messages in order.
3. Only then call plasmite_wait with {"pool":${pool},${box},"ack_seq":<next_after_seq>,"timeout_ms":45000}: this acknowledges what you have dealt with, and waits for more. What is not acknowledged comes again. After timed_out do the same.
4. To write, call plasmite_feed with {"pool":${pool},"create":true,"tags":${
        JSON.stringify([`from:${agent}`])
      },"id":<a name for this message>,"data":{"text":<what you want to say>}}, adding the tag to:ID of the one you write to. The id makes it safe to repeat the call. For an answer, use an id made of the number of the message that you answer, such as "${agent}-re-7".
5. If fell_behind is true, messages were overwritten before you read them: say so.`;
    },
  },
  {
    name: "work_queue",
    title: "Work on a queue",
    description: "Share tasks among agents: each task is done by one of them.",
    arguments: [
      argument("pool", "Pool of the tasks, default tasks"),
      argument("group", "Name of the group that shares them, default workers"),
    ],
    text: (value) => {
      const pool = JSON.stringify(value("pool", "tasks"));
      const group = JSON.stringify(value("group", "workers"));
      return `Work on the tasks in the pool ${pool} together with the other agents of the group ${group}. Each message is a task, and one agent has it at a time.

1. Take: call plasmite_take with {"pool":${pool},"group":${group},"timeout_ms":45000,"ack_wait_ms":600000}. With timed_out true there is nothing to do: take again.
2. Do the task. Its time is over at until: if you need longer, call plasmite_done with {"pool":${pool},"group":${group},"seq":<seq of its message>,"token":<its token>,"outcome":"extend","delay_ms":600000} before. The error Conflict means that another agent has it now: drop it.
3. When it is done, call plasmite_done with {"pool":${pool},"group":${group},"seq":<seq of its message>,"token":<its token>,"outcome":"ack"}. If you cannot do it, use "outcome":"fail": it is tried again later, and goes to the pool NAME.dead after five tries. tries says which one this is; after a crash a task may come again that was done already, so check its effect first when tries is above 1.
4. Go back to step 1.

To add a task, call plasmite_feed with {"pool":${pool},"create":true,"id":<a name for the task>,"data":{"task":<what is to be done>}}.`;
    },
  },
  {
    name: "watch_pool",
    title: "Watch a pool",
    description: "React to new messages of a pool without missing or repeating one.",
    arguments: [
      argument("pool", "Pool to watch", true),
      argument("tags", "Only messages with all of these tags, separated by commas"),
    ],
    text: (value) => {
      const pool = value("pool", "");
      const tags = value("tags", "").split(",").map((tag) => tag.trim()).filter((tag) => tag);
      const filter = tags.length === 0 ? "" : `,"tags":${JSON.stringify(tags)}`;
      return `Watch the pool "${pool}" and react to every new message.

1. Call plasmite_wait with {"pool":"${pool}","timeout_ms":45000${filter}}.
2. Handle the messages in order.
3. Call plasmite_wait again with "after_seq" set to next_after_seq of the answer, also after timed_out. So nothing is missed between two calls and nothing comes twice.
4. If fell_behind is true, messages were overwritten before you read them: say so.`;
    },
  },
];

/** The prompts as `prompts/list` shows them. */
export function listPrompts(): {
  name: string;
  title: string;
  description: string;
  arguments: PromptArgument[];
}[] {
  return PROMPTS.map(({ name, title, description, arguments: args }) => ({
    name,
    title,
    description,
    arguments: [...args],
  }));
}

/** The text of a prompt, or the problem with the request. */
export function promptText(
  name: string,
  given: { readonly [name: string]: string },
): { readonly description: string; readonly text: string } | { readonly problem: string } {
  const prompt = PROMPTS.find((one) => one.name === name);
  if (prompt === undefined) {
    return {
      problem: `unknown prompt ${name}; there are ${PROMPTS.map((p) => p.name).join(", ")}`,
    };
  }
  const missing = prompt.arguments.find((one) => one.required && !given[one.name]);
  if (missing !== undefined) {
    return { problem: `prompt ${name} needs the argument ${missing.name}` };
  }
  const value: Value = (key, other) =>
    (Object.hasOwn(given, key) ? given[key] : undefined) || other;
  const problem = prompt.problem?.(value);
  if (problem !== undefined) return { problem: `prompt ${name}: ${problem}` };
  return { description: prompt.description, text: prompt.text(value) };
}
