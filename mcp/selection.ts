/**
 * Which messages a call wants, and the filters that tell.
 *
 * @module
 */

import { PlasmiteError } from "../lib/errors.ts";
import { withBudget } from "../lib/filter/budget.ts";
import type { Where } from "../lib/filter/where.ts";
import { Lite3Tag, type MessageView } from "../lib/lite3/message.ts";
import type { Limits } from "./answer.ts";
import type { Grouping } from "./latest.ts";

/** How long one filter may compute in one call, in milliseconds; waiting does not count. */
const FILTER_TIME = 5_000;

/** Which messages are wanted. */
export interface Wanted extends Limits {
  /** Only messages behind this one. */
  readonly after?: bigint | undefined;
  /** Only messages at or after this time, in nanoseconds since 1970. */
  readonly since?: bigint | undefined;
  /** Only messages with all of these tags. */
  readonly tags: readonly string[];
  /** Only messages that match. */
  readonly where?: Where | undefined;
  /** A key that the condition reads of the whole message although no message has it. */
  readonly strangeKey?: string | undefined;
  /** Only the newest of each group. */
  readonly latest?: Grouping | undefined;
}

function tookTooLong(): PlasmiteError {
  return new PlasmiteError("Usage", "filter took too long", {
    hint: "Narrow the search with tags, since or after_seq, or use a simpler expression.",
  });
}

/** The filters of one call, prepared. */
export class Filter {
  readonly #wanted: Wanted;
  readonly #tags: readonly Lite3Tag[];
  readonly #where: Where | undefined;

  /** Prepares the filters of one call. */
  constructor(wanted: Wanted) {
    this.#wanted = wanted;
    this.#where = wanted.where && withBudget(wanted.where, FILTER_TIME, tookTooLong);
    this.#tags = wanted.tags.map((tag) => new Lite3Tag(tag));
  }

  /** Whether there are none. */
  get passesAll(): boolean {
    const { since, where } = this.#wanted;
    return since === undefined && where === undefined && this.#tags.length === 0;
  }

  /** What the answer says of messages on which the condition failed. */
  get failures(): { where_failed?: number; strangeKey?: string } {
    const { where, strangeKey } = this.#wanted;
    const { failed = 0 } = where ?? {};
    return failed === 0
      ? {}
      : { where_failed: failed, ...(strangeKey === undefined ? {} : { strangeKey }) };
  }

  /**
   * Whether a message is wanted.
   *
   * @throws {PlasmiteError} Usage when the condition is no good or took too long
   */
  matches(view: MessageView): boolean {
    const { since } = this.#wanted;
    if (since !== undefined && view.timestampNs < since) return false;
    if (this.#tags.length > 0 && !view.hasTags(this.#tags)) return false;
    return this.#where?.matches(view) ?? true;
  }
}
