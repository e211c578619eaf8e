/**
 * A work group managed by a server (docs/spec/http-api.md 12.5).
 *
 * @module
 */

import { checkTaskTime } from "../../coordination/group_record.ts";
import type { Group, GroupRequest, HandedTask, TakenTasks, TakeRequest } from "../coordination.ts";
import { checkDead, MAX_TRIES } from "../dead.ts";
import { bodyOf, type HttpPoolContext } from "./coordination.ts";
import { type Effect, unreadable } from "./error.ts";
import { checkFeature } from "./features.ts";
import { type JsonFields, jsonFields } from "./transport.ts";
import type { Waits } from "./waits.ts";
import { messagesOf } from "./wire.ts";

const TAKING: Effect = {
  name: "request for tasks",
  doubt: "tasks may have been handed out",
  hint: "Take again: those tasks are handed out again when their time is over.",
};

/** A worker's access to a group in a pool on a server. */
export class HttpGroup implements Group {
  readonly name: string;
  readonly #pool: HttpPoolContext;
  readonly #waits: Waits;
  readonly #request: GroupRequest;

  /** Creates the object without sending anything. */
  constructor(pool: HttpPoolContext, waits: Waits, name: string, request: GroupRequest) {
    this.name = name;
    this.#pool = pool;
    this.#waits = waits;
    this.#request = request;
    checkDead(pool.name, request.dead);
  }

  async take(request: TakeRequest = {}): Promise<TakenTasks> {
    const { count, ackWaitMs, waitMs = 0, signal } = request;
    if (ackWaitMs !== undefined) checkTaskTime(ackWaitMs); // JSON has no NaN.
    const { tags, where = [], from, maxTries, dead, orderedByKey } = this.#request;
    const fields = {
      action: "take",
      count,
      ack_wait_ms: ackWaitMs,
      tags,
      where: where.length === 0 ? undefined : where.map(({ expression }) => expression),
      from,
      max_tries: maxTries,
      holder: this.#request.holder ?? `pid ${Deno.pid}`,
      dead,
      ordered_by_key: orderedByKey,
    };
    let lost = 0n;
    const end = performance.now() + waitMs;
    const taken = await this.#waits.until(end, signal, async (timeout) => {
      const body = bodyOf({ ...fields, timeout_ms: timeout });
      const done = await this.#send(body, (bytes) => tasksOf(bytes, this.#pool.name), {
        effect: TAKING,
        signal,
      });
      lost += done.lost;
      return { done, again: done.tasks.length === 0 };
    });
    return { ...taken, lost };
  }

  async #send<T>(
    body: string,
    parse: (bytes: Uint8Array<ArrayBuffer>) => T,
    more: { readonly effect?: Effect; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<T> {
    const { name: pool, transport, route } = this.#pool;
    await checkFeature(transport, "group");
    const call = { method: "POST", body, type: "application/json", pool, ...more };
    return await transport.read(route(`groups/${encodeURIComponent(this.name)}`), call, parse);
  }

  /** These requests can safely be repeated, so a lost response leaves no doubt. */
  async #act(fields: Readonly<Record<string, unknown>>): Promise<boolean> {
    const { name } = this.#pool;
    const answer = await this.#send(bodyOf(fields), (bytes) => jsonFields(bytes, name));
    return answer["already"] !== true;
  }

  async ack(seq: bigint, token: number): Promise<boolean> {
    return await this.#act({ action: "ack", seq, token });
  }

  async fail(seq: bigint, token: number, delayMs?: number): Promise<boolean> {
    const { maxTries = MAX_TRIES } = this.#request;
    if (delayMs !== undefined) checkTaskTime(delayMs);
    return await this.#act({ action: "fail", seq, token, delay_ms: delayMs, max_tries: maxTries });
  }

  async extend(seq: bigint, token: number, ackWaitMs?: number): Promise<boolean> {
    if (ackWaitMs !== undefined) checkTaskTime(ackWaitMs);
    return await this.#act({ action: "extend", seq, token, ack_wait_ms: ackWaitMs });
  }

  close(): void {}
}

function tasksOf(bytes: Uint8Array<ArrayBuffer>, pool: string): TakenTasks {
  const { lost, idle } = jsonFields(bytes, pool);
  const tasks = messagesOf(bytes, "tasks", pool, "message").map(({ message, fields }) => {
    return taskOf({ ...message, flags: 0 }, fields, pool);
  });
  return { tasks, lost: BigInt(String(lost ?? 0)), idle: idle === true };
}

function taskOf(message: HandedTask["message"], fields: JsonFields, pool: string): HandedTask {
  const { token, tries, until } = fields;
  const untilMs = typeof until === "string" ? Date.parse(until) : NaN;
  if (token === undefined || tries === undefined || Number.isNaN(untilMs)) throw unreadable(pool);
  return { message, token: Number(token), tries: Number(tries), untilMs };
}
