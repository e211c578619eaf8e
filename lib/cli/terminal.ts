/**
 * The terminal while a command reads single keys from it: it is given back as it was, however the
 * command ends, and taken again after Ctrl-Z.
 *
 * @module
 */

import { standardInput } from "../stdio.ts";

/** Signals whose default would end the process while the terminal is still raw. */
const DEADLY: readonly Deno.Signal[] = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"];

/** What the command does at these moments. */
export interface TerminalEvents {
  /** Before the terminal is given back: remove what is shown. */
  readonly leave?: () => void;
  /** After the terminal was taken again: show it. */
  readonly enter?: () => void;
  /** When its size has changed. */
  readonly resized?: () => void;
  /** On Ctrl-C, which otherwise ends the process. */
  readonly interrupted?: () => void;
}

/** The size of a terminal in characters; 80 × 24 where it does not tell. */
export function consoleSize(): { readonly columns: number; readonly rows: number } {
  try {
    const { columns, rows } = Deno.consoleSize();
    return { columns: columns || 80, rows: rows || 24 };
  } catch {
    return { columns: 80, rows: 24 };
  }
}

/** What is typed, as it comes, until the terminal is closed. */
export async function* typed(): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(4096);
  for (;;) {
    const count = await standardInput.read(buffer).catch(() => null); // The terminal was closed.
    if (count === null || count === 0) return;
    yield decoder.decode(buffer.subarray(0, count), { stream: true });
  }
}

/** Splits what was typed into keys: an escape sequence is one. */
export function keysOf(text: string): string[] {
  // deno-lint-ignore no-control-regex
  return text.match(/\x1b[[O][0-9;]*[A-Za-z~]|[^]/gu) ?? [];
}

/** A text after one more key: a character is added, Backspace takes the last one away. */
export function retyped(text: string, key: string): string {
  if (key === "\x7f" || key === "\b") return [...text].slice(0, -1).join("");
  return key.startsWith("\x1b") || key < " " ? text : text + key;
}

/** What shows a screen of its own, without a cursor. */
export const SCREEN_ON = "\x1b[?1049h\x1b[?25l";
/** What shows again what was there before it. */
export const SCREEN_OFF = "\x1b[?25h\x1b[?1049l";

/** What replaces the screen by these lines. */
export function screenOf(lines: readonly string[]): string {
  return `\x1b[H${lines.map((line) => `${line}\x1b[K`).join("\n")}\x1b[J`;
}

/** Takes the terminal and listens to signals until it is closed. */
export class Terminal implements Disposable {
  readonly #events: TerminalEvents;
  readonly #listening: [Deno.Signal, () => void][] = [];
  #raw = false;

  /** @param events what the command does when the terminal is given back, taken or resized */
  constructor(events: TerminalEvents = {}) {
    this.#events = events;
    this.#listen();
    this.#grab();
  }

  /** Gives the terminal back; what is shown is not touched. */
  close(): void {
    this.#restore();
    for (const [signal, listener] of this.#listening.splice(0)) {
      Deno.removeSignalListener(signal, listener);
    }
  }

  /** The same as {@linkcode Terminal.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #grab(): void {
    // With signals left on, Ctrl-C and Ctrl-Z do what they always do.
    Deno.stdin.setRaw(true, { cbreak: true });
    this.#raw = true;
  }

  #restore(): void {
    if (!this.#raw) return;
    this.#raw = false;
    try {
      Deno.stdin.setRaw(false);
    } catch {
      // The terminal is gone.
    }
  }

  #listen(): void {
    if (Deno.build.os === "windows") return;
    const on = (signal: Deno.Signal, listener: () => void): void => {
      Deno.addSignalListener(signal, listener);
      this.#listening.push([signal, listener]);
    };
    const { interrupted } = this.#events;
    for (const signal of DEADLY) {
      on(signal, () => {
        if (signal === "SIGINT" && interrupted !== undefined) return interrupted();
        try {
          this.#events.leave?.();
        } finally {
          this.close();
          Deno.kill(Deno.pid, signal);
        }
      });
    }
    on("SIGWINCH", () => this.#events.resized?.());
    on("SIGTSTP", () => {
      this.#events.leave?.();
      this.#restore();
      Deno.kill(Deno.pid, "SIGSTOP");
    });
    on("SIGCONT", () => {
      this.#grab();
      this.#events.enter?.();
    });
  }
}
