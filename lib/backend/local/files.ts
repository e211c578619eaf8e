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

/** How many names are sorted at once, and merged at once. */
const RUN = 1024;

/**
 * The paths of the selected pools, sorted by name.
 *
 * @throws {PlasmiteError} Permission or Io when the directory cannot be read
 */
export async function servedFiles(
  dir: string,
  choose: Choose | undefined,
): Promise<readonly string[]> {
  return await chosenInTurns(await filesInTurns(dir), choose);
}

async function filesInTurns(dir: string): Promise<string[]> {
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
  const files: string[] = [];
  for (const name of await sortInTurns([...names])) {
    files.push(`${dir}/${name}`);
    if (slice.over) await slice.next();
  }
  return files;
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
  for (const path of files) {
    names.push(poolName(path));
    if (slice.over) await slice.next();
  }
  const wanted = choose(names);
  if (wanted.length === files.length) return files;
  if (slice.over) await slice.next();
  const chosen = new Set(wanted);
  const kept: string[] = [];
  for (const [i, path] of files.entries()) {
    if (chosen.has(names[i] ?? "")) kept.push(path);
    if (slice.over) await slice.next();
  }
  return kept;
}
