/**
 * The tasks of a work group that this process was given. They belong to the connection, not to one
 * access to the group: a server opens the group for each request of its callers.
 *
 * @module
 */

import { PlasmiteError } from "../../errors.ts";

/** How many completed tasks are remembered. */
const REMEMBERED = 10_000;
/** Of how many groups tasks are remembered. */
const MOST_GROUPS = 1_000;

/** A task that this process was given. */
export interface Held {
  readonly token: number;
  /** The subject for replies about it. */
  readonly reply: string;
  readonly tries: number;
  /** How long the server waits for a reply, in milliseconds. */
  readonly ackWaitMs: number;
  untilMs: number;
}

/** The tasks of one group. */
export class GroupTasks {
  /** The tasks that are not done, by their numbers. */
  readonly held: Map<bigint, Held> = new Map();
  readonly #done = new Set<bigint>();

  /** Adds a task that was handed out. */
  add(seq: bigint, task: Held): void {
    this.held.set(seq, task);
    this.#done.delete(seq);
  }

  /**
   * A task; null if it is done.
   *
   * @throws {PlasmiteError} Conflict if somebody else has it
   */
  mine(seq: bigint, token: number, path: string): Held | null {
    const held = this.held.get(seq);
    if (held?.token === token && held.untilMs > Date.now()) return held;
    if (held === undefined && this.#done.has(seq)) return null;
    throw new PlasmiteError("Conflict", `Task ${seq} was handed to another worker`, {
      path,
      seq,
      hint: "Its time was over, or it was given back. Extend tasks that take longer.",
    });
  }

  /** Removes a task that is done. */
  finish(seq: bigint): void {
    this.held.delete(seq);
    this.#done.add(seq);
    const [oldest] = this.#done;
    if (this.#done.size > REMEMBERED && oldest !== undefined) this.#done.delete(oldest);
  }

  /** Forgets the tasks up to `gone`, whose messages are lost; returns how many it still had. */
  lose(gone: bigint): bigint {
    this.#expire();
    let lost = 0n;
    for (const seq of this.held.keys()) if (seq <= gone && this.held.delete(seq)) lost++;
    return lost;
  }

  /** Removes tasks that were never finished and whose time is over. */
  #expire(): void {
    const now = Date.now();
    for (const [seq, { untilMs }] of this.held) if (untilMs <= now) this.held.delete(seq);
  }
}

/** The tasks of a group among those of others; the group used longest ago is forgotten. */
export function tasksOf(groups: Map<string, GroupTasks>, name: string): GroupTasks {
  const tasks = groups.get(name) ?? new GroupTasks();
  groups.delete(name);
  groups.set(name, tasks);
  const [oldest] = groups.keys();
  if (groups.size > MOST_GROUPS && oldest !== undefined) groups.delete(oldest);
  return tasks;
}
