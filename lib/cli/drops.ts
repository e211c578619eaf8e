/**
 * Reports messages that were overwritten before they were read (docs/spec/command-line.md 5.6).
 *
 * @module
 */

import type { CommandContext } from "./context.ts";
import { printNotice } from "./notices.ts";
import type { Gap } from "../types.ts";

/** The shortest time between two notices, in milliseconds. */
const EVERY = 1000;

/**
 * Collects messages of one run that were not delivered. There is at most one notice per second: later
 * ranges are merged into the pending one, which is printed at the end at the latest.
 */
export abstract class MergedNotices {
  /** Whether there was anything so far, reported or not. */
  any = false;
  #first = 0n;
  #last = 0n;
  #count = 0n;
  #toldAt = -Infinity;

  /** Prints the notice on `count` messages, of which these are the first and the last. */
  protected abstract print(count: bigint, first: bigint, last: bigint): void;

  /** Whether a notice is pending. */
  get pending(): boolean {
    return this.#count > 0n;
  }

  /** Counts messages, and prints a notice if the last one is long enough ago. */
  add({ first, last }: Gap): void {
    this.any = true;
    if (this.#count === 0n) this.#first = first;
    this.#last = last;
    this.#count += last - first + 1n;
    this.due();
  }

  /** Prints the pending notice if the last one is long enough ago. */
  due(): void {
    if (this.pending && performance.now() - this.#toldAt >= EVERY) this.flush();
  }

  /** How long to wait for messages, up to `ms`: a pending notice is not kept for the next of them. */
  waitMs(ms: number): number | undefined {
    const most = this.pending ? Math.min(ms, this.#toldAt + EVERY - performance.now()) : ms;
    return most < Infinity ? Math.max(0, most) : undefined;
  }

  /** Prints the pending notice. */
  flush(): void {
    if (!this.pending) return;
    const count = this.#count;
    this.#count = 0n;
    this.#toldAt = performance.now();
    this.print(count, this.#first, this.#last);
  }
}

/** Collects losses of one run. */
export class DropNotices extends MergedNotices {
  readonly #context: CommandContext;
  readonly #path: string;
  readonly #quiet: boolean;

  /**
   * @param path the name of the pool in notices
   * @param quiet only remember that there were any
   */
  constructor(context: CommandContext, path: string, quiet: boolean) {
    super();
    this.#context = context;
    this.#path = path;
    this.#quiet = quiet;
  }

  /** Counts a loss, and prints a notice if the last one is long enough ago. */
  lost(gap: Gap): void {
    if (this.#quiet) this.any = true;
    else this.add(gap);
  }

  protected print(count: bigint, first: bigint, last: bigint): void {
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
        last_seen_seq: first - 1n,
        next_seen_seq: last + 1n,
        pool_path: this.#path,
      },
    });
  }
}
