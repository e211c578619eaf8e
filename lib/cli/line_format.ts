/**
 * `--format line`: one message a line, for people: local time, sequence number, tags and data, cut
 * to the terminal's width. Ours; not for programs.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import type { MessageView } from "../lite3/message.ts";
import { printJson } from "../lite3/print.ts";
import { visible } from "../visible.ts";
import { colors, type CommandContext } from "./context.ts";
import { fit, type Piece } from "./line_width.ts";

/** SGR numbers; those of JSON as in docs/spec/command-line.md 1.7. */
const DIM = 2;
const SEQ = 33;
const TAG = 35;
const KEY = 36;
const STRING = 32;
const NUMBER = 33;
const BOOLEAN = 35;
const PLAIN = 0;
/** How often the terminal is asked for its width, in milliseconds. */
const ASK_EVERY = 250;
/** No terminal shows more of a message than this; longer data is not even looked at. */
const MAX_TEXT = 64 * 1024;
const TOKENS = /"(?:[^"\\]|\\.)*"?|[-0-9][-+.0-9eE]*|true|false|null|[{}[\],:]/g;

/**
 * Makes the printer of `--format line` (docs/spec/command-line.md 1.12).
 *
 * @param dataOnly print the data alone
 */
export function linePrinter(
  context: CommandContext,
  dataOnly: boolean,
): (view: MessageView, out: Buf) => void {
  const colored = colors(context.stdout, context.color);
  const json = new Buf();
  const utf8 = new TextEncoder();
  const decoder = new TextDecoder();
  const clock = new Clock();
  const columns = terminalColumns(context);
  return (view, out) => {
    const pieces: Piece[] = [];
    if (!dataOnly) {
      pieces.push({ text: clock.text(view.timestampNs), style: DIM }, SPACE);
      pieces.push({ text: String(view.seq), style: SEQ }, SPACE);
      for (const tag of view.tags()) pieces.push({ text: `#${visible(tag)}`, style: TAG }, SPACE);
    }
    json.clear();
    printJson(view.doc, view.dataAt, json);
    const width = columns();
    // One byte shows one column at most, so what is far behind the edge need not be decoded.
    const enough = width === Infinity ? json.len : Math.min(json.len, 4 * width + 16, MAX_TEXT);
    pushJson(decoder.decode(json.u8.subarray(0, enough)), pieces);
    const text = utf8.encode(paint(fit(pieces, width), colored) + "\n");
    out.reserve(text.length);
    out.u8.set(text, out.len);
    out.len += text.length;
  };
}

const SPACE: Piece = { text: " ", style: PLAIN };

/** Asks a terminal for its width now and then; anything else has no end. */
function terminalColumns(context: CommandContext): () => number {
  if (!context.stdout.isTerminal) return () => Infinity;
  let columns = 80;
  let askAt = 0;
  return () => {
    const now = performance.now();
    if (now >= askAt) {
      askAt = now + ASK_EVERY;
      columns = consoleColumns();
    }
    return columns;
  };
}

/** The terminal's width in columns; 80 where it does not tell. */
export function consoleColumns(): number {
  try {
    return Deno.consoleSize().columns || 80;
  } catch {
    return 80;
  }
}

/** Local time of a message; the date as well unless it is today's. */
class Clock {
  #day = "";
  #dayAt = -Infinity;

  text(ns: bigint): string {
    const ms = Number(ns / 1_000_000n);
    const time = new Date(ms);
    const clock = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}` +
      `.${String(time.getMilliseconds()).padStart(3, "0")}`;
    const now = performance.now();
    if (now - this.#dayAt > 1000) {
      this.#dayAt = now;
      this.#day = date(new Date());
    }
    const day = date(time);
    return day === this.#day ? clock : `${day} ${clock}`;
  }
}

function date(time: Date): string {
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}

/** Splits compact JSON into coloured pieces; a text that was cut somewhere is fine. */
function pushJson(json: string, pieces: Piece[]): void {
  TOKENS.lastIndex = 0;
  for (let match = TOKENS.exec(json); match !== null; match = TOKENS.exec(json)) {
    const [token] = match;
    const text = visible(token);
    const first = token.charCodeAt(0);
    let style = PLAIN;
    if (first === 0x22) style = json.charAt(TOKENS.lastIndex) === ":" ? KEY : STRING;
    else if (first === 0x74 || first === 0x66) style = BOOLEAN;
    else if (first === 0x2d || (first >= 0x30 && first <= 0x39)) style = NUMBER;
    pieces.push({ text, style });
  }
}

function paint(pieces: readonly Piece[], colored: boolean): string {
  let line = "";
  for (const { text, style } of pieces) {
    line += colored && style !== PLAIN ? `\x1b[${style}m${text}\x1b[0m` : text;
  }
  return line;
}
