/**
 * What runs in a worker of {@linkcode JqWorkers}: jq, on one batch of messages at a time.
 *
 * The function must not refer to anything outside itself: it is passed to the worker as text
 * (`worker_code.ts`), so that a worker needs no permission to read a file.
 *
 * @module
 */

import type { Jq } from "jq-wasm/inline";
import type { withChecks } from "./wasm_checks.ts";

/** A batch to evaluate. */
export interface JqJob {
  /** The program, which prints one line for each message. */
  readonly program: string;
  /** The messages as lines of JSON; none only to check the program. */
  readonly lines: Uint8Array<ArrayBuffer>;
}

/** What a worker sends. */
export type JqReport =
  /** It is waiting for its first job. */
  | { readonly is: "ready" }
  /** A job ended, maybe before all messages were evaluated. */
  | {
    readonly is: "done";
    /** What jq prints about a program that it cannot compile, and its exit code. */
    readonly stderr: string;
    readonly exitCode: number;
    /** The value of the last evaluated message, if it is not a boolean. */
    readonly notBoolean?: string;
    /** Set if jq cannot go on. */
    readonly broken?: "memory" | "crash";
  };

/**
 * Memory that is shared with a worker, so that its progress is known while it computes, and that it
 * can be told to stop.
 */
export class JqProgress {
  /** The memory. */
  readonly memory: SharedArrayBuffer;
  /** How many messages of the job were evaluated, and whether to stop. */
  readonly #state: Int32Array;
  readonly #verdicts: Uint8Array;

  /** @param most the largest number of messages in a job */
  constructor(most: number) {
    this.memory = new SharedArrayBuffer(8 + most);
    this.#state = new Int32Array(this.memory, 0, 2);
    this.#verdicts = new Uint8Array(this.memory, 8);
  }

