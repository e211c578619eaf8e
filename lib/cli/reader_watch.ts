/**
 * Notices that the reader of stdout is gone while there is nothing to write: `follow … | head -1`
 * ends with `head`, and not with the next message.
 *
 * Deno cannot check this. If `--allow-ffi` is granted already, `poll` of the system is called once
 * a second, where stdout may have a reader: that call makes Deno touch 3 MB of its code.
 *
 * @module
 */

import { every } from "../timers.ts";
import type { CommandContext } from "./context.ts";
import { StdoutClosed } from "./output.ts";

/** How often to check, in milliseconds. */
const EVERY = 1000;

/** Checks the reader of stdout while a command is idle. */
export class ReaderWatch implements Disposable {
  readonly #gone = new AbortController();
  #stop: (() => void) | undefined;
  #look: (() => boolean) | null | undefined;
  readonly #context: CommandContext;

  /** Creates a watch that has not started. */
  constructor(context: CommandContext) {
    this.#context = context;
  }

  /**
   * Starts checking, unless nobody reads stdout, or a terminal does, which sends SIGHUP.
   *
   * @returns a signal that is aborted with {@linkcode StdoutClosed} when the reader is gone
   */
  begin(): AbortSignal {
    this.#stop ??= this.#context.stdout.stream.isRead
      ? every(EVERY, () => void this.#tick())
      : () => {};
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
    this.#stop?.();
  }
}
