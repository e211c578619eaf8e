/**
 * `--format line`: one message per line, for people: local time, sequence number, tags, the text of
 * the message, then `key value`, cut to the width of the terminal.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import type { MessageView } from "../lite3/message.ts";
import { printJson } from "../lite3/print.ts";
import { visible } from "../visible.ts";
import { colors, type CommandContext } from "./context.ts";
import { type Field, fieldsOf } from "./line_fields.ts";
import { fit, type Piece } from "./line_width.ts";
import { consoleSize } from "./terminal.ts";

/** SGR numbers. */
const DIM = 2;
const SEQ = 33;
const KEY = 36;
const RED = 31;
const YELLOW = 33;
const PLAIN = 0;
/** Colours of tags; red and yellow are reserved for errors and warnings. */
const TAGS = [35, 34, 36, 32, 95, 94, 96, 92];
/** How often to query the width of the terminal, in milliseconds. */
const ASK_EVERY = 250;
/** The part of the data that is printed at most; no terminal is wider. */
const MAX_TEXT = 64 * 1024;

/** Options of the format. */
export interface LineOptions {
  /** Print only the data. */
  readonly dataOnly?: boolean;
  /** Print as a chat: `09:09 bob  hi alice`. */
  readonly chat?: boolean;
}

/** Creates the printer of `--format line` (docs/spec/command-line.md 1.12). */
export function linePrinter(
  context: CommandContext,
  options: LineOptions = {},
): (view: MessageView, out: Buf) => void {
  const colored = colors(context.stdout, context.color);
  const utf8 = new TextEncoder();
  const columns = terminalColumns(context);
  const line = new LineFormat(options);
  return (view, out) => {
    const width = columns();
    // A byte takes at most one column, so what is far beyond the edge need not be decoded.
    const pieces = line.pieces(view, width === Infinity ? Infinity : 4 * width + 16);
    const text = utf8.encode(paint(fit(pieces, width), colored) + "\n");
    out.reserve(text.length);
    out.u8.set(text, out.len);
    out.len += text.length;
  };
}

/** Makes the line of each message; the date is in it whenever the day changes. */
export class LineFormat {
  readonly #json = new Buf();
  readonly #decoder = new TextDecoder();
  readonly #options: LineOptions;
  readonly #clock: Clock;

  /** @param options what the line has beside the data */
  constructor(options: LineOptions = {}) {
    this.#options = options;
    this.#clock = new Clock(options.chat === true ? 5 : 12);
  }

