/**
 * `plasmite pool delete`: tries all names; failures are rows on stdout
 * (docs/spec/command-line.md 4.4).
 *
 * @module
 */

import type { PoolRef } from "../backend/resolve.ts";
import { missingFlag } from "../environment.ts";
import { PlasmiteError } from "../errors.ts";
import type { CommandContext } from "./context.ts";
import { escapeControls } from "../visible.ts";
import { displayDir, shortPath, table } from "./human.ts";
import { missingHint } from "./missing.ts";
import { connectTo } from "./open.ts";
import { localOrStream } from "./local_or_stream.ts";
import { asPlasmiteError, errorJson } from "./report.ts";

interface Outcome {
  readonly name: string;
  readonly path: string | undefined;
  readonly error: PlasmiteError | undefined;
}

/** Runs `pool delete`; the exit code is that of the first failure. */
export async function run(context: CommandContext): Promise<number> {
  const outcomes: Outcome[] = [];
  for (const name of context.args.texts("NAME")) outcomes.push(await remove(name, context));
  context.report(
    () => ({
      deleted: outcomes.filter((one) => one.error === undefined)
        .map(({ name, path }) => ({ path, pool: name })),
      failed: outcomes.filter((one) => one.error !== undefined)
        .map(({ name, error }) => ({ error: error && errorJson(error), pool: name })),
    }),
    () =>
      context.stdout.isTerminal ? forPeople(outcomes, context) : forPipes(outcomes, context.dir),
  );
  return outcomes.find((one) => one.error !== undefined)?.error?.kind ?? 0;
}

async function remove(name: string, context: CommandContext): Promise<Outcome> {
  let ref: PoolRef | undefined;
  try {
    ref = await localOrStream(context, name);
    const backend = await connectTo(context, ref);
    try {
      await backend.remove(ref.name);
    } finally {
      await backend.close();
    }
    return { name, path: ref.path, error: undefined };
  } catch (error) {
    const failure = asPlasmiteError(error);
    const explained = missingFlag(error) === undefined ? explain(failure, ref, context) : failure;
    const { advised } = await import("./advice.ts");
    return { name, path: ref?.path, error: advised(explained, context) };
  }
}

function explain(
  error: PlasmiteError,
  ref: PoolRef | undefined,
  context: CommandContext,
): PlasmiteError {
  const path = ref?.path;
  switch (error.kindName) {
    case "NotFound":
      return new PlasmiteError("NotFound", "pool not found", {
        hint: ref && missingHint(context, ref),
        path,
        cause: error,
      });
    case "Permission":
    case "Io":
      if (ref?.isRemote === true) return error;
      return new PlasmiteError("Io", "failed to delete pool", {
        hint: error.hint ?? "Check the permissions of the directory.",
        path,
        causes: error.causes ?? [error.message],
        cause: error,
      });
    default:
      return error;
  }
}

function forPipes(outcomes: readonly Outcome[], dir: string): string {
  const rows = outcomes.map(({ name, path, error }) => [
    name,
    error === undefined ? "OK" : "ERR",
    path === undefined ? "-" : shortPath(path, dir),
    error?.message ?? "-",
  ]);
  return table(["NAME", "STATUS", "PATH", "DETAIL"], rows);
}

function forPeople(outcomes: readonly Outcome[], context: CommandContext): string {
  const dir = escapeControls(displayDir(context.dir));
  const [only] = outcomes;
  if (outcomes.length === 1 && only !== undefined) return onePool(only, dir);
  const deleted = outcomes.filter((one) => one.error === undefined).length;
  const count = deleted === outcomes.length ? `${deleted}` : `${deleted} of ${outcomes.length}`;
  const rows = outcomes.map(({ name, error }) =>
    error === undefined
      ? `  ✓ ${escapeControls(name)}\n`
      : `  ✗ ${escapeControls(name)} — ${escapeControls(error.message)}\n`
  );
  return `Deleted ${count} pools.\n\n${rows.join("")}\n  Pool directory: ${dir}\n`;
}

function onePool({ name, error }: Outcome, dir: string): string {
  const quoted = `"${escapeControls(name)}"`;
  if (error === undefined) return `Deleted pool ${quoted}.\n`;
  const missing = error.kindName === "NotFound";
  const head = missing
    ? `Pool ${quoted} not found. Nothing to delete.`
    : `Failed to delete pool ${quoted}.`;
  const reason = [error.message, ...(error.causes ?? [])].join(": ");
  return `${head}\n\n` +
    `  Reason:         ${escapeControls(reason)}\n` +
    `  Pool directory: ${dir}\n` +
    `  List pools:     plasmite pool list\n`;
}
