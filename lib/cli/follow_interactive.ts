/**
 * `follow --interactive`: the messages of a pool on a terminal, to be searched, unfolded and paused
 * while they arrive.
 *
 * @module
 */

import type { PoolHandle, Selection, Walk } from "../backend/types.ts";
import { Buf } from "../bytes.ts";
import { PlasmiteError } from "../errors.ts";
import type { MessageView } from "../lite3/message.ts";
import { printEnvelope } from "../text/envelope.ts";
import { printPretty } from "../text/pretty.ts";
import { pause } from "../timers.ts";
import type { Gap } from "../types.ts";
import { visible } from "../visible.ts";
import { colors, type CommandContext } from "./context.ts";
import { followScreen } from "./follow_screen.ts";
import { type Entry, FollowView } from "./follow_view.ts";
import { isTrouble, LineFormat } from "./line_format.ts";
import {
  consoleSize,
  keysOf,
  retyped,
  SCREEN_OFF,
  SCREEN_ON,
  screenOf,
  Terminal,
  typed,
} from "./terminal.ts";

/** The shortest time between two drawings, in milliseconds. */
const EVERY = 50;
/** How many messages are added before keys are looked at. */
const BURST = 512;
/** How many messages are shown first where no history was asked for. */
const HISTORY = 1000;
/** The part of a message that is kept, in bytes. */
const MOST_BYTES = 64 * 1024;
const RED = 31;

/**
 * What shows the messages of a selection until `q`, Ctrl-C or an error; its result is the exit code.
 *
 * @throws {PlasmiteError} Usage without a terminal
 */
export function browserOf(
  context: CommandContext,
): (pool: PoolHandle, selection: Selection) => Promise<number> {
  if (!context.stdout.isTerminal || !Deno.stdin.isTerminal()) {
    throw new PlasmiteError("Usage", "--interactive needs a terminal", {
      hint: "Leave out --interactive to print the messages.",
    });
  }
  return (pool, selection) => browse(context, pool, selection);
}

async function browse(
  context: CommandContext,
  pool: PoolHandle,
  selection: Selection,
): Promise<number> {
  const browser = new Browser(context);
  const hasStart = selection.last !== undefined || selection.since !== undefined;
  const walk = await pool.select({
    ...selection,
    ...(hasStart ? {} : { last: HISTORY }),
    follow: !context.args.has("no-follow"),
    onTrouble: (error) => browser.say(error.message, true),
    onUnreadable: (error) => browser.say(error.message, true),
  });
  try {
    return await browser.run(walk);
  } finally {
    walk.close();
  }
}

/** One run on a terminal. */
class Browser {
  readonly #context: CommandContext;
  readonly #view = new FollowView();
  readonly #entries = new Entries();
  readonly #ended = new AbortController();
  #search = "";
  #isTyping = false;
  #isHelp = false;
  #isOver = false;
  #said = "";
  #isBad = false;
  #onChange: (() => void) | null = null;

  constructor(context: CommandContext) {
    this.#context = context;
  }

  /** Shows a word on what happened until the next key. */
  say(text: string, isBad = false): void {
    this.#said = text;
    this.#isBad = isBad;
  }

  async run(walk: Walk): Promise<number> {
    const { stdout } = this.#context;
    const interrupted = Promise.withResolvers<void>();
    const enter = (): void => {
      stdout.text(SCREEN_ON);
      this.#draw();
    };
    const leave = (): void => stdout.text(SCREEN_OFF);
    const terminal = new Terminal({
      enter,
      leave,
      resized: () => this.#draw(),
      interrupted: interrupted.resolve,
    });
    enter();
    const reading = this.#read(walk);
    try {
      await Promise.race([reading.then(() => this.#never()), this.#keys(), interrupted.promise]);
      return 0;
    } finally {
      this.#ended.abort();
      this.#onChange?.();
      await reading.catch(() => {}); // It was ended, or has been reported.
      leave();
      terminal.close();
    }
  }

  /** After the end of a finite selection the list stays until a key ends it. */
  #never(): Promise<void> {
    this.#isOver = true;
    this.#draw();
    return new Promise(() => {});
  }

  async #read(walk: Walk): Promise<void> {
    const { signal } = this.#ended;
    let drawAt = 0;
    while (!signal.aborted) {
      const isDone = this.#take(walk);
      if (isDone || performance.now() >= drawAt) {
        this.#draw();
        drawAt = performance.now() + EVERY;
      }
      if (walk.ended) return;
      if (!isDone && this.#view.hasRoom) {
        await pause(0); // Keys come in between.
        continue;
      }
      if (isDone) await walk.wait(undefined, signal);
      else await this.#changed();
      const left = drawAt - performance.now();
      if (left > 0 && !signal.aborted) await pause(left);
    }
  }

  /** Adds some of the available messages; returns whether there are no more. */
  #take(walk: Walk): boolean {
    for (let i = 0; i < BURST && this.#view.hasRoom; i++) {
      const isFound = walk.next();
      const gap = walk.takeGap();
      if (gap !== null) this.#view.add(lostEntry(gap));
      if (!isFound) return true;
      this.#view.add(this.#entries.of(walk.message));
    }
    return false;
  }