  /**
   * The line of a message, in pieces that are safe for a terminal.
   *
   * @param enough how many bytes of the data to decode at most; never more than 64 KiB on a terminal
   */
  pieces(view: MessageView, enough: number): Piece[] {
    const json = this.#json;
    json.clear();
    printJson(view.doc, view.dataAt, json);
    const length = enough === Infinity ? json.len : Math.min(json.len, enough, MAX_TEXT);
    const fields = fieldsOf(this.#decoder.decode(json.u8.subarray(0, length)));
    const pieces: Piece[] = [];
    const said = this.#options.chat === true ? chatOf(fields) : null;
    if (this.#options.dataOnly !== true) {
      pieces.push({ text: this.#clock.text(view.timestampNs), style: DIM }, SPACE);
      if (said === null) {
        pieces.push({ text: String(view.seq), style: SEQ }, SPACE);
        for (const tag of view.tags()) {
          pieces.push({ text: `#${visible(tag)}`, style: hued(tag) }, SPACE);
        }
      }
    }
    if (said !== null) pieces.push(...said);
    else pushFields(fields, view.tags(), pieces);
    return pieces;
  }
}

/** The pieces before the tags: time, number and the spaces after them. */
const AFTER_SEQ = 4;
const SPACE: Piece = { text: " ", style: PLAIN };
const GAP: Piece = { text: "  ", style: PLAIN };

/** The colour of a name, always the same. */
function hued(name: string): number {
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = (Math.imul(hash, 31) + name.charCodeAt(i)) >>> 0;
  return TAGS[hash % TAGS.length] ?? PLAIN;
}

/** Names of the member with the text of the message, in order of preference. */
const MESSAGES = ["message", "msg", "text", "line", "event", "error"];
/** Names of the member with the severity. */
const LEVELS = ["level", "severity", "lvl"];
const FATAL = /^(?:err(?:or)?|fatal|crit(?:ical)?|panic|alert|emerg(?:ency)?)$/i;
const DOUBTFUL = /^warn(?:ing)?$/i;

/** The colour of the text: red for errors, yellow for warnings. */
function trouble(fields: readonly Field[], tags: readonly string[]): number {
  const level = fields.find(({ key }) => LEVELS.includes(key))?.text ?? "";
  const words = [level, ...tags];
  if (words.some((word) => FATAL.test(word))) return RED;
  return words.some((word) => DOUBTFUL.test(word)) ? YELLOW : PLAIN;
}

/** Whether a line tells of an error or a warning. */
export function isTrouble(line: readonly Piece[]): boolean {
  return line.some(({ style }, i) => i >= AFTER_SEQ && (style === RED || style === YELLOW));
}

/** The text of the message, then `key value` for the other members. */
function pushFields(fields: readonly Field[], tags: readonly string[], pieces: Piece[]): void {
  const style = trouble(fields, tags);
  const main = MESSAGES.map((name) => fields.find(({ key, isText }) => key === name && isText))
    .find((field) => field !== undefined && field.text !== "");
  let isFirst = true;
  const begin = (): void => {
    if (!isFirst) pieces.push(GAP);
    isFirst = false;
  };
  if (main !== undefined) {
    begin();
    pieces.push({ text: visible(lastShown(main.text)), style });
  }
  for (const field of fields) {
    if (field === main) continue;
    begin();
    if (field.key !== "") pieces.push({ text: visible(field.key), style: KEY }, SPACE);
    const isLevel = LEVELS.includes(field.key);
    const text = field.isText && isBare(field.text) ? lastShown(field.text) : field.json;
    pieces.push({ text: visible(text), style: isLevel ? style : PLAIN });
  }
}

/** Whether a text is unambiguous without quotes. */
function isBare(text: string): boolean {
  return text !== "" && text === text.trim() && !/^(?:-?\d|true$|false$|null$|["[{])/.test(text);
}

/** The part of a text with carriage returns that a terminal shows in the end. */
function lastShown(text: string): string {
  if (!text.includes("\r")) return text;
  return text.split("\r").findLast((piece) => piece !== "") ?? "";
}

/** The parts of a chat message, `{"from":…,"msg":…}`; null for anything else. */
function chatOf(fields: readonly Field[]): Piece[] | null {
  const of = (name: string) => fields.find(({ key, isText }) => key === name && isText)?.text;
  const [from, said] = [of("from"), of("msg") ?? of("message") ?? of("text")];
  if (from === undefined || said === undefined) return null;
  return [{ text: visible(from), style: hued(from) }, GAP, { text: visible(said), style: PLAIN }];
}

/** The width of a terminal, queried regularly; infinite for other outputs. */
function terminalColumns(context: CommandContext): () => number {
  if (!context.stdout.isTerminal) return () => Infinity;
  let columns = 80;
  let askAt = 0;
  return () => {
    const now = performance.now();
    if (now >= askAt) {
      askAt = now + ASK_EVERY;
      columns = consoleSize().columns;
    }
    return columns;
  };
}

/** Prints the local time of messages, with the date whenever the day changes. */
class Clock {
  /** `09:12` has 5 characters, `09:12:01.123` has 12. */
  readonly #length: number;
  #day = date(new Date());

  constructor(length: number) {
    this.#length = length;
  }

  text(ns: bigint): string {
    const time = new Date(Number(ns / 1_000_000n));
    const clock = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}` +
      `.${String(time.getMilliseconds()).padStart(3, "0")}`;
    const day = date(time);
    const shown = clock.slice(0, this.#length);
    if (day === this.#day) return shown;
    this.#day = day;
    return `${day} ${shown}`;
  }
}

function date(time: Date): string {
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}

/** The text of a line, with its colours or without. */
export function paint(pieces: readonly Piece[], colored: boolean): string {
  let line = "";
  for (const { text, style } of pieces) {
    line += colored && style !== PLAIN ? `\x1b[${style}m${text}\x1b[0m` : text;
  }
  return line;
}
