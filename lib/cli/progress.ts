/**
 * A progress line on a terminal; nothing elsewhere.
 *
 * @module
 */

import type { CommandContext } from "./context.ts";

/** The time before the line is shown, in milliseconds. */
const PATIENCE = 1000;
/** Pause between two updates, in milliseconds. */
const EVERY = 200;

/** Shows the number of messages and, if the total is known, the share of it. */
export class Progress {
  readonly #context: CommandContext;
  readonly #verb: string;
  readonly #total: number;
  readonly #since = performance.now();
  #next = this.#since + PATIENCE;
  #shown = false;

  /**
   * @param verb the kind of work: `fed`, `exported`
   * @param total the total amount; 0 if unknown
   */
  constructor(context: CommandContext, verb: string, total: number) {
    this.#context = context;
    this.#verb = verb;
    this.#total = total;
  }

  /** Whether stderr is a terminal. */
  static visible(context: CommandContext): boolean {
    return context.stderr.isTerminal && !context.stdout.isTerminal;
  }

  /** Updates the number of messages, and the amount of the total. */
  update(messages: number, done: number): void {
    this.say((seconds) => {
      const rate = Math.round(messages / seconds).toLocaleString("en-US");
      const share = this.#total > 0 ? ` ${Math.floor(100 * done / this.#total)}%` : "";
      return `${this.#verb} ${messages.toLocaleString("en-US")} messages${share} (${rate}/s)`;
    });
  }

  /** Shows a line if it is time; its argument is the number of seconds since the start. */
  say(line: (seconds: number) => string): void {
    const now = performance.now();
    if (now < this.#next) return;
    this.#next = now + EVERY;
    this.#shown = true;
    this.#context.stderr.text(`\r\x1b[K${line((now - this.#since) / 1000)}`);
  }

  /** Clears the line. */
  end(): void {
    if (this.#shown) this.#context.stderr.text("\r\x1b[K");
  }
}
