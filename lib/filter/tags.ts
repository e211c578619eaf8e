/**
 * `--tag`: a message passes when it carries every given tag, compared exactly, byte by byte.
 *
 * @module
 */

import { Lite3Tag, type MessageView } from "../lite3/message.ts";

/** Tests messages for tags without decoding any. */
export class TagFilter {
  readonly #tags: readonly Lite3Tag[];

  /** Prepares the tags; with none every message passes. */
  constructor(tags: readonly string[]) {
    this.#tags = [...new Set(tags)].map((tag) => new Lite3Tag(tag));
  }

  /**
   * Whether the message carries all tags.
   *
   * @throws {PlasmiteError} Corrupt, if the message's tags cannot be read
   */
  matches(message: MessageView): boolean {
    return message.hasTags(this.#tags);
  }
}
