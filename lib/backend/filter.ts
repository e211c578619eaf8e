/**
 * The filter of a selection: tags, then conditions in order. Conditions that only jq can evaluate
 * are evaluated for groups of messages, because a call of jq is far more expensive than one
 * message.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import type { Where } from "../filter/where.ts";
import { Lite3Tag, MessageView } from "../lite3/message.ts";
import type { FrameBytes, StoredBytes } from "../types.ts";

/** Tags and conditions of one selection. */
export class Filter {
  /** Whether every condition runs on the stored bytes. */
  readonly isNative: boolean;
  /** Whether there are conditions. */
  readonly hasConditions: boolean;
  /** Whether every message passes. */
  readonly passesAll: boolean;
  readonly #tags: readonly Lite3Tag[];
  readonly #where: readonly Where[];

  /**
   * @param tags the tags that a message must all have
   * @param where the conditions that must all hold
   */
  constructor(tags: readonly string[] = [], where: readonly Where[] = []) {
    this.#tags = tags.map((tag) => new Lite3Tag(tag));
    this.#where = where;
    this.isNative = where.every((one) => one.isNative);
    this.hasConditions = where.length > 0;
    this.passesAll = tags.length === 0 && where.length === 0;
  }

  /**
   * Whether the current message of a source has all tags; without tags the message is not opened.
   */
  passesTags(source: { readonly message: MessageView }): boolean {
    return this.#tags.length === 0 || source.message.hasTags(this.#tags);
  }

  /** Whether the current message of a source meets all conditions. */
  passesConditions(source: { readonly message: MessageView }): boolean {
    for (const where of this.#where) if (!where.matches(source.message)) return false;
    return true;
  }

  /**
   * Returns the messages that meet all conditions, with errors at the positions of the messages that
   * caused them.
   */
  apply<F extends FrameBytes | StoredBytes>(messages: readonly F[]): (F | PlasmiteError)[] {
    let left: (F | PlasmiteError)[] = [...messages];
    const view = new MessageView();
    for (const where of this.#where) {
      const batch = where.batch();
      for (const one of left) {
        if (PlasmiteError.is(one)) continue;
        batch.add("payload" in one ? view.openStored(one) : view.openFrame(one));
      }
      const verdicts = batch.run();
      let next = 0;
      const passed: (F | PlasmiteError)[] = [];
      for (const one of left) {
        const verdict = PlasmiteError.is(one) ? one : verdicts[next++];
        if (PlasmiteError.is(verdict)) passed.push(verdict);
        else if (verdict === true) passed.push(one);
      }
      left = passed;
    }
    return left;
  }
}

/** Copies a frame, so that its source can move on. */
export function keepFrame(frame: FrameBytes): FrameBytes {
  const { u8, payloadAt, payloadLength } = frame;
  const { seqLo, seqHi, timeLo, timeHi, seq, timestampNs } = frame;
  return {
    u8: u8.slice(payloadAt, payloadAt + payloadLength),
    payloadAt: 0,
    payloadLength,
    seqLo,
    seqHi,
    timeLo,
    timeHi,
    seq,
    timestampNs,
  };
}
