/**
 * `plasmite serve logs`: what an installed server has printed (docs/spec/sharing.md 6.2).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import type { CommandContext } from "./context.ts";
import { findService, type FoundService } from "./service/find.ts";
import { Signals } from "./signals.ts";
import { sendSignal } from "./tap_child.ts";

/** How many lines are shown. */
const LINES = 50;

/** The program that prints them: a user unit writes to the journal, a system unit to a file. */
function reader({ place, setup }: FoundService, lines: number, follow: boolean): string[] {
  const count = String(lines);
  if (setup.scope === "system") {
    return ["tail", "-n", count, ...follow ? ["-F"] : [], place.log];
  }
  const unit = ["--user", "--unit", `${place.name}.service`, "--output", "cat", "--no-pager"];
  return ["journalctl", ...unit, "--lines", count, ...follow ? ["--follow"] : []];
}

/** Runs `serve logs`. */
export async function run(context: CommandContext): Promise<number> {
  const { args } = context;
  const service = findService(context);
  const words = reader(service, args.count("tail") ?? LINES, args.has("follow"));
  const [program = "", ...rest] = words;
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, { args: rest, stdin: "null", stdout: "piped" }).spawn();
  } catch (cause) {
    throw new PlasmiteError("Io", `cannot start ${program}`, {
      hint: `Logs are read with ${program}, which is not here.`,
      cause,
    });
  }
  // What reads the log must not go on without whom it reads it for.
  using signals = new Signals();
  signals.onSignal = () => sendSignal(child, "SIGTERM");
  try {
    for await (const line of linesOf(child.stdout)) {
      if (context.isForPeople) context.stdout.text(`${line}\n`);
      else context.document({ message: line });
    }
  } finally {
    sendSignal(child, "SIGTERM");
  }
  const { code } = await child.status;
  if (code === 0 || signals.signal.aborted) return 0;
  throw new PlasmiteError("Io", "the log cannot be read", {
    path: service.place.log,
    hint: `${program} says why.`,
  });
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  const text = new TextDecoder();
  for await (const piece of stream) {
    const lines = (rest + text.decode(piece, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  if (rest !== "") yield rest;
}
