/**
 * What a stream has removed between the messages that it hands out (docs/spec/jetstream.md 12).
 *
 * @module
 */

import type { Delivery } from "./delivery.ts";

/**
 * Counts what was removed while messages were being handed out to this worker: what is missing
 * between two of them, if nobody else was given any in between. Only for consumers that hand out
 * everything.
 */
export class MissingBetween {
  #count = 0;
  #seq = 0;

  /** The number of messages that are missing before this one. */
  before({ count, seq, tries }: Delivery): bigint {
    const follows = this.#seq > 0 && count === this.#count + 1;
    const missing = follows && tries === 1 ? Math.max(0, seq - this.#seq - 1) : 0;
    if (tries === 1) this.#seq = seq;
    else if (!follows) this.#seq = 0;
    this.#count = count;
    return BigInt(missing);
  }
}
