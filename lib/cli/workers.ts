/**
 * The jobs of one worker of a group: each takes a message, runs the command and reports the result
 * (docs/spec/coordination.md 8.1).
 *
 * @module
 */

import type { Group, HandedTask, TakenTasks } from "../backend/coordination.ts";
import { ErrorKind, messageOf, PlasmiteError } from "../errors.ts";
import { pause } from "../timers.ts";
import type { Awaitable } from "../types.ts";
import type { CommandContext } from "./context.ts";
import { noticeOutage, printNotice } from "./notices.ts";
import type { OutagePatience } from "./outage.ts";
import type { Signals } from "./signals.ts";
import { endingText, isDone, startTask, type TaskProcess } from "./task_process.ts";

/** How long one call waits for a message, in milliseconds. */
const WAIT = 1000;
/** How often to check whether the other workers are done, in milliseconds. */
const ASK_EVERY = 100;
/** How long a command may take to exit after losing its message, in milliseconds. */
const LAST_WORDS = 10_000;

/** Options of a worker. */
export interface WorkOptions {
  readonly words: readonly [string, ...string[]];
  readonly jobs: number;
  readonly ackWaitMs: number;
  /** How long to wait for a message, in milliseconds. */
  readonly timeoutMs: number;
  /** Whether to stop when everything is done. */
  readonly drain: boolean;
  /** The pool's name in notices. */
  readonly path: string;
  /** Whether the pool is on a server, which may be away for a while. */
  readonly isRemote: boolean;
}

/** All jobs of one worker. */
export class Workers {
  readonly #context: CommandContext;
  readonly #group: Group;
  readonly #options: WorkOptions;
  readonly #signals: Signals;
  /** Aborted when no more messages should be taken. */
  readonly #done = new AbortController();
  readonly #running = new Set<TaskProcess>();
  /** Null for pools in files. */
  #patience: OutagePatience | null = null;
  #timedOut = false;
  /** When a message was last taken or a command last ended. */
  #last = performance.now();

  /** Prepares to work in `group`. */
  constructor(context: CommandContext, group: Group, options: WorkOptions, signals: Signals) {
    this.#context = context;
    this.#group = group;
    this.#options = options;
    this.#signals = signals;
  }