  /** How many messages of the job were evaluated. */
  get done(): number {
    return Atomics.load(this.#state, 0);
  }

  /** Before a job. */
  reset(): void {
    Atomics.store(this.#state, 0, 0);
    Atomics.store(this.#state, 1, 0);
  }

  /** Tells the worker to stop computing. */
  stop(): void {
    Atomics.store(this.#state, 1, 1);
  }

  /** The verdict about a message: see `VERDICTS` in {@linkcode runJqWorker}. */
  verdict(index: number): number {
    return this.#verdicts[index] ?? 0;
  }
}

/** The scope of a worker, as far as it is used. */
interface Scope {
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  postMessage(report: JqReport): void;
}

/**
 * Serves jobs for ever.
 *
 * @param loadJq loads jq-wasm
 * @param check {@linkcode withChecks}
 */
// verdicts: 0 false, 1 true, 2 a runtime error, 3 no boolean
export function runJqWorker(
  scope: Scope,
  loadJq: () => Promise<Jq>,
  check: typeof withChecks,
): void {
  /** The most memory of jq, in bytes. */
  const MEMORY = 64 << 20;
  /** Beyond this, jq starts afresh after a job, so that the next filter has room. */
  const LEFT_OVER = 32 << 20;
  /** A job ends at the first message after this time, in milliseconds, so that others have turns. */
  const TURN = 8;
  const PAGE = 65536;
  /** Loops look whether to stop after this many turns, which take about a tenth of a millisecond. */
  const TURNS = 20_000;
  /** jq's option to print each line at once. */
  const UNBUFFERED = ["", "", "unbuffered"].join("-");

  let jq: Jq | undefined;
  let module: WebAssembly.Module | undefined;
  let memory = new WebAssembly.Memory({ initial: 0 });
  let refused = false;
  let lines = new Uint8Array();
  let read = 0;
  let lineEnd = 0;
  let until = 0;
  let ended = false;
  let printed: number[] = [];
  let notBoolean: string | undefined;
  let state: Int32Array = new Int32Array(2);
  let verdicts: Uint8Array = new Uint8Array();
  let count = 0;

  /** Copies between buffers that jq names and one piece of ours; returns the bytes copied. */
  const eachBuffer = (
    list: number,
    length: number,
    copy: (bytes: Uint8Array) => number,
    isOver: () => boolean,
  ): number => {
    const view = new DataView(memory.buffer);
    let total = 0;
    for (let i = 0; i < length; i++) {
      const at = view.getUint32(list + 8 * i, true);
      const size = view.getUint32(list + 8 * i + 4, true);
      const copied = copy(new Uint8Array(memory.buffer, at, size));
      total += copied;
      if (copied < size || isOver()) break;
    }
    return total;
  };

  /** Gives jq one line at a time: it asks for the next when it is done with the one before. */
  const give = (bytes: Uint8Array): number => {
    if (read === lineEnd) {
      if (ended || (count > 0 && performance.now() >= until)) return 0;
      const end = lines.indexOf(0x0a, read);
      lineEnd = end < 0 ? lines.length : end + 1;
    }
    const size = Math.min(bytes.length, lineEnd - read);
    bytes.set(lines.subarray(read, read + size));
    read += size;
    return size;
  };

  const note = (line: string): void => {
    let verdict = ["false", "true", "null"].indexOf(line);
    if (verdict < 0) {
      const value: unknown = JSON.parse(line);
      notBoolean = Array.isArray(value) ? String(value[0]) : line;
      verdict = 3;
      ended = true;
    }
    verdicts[count++] = verdict;
    Atomics.store(state, 0, count);
  };

  const take = (bytes: Uint8Array): number => {
    for (const byte of bytes) {
      if (byte !== 0x0a) printed.push(byte);
      else {
        note(new TextDecoder().decode(Uint8Array.from(printed)));
        printed = [];
      }
    }
    return bytes.length;
  };

  const compile = WebAssembly.compile;
  const instantiate = WebAssembly.instantiate as (
    module: WebAssembly.Module,
    imports: WebAssembly.Imports,
  ) => Promise<WebAssembly.Instance>;
  // jq-wasm has no way to limit memory or to feed jq message by message, so its functions for files
  // are replaced when it starts. Nothing else in this worker uses WebAssembly.
  WebAssembly.instantiate = (async (source: BufferSource, imports: WebAssembly.Imports) => {
    const [[space = "", functions = {}] = []] = Object.entries(imports);
    const own: Record<string, WebAssembly.ImportValue> = { ...functions };
    const replaced = new Set<string>();
    let clock = "";
    for (const [name, original] of Object.entries(functions)) {
      if (typeof original !== "function") continue;
      const io = original.name;
      if (io === "_emscripten_date_now") {
        clock = name;
        replaced.add(io);
        own[name] = () => {
          if (Atomics.load(state, 1) !== 0) throw new Error("stopped");
          return Date.now();
        };
      }
      if (io !== "_fd_read" && io !== "_fd_write") continue;
      replaced.add(io);
      own[name] = (file: number, list: number, length: number, size: number): unknown => {
        if (io === "_fd_write" && file !== 1) return original(file, list, length, size);
        const copied = io === "_fd_write"
          ? eachBuffer(list, length, take, () => false)
          : eachBuffer(list, length, give, () => read === lineEnd);
        new DataView(memory.buffer).setUint32(size, copied, true);
        return 0;
      };
    }
    if (replaced.size !== 3) throw new Error("this jq-wasm has other imports");
    module ??= await compile(check(new Uint8Array(source as ArrayBuffer), clock, TURNS));
    const instance = await instantiate(module, { [space]: own });
    for (const exported of Object.values(instance.exports)) {
      if (exported instanceof WebAssembly.Memory) memory = exported;
    }
    const grow = memory.grow.bind(memory);
    memory.grow = (pages: number): number => {
      if (memory.buffer.byteLength + pages * PAGE <= MEMORY) return grow(pages);
      refused = true;
      throw new RangeError("jq may use 64 MiB");
    };
    return { instance, module };
  }) as unknown as typeof WebAssembly.instantiate;
  // It reports its end there, which the answer does as well.
  // deno-lint-ignore no-console -- it is silenced here
  console.error = () => {};

  const run = async (job: JqJob): Promise<JqReport> => {
    jq ??= await loadJq();
    [lines, read, lineEnd, count, printed] = [job.lines, 0, 0, 0, []];
    [refused, ended, notBoolean] = [false, false, undefined];
    until = performance.now() + TURN;
    try {
      const { stderr, exitCode } = jq.raw("", job.program, ["-c", UNBUFFERED]);
      return { is: "done", stderr, exitCode, ...(notBoolean === undefined ? {} : { notBoolean }) };
    } catch {
      jq = undefined;
      return { is: "done", stderr: "", exitCode: -1, broken: refused ? "memory" : "crash" };
    } finally {
      lines = new Uint8Array();
      if (memory.buffer.byteLength > LEFT_OVER) jq = undefined;
    }
  };

  scope.onmessage = async ({ data }) => {
    if (data instanceof SharedArrayBuffer) {
      state = new Int32Array(data, 0, 2);
      verdicts = new Uint8Array(data, 8);
      jq = await loadJq();
      scope.postMessage({ is: "ready" });
    } else scope.postMessage(await run(data as JqJob));
  };
}
