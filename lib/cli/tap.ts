/**
 * `plasmite tap`: run a command and keep its output in a pool (docs/spec/command-line.md 7).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { FrameBatch } from "../pool/batch.ts";
import { Ring } from "../pool/ring.ts";
import { disk } from "../storage/file.ts";
import { nowNs } from "../text/time.ts";
import { parseDurability } from "../text/units.ts";
import type { CommandContext } from "./context.ts";
import { openOrCreate } from "./open.ts";
import { resolveRef } from "./refs.ts";
import { type Ending, TapChild } from "./tap_child.ts";
import { LineCapture } from "./tap_lines.ts";
import { drain, PassThrough, Pump, Recorder } from "./tap_pump.ts";

const LIFECYCLE: readonly string[] = ["lifecycle"];

/** Runs `tap`; the exit code is the child's, or 128 and its signal. */
export async function run(context: CommandContext): Promise<number> {
  const { args } = context;
  const pool = args.required("POOL");
  if (pool.includes("://")) {
    throw new PlasmiteError("Usage", "tap accepts local pool refs only", {
      hint: "Use a local pool name/path, and run it where the pool is: " +
        "plasmite tap <pool> -- <command...>",
    });
  }
  const words = args.texts("COMMAND");
  if (words.length === 0) {
    throw new PlasmiteError("Usage", "tap requires a wrapped command after `--`", {
      hint: "Use: plasmite tap <pool> -- <command...>",
    });
  }
  const flush = parseDurability(args.text("durability") ?? "fast") === "flush";
  const ref = resolveRef(pool, context.dir);
  if (ref.kind === "remote") throw new PlasmiteError("Internal", "a remote ref went unnoticed");
  const ring = await openOrCreate(context, ref, (path) => Ring.open(disk, path, { write: true }));
  try {
    return await new Tap(context, pool, words, ring, flush).run();
  } finally {
    ring.close();
  }
}

/** One run of a wrapped command. */
class Tap {
  readonly #recorder: Recorder;
  readonly #stdout: LineCapture;
  readonly #stderr: LineCapture;
  readonly #lifecycle = new FrameBatch(1024);

  constructor(
    readonly context: CommandContext,
    readonly pool: string,
    readonly words: readonly string[],
    readonly ring: Ring,
    flush: boolean,
  ) {
    this.#recorder = new Recorder(ring, flush);
    const { ringSize } = ring.layout;
    // Frames begin at multiples of 8, so a ring of odd size holds a little less.
    const options = {
      tags: context.args.texts("tag"),
      maxPayload: ring.maxPayload - ringSize % 8,
      batchBytes: Math.min(512 * 1024, Math.max(1, Math.floor(ringSize / 4))),
    };
    this.#stdout = new LineCapture({ ...options, stream: "stdout" });
    this.#stderr = new LineCapture({ ...options, stream: "stderr" });
  }

  async run(): Promise<number> {
    const { context, words } = this;
    // A pool that cannot hold the messages is told before anything runs.
    this.#encode({ kind: "start", cmd: words });
    for (const bytes of [this.#lifecycle.payloadOf(0), this.#stdout.leastPayload]) {
      this.#checkFits(bytes);
    }
    const since = performance.now();
    const child = TapChild.start(words);
    const visible = context.stderr.isTerminal;
    try {
      if (visible) {
        const { token } = await import("./words.ts");
        await this.#say(`tapping ${this.pool} <- ${words.map(token).join(" ")}`);
      }
      await this.#recorder.store(this.#lifecycle);
      const quiet = context.args.has("quiet");
      const out = new PassThrough(context.stdout.stream, "stdout", quiet);
      const err = new PassThrough(context.stderr.stream, "stderr", quiet);
      const pumps = [
        new Pump(child.stdout, out, this.#stdout, this.#recorder),
        new Pump(child.stderr, err, this.#stderr, this.#recorder),
      ];
      const finished = Promise.all(pumps.map((pump) => pump.run()));
      finished.catch(() => {});
      // A failure of either ends the wait; a child that closed its streams may live on.
      const ending = await Promise.race([child.ending, finished.then(() => child.ending)]);
      const elapsed = performance.now() - since;
      this.#recorder.endedAt = performance.now();
      await drain(pumps, finished);
      await finished;
      this.#encode({ kind: "exit", ...exitFacts(ending), elapsed_ms: Math.round(elapsed) });
      await this.#recorder.store(this.#lifecycle);
      if (visible) await this.#sayEnd(ending, elapsed);
      return ending.code;
    } finally {
      await child.release();
    }
  }

  #encode(data: { readonly [key: string]: unknown }): void {
    const batch = this.#lifecycle;
    batch.beginFrame();
    batch.encoder.messageFromValue(data, LIFECYCLE);
    const now = nowNs();
    batch.endFrame(Number(now & 0xffff_ffffn), Number(now >> 32n));
  }

  #checkFits(payload: number): void {
    try {
      this.ring.checkFits(payload);
    } catch (error) {
      if (!PlasmiteError.is(error)) throw error;
      throw new PlasmiteError("Usage", error.message, {
        path: this.ring.path,
        hint: "The pool is too small for this command's messages; use a new one and --create-size.",
        cause: error,
      });
    }
  }

  async #sayEnd(ending: Ending, elapsed: number): Promise<void> {
    const lines = this.#stdout.lines + this.#stderr.lines;
    const how = "signal" in ending ? `signal ${ending.signal}` : `exit ${ending.code}`;
    const count = `${lines} line${lines === 1 ? "" : "s"}`;
    await this.#say(`tapped ${count} (${(elapsed / 1000).toFixed(1)}s) -> ${this.pool} ${how}`);
  }

  async #say(text: string): Promise<void> {
    const { escapeControls } = await import("./human.ts");
    this.context.stderr.text(`${escapeControls(text)}\n`);
  }
}

function exitFacts(ending: Ending): { signal: string } | { code: number } {
  return "signal" in ending ? { signal: ending.signal } : { code: ending.code };
}
