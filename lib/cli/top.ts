/**
 * `plasmite top`: the pools of a directory or a server and what moves in them, on a terminal; one
 * JSON object a line in a pipe and with `--once`.
 *
 * @module
 */

import { localPlace, resolveServer } from "../backend/resolve.ts";
import type { Backend } from "../backend/types.ts";
import { Buf } from "../bytes.ts";
import { formatTime } from "../text/time.ts";
import { pause } from "../timers.ts";
import { visible } from "../visible.ts";
import { colors, type CommandContext } from "./context.ts";
import { linePrinter } from "./line_format.ts";
import { connectTo } from "./open.ts";
import { Float, type Json, toJson } from "./output.ts";
import { asPlasmiteError, errorJson } from "./report.ts";
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
import { Meter, type PoolRow } from "./top_rows.ts";
import { arranged, screen, type Sort, SORTS, type View } from "./top_screen.ts";

/** How often the pools are measured, in milliseconds. */
const EVERY = 1000;
/** How many pools have their cursors, claims and rates measured on a terminal. */
const DETAILED = 64;

/** Runs `top`. */
export async function run(context: CommandContext): Promise<number> {
  const where = context.args.text("PLACE");
  const place = where === undefined
    ? localPlace(context.dir)
    : where.includes("://")
    ? await resolveServer(where)
    : localPlace(where);
  const backend = await connectTo(context, place, true);
  try {
    const isShown = context.stdout.isTerminal && Deno.stdin.isTerminal();
    if (context.args.has("once") || !isShown) return await printed(context, backend);
    return await new Top(context, backend).run();
  } finally {
    await backend.close();
  }
}

/** Prints each pool once, or in a pipe every second until it is closed. */
async function printed(context: CommandContext, backend: Backend): Promise<number> {
  const meter = new Meter(backend);
  for (;;) {
    const rows = await meter.measure();
    for (const row of rows) context.stdout.text(`${jsonOf(row)}\n`);
    if (context.args.has("once")) return 0;
    await pause(EVERY);
  }
}

function jsonOf(row: PoolRow): string {
  const value: Json = {
    name: row.name,
    rate_per_s: new Float(Math.round(row.rate * 100) / 100),
    fill_percent: new Float(row.fillPercent),
    messages: row.messages,
    oldest_age_ms: row.oldestAgeMs,
    newest_age_ms: row.newestAgeMs,
    followers: row.followers,
    cursors: row.cursors.map((cursor) => ({
      name: cursor.name,
      kind: cursor.kind,
      seq: cursor.seq,
      lag: cursor.lag,
      lost: cursor.lost,
      ...(cursor.pending === undefined ? {} : { pending: cursor.pending }),
    })),
    claims: row.claims.map(({ key, holder, token, untilNs }) => ({
      key,
      holder,
      token,
      until: formatTime(untilNs),
    })),
    ...(row.error === null ? {} : { error: errorJson(row.error) }),
  };
  return toJson(value);
}

/** The table on a terminal. */
class Top {
  readonly #context: CommandContext;
  readonly #backend: Backend;
  readonly #meter: Meter;
  readonly #ended = new AbortController();
  #rows: readonly PoolRow[] = [];
  #sort: Sort = "rate";
  #filter = "";
  #isTyping = false;
  #selected = "";
  #problem: string | null = null;
  /** Ends the view of one pool; null while the table is shown. */
  #following: AbortController | null = null;

  constructor(context: CommandContext, backend: Backend) {
    this.#context = context;
    this.#backend = backend;
    this.#meter = new Meter(backend);
  }

  async run(): Promise<number> {
    const terminal = new Terminal({
      leave: () => this.#leave(),
      enter: () => this.#enter(),
      resized: () => this.#draw(),
    });
    this.#enter();
    try {
      await Promise.race([this.#measure(), this.#keys()]);
      return 0;
    } finally {
      this.#following?.abort();
      this.#ended.abort();
      this.#leave();
      terminal.close();
    }
  }

  #enter(): void {
    this.#context.stdout.text(SCREEN_ON);
    this.#draw();
  }

  #leave(): void {
    this.#context.stdout.text(SCREEN_OFF);
  }

