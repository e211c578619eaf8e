/**
 * Named cursors of the library.
 *
 * @module
 */

import type { Cursor as Held, CursorInfo as CursorRow, Place } from "../backend/coordination.ts";
import { PlasmiteError } from "../errors.ts";
import type { IntegerPolicy } from "../lite3/value.ts";
import type { Access, Reach } from "./access.ts";
import type { Cursor, CursorOptions, CursorTailOptions, SetCursorOptions } from "./coordination.ts";
import type { Message } from "./message.ts";
import { checkOptions, type OptionKinds, TAIL_KINDS } from "./option_kinds.ts";
import { checkDurability, checkSeq, type Seq, shown } from "./options.ts";
import { type Tail, TailIterator, takeMessage } from "./tail.ts";

/** How often the pool is checked while nothing arrives, in milliseconds. */
const CHECK_EVERY = 1_000;
/** How often the position moves over messages that do not match, in milliseconds. */
const PASS_EVERY = 1_000;

const CURSOR_KINDS: OptionKinds<CursorOptions> = {
  from: "checked",
  dir: "string",
  durability: "checked",
};

const SET_KINDS: OptionKinds<SetCursorOptions> = {
  ifSeq: "checked",
  dir: "string",
  durability: "checked",
};

const { sinceSeq: _1, since: _2, sinceTimeNs: _3, from: _4, ...REST } = TAIL_KINDS;
const CURSOR_TAIL_KINDS: OptionKinds<CursorTailOptions> = REST;

function placeOf(value: "oldest" | "end" | Seq, name: string): Place {
  if (value === "oldest" || value === "end") return value;
  if (typeof value === "number" || typeof value === "bigint") return checkSeq(value, name);
  throw new PlasmiteError("Usage", `invalid ${name}: ${shown(value)}`, {
    hint: 'Pass "oldest", "end", or a sequence number.',
  });
}

/** Opens a cursor; see `cursor` of a pool. */
export async function openCursor<T extends object>(
  reach: Reach,
  name: string,
  options: CursorOptions | undefined,
  integers: IntegerPolicy,
): Promise<Cursor<T>> {
  const { from = "oldest", dir, durability } = checkOptions(options, "cursor", CURSOR_KINDS);
  const request = { from: placeOf(from, "from"), dir, flush: checkDurability(durability) };
  const access = (await reach(false)).share();
  try {
    const held = await access.coordination.cursor(name, request);
    return new OpenCursor<T>(access, held, await access.newest(), integers);
  } catch (error) {
    access.close();
    throw error;
  }
}

/** Sets a cursor; see `setCursor` of a pool. */
export async function setCursor(
  reach: Reach,
  name: string,
  to: "oldest" | "end" | Seq,
  options: SetCursorOptions | undefined,
): Promise<CursorRow> {
  const { ifSeq, dir, durability } = checkOptions(options, "setCursor", SET_KINDS);
  const { coordination } = await reach(false);
  return await coordination.setCursor(name, {
    to: placeOf(to, "position"),
    ifSeq: ifSeq === undefined || ifSeq === null ? ifSeq : checkSeq(ifSeq, "ifSeq"),
    dir,
    flush: checkDurability(durability),
  });
}

/** A cursor that this process holds. */
class OpenCursor<T extends object> implements Cursor<T> {
  readonly name: string;
  readonly isNew: boolean;
  readonly #access: Access;
  readonly #held: Held;
  readonly #integers: IntegerPolicy;
  /** The newest number that was seen. */
  #newest: bigint;
  #tail: TailIterator<Message<T>> | null = null;
  /** Every message before this number was examined by the last tail. */
  #position = 0n;
  #passedAt = -Infinity;
  #checkedAt = performance.now();
  #closed: Promise<void> | null = null;

  constructor(access: Access, held: Held, newest: bigint, integers: IntegerPolicy) {
    this.name = held.name;
    this.isNew = held.isNew;
    this.#access = access;
    this.#held = held;
    this.#newest = newest;
    this.#integers = integers;
  }

  get seq(): bigint {
    return this.#held.seq;
  }

  get lag(): bigint {
    if (this.#closed === null) this.#saw(this.#access.newestNow() ?? 0n);
    return this.#newest > this.seq ? this.#newest - this.seq : 0n;
  }

  #saw(seq: bigint): void {
    if (seq > this.#newest) this.#newest = seq;
  }

  #check(): void {
    if (this.#closed === null) return;
    throw new PlasmiteError("Usage", "cursor is closed", { hint: "Open it again." });
  }

  tail(options?: CursorTailOptions): Tail<T> {
    this.#check();
    const checked = checkOptions(options, "tail", CURSOR_TAIL_KINDS);
    if (this.#tail !== null) {
      throw new PlasmiteError("Usage", "cursor is being read", {
        hint: "End the tail of this cursor first: a cursor has one reader.",
      });
    }
    const take = takeMessage<T>(this.#integers);
    const source = {
      path: this.#access.path,
      select: this.#held.select.bind(this.#held),
      close: () => {
        this.#position = tail.nextSeq ?? 0n;
        this.#tail = null;
      },
    };
    const newest = this.#access.newestNow() === null
      ? {}
      : { newest: () => this.#access.newestNow() ?? 0n };
    const tail: TailIterator<Message<T>> = new TailIterator(
      source,
      checked,
      (position) => {
        const message = take(position);
        this.#held.deliver(message.seq, message.timestampNs);
        this.#saw(message.seq);
        return message;
      },
      {
        ...newest,
        idle: (position, isEnd) => this.#idle(position, isEnd),
        idleEvery: CHECK_EVERY,
      },
    );
    return this.#tail = tail;
  }

  /** Moves over what does not match, and compares with the pool, from time to time. */
  async #idle(position: bigint, isEnd: boolean): Promise<void> {
    const now = performance.now();
    if (isEnd || now - this.#passedAt >= PASS_EVERY) {
      this.#passedAt = now;
      await this.#held.pass(position);
    }
    if (now - this.#checkedAt >= CHECK_EVERY) {
      this.#checkedAt = now;
      await this.#held.check();
    }
  }

  ack(seq: Seq): void | Promise<void> {
    this.#check();
    const number = checkSeq(seq, "seq");
    const done = this.#held.ack(number);
    if (done instanceof Promise) return done.then((found) => delivered(found, number));
    delivered(done, number);
  }

  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#tail?.close();
    try {
      await this.#held.pass(this.#position);
    } finally {
      try {
        await this.#held.close();
      } finally {
        this.#access.close();
      }
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function delivered(found: boolean, seq: bigint): void {
  if (found) return;
  throw new PlasmiteError("Usage", `Message ${seq} was not delivered`, {
    seq,
    hint: "Acknowledge the sequence number of a message that the tail of this cursor returned.",
  });
}
