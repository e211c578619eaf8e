/**
 * The keys of a group's tasks, so that no two tasks with the same key are handed out at once
 * (docs/spec/coordination.md 8.1).
 *
 * @module
 */

import { KEY_TAG } from "../../coordination/names.ts";
import type { GroupRecord, Pending } from "../../coordination/group_record.ts";
import { MessageView } from "../../lite3/message.ts";
import type { StoredFrame } from "../types.ts";

/** The keys of the pending tasks. */
export class TaskKeys {
  readonly #keys = new Map<bigint, readonly string[]>();
  readonly #view = new MessageView();

  /** Records the keys of a task; `frame` is null if its message is no longer retained. */
  add(seq: bigint, frame: StoredFrame | null): void {
    this.#keys.set(seq, frame === null ? [] : this.#keysOf(frame));
  }

  #keysOf(frame: StoredFrame): readonly string[] {
    return this.#view.openStored(frame).tags().filter((tag) => tag.startsWith(KEY_TAG));
  }

  /** The pending tasks whose keys are unknown. Forgets tasks that are no longer pending. */
  unknown({ pending }: GroupRecord): readonly bigint[] {
    const numbers = new Set(pending.map(({ seq }) => seq));
    for (const seq of this.#keys.keys()) if (!numbers.has(seq)) this.#keys.delete(seq);
    return [...numbers].filter((seq) => !this.#keys.has(seq));
  }

  /**
   * Sorts the pending tasks into those that may be handed out and the rest.
   *
   * @returns the tasks to hand out, and the keys that other tasks must not have
   */
  available(
    { pending }: GroupRecord,
    nowMs: number,
  ): { readonly free: readonly Pending[]; readonly taken: Set<string> } {
    const free: Pending[] = [];
    const inWork = pending.filter(({ untilMs }) => untilMs > nowMs);
    const taken = new Set(inWork.flatMap(({ seq }) => this.#known(seq)));
    // An earlier task of the same key comes first, even while it waits for its next try.
    for (const task of pending) {
      if (task.untilMs > nowMs) continue;
      const keys = this.#known(task.seq);
      if (!keys.some((key) => taken.has(key))) free.push(task);
      for (const key of keys) taken.add(key);
    }
    return { free, taken };
  }

  #known(seq: bigint): readonly string[] {
    return this.#keys.get(seq) ?? [];
  }

  /** Whether a new task may be handed out; reserves its keys in either case. */
  reserve(frame: StoredFrame, taken: Set<string>): boolean {
    const keys = this.#keysOf(frame);
    const isFree = !keys.some((key) => taken.has(key));
    for (const key of keys) taken.add(key);
    this.#keys.set(frame.seq, keys);
    return isFree;
  }
}
