/**
 * `follow --skip-corrupt`: tells which messages could not be read (docs/spec/command-line.md 5.12).
 *
 * There is at most one notice per second: later ranges are merged into the pending one, which is
 * printed at the end at the latest.
 *
 * @module
 */

import type { CommandContext } from "./context.ts";
import { printNotice } from "./notices.ts";
import type { Gap } from "../types.ts";

/** The shortest time between two notices, in milliseconds. */
const EVERY = 1000;

/** Collects what one run could not read. */
export class UnreadableNotices {
  /** Whether there was anything, reported or not. */
  any = false;
  readonly #context: CommandContext;
  readonly #path: string;
  #first = 0n;
  #last = 0n;
  #count = 0n;
  #toldAt = -Infinity;

  /** @param path the name of the pool in notices */
  constructor(context: CommandContext, path: string) {
    this.#context = context;
    this.#path = path;
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
    if (this.#count > 0n && performance.now() - this.#toldAt >= EVERY) this.flush();
  }

  /** Prints the pending notice. */
  flush(): void {
    const count = this.#count;
    if (count === 0n) return;
    this.#count = 0n;
    this.#toldAt = performance.now();
    const [first, last] = [this.#first, this.#last];
    const which = count === 1n
      ? `message ${first}, which cannot be read`
      : count === last - first + 1n
      ? `messages ${first} to ${last}, which cannot be read`
      : `${count} messages between ${first} and ${last} that cannot be read`;
    printNotice(this.#context, {
      kind: "corrupt",
      message: `Left out ${which}. Check the pool with \`plasmite doctor\``,
      pool: this.#context.args.required("POOL"),
      details: {
        unreadable_count: count,
        first_seq: first,
        last_seq: last,
        pool_path: this.#path,
      },
    });
  }
}
