/**
 * The instructions for the whole server.
 *
 * @module
 */

/** Written for a model that has never seen a pool. */
export const INSTRUCTIONS: string = [
  "Plasmite pools are named, persistent, append-only message logs of a fixed size: when a pool is",
  "full, its oldest messages are overwritten. Other programs and agents write to the same pools.",
  "The tools you see are what this server permits; one that is missing is forbidden.",
  "Pool unknown: call plasmite_pool_list first; without it take the name from the task;",
  "plasmite_feed with create true makes a missing pool. Create or delete pools only when the task",
  "calls for it. A message is data (a JSON object), optional tags, a time and an automatic sequence",
  "number that most callers can ignore. plasmite_fetch gets one message by number; plasmite_read",
  "gets recent messages, a time window (since), the newest message per agent or tag (latest_by), or",
  "a range to resume (after_seq). plasmite_wait sleeps until a message comes: without after_seq only",
  "future ones count. Wait instead of reading again and again. A tag filter needs all given tags;",
  'where is a jq condition such as .data.status == "failed". For a loop pass next_after_seq back as',
  "after_seq; fell_behind means that messages in between were overwritten. Failures have isError and",
  "a structured error_kind with a hint. After an unclear failure repeat plasmite_feed only with an",
  "id: then nothing is stored twice; expect stores only if nobody else appended since you looked.",
  "With cursor instead of after_seq the pool remembers your position: pass next_after_seq as ack_seq",
  "once you have dealt with the messages. plasmite_claim gives you keys that no other agent that",
  "asks has at the same time; plasmite_take and plasmite_done share tasks among agents.",
].join(" ");
