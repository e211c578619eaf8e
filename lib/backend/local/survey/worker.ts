/**
 * What runs in the worker of `helper.ts`: it glances at pools, chunk after chunk, and tells after
 * each that it is done; for servers it prints them as well, and lists directories.
 *
 * @module
 */

import { disk } from "../../../storage/file.ts";
import { poolFileNames } from "../../refs.ts";
import { type PrintedChunk, type PrintJob, printPools } from "./print.ts";
import { type SurveyJob, SurveyRecords } from "./records.ts";

/** Asks for the pool files of a directory. */
export interface NamesJob {
  /** The directory to list. */
  readonly listed: string;
}

/** The answer: the names of the files, sorted, with a NUL after each but the last. */
export interface NamesReport {
  readonly chunk: 0;
  readonly names: string;
}

/** What the worker does. */
export type SurveyTask = SurveyJob | NamesJob | PrintJob;

/** What the worker sends: what is done of the oldest job, or that the job is over. */
export type SurveyReport = number | NamesReport | PrintedChunk | "over";

/** The scope of a worker, as far as it is used. */
interface Scope {
  onmessage: ((event: { readonly data: SurveyTask }) => void) | null;
  postMessage(report: SurveyReport, transfer?: readonly ArrayBuffer[]): void;
}

/** Serves jobs for ever, one after the other. */
function serveSurveys(scope: Scope): void {
  let last = Promise.resolve();
  scope.onmessage = ({ data }) => {
    last = last.then(() => serve(data, scope));
  };
}

async function serve(task: SurveyTask, scope: Scope): Promise<void> {
  if ("listed" in task) tellNames(task, scope);
  else if ("files" in task) await tellTexts(task, scope);
  else lookAtAll(task, scope);
  scope.postMessage("over");
}

function tellNames({ listed }: NamesJob, scope: Scope): void {
  let names: string;
  try {
    names = poolFileNames(listed).join("\0");
  } catch {
    return; // The other thread tries it again and says why.
  }
  scope.postMessage({ chunk: 0, names });
}

/** Only servers need this, and `node:fs` for it, which takes as long as to start the worker. */
async function tellTexts(job: PrintJob, scope: Scope): Promise<void> {
  const fs = await import("node:fs");
  for (const printed of printPools(job, fs)) {
    const texts = printed.parts.filter((part) => typeof part !== "number");
    scope.postMessage(printed, texts.map(({ buffer }) => buffer));
  }
}

function lookAtAll(job: SurveyJob, scope: Scope): void {
  const records = new SurveyRecords(job);
  for (let chunk = records.take(); chunk >= 0; chunk = records.take()) {
    records.look(chunk, disk);
    scope.postMessage(chunk);
  }
}

serveSurveys(globalThis as unknown as Scope);
