/**
 * Screens of programs on a terminal of tmux, with their colours, in a form that can be kept and
 * compared.
 *
 * @module
 */

import assert from "node:assert/strict";
import "./environment.ts";
import { until } from "./patience.ts";

/** What is run, and what is done before the screen is taken. */
export interface Screen {
  /** A line for the shell; what it starts should stay, or end with `cat`. */
  readonly line: string;
  readonly columns: number;
  readonly rows: number;
  readonly env: Readonly<Record<string, string>>;
  /** Text to wait for, and the keys to send then; at last the text to wait for before the screen. */
  readonly steps: readonly (string | { readonly keys: readonly string[] })[];
}

let count = 0;

/** Whether tmux can be driven here. */
export async function hasTmux(): Promise<boolean> {
  if (Deno.build.os === "windows") return false;
  try {
    return (await new Deno.Command("tmux", { args: ["-V"], stdout: "null" }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Runs a line in a terminal and returns its screen, a text a line, colours as `{31}text{}`. */
export async function screenshot(screen: Screen): Promise<string> {
  const socket = `pls-${Deno.pid}-${count++}`;
  const tmux = async (...args: readonly string[]): Promise<string> => {
    const { success, stdout, stderr } = await new Deno.Command("tmux", {
      args: ["-L", socket, "-f", "/dev/null", ...args],
      env: { LC_ALL: "C.UTF-8", TERM: "xterm-256color", ...screen.env },
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout);
  };
  const size = ["-x", String(screen.columns), "-y", String(screen.rows)];
  await tmux("new-session", "-d", ...size, screen.line);
  try {
    for (const step of screen.steps) {
      if (typeof step !== "string") {
        await tmux("send-keys", ...step.keys);
        continue;
      }
      let seen = "";
      const isThere = async (): Promise<boolean> => {
        seen = await tmux("capture-pane", "-p");
        return seen.includes(step);
      };
      await until(isThere, () => `"${step}" did not come:\n${seen}`, 50);
    }
    return readable(await tmux("capture-pane", "-p", "-e"));
  } finally {
    await tmux("kill-server");
  }
}

// deno-lint-ignore no-control-regex
const SGR = /\x1b\[([0-9;]*)m/;

/** The screen with each change of colours as `{NUMBERS}`, however tmux wrote it. */
function readable(captured: string): string {
  let style = "";
  let shown = "";
  return captured.trimEnd().split("\n").map((line) => {
    let text = "";
    for (const [i, part] of line.split(SGR).entries()) {
      if (i % 2 === 1) style = applied(style, part);
      else if (part !== "") {
        if (style !== shown) text += `{${style}}`;
        shown = style;
        text += part;
      }
    }
    if (shown !== "") text += "{}";
    shown = "";
    return text.trimEnd();
  }).join("\n") + "\n";
}

/** The style after a colour sequence, as sorted numbers. */
function applied(style: string, numbers: string): string {
  const set = new Set(style.split(";").filter((one) => one !== ""));
  const drop = (test: (n: number) => boolean): void => {
    for (const one of set) if (test(Number(one))) set.delete(one);
  };
  const isForeground = (n: number): boolean => n >= 30 && n <= 37 || n >= 90 && n <= 97;
  const isBackground = (n: number): boolean => n >= 40 && n <= 47 || n >= 100 && n <= 107;
  for (const one of numbers.split(";")) {
    const n = Number(one);
    if (n === 0) set.clear();
    else if (n === 39) drop(isForeground);
    else if (n === 49) drop(isBackground);
    else {
      if (isForeground(n)) drop(isForeground);
      if (isBackground(n)) drop(isBackground);
      set.add(one);
    }
  }
  return [...set].sort((a, b) => Number(a) - Number(b)).join(";");
}