  /** Waits for a key: the list is full and stands still. */
  #changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#onChange = () => {
        this.#onChange = null;
        resolve();
      };
    });
  }

  #draw(): void {
    const { columns, rows } = consoleSize();
    const status = {
      pool: this.#context.args.text("POOL") ?? "",
      search: this.#search,
      isTyping: this.#isTyping,
      said: this.#said,
      isBad: this.#isBad,
      isOver: this.#isOver,
      isHelp: this.#isHelp,
      columns,
      lines: rows,
      colored: colors(this.#context.stdout, this.#context.color),
    };
    this.#context.stdout.text(screenOf(followScreen(this.#view, status)));
  }

  async #keys(): Promise<void> {
    for await (const text of typed()) {
      for (const key of keysOf(text)) {
        this.say("");
        if (this.#isTyping) this.#type(key);
        else if (key === "q") return;
        else this.#press(key);
      }
      this.#draw();
      this.#onChange?.();
    }
  }

  #press(key: string): void {
    const view = this.#view;
    const screen = Math.max(1, view.height - 1);
    const actions: Readonly<Record<string, () => void>> = {
      "\x1b[A": () => view.move(-1),
      "\x1bOA": () => view.move(-1),
      k: () => view.move(-1),
      "\x1b[B": () => view.move(1),
      "\x1bOB": () => view.move(1),
      j: () => view.move(1),
      "\x1b[5~": () => view.move(-screen),
      b: () => view.move(-screen),
      "\x1b[6~": () => view.move(screen),
      " ": () => view.move(screen),
      g: () => view.toOldest(),
      "\x1b[H": () => view.toOldest(),
      G: () => view.pause(false),
      "\x1b[F": () => view.pause(false),
      p: () => view.pause(view.isLive),
      "\r": () => view.fold(!view.isUnfolded),
      "\n": () => view.fold(!view.isUnfolded),
      "\x1b[C": () => view.fold(true),
      "\x1b[D": () => view.fold(false),
      z: () => view.foldAll(),
      "/": () => {
        this.#isTyping = true;
        this.#search = "";
      },
      n: () => this.#next(1, "hit"),
      N: () => this.#next(-1, "hit"),
      e: () => this.#next(1, "trouble"),
      E: () => this.#next(-1, "trouble"),
      "\x1b": () => this.#find(""),
      "?": () => {
        this.#isHelp = !this.#isHelp;
      },
    };
    actions[key]?.();
  }

  #type(key: string): void {
    if (key === "\r" || key === "\n") {
      this.#isTyping = false;
      this.#find(this.#search);
      if (this.#search !== "" && !this.#view.isHit(this.#view.at.entry)) {
        // What was searched is more often behind than still to come.
        if (!this.#view.next(-1, "hit")) this.#next(1, "hit");
      }
    } else if (key === "\x1b") {
      this.#isTyping = false;
      this.#find("");
    } else this.#search = retyped(this.#search, key);
  }

  #find(text: string): void {
    this.#search = text;
    this.#view.search(text);
  }

  #next(direction: 1 | -1, kind: "hit" | "trouble"): void {
    if (kind === "hit" && this.#view.pattern === null) {
      return this.say("Nothing is searched: / first");
    }
    if (this.#view.next(direction, kind)) return;
    const where = direction === 1 ? "below" : "above";
    this.say(kind === "hit" ? `No match ${where}` : `No error or warning ${where}`);
  }
}

/** Makes entries of messages. */
class Entries {
  readonly #line = new LineFormat();
  readonly #json = new Buf();
  readonly #pretty = new Buf();
  readonly #decoder = new TextDecoder();

  of(view: MessageView): Entry {
    const line = this.#line.pieces(view, MOST_BYTES);
    return { line, whole: this.#whole(view), trouble: isTrouble(line) };
  }

  /** The message as indented JSON, safe for a terminal. */
  #whole(view: MessageView): string {
    this.#json.clear();
    printEnvelope(view, this.#json);
    this.#pretty.clear();
    printPretty(this.#json.u8, 0, this.#json.len, this.#pretty);
    const bytes = this.#pretty.u8.subarray(0, Math.min(this.#pretty.len, MOST_BYTES));
    const text = this.#decoder.decode(bytes).split("\n").map(visible).join("\n");
    const more = this.#pretty.len - bytes.length;
    return more > 0 ? `${text}…\n${more} bytes more: fetch prints the whole message` : text;
  }
}

/** What stands in place of messages that were overwritten before they were read. */
function lostEntry({ first, last }: Gap): Entry {
  const count = last - first + 1n;
  const text = count === 1n
    ? `${first} was overwritten before it could be shown`
    : `${first} to ${last} were overwritten before they could be shown`;
  return { line: [{ text, style: RED }], whole: text, trouble: true };
}
