/**
 * Reports messages that were overwritten before they were read (docs/spec/command-line.md 5.6).
 *
 * There is at most one notice per second: later losses are merged into the pending one, which is
 * printed at the end at the latest.
 *
 * @module
 */

import type { CommandContext } from "./context.ts";
import { printNotice } from "./notices.ts";
import type { Gap } from "../types.ts";

/** The shortest time between two notices, in milliseconds. */
const EVERY = 1000;

/** Collects losses of one run. */
export class DropNotices {
  /** Whether anything was lost so far, reported or not. */
  any = false;
  readonly #context: CommandContext;
  readonly #path: string;
  readonly #quiet: boolean;
  #lastSeen = 0n;
  #nextSeen = 0n;
  #count = 0n;
  #toldAt = -Infinity;

  /**
   * @param path the name of the pool in notices
   * @param quiet count only, without notices
   */
  constructor(context: CommandContext, path: string, quiet: boolean) {
    this.#context = context;
    this.#path = path;
    this.#quiet = quiet;
  }

  /** Whether a notice is pending. */
  get pending(): boolean {
    return this.#count > 0n;
  }

  /** Counts a loss, and prints a notice if the last one is long enough ago. */
  lost(gap: Gap): void {
    this.any = true;
    if (this.#count === 0n) this.#lastSeen = gap.first - 1n;
    this.#nextSeen = gap.last + 1n;
    this.#count += gap.last - gap.first + 1n;
    this.due();
  }

  /** Prints the pending notice if the last one is long enough ago. */
  due(): void {
    if (this.#count > 0n && performance.now() - this.#toldAt >= EVERY) this.flush();
  }

  /** How long to wait for messages, up to `ms`: a pending notice is not kept for the next of them. */
  waitMs(ms: number): number | undefined {
    const most = this.pending ? Math.min(ms, this.#toldAt + EVERY - performance.now()) : ms;
    return most < Infinity ? Math.max(0, most) : undefined;
  }

  /** Prints the pending notice. */
  flush(): void {
    const count = this.#count;
    this.#count = 0n;
    if (count === 0n || this.#quiet) return;
    this.#toldAt = performance.now();
    printNotice(this.#context, {
      kind: "drop",
      // As in the reference, where duplex follows by means of follow.
      ...(this.#context.name === "duplex" ? { cmd: "follow" } : {}),
      message: this.#context.format === "line"
        ? `${count} message${
          count === 1n ? " was" : "s were"
        } overwritten before they could be shown`
        : `dropped ${count} message${count === 1n ? "" : "s"}`,
      pool: this.#context.args.text("POOL") ?? this.#context.args.required("FROM"),
      details: {
        dropped_count: count,
        last_seen_seq: this.#lastSeen,
        next_seen_seq: this.#nextSeen,
        pool_path: this.#path,
      },
    });
  }
}
