/**
 * Notices that nobody reads stdout any more while there is nothing to write: `follow … | head -1`
 * ends when `head` has what it wants, and not with the next message.
 *
 * Deno cannot ask that. Where `--allow-ffi` is granted already, the system's own `poll` is asked
 * once a second; nobody is asked for the permission.
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

  /** Begins to look, unless stdout is a terminal: that one sends SIGHUP. */
  constructor(context: CommandContext) {
    if (!context.stdout.isTerminal) this.#timer = setInterval(() => void this.#tick(), EVERY);
  }

  /** Aborted with {@linkcode StdoutClosed} once the reader has gone: for everything that waits. */
  get signal(): AbortSignal {
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
    clearInterval(this.#timer);
  }
}
