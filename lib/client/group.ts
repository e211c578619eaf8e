/**
 * Work groups of the library.
 *
 * @module
 */

import type { Group as Joined, HandedTask } from "../backend/coordination.ts";
import { ErrorKind, PlasmiteError } from "../errors.ts";
import type { IntegerPolicy } from "../lite3/value.ts";
import { startTimer } from "../timers.ts";
import type { Access, Reach } from "./access.ts";
import type { Group, GroupOptions, TakeOptions, Task } from "./coordination.ts";
import { Message } from "./message.ts";
import { checkOptions, type OptionKinds } from "./option_kinds.ts";
import { checkMs, checkSeq, checkTags, checkWhere } from "./options.ts";
import { compileAll } from "./tail.ts";

/** How long the iteration waits for a task at once, in milliseconds. */
const WAIT = 60_000;

const GROUP_KINDS: OptionKinds<GroupOptions> = {
  ackWaitMs: "checked",
  maxTries: "number",
  tags: "checked",
  where: "checked",
  from: ["oldest", "end"],
  holder: "string",
  orderedByKey: "boolean",
  dead: "string",
  dir: "string",
  onLost: "function",
};

const TAKE_KINDS: OptionKinds<TakeOptions> = {
  count: "checked",
  waitMs: "checked",
  signal: "signal",
};

/** Opens a group; see `group` of a pool. */
export async function openGroup<T extends object>(
  reach: Reach,
  name: string,
  options: GroupOptions | undefined,
  integers: IntegerPolicy,
): Promise<Group<T>> {
  const checked = checkOptions(options, "group", GROUP_KINDS);
  const { maxTries, from, holder, orderedByKey, dead, dir, onLost } = checked;
  const ackWaitMs = checkMs(checked.ackWaitMs, "ackWaitMs");
  const tags = checkTags(checked.tags);
  const expressions = checkWhere(checked.where);
  if (maxTries !== undefined && !(Number.isInteger(maxTries) && maxTries >= 1)) {
    throw new PlasmiteError("Usage", `invalid maxTries: ${maxTries}`, {
      hint: "Use a whole number from 1.",
    });
  }
  const where = await compileAll(expressions);
  const access = (await reach(false)).share();
  try {
    const request = { maxTries, tags, where, from, holder, orderedByKey, dead, dir };
    const joined = access.coordination.group(name, request);
    return new OpenGroup<T>(access, joined, integers, ackWaitMs, onLost);
  } catch (error) {
    access.close();
    throw error;
  }
}

/** Access of this process to a group. */
class OpenGroup<T extends object> implements Group<T> {
  readonly name: string;
  readonly #access: Access;
  readonly #joined: Joined;
  readonly #integers: IntegerPolicy;
  readonly #ackWaitMs: number | undefined;
  readonly #onLost: ((count: bigint) => void) | undefined;
  readonly #closing = new AbortController();

  constructor(
    access: Access,
    joined: Joined,
    integers: IntegerPolicy,
    ackWaitMs: number | undefined,
    onLost: ((count: bigint) => void) | undefined,
  ) {
    this.name = joined.name;
    this.#access = access;
    this.#joined = joined;
    this.#integers = integers;
    this.#ackWaitMs = ackWaitMs;
    this.#onLost = onLost;
  }

  async take(options?: TakeOptions): Promise<Task<T>[]> {
    const { count, waitMs, signal } = checkOptions(options, "take", TAKE_KINDS);
    if (this.#closing.signal.aborted) {
      throw new PlasmiteError("Usage", "group is closed", { hint: "Open it again." });
    }
    signal?.throwIfAborted();
    const ends = this.#closing.signal;
    const { tasks, lost } = await this.#joined.take({
      count: count === undefined ? 1 : Number(checkSeq(count, "count")),
      waitMs: checkMs(waitMs, "waitMs") ?? 0,
      ackWaitMs: this.#ackWaitMs,
      signal: signal === undefined ? ends : AbortSignal.any([signal, ends]),
    });
    if (lost > 0n) this.#onLost?.(lost);
    return tasks.map((task) =>
      new HandedOut<T>(this.#joined, task, this.#integers, this.#ackWaitMs)
    );
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Task<T>, void, undefined> {
    while (!this.#closing.signal.aborted) {
      try {
        yield* await this.take({ waitMs: WAIT });
      } catch (error) {
        if (error !== this.#closing.signal.reason) throw error;
      }
    }
  }

  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new PlasmiteError("Usage", "group is closed", { hint: "Open it again." }));
    this.#joined.close();
    this.#access.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** A task that belongs to this worker. */
class HandedOut<T extends object> implements Task<T> {
  readonly message: Message<T>;
  readonly tries: number;
  readonly token: number;
  readonly #joined: Joined;
  readonly #ackWaitMs: number | undefined;
  #untilMs: number;
  #over: AbortController | null = null;
  #timer: ReturnType<typeof startTimer> | undefined;
  #done = false;

  constructor(
    joined: Joined,
    { message: { seq, timestampNs, payload }, tries, token, untilMs }: HandedTask,
    integers: IntegerPolicy,
    ackWaitMs: number | undefined,
  ) {
    this.#joined = joined;
    this.message = new Message<T>(seq, timestampNs, { payload, integers });
    this.tries = tries;
    this.token = token;
    this.#untilMs = untilMs;
    this.#ackWaitMs = ackWaitMs;
  }

  get until(): Date {
    return new Date(this.#untilMs);
  }

  get signal(): AbortSignal {
    if (this.#over === null) {
      this.#over = new AbortController();
      this.#watch();
    }
    return this.#over.signal;
  }

  /** Aborts the signal, if there is one, when the time is over. */
  #watch(): void {
    clearTimeout(this.#timer);
    if (this.#over === null || this.#done) return;
    const left = this.#untilMs - Date.now();
    if (left <= 0) return this.#over.abort(this.#expired());
    this.#timer = startTimer(() => this.#watch(), left);
    Deno.unrefTimer(this.#timer);
  }

  #expired(): PlasmiteError {
    const { seq } = this.message;
    return new PlasmiteError("Conflict", `The time for task ${seq} is over`, {
      seq,
      hint: "Another worker may have it: extend a task while you work on it.",
    });
  }

  async #act(run: () => boolean | Promise<boolean>): Promise<boolean> {
    try {
      return await run();
    } catch (error) {
      if (PlasmiteError.is(error, ErrorKind.Conflict)) this.#end(error);
      throw error;
    }
  }

  /** Nothing more can be done with it. */
  #end(reason?: unknown): void {
    this.#done = true;
    clearTimeout(this.#timer);
    if (reason !== undefined) this.#over?.abort(reason);
  }

  async ack(): Promise<boolean> {
    const found = await this.#act(() => this.#joined.ack(this.message.seq, this.token));
    this.#end();
    return found;
  }

  async fail(delayMs?: number): Promise<boolean> {
    const delay = checkMs(delayMs, "delayMs");
    const found = await this.#act(() => this.#joined.fail(this.message.seq, this.token, delay));
    this.#end();
    return found;
  }

  async extend(): Promise<boolean> {
    const from = Date.now();
    const ms = this.#ackWaitMs ?? 60_000;
    const found = await this.#act(() => this.#joined.extend(this.message.seq, this.token, ms));
    if (!found) return false;
    this.#untilMs = from + ms;
    this.#watch();
    return true;
  }
}