  async #measure(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      const shown = new Set(arranged(this.#view()).slice(0, DETAILED).map(({ name }) => name));
      const few = this.#rows.length <= DETAILED;
      try {
        this.#rows = await this.#meter.measure((name) => few || shown.has(name));
        this.#problem = null;
      } catch (error) {
        this.#problem = asPlasmiteError(error).message;
      }
      this.#draw();
      await pause(EVERY, signal).catch(() => {}); // The loop ends.
    }
  }

  #view(): View {
    const { columns, rows: lines } = consoleSize();
    return {
      place: this.#backend.place,
      rows: this.#rows,
      sort: this.#sort,
      filter: this.#filter,
      isTyping: this.#isTyping,
      selected: this.#selected,
      problem: this.#problem,
      columns,
      lines,
      colored: colors(this.#context.stdout, this.#context.color),
    };
  }

  #draw(): void {
    if (this.#following !== null) return;
    this.#context.stdout.text(screenOf(screen(this.#view())));
  }

  async #keys(): Promise<void> {
    for await (const text of typed()) {
      for (const key of keysOf(text)) if (this.#press(key)) return;
      this.#draw();
    }
  }

  /** Returns whether the command ends. */
  #press(key: string): boolean {
    if (this.#following !== null) {
      if (key === "q" || key === "\x1b") this.#following.abort();
      return false;
    }
    if (this.#isTyping) {
      this.#type(key);
      return false;
    }
    const sort = Object.entries(SORTS).find(([letter]) => letter === key)?.[1];
    if (sort !== undefined) this.#sort = sort;
    else if (key === "\x1b[A" || key === "k") this.#move(-1);
    else if (key === "\x1b[B" || key === "j") this.#move(1);
    else if (key === "/") this.#isTyping = true;
    else if (key === "\x1b") this.#filter = "";
    else if (key === "\r" || key === "\n") void this.#follow();
    return key === "q";
  }

  #type(key: string): void {
    if (key === "\r" || key === "\n") this.#isTyping = false;
    else if (key === "\x1b") {
      this.#isTyping = false;
      this.#filter = "";
    } else this.#filter = retyped(this.#filter, key);
  }

  #move(by: number): void {
    const names = arranged(this.#view()).map(({ name }) => name);
    const at = Math.max(0, names.indexOf(this.#selected));
    this.#selected = names[Math.min(names.length - 1, Math.max(0, at + by))] ?? "";
  }

  /** Shows the newest messages of the selected pool and what arrives, until a key ends it. */
  async #follow(): Promise<void> {
    const names = arranged(this.#view()).map(({ name }) => name);
    const name = names.includes(this.#selected) ? this.#selected : names[0];
    if (name === undefined) return;
    const ended = this.#following = new AbortController();
    const { stdout } = this.#context;
    stdout.text(`\x1b[2J\x1b[H${visible(name)}: q or Esc goes back\n`);
    const print = linePrinter(this.#context);
    const out = new Buf(4096);
    try {
      const pool = await this.#backend.open(name);
      try {
        const walk = await pool.select({ last: consoleSize().rows - 2, follow: true });
        try {
          while (!ended.signal.aborted) {
            if (walk.next()) {
              out.clear();
              print(walk.message, out);
              stdout.write(out.bytes());
            } else await walk.wait(undefined, ended.signal);
          }
        } finally {
          walk.close();
        }
      } finally {
        await pool.close();
      }
    } catch (error) {
      if (!ended.signal.aborted) this.#problem = asPlasmiteError(error).message;
    } finally {
      this.#following = null;
      stdout.text("\x1b[2J");
      this.#draw();
    }
  }
}
