/**
 * `plasmite tap`: runs a command and stores its output in a pool (docs/spec/command-line.md 7).
 *
 * @module
 */

import { resolvePool } from "../backend/resolve.ts";
import type { PoolHandle } from "../backend/types.ts";
import { PlasmiteError } from "../errors.ts";
import { messageFromValue } from "../lite3/from_value.ts";
import { FrameBatch } from "../pool/batch.ts";
import { refuseOversize } from "../pool/layout.ts";
import { nowNs } from "../text/time.ts";
import { parseDurability } from "../text/units.ts";
import type { CommandContext } from "./context.ts";
import { openPool } from "./open.ts";
import { type Ending, TapChild } from "./tap_child.ts";
import { cutPayload, leastLine, LineCapture } from "./tap_lines.ts";
import { findProgram } from "./tap_program.ts";
import { drain, PassThrough, Pump, Recorder } from "./tap_pump.ts";

const LIFECYCLE: readonly string[] = ["lifecycle"];

/** Runs `tap`; the exit code is the child's, or 128 and its signal. */
export async function run(context: CommandContext): Promise<number> {
  const { args } = context;
  const name = args.required("POOL");
  const ref = await resolvePool(name, context);
  if (ref.creation === "no") {
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
  const tags = args.texts("tag");
  // Output and signals are passed on while waiting for a lock.
  const pool = await openPool(context, ref, {
    write: true,
    serving: true,
    validate: ({ ringSize }) => {
      refuseSmall(words, tags, ringSize, ref.path);
      findProgram(words[0] ?? "");
    },
  });
  try {
    // A pool that is too small is reported before anything runs.
    refuseSmall(words, tags, pool.limits.ringSize, ref.path);
    return await new Tap(context, words, pool, flush).run();
  } finally {
    await pool.close();
  }
}

/** One run of a wrapped command. */
class Tap {
  /** The name of the pool as typed. */
  readonly #name: string;
  readonly #recorder: Recorder;
  readonly #stdout: LineCapture;
  readonly #stderr: LineCapture;
  readonly #lifecycle = new FrameBatch(1024);

  constructor(
    readonly context: CommandContext,
    readonly words: readonly string[],
    pool: PoolHandle,
    flush: boolean,
  ) {
    this.#name = context.args.required("POOL");
    this.#recorder = new Recorder(pool, flush);
    const { batchBytes, maxPayload, maxText = Infinity, ringSize } = pool.limits;
    // Frames start at multiples of 8, so that a ring of another size holds slightly less.
    const tags = context.args.texts("tag");
    const options = {
      tags,
      // A character can take six bytes in JSON text.
      maxPayload: Math.min(maxPayload - ringSize % 8, Math.floor(maxText / 6)),
      cutPayload: cutPayload(ringSize, tags),
      batchBytes,
      lastPiece: context.args.text("cr") === "last",
    };
    this.#stdout = new LineCapture({ ...options, stream: "stdout" });
    this.#stderr = new LineCapture({ ...options, stream: "stderr" });
  }

  async run(): Promise<number> {
    const { context, words } = this;
    encodeLifecycle(this.#lifecycle, { kind: "start", cmd: words });
    const since = performance.now();
    const child = TapChild.start(words);
    const visible = context.stderr.isTerminal;
    try {
      if (visible) {
        const { token } = await import("./words.ts");
        await this.#say(`tapping ${this.#name} <- ${words.map(token).join(" ")}`);
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
      // A failure of either ends the wait; a child may continue after closing its streams.
      const ending = await Promise.race([child.ending, finished.then(() => child.ending)]);
      const elapsed = performance.now() - since;
      this.#recorder.endedAt = performance.now();
      await drain(pumps, finished);
      await finished;
      encodeLifecycle(this.#lifecycle, {
        kind: "exit",
        ...exitFacts(ending),
        elapsed_ms: Math.round(elapsed),
      });
      await this.#recorder.store(this.#lifecycle);
      if (visible) await this.#sayEnd(ending, elapsed);
      return ending.code;
    } finally {
      await child.release();
    }
  }

  async #sayEnd(ending: Ending, elapsed: number): Promise<void> {
    const lines = this.#stdout.lines + this.#stderr.lines;
    const how = "signal" in ending ? `signal ${ending.signal}` : `exit ${ending.code}`;
    const count = `${lines} line${lines === 1 ? "" : "s"}`;
    await this.#say(`tapped ${count} (${(elapsed / 1000).toFixed(1)}s) -> ${this.#name} ${how}`);
  }

  async #say(text: string): Promise<void> {
    const { escapeControls } = await import("../visible.ts");
    this.context.stderr.text(`${escapeControls(text)}\n`);
  }
}

function encodeLifecycle(batch: FrameBatch, data: { readonly [key: string]: unknown }): void {
  batch.beginFrame();
  messageFromValue(batch.encoder, data, LIFECYCLE);
  const now = nowNs();
  batch.endFrame(Number(now & 0xffff_ffffn), Number(now >> 32n));
}

/** Refuses a ring that cannot hold the first message or the beginning of a line. */
function refuseSmall(
  words: readonly string[],
  tags: readonly string[],
  ringSize: number,
  path: string,
): void {
  const batch = new FrameBatch(1024);
  encodeLifecycle(batch, { kind: "start", cmd: words });
  try {
    for (const payload of [batch.payloadOf(0), leastLine(tags)]) {
      refuseOversize(payload, ringSize, path);
    }
  } catch (error) {
    if (!PlasmiteError.is(error)) throw error;
    throw new PlasmiteError("Usage", error.message, {
      path,
      hint: "The pool is too small for this command's messages; use a new one and --create-size.",
      cause: error,
    });
  }
}

function exitFacts(ending: Ending): { signal: string } | { code: number } {
  return "signal" in ending ? { signal: ending.signal } : { code: ending.code };
}
