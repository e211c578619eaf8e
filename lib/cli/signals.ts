/**
 * Signals that end a command, for commands that have to finish something first.
 *
 * @module
 */

import { pause } from "../timers.ts";
import { heeded, type NumberedSignal } from "./tap_child.ts";

const ENDING: readonly NumberedSignal[] = [
  ["SIGHUP", 1],
  ["SIGINT", 2],
  ["SIGTERM", 15],
];
/** How long the system may take to deliver our own signal, in milliseconds. */
const DELIVERY = 1000;

/** A signal that ends the command. */
export class Stopped extends Error {
  /** The signal. */
  readonly signal: Deno.Signal;
  /** Its number. */
  readonly number: number;

  /** Creates a reason to stop. */
  constructor(signal: Deno.Signal, number: number) {
    super(`stopped by ${signal}`);
    this.signal = signal;
    this.number = number;
  }
}

/** Listens for signals; those that are ignored stay ignored. */
export class Signals implements Disposable {
  readonly #stop = new AbortController();
  readonly #listening: (readonly [Deno.Signal, () => void])[] = [];
  /** Called for each signal. */
  onSignal: ((signal: Deno.Signal) => void) | undefined;

  /** Starts listening. */
  constructor() {
    for (const [signal, number] of heeded(ENDING)) {
      const listener = (): void => {
        this.#stop.abort(new Stopped(signal, number));
        this.onSignal?.(signal);
      };
      Deno.addSignalListener(signal, listener);
      this.#listening.push([signal, listener]);
    }
  }

  /** Aborted with {@linkcode Stopped} at the first signal. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Stops listening. */
  [Symbol.dispose](): void {
    for (const [signal, listener] of this.#listening) Deno.removeSignalListener(signal, listener);
    this.#listening.length = 0;
  }

  /** Ends the process by the signal; returns an exit code if that is not possible. */
  async end({ signal, number }: Stopped): Promise<number> {
    this[Symbol.dispose]();
    try {
      Deno.kill(Deno.pid, signal);
      await pause(DELIVERY);
    } catch {
      // Without --allow-run: then the exit code says it.
    }
    return 128 + number;
  }
}
