/**
 * `latest_by`: groups messages, so that only the newest of each group is read. It is used for
 * claims: the newest claim of every agent is the current state.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { PlasmiteError } from "../errors.ts";
import { Tag } from "../lite3/layout.ts";
import type { MessageView } from "../lite3/message.ts";
import { printJson } from "../lite3/print.ts";
import { parsePath } from "./path.ts";
import { pathLookup } from "./path_lookup.ts";

/** Assigns messages to groups. */
export interface Grouping {
  /** The groups of a message; none if it lacks the tag or value. */
  keysOf(view: MessageView): string[];
}

/**
 * Parses a `latest_by`: the prefix of a tag (`agent:`; empty for every tag), or a path into the
 * data (`.data.agent`, `.data.files[0]`).
 *
 * @throws {PlasmiteError} Usage
 */
export function grouping(by: string): Grouping {
  if (!by.startsWith(".")) {
    return { keysOf: (view) => [...new Set(view.tags().filter((tag) => tag.startsWith(by)))] };
  }
  const path = parsePath(by);
  if (path.length === 0) {
    throw new PlasmiteError("Usage", `invalid path ${JSON.stringify(by)}`, {
      hint: "Use the beginning of a tag, such as agent:, or a path such as .data.agent.",
    });
  }
  const find = pathLookup(path);
  const out = new Buf(256);
  return {
    keysOf: (view) => {
      const at = find(view);
      if (at < 0) return [];
      const { doc } = view;
      const kind = doc.tag(at);
      if (kind === Tag.Null) return [];
      if (kind === Tag.String) return [doc.string(at)];
      out.clear();
      printJson(doc, at, out);
      return [new TextDecoder().decode(out.bytes())];
    },
  };
}

/** Of more groups than twice these, or longer keys, the older are forgotten; never of fewer. */
const MOST_GROUPS = 10_000;
const MOST_CHARACTERS = 4_000_000;
const LEAST_GROUPS = 200;

/**
 * Keeps the newest message of each group while messages arrive in order. With very many groups the
 * oldest are dropped, because only the newest are ever shown.
 */
export class Groups {
  readonly #groups = new Map<string, bigint>();
  /** For each message that is the newest of a group, the number of such groups. */
  readonly #kept = new Map<bigint, number>();
  #characters = 0;
  #forgotten = false;

  /** Adds the next message and the keys of its groups. */
  add(seq: bigint, keys: readonly string[]): void {
    for (const key of keys) {
      this.#leave(key);
      // Moved to the end, so that the groups are in the order of their newest messages.
      this.#groups.set(key, seq);
      this.#characters += key.length;
    }
    if (keys.length > 0) this.#kept.set(seq, keys.length);
    const { size } = this.#groups;
    if (size > 2 * MOST_GROUPS) this.#forget(size - MOST_GROUPS);
    else if (this.#characters > MOST_CHARACTERS && size > 2 * LEAST_GROUPS) {
      this.#forget(size >> 1);
    }
  }

  /** Drops the oldest groups; many at once, because each iteration from the front is expensive. */
  #forget(count: number): void {
    let left = count;
    for (const key of this.#groups.keys()) {
      if (left-- === 0) break;
      this.#leave(key);
    }
    this.#forgotten = true;
  }

  #leave(key: string): void {
    const seq = this.#groups.get(key);
    if (seq === undefined) return;
    this.#groups.delete(key);
    this.#characters -= key.length;
    const left = (this.#kept.get(seq) ?? 0) - 1;
    if (left > 0) this.#kept.set(seq, left);
    else this.#kept.delete(seq);
  }

  /** The number of messages that are the newest of a remembered group. */
  get size(): number {
    return this.#kept.size;
  }

  /** Whether groups were dropped. */
  get forgotten(): boolean {
    return this.#forgotten;
  }

  /** The sequence numbers of the last `count` of these messages, in order. */
  last(count: number): bigint[] {
    return count > 0 ? [...this.#kept.keys()].slice(-count) : [];
  }

  /** The groups of these messages. */
  of(seqs: ReadonlySet<bigint>): { key: string; seq: bigint }[] {
    return [...this.#groups].filter(([, seq]) => seqs.has(seq)).map(([key, seq]) => ({ key, seq }));
  }
}
