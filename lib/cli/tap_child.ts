/**
 * The wrapped command: it is started after signal handlers are installed, gets the signals sent to
 * us, and never outlives us (docs/spec/command-line.md 7).
 *
 * @module
 */

import { hasEveryPermission } from "../environment.ts";
import { messageOf, type PlasmiteError } from "../errors.ts";
import { isSignalHere } from "./interrupts.ts";
import { commandNotFound, commandRefused, findProgram } from "./tap_program.ts";

/** How a child ended. */
export type Ending =
  | { readonly code: number }
  | { readonly signal: string; readonly code: number };

/** Signals that are passed on to the child. */
const FORWARDED: readonly NumberedSignal[] = [
  ["SIGHUP", 1],
  ["SIGINT", 2],
  ["SIGQUIT", 3],
  ["SIGUSR1", 10],
  ["SIGUSR2", 12],
  ["SIGTERM", 15],
];
/** The names that 0.8 prints; all others are `SIG` and the number (docs/spec/command-line.md 7). */
const NAMED: Readonly<Record<number, string>> = {
  2: "SIGINT",
  9: "SIGKILL",
  11: "SIGSEGV",
  15: "SIGTERM",
};

/** How a command is started. */
export interface ChildOptions {
  /** Whether its output goes to ours directly rather than through pipes; default false. */
  readonly inherit?: boolean;
  /** Variables added to its environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A running command. */
export class TapChild {
  readonly #child: Deno.ChildProcess;
  readonly #unlisten: () => void;
  #ended = false;
  /** Resolves when the command itself has ended, even if other processes hold its pipes. */
  readonly ending: Promise<Ending>;

  private constructor(child: Deno.ChildProcess, unlisten: () => void) {
    this.#child = child;
    this.#unlisten = unlisten;
    this.ending = ending(child).finally(() => this.#ended = true);
    this.ending.catch(() => {});
  }

  /**
   * Starts `words` with our stdin; its output comes through pipes unless it is inherited.
   *
   * @throws {PlasmiteError} Usage when there is no such program, Io when it cannot be started
   */
  static start(words: readonly string[], options: ChildOptions = {}): TapChild {
    const [name = "", ...args] = words;
    const program = findProgram(name);
    let child: Deno.ChildProcess | undefined;
    const listening: [Deno.Signal, () => void][] = [];
    const unlisten = (): void => {
      for (const [signal, listener] of listening) Deno.removeSignalListener(signal, listener);
    };
    // Signals that we ignore (nohup, background jobs) are also ignored by the child.
    for (const [signal] of heeded(FORWARDED)) {
      const listener = (): void => {
        if (child !== undefined) sendSignal(child, signal);
      };
      Deno.addSignalListener(signal, listener);
      listening.push([signal, listener]);
    }
    try {
      child = new Deno.Command(program, {
        args,
        stdin: "inherit",
        stdout: options.inherit === true ? "inherit" : "piped",
        stderr: options.inherit === true ? "inherit" : "piped",
        ...(options.env === undefined ? {} : { env: options.env }),
      }).spawn();
    } catch (error) {
      unlisten();
      throw spawnFailure(error, name);
    }
    return new TapChild(child, unlisten);
  }

  /** Its standard output. */
  get stdout(): ReadableStream<Uint8Array> {
    return this.#child.stdout;
  }

  /** Its standard error. */
  get stderr(): ReadableStream<Uint8Array> {
    return this.#child.stderr;
  }

  /** Sends it a signal, unless it has ended. */
  kill(signal: Deno.Signal): void {
    if (!this.#ended) sendSignal(this.#child, signal);
  }

  /** Kills it if it still runs, and stops passing on signals. */
  async release(): Promise<void> {
    if (!this.#ended) {
      this.kill("SIGKILL");
      await this.ending.catch(() => {});
    }
    this.#unlisten();
  }
}

/** Sends a process a signal, unless it has ended. */
export function sendSignal(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch {
    // It has ended in the meantime.
  }
}

/** A signal and its number. */
export type NumberedSignal = readonly [signal: Deno.Signal, number: number];

/** The signals that this system has and this process does not ignore, as far as that is known. */
export function heeded(signals: readonly NumberedSignal[]): readonly NumberedSignal[] {
  const ignored = ignoredSignals();
  return signals.filter(([signal, number]) =>
    isSignalHere(signal) && ((ignored >> BigInt(number - 1)) & 1n) === 0n
  );
}

/** The set of ignored signals, bit 0 for signal 1; empty if unknown. */
function ignoredSignals(): bigint {
  if (Deno.build.os !== "linux" || !hasEveryPermission()) return 0n;
  try {
    const mask = /^SigIgn:\s*([0-9a-f]+)/m.exec(Deno.readTextFileSync("/proc/self/status"))?.[1];
    return mask === undefined ? 0n : BigInt(`0x${mask}`);
  } catch {
    return 0n;
  }
}

/** Resolves when a process has ended. */
export async function ending(child: Deno.ChildProcess): Promise<Ending> {
  try {
    const { code, signal } = await child.status;
    return signal === null ? { code } : ended(code - 128);
  } catch (error) {
    // Killed by a real-time signal, for which Deno throws.
    const number = error instanceof Error && /^Invalid signal: (\d+)$/.exec(error.message)?.[1];
    if (!number) throw error;
    return ended(Number(number));
  }
}

function ended(signal: number): Ending {
  return { signal: NAMED[signal] ?? `SIG${signal}`, code: 128 + signal };
}

function spawnFailure(error: unknown, program: string): PlasmiteError {
  const causes = [messageOf(error)];
  return error instanceof Deno.errors.NotFound
    ? commandNotFound(program, causes, error)
    : commandRefused(causes, error);
}
