/**
 * `--exec`: runs a command for each message until it succeeds; messages that fail too often go to
 * the dead pool (docs/spec/coordination.md 2 and 13.6).
 *
 * @module
 */

import type { Cursor } from "../backend/coordination.ts";
import { storedOf } from "../backend/frames.ts";
import type { StoredFrame, Walk } from "../backend/types.ts";
import { retryDelayMs } from "../coordination/group_record.ts";
import { pause } from "../timers.ts";
import type { CommandContext } from "./context.ts";
import { printNotice } from "./notices.ts";
import type { Delivery } from "./cursor_delivery.ts";
import type { Signals } from "./signals.ts";
import { endingText, isDone, startTask } from "./task_process.ts";

/** How to run the command. */
export interface ExecOptions {
  /** The shell command. */
  readonly command: string;
  /** The number of failures after which to give up on a message. */
  readonly maxTries: number;
  /** The dead pool; defaults to the pool's own. */
  readonly dead: string | undefined;
  /** The pool's name in notices. */
  readonly path: string;
}

/** Delivers each message to a command. */
export class ExecDelivery implements Delivery {
  readonly isFull = false;
  readonly isHolding = false;
  readonly #context: CommandContext;
  readonly #cursor: Cursor;
  readonly #options: ExecOptions;
  readonly #signals: Signals;

  /** Prepares to run the command of `options`. */
  constructor(context: CommandContext, cursor: Cursor, options: ExecOptions, signals: Signals) {
    this.#context = context;
    this.#cursor = cursor;
    this.#options = options;
    this.#signals = signals;
  }

  async take(walk: Walk): Promise<void> {
    const message = storedOf(walk.frame);
    const { seq, timestampNs } = message;
    this.#cursor.deliver(seq, timestampNs);
    for (let tries = 1;; tries++) {
      if (await this.#run(message, tries)) {
        await this.#cursor.ack(seq);
        return;
      }
      this.#signals.signal.throwIfAborted();
      if (tries >= this.#options.maxTries) return await this.#bury(message, tries);
      await pause(retryDelayMs(tries), this.#signals.signal);
    }
  }

  flush(): void {}

  async acknowledged(): Promise<void> {}

  /** Runs the command once; returns whether it succeeded. */
  async #run(message: StoredFrame, tries: number): Promise<boolean> {
    const task = startTask(["/bin/sh", "-c", this.#options.command], message);
    // As with any wrapper, the command gets the first chance to handle a signal.
    this.#signals.onSignal = (signal) => task.kill(signal);
    const ended = await task.ending;
    this.#signals.onSignal = undefined;
    if (isDone(ended)) return true;
    this.#notice(
      "task_failed",
      `Message ${message.seq} failed: ${endingText(ended)}.`,
      message,
      tries,
    );
    return false;
  }

  async #bury(message: StoredFrame, tries: number): Promise<void> {
    const { dead } = this.#options;
    await this.#cursor.bury(message, dead);
    const times = tries === 1 ? "once" : `${tries} times`;
    const text = `Message ${message.seq} failed ${times} and was moved to the dead pool.`;
    this.#notice("dead_letter", text, message, tries);
  }

  #notice(kind: string, message: string, { seq }: StoredFrame, tries: number): void {
    printNotice(this.#context, {
      kind,
      message,
      pool: this.#context.args.required("POOL"),
      details: { cursor: this.#cursor.name, pool_path: this.#options.path, seq, tries },
    });
  }
}
