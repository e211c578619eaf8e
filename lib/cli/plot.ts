/**
 * `follow --plot PATH`: a chart of a number in the messages, with one line per tag; live on a
 * terminal, once in a pipe and with `--no-follow`.
 *
 * @module
 */

import type { PoolHandle, Selection, Walk } from "../backend/types.ts";
import { parsePath } from "../filter/path.ts";
import { pathLookup } from "../filter/path_lookup.ts";
import { Tag } from "../lite3/layout.ts";
import type { MessageView } from "../lite3/message.ts";
import { toValue } from "../lite3/value.ts";
import { pause } from "../timers.ts";
import { visible } from "../visible.ts";
import { colors, type CommandContext } from "./context.ts";
import { chart, type Point } from "./plot_chart.ts";
import { consoleSize, SCREEN_OFF, SCREEN_ON, screenOf, Terminal, typed } from "./terminal.ts";

/** How many points of a series are kept; older ones are dropped. */
const MOST_POINTS = 4096;
/** How many series are drawn; messages of further ones are counted. */
const MOST_SERIES = 8;
/** The shortest time between two drawings, in milliseconds. */
const EVERY = 200;
/** The size where there is no terminal. */
const PIPE = { columns: 80, rows: 24 };

/** The points of one path, by tag. */
export class Plot {
  readonly series = new Map<string, Point[]>();
  /** Messages without a number at the path. */
  omitted = 0;
  /** Messages of further series. */
  crowded = 0;
  readonly #path: string;
  readonly #find: (view: MessageView) => number;
  readonly #wanted: readonly string[];

  /**
   * @param path such as `.data.celsius`
   * @param tags tags that every message has, so that they do not name a series
   * @throws {PlasmiteError} Usage
   */
  constructor(path: string, tags: readonly string[]) {
    this.#path = path;
    this.#find = pathLookup(parsePath(path));
    this.#wanted = tags;
  }

  /** Adds a message. */
  add(view: MessageView): void {
    const at = this.#find(view);
    const isNumber = at >= 0 && (view.doc.tag(at) === Tag.I64 || view.doc.tag(at) === Tag.F64);
    const value = isNumber ? Number(toValue(view.doc, at, "number")) : NaN;
    if (!Number.isFinite(value)) {
      this.omitted++;
      return;
    }
    const tags = view.tags().filter((tag) => !this.#wanted.includes(tag));
    const name = tags.length === 0 ? this.#path : tags.map((tag) => `#${visible(tag)}`).join(" ");
    let points = this.series.get(name);
    if (points === undefined) {
      if (this.series.size >= MOST_SERIES) {
        this.crowded++;
        return;
      }
      this.series.set(name, points = []);
    }
    points.push({ at: Number(view.timestampNs / 1_000_000n), value });
    if (points.length > 2 * MOST_POINTS) points.splice(0, points.length - MOST_POINTS);
  }

  /** The chart, and what it leaves out. */
  draw(columns: number, lines: number, colored: boolean): string[] {
    const left = [
      ...(this.omitted > 0 ? [`${counted(this.omitted)} without a number at ${this.#path}`] : []),
      ...(this.crowded > 0 ? [`${counted(this.crowded)} of further tags`] : []),
    ];
    const room = lines - (left.length > 0 ? 1 : 0);
    const drawn = chart({ series: this.series, columns, lines: room, colored });
    return left.length > 0 ? [...drawn, left.join("; ")] : drawn;
  }
}

function counted(count: number): string {
  return `${count} message${count === 1 ? "" : "s"}`;
}

/**
 * What draws the messages of a selection; its result is the exit code.
 *
 * @throws {PlasmiteError} Usage for a path that is none
 */
export function plotOf(
  context: CommandContext,
): (pool: PoolHandle, selection: Selection) => Promise<number> {
  const { args } = context;
  const picture = new Plot(args.text("plot") ?? "", args.texts("tag"));
  return (pool, selection) => plot(context, picture, pool, selection);
}

async function plot(
  context: CommandContext,
  picture: Plot,
  pool: PoolHandle,
  selection: Selection,
): Promise<number> {
  const { args, stdout } = context;
  const colored = colors(stdout, context.color);
  const isLive = stdout.isTerminal && Deno.stdin.isTerminal() && !args.has("no-follow");
  if (!isLive) {
    const walk = await pool.select(selection);
    try {
      while (!takeReady(walk, picture)) await walk.wait();
    } finally {
      walk.close();
    }
    const { columns, rows } = stdout.isTerminal ? consoleSize() : PIPE;
    stdout.text(picture.draw(columns, rows - 1, colored).join("\n") + "\n");
    return 0;
  }
  return await live(context, picture, await pool.select({ ...selection, follow: true }));
}

/** Adds the available messages; returns whether the walk has ended. */
function takeReady(walk: Walk, picture: Plot): boolean {
  while (walk.next()) picture.add(walk.message);
  walk.takeGap(); // A chart does not show gaps.
  return walk.ended;
}

async function live(context: CommandContext, picture: Plot, walk: Walk): Promise<number> {
  const { stdout } = context;
  const colored = colors(stdout, context.color);
  const ended = new AbortController();
  const draw = (): void => {
    const { columns, rows } = consoleSize();
    stdout.text(screenOf(picture.draw(columns, rows, colored)));
  };
  const enter = (): void => {
    stdout.text(SCREEN_ON);
    draw();
  };
  const leave = (): void => stdout.text(SCREEN_OFF);
  const interrupted = Promise.withResolvers<void>();
  const terminal = new Terminal({
    enter,
    leave,
    resized: draw,
    interrupted: interrupted.resolve,
  });
  const keys = (async (): Promise<void> => {
    for await (const text of typed()) if (text.includes("q")) return;
  })();
  const drawing = (async (): Promise<void> => {
    while (!ended.signal.aborted) {
      takeReady(walk, picture);
      draw();
      const next = performance.now() + EVERY;
      await walk.wait(undefined, ended.signal);
      const left = next - performance.now();
      if (left > 0) await pause(left);
    }
  })();
  enter();
  try {
    await Promise.race([keys, drawing, interrupted.promise]);
    return 0;
  } finally {
    ended.abort();
    await drawing.catch(() => {}); // It was ended, or has been reported.
    walk.close();
    leave();
    terminal.close();
  }
}
