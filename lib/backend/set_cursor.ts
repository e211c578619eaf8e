/**
 * A cursor kept by a server: it is moved by compare-and-set, so that two readers of the same cursor
 * detect each other (docs/spec/http-api.md 12.4).
 *
 * @module
 */

import { ErrorKind, PlasmiteError } from "../errors.ts";
import type { Awaitable } from "../types.ts";
import type { Cursor, CursorInfo, CursorSelection, CursorUpdate } from "./coordination.ts";
import { bury, type HasDeadPool } from "./dead.ts";
import { beyondEnd } from "./positions.ts";
import type { PoolHandle, StoredFrame, Walk } from "./types.ts";

/** How often to send a position that only moved past non-matching messages, in milliseconds. */
const PASS_EVERY = 1_000;

/** The pool of a cursor. */
export type CursorPool = HasDeadPool & Pick<PoolHandle, "select" | "bounds">;

/** Sets cursors. */
export interface Setter {
  setCursor(name: string, update: CursorUpdate): Promise<CursorInfo>;
}

/** A cursor of a pool that is not local. */
export class SetCursor implements Cursor {
  readonly name: string;
  readonly isNew: boolean;
  readonly #pool: CursorPool;
  readonly #setter: Setter;
  readonly #flush: boolean | undefined;
  /** Delivered but unacknowledged messages, in order. */
  #open: bigint[] = [];
  #seq: bigint;
  /** The position stored on the server. */
  #saved: bigint;
  #savedAt = performance.now();
  #delivered: bigint;
  /** The last request to move the cursor; requests are sent one at a time. */
  #saving: Promise<void> = Promise.resolve();

  /** For internal use: call `Coordination.cursor`. */
  constructor(
    pool: CursorPool,
    setter: Setter,
    { name, seq }: CursorInfo,
    isNew: boolean,
    flush: boolean | undefined,
  ) {
    this.name = name;
    this.isNew = isNew;
    this.#pool = pool;
    this.#setter = setter;
    this.#flush = flush;
    this.#seq = this.#saved = this.#delivered = seq;
  }

  get seq(): bigint {
    return this.#seq;
  }

  get pending(): number {
    return this.#open.length;
  }

  select(selection: CursorSelection = {}): Awaitable<Walk> {
    return this.#pool.select({ ...selection, from: this.#seq + 1n });
  }

  deliver(seq: bigint): void {
    this.#open.push(seq);
    this.#delivered = seq;
  }

  async ack(seq: bigint): Promise<boolean> {
    if (seq <= this.#seq) return true;
    const at = this.#open.indexOf(seq);
    if (at < 0) return false;
    await this.#save(seq);
    this.#open = this.#open.filter((one) => one > seq);
    return true;
  }

  async bury(message: StoredFrame, dead?: string): Promise<void> {
    await bury(this.#pool, message, this.name, dead);
    await this.ack(message.seq);
  }

  pass(before: bigint): Awaitable<void> {
    const seq = before - 1n;
    if (this.#open.length > 0 || seq <= this.#seq || seq < this.#delivered) return;
    this.#seq = seq;
    if (performance.now() - this.#savedAt >= PASS_EVERY) return this.#save(seq);
  }

  #save(seq: bigint): Promise<void> {
    return this.#saving = this.#saving.catch(() => {}).then(() => this.#send(seq));
  }

  async #send(seq: bigint): Promise<void> {
    if (seq <= this.#saved) return;
    try {
      const update = { to: seq, ifSeq: this.#saved, flush: this.#flush };
      await this.#setter.setCursor(this.name, update);
    } catch (error) {
      // This may be the retry of a request whose answer was lost.
      if (!PlasmiteError.is(error, ErrorKind.Conflict) || error.actual !== seq) throw error;
    }
    this.#saved = seq;
    this.#savedAt = performance.now();
    if (seq > this.#seq) this.#seq = seq;
  }

  async check(): Promise<void> {
    const { newest } = await this.#pool.bounds();
    if (newest >= this.#seq) return;
    throw beyondEnd(this.name, this.#seq, newest, this.#pool.name);
  }

  async close(): Promise<void> {
    await this.#save(this.#seq);
  }
}
