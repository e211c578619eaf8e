/**
 * Notices that the reader of stdout is gone while there is nothing to write: `follow … | head -1`
 * ends with `head`, and not with the next message.
 *
 * Deno cannot check this. If `--allow-ffi` is granted already, `poll` of the system is called once
 * a second. It starts with the first wait, because the first timer of a process costs five
 * milliseconds (Deno loads a part of Node for it).
 *
 * @module
 */

import type { CommandContext } from "./context.ts";
import { StdoutClosed } from "./output.ts";

/** How often to check, in milliseconds. */
const EVERY = 1000;

/** Checks the reader of stdout while a command is idle. */
export class ReaderWatch implements Disposable {
  readonly #gone = new AbortController();
  #timer: ReturnType<typeof setInterval> | undefined;
  #look: (() => boolean) | null | undefined;
  readonly #context: CommandContext;

  /** Creates a watch that has not started. */
  constructor(context: CommandContext) {
    this.#context = context;
  }

  /**
   * Starts checking, unless stdout is a terminal, which sends SIGHUP.
   *
   * @returns a signal that is aborted with {@linkcode StdoutClosed} when the reader is gone
   */
  begin(): AbortSignal {
    if (this.#timer === undefined && !this.#context.stdout.isTerminal) {
      this.#timer = setInterval(() => void this.#tick(), EVERY);
    }
    return this.#gone.signal;
  }

  async #tick(): Promise<void> {
    // Loaded a second after the start, so that shorter commands do not pay for it.
    if (this.#look === undefined) {
      this.#look = null;
      this.#look = (await import("./poll.ts")).stdoutPoll();
    }
    if (this.#look?.() === true) this.#gone.abort(new StdoutClosed());
  }

  /** Stops checking. */
  [Symbol.dispose](): void {
    if (this.#timer !== undefined) clearInterval(this.#timer);
  }
}
