/**
 * `--ack manual`: acknowledgements from stdin, one a line (docs/spec/coordination.md 2).
 *
 * @module
 */

import type { Cursor } from "../backend/coordination.ts";
import { standardInput } from "../stdio.ts";
import { startTimer } from "../timers.ts";
import type { CommandContext } from "./context.ts";
import { printNotice } from "./notices.ts";

const ACK = /^(?:ack\s+)?(\d+)$/;
/** The maximum line length; anything longer is not a number. */
const LONGEST = 4096;

/** The reason to stop when stdin ends. */
export class InputEnded extends Error {
  /** Creates a reason to stop. */
  constructor() {
    super("stdin ended");
    this.name = "InputEnded";
  }
}

/** Reads acknowledgements. */
export class Acks {
  readonly #context: CommandContext;
  readonly #cursor: Cursor;
  readonly #path: string;
  #changed: PromiseWithResolvers<void> = Promise.withResolvers();

  /** @param path the pool's name in notices */
  constructor(context: CommandContext, cursor: Cursor, path: string) {
    this.#context = context;
    this.#cursor = cursor;
    this.#path = path;
  }

  /** Waits for the next acknowledgement, at most `ms` milliseconds. */
  async changed(ms: number): Promise<void> {
    if (!(ms > 0)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = ms < Infinity ? startTimer(resolve, ms) : undefined;
    await Promise.race([this.#changed.promise, promise]);
    clearTimeout(timer);
  }

  /** Cancels waits for an acknowledgement. */
  wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** Reads until stdin ends. */
  async read(): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const count = await standardInput.read(buffer);
      const text = count === null
        ? "\n"
        : decoder.decode(buffer.subarray(0, count), { stream: true });
      const lines = (rest + text).split("\n");
      rest = (lines.pop() ?? "").slice(0, LONGEST);
      for (const line of lines) await this.#take(line.trim());
      this.wake();
      if (count === null) return;
    }
  }

  async #take(line: string): Promise<void> {
    if (line === "") return;
    const digits = ACK.exec(line)?.[1];
    const seq = digits === undefined ? undefined : BigInt(digits);
    if (seq !== undefined && await this.#cursor.ack(seq)) return;
    const what = seq === undefined ? "is no sequence number" : "was not delivered";
    const shown = line.length > 40 ? `${line.slice(0, 40)}…` : line;
    printNotice(this.#context, {
      kind: "ack_ignored",
      message: `Ignored an acknowledgement: ${seq ?? JSON.stringify(shown)} ${what}.`,
      pool: this.#context.args.required("POOL"),
      details: { cursor: this.#cursor.name, pool_path: this.#path, seq: seq ?? null },
    });
  }
}
