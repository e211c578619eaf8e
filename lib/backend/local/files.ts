/**
 * The pool files of a directory for a process that serves others: what takes milliseconds with tens
 * of thousands of names is done in turns.
 *
 * @module
 */

import { Slice } from "../../storage/turns.ts";
import { isPoolFile, poolName } from "../refs.ts";
import type { Choose } from "../types.ts";
import { unreadableDir } from "./listing.ts";
import { SurveyHelper } from "./survey/helper.ts";

/** How many names are sorted at once, and merged at once. */
const RUN = 1024;

/**
 * From so many bytes on, a directory can have thousands of entries (an entry takes 20 bytes in
 * memory, more on disks), and the worker lists it: its entries come in one piece, as objects.
 */
const LARGE = 40_000;

/**
 * The paths of the selected pools, sorted by name.
 *
 * @throws {PlasmiteError} Permission or Io when the directory cannot be read
 */
export async function servedFiles(
  dir: string,
  choose: Choose | undefined,
): Promise<readonly string[]> {
  const slice = new Slice();
  const files: string[] = [];
  for (const name of await servedNames(dir, choose)) {
    files.push(`${dir}/${name}`);
    if (slice.over) await slice.next();
  }
  return files;
}

/**
 * The names of the files of {@linkcode servedFiles}.
 *
 * @param helper the worker; default the one of this process
 * @throws {PlasmiteError} Permission or Io when the directory cannot be read
 */
export async function servedNames(
  dir: string,
  choose: Choose | undefined,
  helper: SurveyHelper = SurveyHelper.shared(),
): Promise<readonly string[]> {
  const size = await Deno.stat(dir).then((info) => info.size, () => 0);
  const told = size < LARGE ? null : await namesTold(dir, helper);
  return await chosenInTurns(told ?? await namesInTurns(dir), choose);
}

/** What the worker says; null if it cannot. */
async function namesTold(dir: string, helper: SurveyHelper): Promise<readonly string[] | null> {
  const help = helper.help({ listed: dir });
  try {
    const report = await help.said(0);
    return report !== null && typeof report === "object" && "names" in report
      ? await splitInTurns(report.names)
      : null;
  } finally {
    help.close();
  }
}

async function splitInTurns(text: string): Promise<readonly string[]> {
  const parts: string[] = [];
  const slice = new Slice();
  for (let from = 0; from < text.length;) {
    const end = text.indexOf("\0", from);
    parts.push(text.slice(from, end < 0 ? text.length : end));
    from = end < 0 ? text.length : end + 1;
    if (parts.length % RUN === 0 && slice.over) await slice.next();
  }
  return parts;
}

async function namesInTurns(dir: string): Promise<readonly string[]> {
  const names = new Set<string>();
  const slice = new Slice();
  try {
    for await (const entry of Deno.readDir(dir)) {
      if (isPoolFile(entry)) names.add(entry.name);
      if (slice.over) await slice.next();
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw unreadableDir(error, dir);
  }
  return await sortInTurns([...names]);
}

/** Sorts texts by UTF-16 code unit, as `sort` does, in turns. */
export async function sortInTurns(texts: readonly string[]): Promise<readonly string[]> {
  const slice = new Slice();
  let runs: (readonly string[])[] = [];
  for (let from = 0; from < texts.length; from += RUN) {
    runs.push(texts.slice(from, from + RUN).sort());
    if (slice.over) await slice.next();
  }
  while (runs.length > 1) {
    const merged: (readonly string[])[] = [];
    for (let i = 0; i < runs.length; i += 2) {
      merged.push(await merge(runs[i] ?? [], runs[i + 1] ?? [], slice));
    }
    runs = merged;
  }
  return runs[0] ?? [];
}

async function merge(
  a: readonly string[],
  b: readonly string[],
  slice: Slice,
): Promise<readonly string[]> {
  const all: string[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    const left = a[i];
    const right = b[j];
    if (right === undefined || (left !== undefined && left <= right)) {
      if (left !== undefined) all.push(left);
      i++;
    } else {
      all.push(right);
      j++;
    }
    if (all.length % RUN === 0 && slice.over) await slice.next();
  }
  return all;
}

async function chosenInTurns(
  files: readonly string[],
  choose: Choose | undefined,
): Promise<readonly string[]> {
  if (choose === undefined) return files;
  const slice = new Slice();
  const names: string[] = [];
  for (const file of files) {
    names.push(poolName(file));
    if (names.length % RUN === 0 && slice.over) await slice.next();
  }
  const wanted = choose(names);
  if (wanted.length === files.length) return files;
  if (slice.over) await slice.next();
  const chosen = new Set(wanted);
  const kept: string[] = [];
  for (const [i, file] of files.entries()) {
    if (chosen.has(names[i] ?? "")) kept.push(file);
    if (i % RUN === 0 && slice.over) await slice.next();
  }
  return kept;
}