  /** Works until a signal arrives, everything is done, or no message arrives in time. */
  async run(): Promise<"done" | "timeout"> {
    let stopped = false;
    this.#signals.onSignal = (signal) => {
      // The first signal lets running commands finish; the next is forwarded to them.
      if (stopped) { for (const task of this.#running) task.kill(signal); }
      stopped = true;
      this.#done.abort();
    };
    if (this.#signals.signal.aborted) this.#done.abort();
    await this.#prepare();
    const jobs = Array.from({ length: this.#options.jobs }, () => this.#job());
    const results = await Promise.allSettled(jobs);
    for (const result of results) if (result.status === "rejected") throw result.reason;
    return this.#timedOut ? "timeout" : "done";
  }

  async #prepare(): Promise<void> {
    const { drain, isRemote, path } = this.#options;
    if (!isRemote || drain) return;
    const { OutagePatience } = await import("./outage.ts");
    this.#patience = new OutagePatience(
      this.#done.signal,
      (error) => noticeOutage(this.#context, { path }, error),
    );
  }

  /** Calls the group, again and again while its server is away. */
  #call<T>(work: () => Awaitable<T>, mostMs?: number): Awaitable<T> {
    return this.#patience === null ? work() : this.#patience.run(work, mostMs);
  }

  /** Takes messages one at a time. */
  async #job(): Promise<void> {
    try {
      while (!this.#done.signal.aborted) {
        const taken = await this.#take();
        if (taken === null) return;
        for (const task of taken.tasks) await this.#work(task);
        if (taken.tasks.length === 0) await this.#rest(taken);
      }
    } catch (error) {
      this.#done.abort(); // The other jobs finish their current messages.
      throw error;
    }
  }

  /** Takes a message; null if no more should be taken. */
  async #take(): Promise<TakenTasks | null> {
    const { ackWaitMs, drain, timeoutMs } = this.#options;
    // The time-out does not apply while a command runs.
    const left = this.#running.size > 0
      ? Infinity
      : Math.max(0, this.#last + timeoutMs - performance.now());
    const { signal } = this.#done;
    try {
      const taken = await this.#call(() =>
        this.#group.take({
          count: 1,
          ackWaitMs,
          waitMs: drain ? 0 : Math.min(WAIT, left),
          signal,
        }), left);
      if (taken.tasks.length > 0) this.#last = performance.now();
      if (taken.lost > 0n) this.#lost(taken.lost);
      return taken;
    } catch (error) {
      if (signal.aborted && (error === signal.reason || this.#patience?.covers(error) === true)) {
        return null;
      }
      throw error;
    }
  }

  /** Handles the absence of a message: stops if everything is done, otherwise waits. */
  async #rest({ idle }: TakenTasks): Promise<void> {
    const { drain, timeoutMs } = this.#options;
    if (drain && idle) return this.#done.abort();
    if (this.#running.size === 0 && performance.now() - this.#last >= timeoutMs) {
      this.#timedOut = true;
      return this.#done.abort();
    }
    if (drain) await pause(ASK_EVERY, this.#done.signal).catch(() => {});
  }

  /** Runs the command for a message. */
  async #work(task: HandedTask): Promise<void> {
    const { message, token, tries } = task;
    const process = startTask(this.#options.words, message, {
      PLASMITE_TOKEN: String(token),
      PLASMITE_TRIES: String(tries),
    });
    this.#running.add(process);
    const ended = new AbortController();
    const extending = this.#extend(task, process, ended.signal);
    try {
      const ending = await process.ending;
      ended.abort();
      if (await extending) return; // Another worker has it now.
      const done = isDone(ending);
      if (!done) {
        this.#tell("task_failed", `Message ${message.seq} failed: ${endingText(ending)}.`, task);
      }
      await this.#settle(task, done);
    } finally {
      ended.abort();
      this.#running.delete(process);
      this.#last = performance.now();
    }
  }

  async #settle(task: HandedTask, done: boolean): Promise<void> {
    const { message: { seq }, token } = task;
    try {
      await this.#call<unknown>(() =>
        done ? this.#group.ack(seq, token) : this.#group.fail(seq, token)
      );
    } catch (error) {
      if (!PlasmiteError.is(error, ErrorKind.Conflict)) throw error;
      this.#tellLost(task);
    }
  }

  /**
   * Extends a task while its command runs.
   *
   * @returns whether the task was lost to another worker, in which case the command is stopped
   */
  async #extend(task: HandedTask, process: TaskProcess, ended: AbortSignal): Promise<boolean> {
    const { ackWaitMs } = this.#options;
    for (;;) {
      try {
        await pause(ackWaitMs / 3, ended);
      } catch {
        return false;
      }
      if (await this.#isKept(task)) continue;
      this.#tellLost(task);
      process.kill("SIGTERM");
      await pause(LAST_WORDS, ended).then(() => process.kill("SIGKILL"), () => {});
      return true;
    }
  }

  /** Extends a task once; false if another worker has taken or completed it. */
  async #isKept(task: HandedTask): Promise<boolean> {
    const { message: { seq }, token } = task;
    try {
      return await this.#group.extend(seq, token, this.#options.ackWaitMs);
    } catch (error) {
      if (PlasmiteError.is(error, ErrorKind.Conflict)) return false;
      this.#tell("extend_failed", `Message ${seq}: ${messageOf(error)}.`, task);
      return true; // The error may be temporary; if not, another worker gets the message.
    }
  }

  #tellLost(task: HandedTask): void {
    const { seq } = task.message;
    const text = `Message ${seq} took too long and was handed to another worker.`;
    this.#tell("task_lost", text, task);
  }

  #tell(kind: string, message: string, { message: { seq }, tries }: HandedTask): void {
    printNotice(this.#context, {
      kind,
      message,
      pool: this.#context.args.required("POOL"),
      details: { group: this.#group.name, pool_path: this.#options.path, seq, tries },
    });
  }

  #lost(count: bigint): void {
    printNotice(this.#context, {
      kind: "drop",
      message: `dropped ${count} message${count === 1n ? "" : "s"}`,
      pool: this.#context.args.required("POOL"),
      details: {
        dropped_count: count,
        group: this.#group.name,
        pool_path: this.#options.path,
      },
    });
  }
}
