/**
 * A worker that glances at the pools of large directories: on the command line it does one half
 * beside the main thread, on a server all, so that others do not wait. What it cannot do, or does
 * not say because it has failed, is done without it.
 *
 * @module
 */

import { onWorkersReleased, workersAreHeld } from "../../../filter/holders.ts";
import { startTimer } from "../../../timers.ts";
import type { SurveyReport, SurveyTask } from "./worker.ts";
import { workerUrl } from "./worker_url.ts";

/** How long the worker waits for another job, in milliseconds. */
const IDLE = 10_000;

/** A job in the worker's queue. */
interface Waiting {
  readonly done: Map<number, SurveyReport>;
  /** Whether nothing more comes, */
  over: boolean;
  /** and whether nobody waits for it. */
  closed: boolean;
  wake: () => void;
}

/** The chunks of a job that the worker does. */
export interface Help {
  /** Resolves to whether a chunk is done, or to false if it never will be. */
  done(chunk: number): Promise<boolean>;
  /** Resolves to what the worker says of a chunk, once; to null if it never will. */
  said(chunk: number): Promise<SurveyReport | null>;
  /** Says that nobody waits for the job any more. */
  close(): void;
}

/** The worker of this process. */
export class SurveyHelper {
  static #shared: SurveyHelper | undefined;

  /** The worker of this process; it is started by its first job. */
  static shared(): SurveyHelper {
    return this.#shared ??= new SurveyHelper(workerUrl);
  }

  readonly #url: () => string | null;
  #worker: Worker | null = null;
  /** Whether it cannot be started, or has failed. */
  #failed = false;
  readonly #queue: Waiting[] = [];
  #idle: ReturnType<typeof setTimeout> | undefined;

  /** @param url returns the address of the worker's module; null if it may not be loaded */
  constructor(url: () => string | null) {
    this.#url = url;
    onWorkersReleased(() => this.#end());
  }

  /** Whether there is a worker. */
  get isRunning(): boolean {
    return this.#worker !== null;
  }

  /** Hands out a job. */
  help(job: SurveyTask): Help {
    const waiting: Waiting = { done: new Map(), over: false, closed: false, wake: () => {} };
    const worker = this.#start();
    if (worker === null) waiting.over = true;
    else {
      this.#stayAwake();
      this.#queue.push(waiting);
      worker.postMessage(job);
    }
    const said = async (chunk: number): Promise<SurveyReport | null> => {
      while (!waiting.done.has(chunk) && !waiting.over) {
        await new Promise<void>((resolve) => waiting.wake = resolve);
      }
      const report = waiting.done.get(chunk) ?? null;
      waiting.done.delete(chunk);
      return report;
    };
    return {
      done: async (chunk) => await said(chunk) !== null,
      said,
      close: () => {
        waiting.closed = true;
        if (!workersAreHeld() && this.#queue.every(({ closed }) => closed)) this.#end();
      },
    };
  }

  #start(): Worker | null {
    if (this.#worker !== null || this.#failed) return this.#worker;
    const url = this.#url();
    if (url === null) {
      this.#failed = true;
      return null;
    }
    try {
      const worker = this.#worker = new Worker(url, { type: "module" });
      worker.onmessage = ({ data }: MessageEvent<SurveyReport>) => this.#hear(data);
      worker.onerror = (event) => {
        event.preventDefault();
        this.#fail();
      };
      return worker;
    } catch {
      // A platform without workers, or an address that it does not take.
      this.#fail();
      return null;
    }
  }

  #hear(report: SurveyReport): void {
    const waiting = this.#queue[0];
    if (waiting === undefined) return;
    if (report === "over") {
      waiting.over = true;
      this.#queue.shift();
      if (this.#queue.length === 0) this.#rest();
    } else waiting.done.set(typeof report === "number" ? report : report.chunk, report);
    waiting.wake();
  }

  /** Keeps the worker for a while if it may be used again, else ends it. */
  #rest(): void {
    if (!workersAreHeld()) return this.#end();
    this.#idle = startTimer(() => this.#end(), IDLE);
    Deno.unrefTimer(this.#idle);
  }

  #stayAwake(): void {
    // The first use of a timer loads a part of Node.
    if (this.#idle !== undefined) clearTimeout(this.#idle);
    this.#idle = undefined;
  }

  #fail(): void {
    this.#failed = true;
    this.#end();
  }

  #end(): void {
    this.#stayAwake();
    this.#worker?.terminate();
    this.#worker = null;
    for (const waiting of this.#queue.splice(0)) {
      waiting.over = true;
      waiting.wake();
    }
  }
}
