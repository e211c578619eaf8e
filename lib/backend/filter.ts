/**
 * The filter of a selection: tags, then conditions in order. Conditions that only jq can evaluate
 * are evaluated for groups of messages, because a call of jq is far more expensive than one
 * message.
 *
 * @module
 */

import { attempt, PlasmiteError } from "../errors.ts";
import type { Where } from "../filter/where.ts";
import { Lite3Tag, MessageView } from "../lite3/message.ts";
import type { FrameBytes, StoredBytes } from "../types.ts";

/** Tags and conditions of one selection. */
export class Filter {
  /** Whether every condition runs on the stored bytes. */
  readonly isNative: boolean;
  /** Whether a condition is evaluated elsewhere: then only `judge` and `applyAll` can be used. */
  readonly isDeferred: boolean;
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
    this.isDeferred = where.some((one) => one.deferred !== undefined);
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
   * Judges the first messages, as many as a turn of a filter allows, and at least one.
   *
   * @returns for each of them the message if it meets all conditions, null if it does not, or the
   *   error that it caused; after an error there is nothing
   * @throws the signal's reason; {@linkcode PlasmiteError} if nothing can be evaluated
   */
  async judge<F extends FrameBytes | StoredBytes>(
    messages: readonly F[],
    signal?: AbortSignal,
  ): Promise<(F | PlasmiteError | null)[]> {
    let judged: (F | PlasmiteError | null)[] = [...messages];
    let isCut = false;
    for (const where of this.#where) {
      // Later conditions go on until all that is left is judged.
      for (let at = 0; at < judged.length;) {
        const left = judged.slice(at).flatMap((one) =>
          one === null || PlasmiteError.is(one) ? [] : [one]
        );
        if (left.length === 0) break;
        const verdicts = await verdictsOf(where, left, signal);
        if (verdicts.length === 0) throw new PlasmiteError("Internal", "a filter has no answer");
        for (const verdict of verdicts) {
          while (judged[at] === null) at++;
          if (verdict !== true) judged[at] = verdict === false ? null : verdict;
          at++;
          if (PlasmiteError.is(verdict)) judged = judged.slice(0, at);
        }
        while (judged[at] === null) at++;
        if (!isCut && verdicts.length < left.length) judged = judged.slice(0, at);
      }
      isCut ||= where.deferred !== undefined;
    }
    return judged;
  }

  /** Like {@linkcode apply}, with conditions of any kind. */
  async applyAll<F extends FrameBytes | StoredBytes>(
    messages: readonly F[],
    signal?: AbortSignal,
  ): Promise<(F | PlasmiteError)[]> {
    if (!this.isDeferred) return this.apply(messages);
    const passed: (F | PlasmiteError)[] = [];
    for (let at = 0; at < messages.length;) {
      const judged = await this.judge(messages.slice(at), signal);
      for (const one of judged) if (one !== null) passed.push(one);
      if (PlasmiteError.is(judged.at(-1))) break;
      at += judged.length;
    }
    return passed;
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

/** The results of a condition for the first messages; for all unless it is evaluated elsewhere. */
async function verdictsOf(
  where: Where,
  messages: readonly (FrameBytes | StoredBytes)[],
  signal: AbortSignal | undefined,
): Promise<readonly (boolean | PlasmiteError)[]> {
  if (where.deferred !== undefined) return await where.deferred.evaluate(messages, signal);
  const view = new MessageView();
  const batch = where.isNative ? null : where.batch();
  const verdicts = messages.map((one) => {
    const message = "payload" in one ? view.openStored(one) : view.openFrame(one);
    if (batch === null) return attempt(() => where.matches(message));
    batch.add(message);
    return false;
  });
  return batch === null ? verdicts : batch.run();
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
