/**
 * Prompts that show how to use pools: claims among agents, CI status, catching up, watching (see
 * the MCP part of the cookbook).
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

const LEASE = "lease must be a whole number with a unit s, m, h or d, such as 10m";

/** Twice a duration; undefined if it is not one. */
function twice(time: string): string {
  const [, digits, unit] = /^\s*(\d{1,9})([smhd])\s*$/i.exec(time) ?? [];
  return digits === undefined || Number(digits) === 0 ? "" : `${2 * Number(digits)}${unit}`;
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
      const tags = JSON.stringify(["claim", `agent:${agent}`, ...files.map((f) => `file:${f}`)]);
      const claim = JSON.stringify({ agent, files });
      const free = JSON.stringify({ agent, files: [] });
      const none = JSON.stringify(["claim", `agent:${agent}`]);
      return `Coordinate file edits with other agents through the pool "${pool}". Your agent id is "${agent}"; no other agent may use it.

A claim is a message that names every file that its agent holds, in data.files and as tags. A newer claim of the same agent replaces the older one; an empty list means that it holds nothing. A claim counts for ${lease} after it was fed. Feeding it again in that time renews it: the lease on each of its files goes on unbroken, and keeps its place. The place of a lease is the seq of the first claim of the unbroken lease, however often it was renewed. Of two agents that claim the same file, the one whose lease has the lower place was first.

1. Look: call plasmite_read with {"pool":"${pool}","tags":["claim"],"since":"${lease}","latest_by":"agent:","count":200}. Each message is the claim that counts of one agent; data.files is what it holds. NotFound means that nobody has claimed anything yet.
2. If another agent holds one of your files, do not edit it. Call plasmite_wait with {"pool":"${pool}","tags":["claim"],"after_seq":<next_after_seq of step 1>,"timeout_ms":45000} and look again, also after timed_out, or work on something else.
3. Otherwise claim: call plasmite_feed with {"pool":"${pool}","create":true,"tags":${tags},"data":${claim}}. If you already hold other files (your own claim in step 1), add all of them to files and tags: what a claim does not name, it gives up.
4. Another agent may have claimed at the same moment, so check right after claiming: call plasmite_read with {"pool":"${pool}","tags":["claim"],"since":"${
        twice(lease)
      }","count":200}. For each other agent whose newest claim names a file of yours and was fed less than ${lease} before your own newest one, find the place of its lease on that file: go back from its newest claim to the one before it, and so on, while that one names the file too and was fed less than ${lease} before the next. Find your own place in the same way. If a place of theirs is lower than yours for any of your files, or if the answer has omitted or window_incomplete so that you cannot tell, they were first: give your new files up (step 6) and go back to step 2.
5. Edit. Feed the same claim again long before ${lease} have passed, for as long as you need the files. If you were late, the lease is broken: stop editing and do step 4 again.
6. When done, release: call plasmite_feed with {"pool":"${pool}","tags":${none},"data":${free}}. If you still hold other files, feed a claim that names those, and their tags, instead of the empty list.

Never edit a file that you do not hold.`;
    },
    problem: (value) => twice(value("lease", "10m")) === "" ? LEASE : undefined,
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
