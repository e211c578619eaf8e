/**
 * A filter that runs in jq in a worker, for callers who are not trusted with this thread.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { attempt, PlasmiteError, type Suggestion } from "../errors.ts";
import { MessageView } from "../lite3/message.ts";
import { printEnvelope } from "../text/envelope.ts";
import type { FrameBytes, StoredBytes } from "../types.ts";
import type { Node } from "./ast.ts";
import { compileErrors, jqProgram } from "./jq.ts";
import type { JqOutcome } from "./jq_process.ts";
import { JqWorkers, MOST_MESSAGES } from "./jq_workers.ts";
import { notBoolean, suggestionFor } from "./refusal.ts";
import type { Deferred, Where, WhereBatch } from "./where.ts";

/** The most JSON text of a job, in bytes, unless one message has more. */
const MOST_BYTES = 256 * 1024;
const LINE_END = 0x0a;

/** The limit of all messages together. */
export interface TotalTime {
  /** How long jq may compute, in milliseconds. */
  readonly ms: number;
  /** Creates the error for a filter that is over the limit. */
  spent(): PlasmiteError;
}

/** A filter in jq; it decides, and what is delivered comes from the stored bytes. */
export class DeferredWhere implements Where, Deferred {
  readonly expression: string;
  readonly isNative = false;
  readonly deferred: Deferred = this;
  failed = 0;
  readonly #program: string;
  readonly #workers: JqWorkers;
  readonly #total: TotalTime | undefined;
  #suggestion: Suggestion | undefined;
  #used = 0;
  readonly #out = new Buf(4096);
  readonly #view = new MessageView();

  private constructor(
    expression: string,
    program: string,
    workers: JqWorkers,
    total: TotalTime | undefined,
  ) {
    this.expression = expression;
    this.#program = program;
    this.#workers = workers;
    this.#total = total;
  }

  /**
   * Has jq compile the expression, in a worker; returns the problem if it cannot.
   *
   * @throws {PlasmiteError} Usage if that takes too long; Io if jq cannot be loaded
   */
  static async compile(
    expression: string,
    node: Node,
    total?: TotalTime,
  ): Promise<DeferredWhere | { readonly problem: string }> {
    const program = jqProgram(node);
    const workers = await JqWorkers.shared();
    const { report } = await workers.run({ program, lines: new Uint8Array() });
    const where = new DeferredWhere(expression, program, workers, total);
    if (typeof report !== "object") throw where.#late();
    if (report.broken !== undefined) throw where.#broken(report.broken);
    if (report.exitCode !== 0) return { problem: compileErrors(report.stderr) };
    where.#suggestion = await suggestionFor(expression, node);
    return where;
  }

  async evaluate(
    messages: readonly (FrameBytes | StoredBytes)[],
    signal?: AbortSignal,
  ): Promise<readonly (boolean | PlasmiteError)[]> {
    const printed = this.#print(messages);
    if (printed.count === 0) return printed.error === undefined ? [] : [printed.error];
    const before = performance.now();
    const { lines } = printed;
    const outcome = await this.#workers.run({ program: this.#program, lines }, signal);
    this.#used += performance.now() - before;
    const verdicts = outcome.verdicts.map((verdict) => this.#answer(verdict, outcome));
    const failure = this.#failureOf(outcome, printed.count);
    if (failure !== undefined) {
      const failed = messages[outcome.done];
      verdicts.push(failed === undefined ? failure : failure.with({ seq: failed.seq }));
    }
    return verdicts;
  }

  /** The first messages as lines of JSON, and the error of the message after them. */
  #print(messages: readonly (FrameBytes | StoredBytes)[]): {
    readonly lines: Uint8Array<ArrayBuffer>;
    readonly count: number;
    readonly error: PlasmiteError | undefined;
  } {
    const out = this.#out;
    out.clear();
    let count = 0;
    let error: PlasmiteError | undefined;
    for (const message of messages) {
      if (count === MOST_MESSAGES || out.len >= MOST_BYTES) break;
      const result = attempt(() => {
        const view = "payload" in message
          ? this.#view.openStored(message)
          : this.#view.openFrame(message);
        printEnvelope(view, out);
      });
      if (result instanceof PlasmiteError) {
        error = result;
        break;
      }
      out.reserve(1);
      out.u8[out.len++] = LINE_END;
      count++;
    }
    return { lines: out.bytes().slice(), count, error };
  }

  #answer(verdict: number, { report }: JqOutcome): boolean | PlasmiteError {
    if (verdict === 2) this.failed++;
    if (verdict !== 3) return verdict === 1;
    const value = typeof report === "object" ? report.notBoolean : undefined;
    return notBoolean(this.expression, value ?? "something else", this.#suggestion);
  }

  /** The error of the first message that was not evaluated, if it is the reason for that. */
  #failureOf({ done, report }: JqOutcome, count: number): PlasmiteError | undefined {
    if (done === count) return undefined;
    if (report === "late") return this.#late();
    if (typeof report !== "object") return undefined;
    if (report.broken !== undefined) return this.#broken(report.broken);
    if (report.exitCode !== 0) return this.#broken("crash");
    if (this.#total !== undefined && this.#used > this.#total.ms) return this.#total.spent();
    return undefined;
  }

  #late(): PlasmiteError {
    return new PlasmiteError("Usage", "filter exceeds its time budget", {
      hint: `jq may compute for one second on a message. Simplify ` +
        `${JSON.stringify(this.expression)}, or filter in the client.`,
    });
  }

  #broken(why: "memory" | "crash"): PlasmiteError {
    const what = JSON.stringify(this.expression);
    if (why === "memory") {
      return new PlasmiteError("Usage", "filter exceeds its memory budget", {
        hint: `jq may use 64 MiB. Simplify ${what}, or filter in the client.`,
      });
    }
    return new PlasmiteError("Usage", "filter expression failed in jq", {
      hint: `Simplify ${what}: it ended jq.`,
    });
  }

  matches(): boolean {
    throw elsewhere();
  }

  batch(): WhereBatch {
    throw elsewhere();
  }
}

function elsewhere(): PlasmiteError {
  return new PlasmiteError("Internal", "this filter is evaluated in a worker");
}
