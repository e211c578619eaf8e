/**
 * Appends of the library: options in, frames with their conditions out, messages as stored back;
 * for local and remote pools alike.
 *
 * @module
 */

import { encodeValue } from "../backend/encode.ts";
import type { AppendRequest, Conditions } from "../backend/types.ts";
import { checkKey, tagsOf } from "../coordination/names.ts";
import { PlasmiteError } from "../errors.ts";
import type { FrameBatch } from "../pool/batch.ts";
import {
  type AppendOptions,
  type BatchOptions,
  checkDurability,
  checkItems,
  checkSeq,
  checkTags,
  stamp,
} from "./options.ts";

/** A checked append. */
export interface Appending {
  /** Encodes the messages into a batch. */
  readonly encode: (batch: FrameBatch) => void;
  /** Whether to wait for the disk. */
  readonly flush: boolean;
  readonly signal: AbortSignal | undefined;
  /** The conditions; undefined if there are none. */
  readonly when: Conditions | undefined;
}

/** What became of one message of a batch. */
export interface Appended {
  readonly seq: bigint;
  readonly timestampNs: bigint;
  /** Its payload, a copy. */
  readonly payload: Uint8Array<ArrayBuffer>;
  /** Whether it was stored earlier; then the payload is the one that was given. */
  readonly duplicate: boolean;
}

/**
 * An append of one message.
 *
 * @throws {PlasmiteError} Usage
 */
export function appendingOne(data: unknown, options: AppendOptions): Appending {
  const { id, key } = options;
  const tags = tagsOf(checkTags(options.tags), { key: checked(key, "key"), id: checked(id, "id") });
  const encode = encodeValue(data, tags, stamp(options.timestampNs));
  return { ...settings(options, id === undefined ? undefined : [id]), encode };
}

/**
 * An append of several messages.
 *
 * @throws {PlasmiteError} Usage
 */
export function appendingAll(items: readonly unknown[], options: BatchOptions): Appending {
  checkItems(items);
  const { ids, key } = options;
  checked(key, "key");
  if (ids !== undefined && ids.length !== items.length) {
    throw new PlasmiteError("Usage", `${ids.length} ids for ${items.length} messages`, {
      hint: "Pass one id for each message, in the same order.",
    });
  }
  const tags = checkTags(options.tags);
  const time = stamp(options.timestampNs);
  const tagged = (ids ?? []).map((id) => tagsOf(tags, { key, id: checked(id, "id") }));
  const all = tagsOf(tags, { key });
  const encode = (batch: FrameBatch): void =>
    items.forEach((item, i) => encodeValue(item, tagged[i] ?? all, time)(batch));
  return { ...settings(options, ids), encode };
}

function checked(text: string | undefined, what: string): string | undefined {
  return text === undefined ? undefined : checkKey(text, what);
}

function settings(
  { durability, signal, expect, key, idWindow }: Omit<AppendOptions, "id">,
  ids: readonly string[] | undefined,
): Omit<Appending, "encode"> {
  const flush = checkDurability(durability);
  if (idWindow !== undefined && ids === undefined) {
    throw new PlasmiteError("Usage", "idWindow without an id", {
      hint: "Pass the id of the message as well, or leave idWindow out.",
    });
  }
  // A key alone is a tag.
  if (expect === undefined && ids === undefined) return { flush, signal, when: undefined };
  const when = {
    ...(expect === undefined
      ? {}
      : { expect: expect === "none" ? 0n : checkSeq(expect, "expect") }),
    ...(key === undefined ? {} : { key }),
    ...(ids === undefined ? {} : { ids }),
    ...(idWindow === undefined ? {} : { idWindow }),
  };
  return { flush, signal, when };
}

/** The only message of an append. */
export function onlyOne<M>([message]: readonly M[], path: string): M {
  if (message !== undefined) return message;
  throw new PlasmiteError("Internal", "append stored nothing", { path });
}

/** Collects what becomes of the messages of a batch, in their order. */
export function collecting(
  batch: FrameBatch,
): Pick<AppendRequest, "stored" | "duplicate"> & { readonly appended: readonly Appended[] } {
  const appended: Appended[] = [];
  const add = (frame: number, seq: bigint, duplicate: boolean): void => {
    const payload = batch.payload(frame).slice();
    appended[frame] = { seq, timestampNs: batch.timeOf(frame), payload, duplicate };
  };
  return {
    appended,
    stored: (from, count, first) => {
      for (let i = 0; i < count; i++) add(from + i, first + BigInt(i), false);
    },
    duplicate: (frame, seq) => add(frame, seq, true),
  };
}
