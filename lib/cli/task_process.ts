/**
 * A process that works on one message: the message on its stdin, what it is in its environment
 * (docs/spec/coordination.md 2, 8.1 and 13.8).
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import type { StoredFrame } from "../backend/types.ts";
import { messageOf } from "../errors.ts";
import { MessageView } from "../lite3/message.ts";
import { printEnvelope } from "../text/envelope.ts";
import { type Ending, ending, sendSignal } from "./tap_child.ts";

/** With longer tags a command could not be started. */
const LONGEST_TAGS = 64 * 1024;

/** How a task ended. */
export type TaskEnding = Ending | { readonly failure: string };

/** Whether a task was done. */
export function isDone(one: TaskEnding): boolean {
  return "code" in one && one.code === 0;
}

/** How a task ended, in words. */
export function endingText(one: TaskEnding): string {
  if ("failure" in one) return one.failure;
  return "signal" in one ? one.signal : `exit ${one.code}`;
}

/** A process at work. */
export interface TaskProcess {
  /** Resolves when it has ended, or could not be started. */
  readonly ending: Promise<TaskEnding>;
  /** Sends it a signal, unless it has ended. */
  kill(signal: Deno.Signal): void;
}

/**
 * Starts a process for a message.
 *
 * @param words the program and its arguments
 * @param more further variables for its environment
 * @throws {Deno.errors.NotCapable} without permission to run programs
 */
export function startTask(
  words: readonly [string, ...string[]],
  message: StoredFrame,
  more: Readonly<Record<string, string>> = {},
): TaskProcess {
  const view = new MessageView().openStored(message);
  const [program, ...args] = words;
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, {
      args,
      stdin: "piped",
      stdout: "inherit",
      stderr: "inherit",
      ...environmentOf(view, more),
    }).spawn();
  } catch (error) {
    // That is no message's fault: none may be given up for it.
    if (error instanceof Deno.errors.NotCapable) throw error;
    return { ending: Promise.resolve({ failure: messageOf(error) }), kill: () => {} };
  }
  let hasEnded = false;
  const ended = ending(child).finally(() => hasEnded = true);
  void hand(child, view);
  return {
    ending: ended,
    kill: (signal) => {
      if (!hasEnded) sendSignal(child, signal);
    },
  };
}

/** Gives the message to the process, which need not read it. */
async function hand(child: Deno.ChildProcess, view: MessageView): Promise<void> {
  const json = new Buf(4096);
  printEnvelope(view, json);
  json.reserve(1);
  json.dv.setUint8(json.len++, 0x0a);
  const writer = child.stdin.getWriter();
  try {
    await writer.write(json.bytes());
    await writer.close();
  } catch {
    // It has ended, or has closed its stdin.
  }
}

function environmentOf(
  view: MessageView,
  more: Readonly<Record<string, string>>,
): { readonly env: Record<string, string>; readonly clearEnv?: boolean } {
  const tags = JSON.stringify(view.tags());
  const fits = new TextEncoder().encode(tags).length <= LONGEST_TAGS;
  const env = {
    ...more,
    PLASMITE_SEQ: String(view.seq),
    ...(fits ? { PLASMITE_TAGS: tags } : { PLASMITE_TAGS_OMITTED: "1" }),
  };
  // A command that runs this program for messages of its own must not see those of another.
  const stale = fits ? "PLASMITE_TAGS_OMITTED" : "PLASMITE_TAGS";
  try {
    if (!Deno.env.has(stale)) return { env };
    const { [stale]: _, ...inherited } = Deno.env.toObject();
    return { env: { ...inherited, ...env }, clearEnv: true };
  } catch {
    return { env }; // Without permission to read variables.
  }
}
