/**
 * A line on a terminal that says how far long work has come; silent everywhere else.
 *
 * @module
 */

import type { CommandContext } from "./context.ts";

/** Nothing is shown for work that is done sooner, in milliseconds. */
const PATIENCE = 1000;
/** Pause between two updates, in milliseconds. */
const EVERY = 200;

/** Counts messages and, where the total is known, bytes or messages of it. */
export class Progress {
  readonly #context: CommandContext;
  readonly #verb: string;
  readonly #total: number;
  readonly #since = performance.now();
  #next = this.#since + PATIENCE;
  #shown = false;

  /**
   * @param verb what is done: `fed`, `exported`
   * @param total the amount that is all of it; 0 when that is not known
   */
  constructor(context: CommandContext, verb: string, total: number) {
    this.#context = context;
    this.#verb = verb;
    this.#total = total;
  }

  /** Whether there is anyone to see it. */
  static visible(context: CommandContext): boolean {
    return context.stderr.isTerminal && !context.stdout.isTerminal;
  }

  /** Says how many messages are done, and how much of the total. */
  update(messages: number, done: number): void {
    this.say((seconds) => {
      const rate = Math.round(messages / seconds).toLocaleString("en-US");
      const share = this.#total > 0 ? ` ${Math.floor(100 * done / this.#total)}%` : "";
      return `${this.#verb} ${messages.toLocaleString("en-US")} messages${share} (${rate}/s)`;
    });
  }

  /** Shows a line if it is time, made from the seconds since the beginning. */
  say(line: (seconds: number) => string): void {
    const now = performance.now();
    if (now < this.#next) return;
    this.#next = now + EVERY;
    this.#shown = true;
    this.#context.stderr.text(`\r\x1b[K${line((now - this.#since) / 1000)}`);
  }

  /** Wipes the line. */
  end(): void {
    if (this.#shown) this.#context.stderr.text("\r\x1b[K");
  }
}
