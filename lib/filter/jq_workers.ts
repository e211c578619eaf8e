/**
 * Runs jq for everyone who filters on a server: in at most as many workers as there are
 * processors, one turn after the other, so that a filter that takes long delays the others by one
 * message at most (docs/spec/http-api.md 12).
 *
 * @module
 */

import { startTimer } from "../timers.ts";
import { PlasmiteError } from "../errors.ts";
import { onWorkersReleased, workersAreHeld } from "./holders.ts";
import { type JqOutcome, JqProcess, type ProcessorTime } from "./jq_process.ts";
import type { JqJob } from "./jq_worker.ts";

/** The largest number of messages in a job. */
export const MOST_MESSAGES = 512;
/** How often the time of busy workers is looked at, in milliseconds. */
const TICK = 50;
/** How long a worker waits for another job, in milliseconds. */
const IDLE = 10_000;

/** A job in the queue. */
interface Waiting {
  readonly job: JqJob;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (outcome: JqOutcome) => void;
  readonly reject: (error: unknown) => void;
}

/** The workers of this process. */
export class JqWorkers {
  readonly #url: string;
  readonly #cpu: ProcessorTime;
  readonly #most = Math.max(1, navigator.hardwareConcurrency);
  /** Each worker with the job it has. */
  readonly #workers = new Map<JqProcess, Waiting | null>();
  /** Workers that are starting or waiting. */
  readonly #free = new Set<JqProcess>();
  readonly #queue: Waiting[] = [];
  /** Why workers cannot be used. */
  #failure: PlasmiteError | undefined;
  #ticker: ReturnType<typeof setInterval> | undefined;
  #idle: ReturnType<typeof setTimeout> | undefined;

  private constructor(url: string, cpu: ProcessorTime) {
    this.#url = url;
    this.#cpu = cpu;
    onWorkersReleased(() => this.#release());
  }

  static #shared: Promise<JqWorkers> | undefined;

  /** The workers of this process; none is started yet. */
  static shared(): Promise<JqWorkers> {
    return this.#shared ??= this.#create();
  }

  static async #create(): Promise<JqWorkers> {
    const { workerCode } = await import("./worker_code.ts");
    const { default: { cpuUsage } } = await import("node:process");
    const blob = new Blob([workerCode()], { type: "text/javascript" });
    return new JqWorkers(URL.createObjectURL(blob), () => {
      const { user, system } = cpuUsage();
      return (user + system) / 1000;
    });
  }

  /** The number of workers. */
  get size(): number {
    return this.#workers.size;
  }

  /**
   * Runs a job when it is its turn.
   *
   * @returns the verdicts about the first messages of the job, at least one if it has any, unless
   *   the report says why not
   * @throws the signal's reason; Io if jq cannot be loaded; Busy if the server stops
   */
  run(job: JqJob, signal?: AbortSignal): Promise<JqOutcome> {
    const { promise, resolve, reject } = Promise.withResolvers<JqOutcome>();
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    const waiting = { job, signal, resolve, reject };
    const abort = (): void => this.#forget(waiting);
    signal?.addEventListener("abort", abort, { once: true });
    this.#queue.push(waiting);
    this.#next();
    return promise.finally(() => signal?.removeEventListener("abort", abort));
  }

  /** Gives waiting jobs to workers, and starts one if all are busy. */
  #next(): void {
    for (const [worker, has] of this.#workers) {
      if (has !== null || !this.#free.has(worker)) continue;
      const waiting = this.#queue.shift();
      if (waiting === undefined) break;
      void this.#hand(worker, waiting);
    }
    const starting =
      [...this.#workers].filter(([worker, has]) => has === null && !this.#free.has(worker)).length;
    if (this.#queue.length > starting && this.size < this.#most) this.#start();
    this.#watch();
  }

  #start(): void {
    const worker: JqProcess = new JqProcess(
      this.#url,
      MOST_MESSAGES,
      this.#cpu,
      () => {
        this.#free.add(worker);
        this.#next();
      },
      (problem) => {
        this.#workers.delete(worker);
        this.#free.delete(worker);
        this.#fail(problem);
      },
    );
    this.#workers.set(worker, null);
  }

  async #hand(worker: JqProcess, waiting: Waiting): Promise<void> {
    this.#free.delete(worker);
    this.#workers.set(worker, waiting);
    this.#watch();
    const outcome = await worker.run(waiting.job);
    if (outcome.report === "dead") waiting.reject(this.#failure ?? stopped());
    else waiting.resolve(outcome);
    if (this.#workers.has(worker)) {
      this.#workers.set(worker, null);
      this.#free.add(worker);
    }
    this.#next();
  }

  /** Measures the time of busy workers while there are any. */
  #watch(): void {
    const isBusy = [...this.#workers.values()].some((has) => has !== null);
    if (isBusy && this.#ticker === undefined) {
      let before = performance.now();
      this.#ticker = setInterval(() => {
        const now = performance.now();
        // while this loop was busy itself, nobody knows what the workers were doing
        this.#tick(Math.min(now - before, 2 * TICK));
        before = now;
      }, TICK);
    }
    if (!isBusy) {
      clearInterval(this.#ticker);
      this.#ticker = undefined;
    }
    clearTimeout(this.#idle);
    this.#idle = undefined;
    if (isBusy || this.#queue.length > 0 || this.size === 0) return;
    if (workersAreHeld()) this.#idle = startTimer(() => this.#release(), IDLE);
    else this.#release();
  }

  #tick(ms: number): void {
    for (const [worker, has] of [...this.#workers]) {
      if (has === null || (!worker.isLate(ms) && has.signal?.aborted !== true)) continue;
      worker.stop();
    }
  }

  /** Gives up a job whose caller has gone; a worker that computes for it stops at the next look. */
  #forget(waiting: Waiting): void {
    const at = this.#queue.indexOf(waiting);
    if (at >= 0) this.#queue.splice(at, 1);
    waiting.reject(waiting.signal?.reason);
    this.#watch();
  }

  #fail(problem: string): void {
    const failure = this.#failure = new PlasmiteError("Io", "failed to load jq", {
      hint: "This filter expression needs the npm package jq-wasm: run the server once with a " +
        "network connection, or use a simpler expression.",
      causes: [problem],
    });
    for (const { reject } of this.#queue.splice(0)) reject(failure);
    this.#watch();
  }

  /** Ends all workers and refuses what waits. */
  #release(): void {
    for (const worker of this.#workers.keys()) worker.kill();
    this.#workers.clear();
    this.#free.clear();
    for (const { reject } of this.#queue.splice(0)) reject(stopped());
    this.#watch();
  }
}

function stopped(): PlasmiteError {
  return new PlasmiteError("Busy", "server is stopping", { hint: "Try again in a moment." });
}
