/**
 * Programs on a pseudo-terminal, driven key by key (terminal.py), and the screen they leave.
 *
 * @module
 */

import assert from "node:assert/strict";
import { CLI, exists } from "../cli/cli_util.ts";
import { inCheckout } from "./paths.ts";

const DRIVER = inCheckout("tests/support/terminal.py");
/** Whether pseudo-terminals can be driven here. */
export const hasTerminals: boolean = Deno.build.os !== "windows" && await exists("python3");

/** One thing to do or to wait for. */
export type Step =
  | { readonly expect: string }
  | { readonly send: string }
  | { readonly signal: number }
  | { readonly resize: number }
  | { readonly stopped: true }
  | { readonly touch: string }
  | { readonly until: string };

/** What is left when the program has ended. */
export interface Session {
  /** Everything that was written to the terminal. */
  readonly output: string;
  readonly code: number | null;
  readonly signal: number | null;
  /** Whether the terminal's settings are what they were before. */
  readonly restored: boolean;
}

/** Runs `plasmite ...args` on a terminal of `cols` columns and plays the steps. */
export async function terminal(
  args: readonly string[],
  steps: readonly Step[],
  options: {
    readonly cols?: number;
    readonly env?: Record<string, string>;
    readonly permissions?: readonly string[];
  } = {},
): Promise<Session> {
  const spec = {
    cmd: [Deno.execPath(), "run", ...options.permissions ?? ["-A"], "--quiet", CLI, ...args],
    cols: options.cols ?? 80,
    env: { NO_COLOR: "1", ...options.env },
    steps,
  };
  const { stdout, stderr } = await new Deno.Command("python3", {
    args: [DRIVER, JSON.stringify(spec)],
    stdin: "null",
  }).output();
  const text = new TextDecoder().decode(stdout);
  assert(text !== "", new TextDecoder().decode(stderr));
  const session = JSON.parse(text);
  assert(session.failed === undefined, text);
  return session;
}

/** The lines that the output leaves on a screen without end; knows what our program uses. */
export function screen(output: string, cols: number = 80): string[] {
  const rows: string[][] = [[]];
  let row = 0;
  let col = 0;
  // deno-lint-ignore no-control-regex
  for (const [token] of output.matchAll(/\x1b\[[0-9;?]*[A-Za-z]|[^]/gu)) {
    const line = rows[row] ??= [];
    if (token === "\r") col = 0;
    else if (token === "\n") row++;
    else if (token.startsWith("\x1b[")) {
      const count = Number(token.slice(2, -1)) || 1;
      switch (token.at(-1)) {
        case "K":
          if (token !== "\x1b[2K") line.length = Math.min(line.length, col);
          else line.length = 0;
          break;
        case "D":
          col = Math.max(0, col - count);
          break;
        case "G":
          col = count - 1;
      }
    } else {
      if (col === cols) {
        row++;
        col = 0;
      }
      const target = rows[row] ??= [];
      while (target.length < col) target.push(" ");
      target[col++] = token;
    }
  }
  return Array.from(rows, (line) => (line ?? []).join(""));
}
