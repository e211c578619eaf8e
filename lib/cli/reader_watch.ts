/**
 * Notices that nobody reads stdout any more while there is nothing to write: `follow … | head -1`
 * ends when `head` has what it wants, and not with the next message.
 *
 * Deno cannot ask that. Where `--allow-ffi` is granted already, the system's own `poll` is asked
 * once a second; nobody is asked for the permission. It begins with the first wait, because the
 * first timer of a process costs five milliseconds (Deno loads a part of Node for it).
 *
 * @module
 */

import type { CommandContext } from "./context.ts";
import { StdoutClosed } from "./output.ts";

/** How often to look, in milliseconds. */
const EVERY = 1000;

/** Looks while a command may be idle. */
export class ReaderWatch implements Disposable {
  readonly #gone = new AbortController();
  #timer: ReturnType<typeof setInterval> | undefined;
  #look: (() => boolean) | null | undefined;
  readonly #context: CommandContext;

  /** Does not look yet. */
  constructor(context: CommandContext) {
    this.#context = context;
  }

  /**
   * Begins to look, unless stdout is a terminal: that one sends SIGHUP.
   *
   * @returns a signal for everything that waits, aborted with {@linkcode StdoutClosed} once the
   *   reader has gone
   */
  begin(): AbortSignal {
    if (this.#timer === undefined && !this.#context.stdout.isTerminal) {
      this.#timer = setInterval(() => void this.#tick(), EVERY);
    }
    return this.#gone.signal;
  }

  async #tick(): Promise<void> {
    // Loaded a second after the start: what ends sooner does not pay for it.
    if (this.#look === undefined) {
      this.#look = null;
      this.#look = (await import("./poll.ts")).stdoutPoll();
    }
    if (this.#look?.() === true) this.#gone.abort(new StdoutClosed());
  }

  /** Looks no more. */
  [Symbol.dispose](): void {
    if (this.#timer !== undefined) clearInterval(this.#timer);
  }
}
