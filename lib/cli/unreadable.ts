/**
 * `follow --skip-corrupt`: tells which messages could not be read (docs/spec/command-line.md 5.12).
 *
 * @module
 */

import type { CommandContext } from "./context.ts";
import { MergedNotices } from "./drops.ts";
import { printNotice } from "./notices.ts";

/** Collects what one run could not read. */
export class UnreadableNotices extends MergedNotices {
  readonly #context: CommandContext;
  readonly #path: string;

  /** @param path the name of the pool in notices */
  constructor(context: CommandContext, path: string) {
    super();
    this.#context = context;
    this.#path = path;
  }

  protected print(count: bigint, first: bigint, last: bigint): void {
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
