/**
 * Where a reader's messages come from: a pull consumer, or direct gets.
 *
 * @module
 */

import type { Incoming } from "./wire.ts";

/** A message that has arrived. */
export interface Arrival {
  /** Its number in the stream. */
  readonly seq: number;
  /** How many messages will come after it; 2.9 is wrong after it was overtaken. */
  readonly pending: number;
  /** The message; it is converted only when it is read. */
  incoming(): Incoming;
}

/** Messages of a stream in order, at most as many as a reader has room for. */
export interface Supply {
  /** Whether messages have not been read yet. */
  readonly isUnread: boolean;
  /** The number of the newest message that has arrived; 0 if there is none. */
  readonly newest: number;
  /** The average size of a message in bytes, as measured. */
  readonly averageBytes: number;
  /** Whether nothing was heard for so long that it has ended on the server. */
  readonly isSilent: boolean;
  /** The next message, which remains unread; null if there is none or if one is missing before it. */
  peek(): Arrival | null;
  /** Marks the next message as read. */
  shift(): void;
  /** Ends it. */
  close(): void;
}

/** Who uses a supply. */
export interface SupplyUser {
  /** Called when a message or a sign of life has arrived. */
  arrived(): void;
  /** Called when the supply must be replaced; without an error, messages may have been missed. */
  failed(error?: unknown): void;
}

/** Messages that have arrived and have not been read. */
export class Unread<T> {
  #queue: T[] = [];
  #head = 0;

  /** How many there are. */
  get length(): number {
    return this.#queue.length - this.#head;
  }

  /** The next one. */
  get first(): T | undefined {
    return this.#queue[this.#head];
  }

  /** The newest one. */
  get last(): T | undefined {
    return this.#queue.at(-1);
  }

  /** Adds one. */
  push(message: T): void {
    this.#queue.push(message);
  }

  /** Removes the next one. */
  shift(): void {
    this.#head++;
    if (this.#head < this.#queue.length) return;
    this.#queue = [];
    this.#head = 0;
  }
}
