/**
 * One worker that runs jq: it starts, takes one job at a time, and is stopped when a message takes
 * longer than its budget.
 *
 * @module
 */

import { type JqJob, JqProgress, type JqReport } from "./jq_worker.ts";

/** How long jq may compute on one message, in milliseconds. */
export const BUDGET = 1_000;

/** The processor time that this process must have used meanwhile, in milliseconds. */
const LEAST_CPU = BUDGET / 4;

/** What became of a job. */
export interface JqOutcome {
  /** How many messages were evaluated: the first ones. */
  readonly done: number;
  /** The verdicts about them: 0 false, 1 true, 2 a runtime error, 3 no boolean. */
  readonly verdicts: readonly number[];
  /** What the worker sent at the end. */
  readonly report: Extract<JqReport, { is: "done" }> | "late" | "dead";
}

/** The processor time of this process, in milliseconds. */
export type ProcessorTime = () => number;

/** A worker. */
export class JqProcess {
  readonly #worker: Worker;
  readonly #progress: JqProgress;
  readonly #cpu: ProcessorTime;
  #finish: ((outcome: JqOutcome) => void) | null = null;
  /** The time and processor time that were used for the current message, in milliseconds. */
  #used = 0;
  #cpuBefore = 0;
  #seen = 0;
  #isStopped = false;

  /**
   * Starts a worker.
   *
   * @param url its code
   * @param most the largest number of messages in a job
   * @param ready called when it can take its first job
   * @param gone called with a problem when it cannot be used any more
   */
  constructor(
    url: string,
    most: number,
    cpu: ProcessorTime,
    ready: () => void,
    gone: (problem: string) => void,
  ) {
    this.#cpu = cpu;
    this.#progress = new JqProgress(most);
    const worker = this.#worker = new Worker(url, { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<JqReport>) => {
      if (data.is === "done") this.#end(data);
      else ready();
    };
    worker.onerror = (event) => {
      event.preventDefault();
      gone(event.message);
      this.kill();
    };
    worker.postMessage(this.#progress.memory);
  }

  /** Whether it has a job. */
  get isBusy(): boolean {
    return this.#finish !== null;
  }

  /** Hands out a job. */
  run(job: JqJob): Promise<JqOutcome> {
    this.#progress.reset();
    this.#isStopped = false;
    [this.#used, this.#seen, this.#cpuBefore] = [0, 0, this.#cpu()];
    const { promise, resolve } = Promise.withResolvers<JqOutcome>();
    this.#finish = resolve;
    this.#worker.postMessage(job, [job.lines.buffer]);
    return promise;
  }

  /**
   * Counts time against the budget of the current message. A worker that waits for a processor is
   * not late: this process must have had one for a part of the time.
   *
   * @returns whether the budget is used up
   */
  isLate(ms: number): boolean {
    const { done } = this.#progress;
    if (done !== this.#seen) {
      [this.#used, this.#seen, this.#cpuBefore] = [0, done, this.#cpu()];
      return false;
    }
    this.#used += ms;
    return this.#used >= BUDGET && this.#cpu() - this.#cpuBefore >= LEAST_CPU;
  }

  /** Ends the job: jq is thrown away, and the worker gets a new one. */
  stop(): void {
    this.#isStopped = true;
    this.#progress.stop();
  }

  /** Ends the worker, whatever it does. */
  kill(): void {
    // Deno ends a worker only when it does not compute
    this.#progress.stop();
    this.#worker.terminate();
    this.#end("dead");
  }

  #end(report: JqOutcome["report"]): void {
    const finish = this.#finish;
    this.#finish = null;
    const { done } = this.#progress;
    const verdicts = Array.from({ length: done }, (_, index) => this.#progress.verdict(index));
    finish?.({ done, verdicts, report: this.#isStopped && report !== "dead" ? "late" : report });
  }
}
