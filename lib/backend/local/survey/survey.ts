/**
 * Describes the pools of large directories, with the help of a worker.
 *
 * @module
 */

import { disk } from "../../../storage/file.ts";
import type { Steps } from "../../../storage/steps.ts";
import type { Awaitable } from "../../../types.ts";
import { poolName } from "../../refs.ts";
import { glimpsed, type PoolInfo } from "../info.ts";
import { describingFiles } from "../listing.ts";
import { SurveyHelper } from "./helper.ts";
import { CHUNK, surveyMemory, SurveyRecords } from "./records.ts";

/** How to survey. */
export interface SurveyOptions {
  /** Whether to read headers only. */
  readonly brief: boolean;
  /** Whether others have turns in the meantime; then the worker does it all. */
  readonly serving: boolean;
  /** Runs steps. */
  readonly run: <T>(steps: Steps<T>) => Awaitable<T>;
  /** The worker; default the one of this process. */
  readonly helper?: SurveyHelper;
}

/** Describes the pools in these files, in pieces and in order. */
export async function* surveying(
  paths: readonly string[],
  { brief, serving, run, helper = SurveyHelper.shared() }: SurveyOptions,
): AsyncGenerator<readonly PoolInfo[], void> {
  const job = { paths: paths.join("\0"), brief, memory: surveyMemory(paths.length) };
  const records = new SurveyRecords(job, paths);
  const help = helper.help(job);
  const own = serving ? new Map<number, readonly PoolInfo[]>() : await half(records, brief, run);
  try {
    for (let chunk = 0; chunk < records.chunks; chunk++) {
      const mine = own.get(chunk);
      if (mine !== undefined) yield mine;
      else if (await help.done(chunk)) yield await told(records, chunk, brief, run);
      else yield await run(describingFiles(records.pathsOf(chunk), disk, brief));
    }
  } finally {
    records.stop();
    help.close();
  }
}

/** The chunks that the worker has not taken before. */
async function half(
  records: SurveyRecords,
  brief: boolean,
  run: SurveyOptions["run"],
): Promise<ReadonlyMap<number, readonly PoolInfo[]>> {
  const own = new Map<number, readonly PoolInfo[]>();
  for (let chunk = records.take(); chunk >= 0; chunk = records.take()) {
    own.set(chunk, await run(describingFiles(records.pathsOf(chunk), disk, brief)));
  }
  return own;
}

/** What the worker has seen, and what it takes more to know. */
async function told(
  records: SurveyRecords,
  chunk: number,
  brief: boolean,
  run: SurveyOptions["run"],
): Promise<readonly PoolInfo[]> {
  const pools: PoolInfo[] = [];
  for (const [i, path] of records.pathsOf(chunk).entries()) {
    const seen = records.seen(chunk * CHUNK + i);
    if (seen !== null) pools.push(glimpsed(poolName(path), path, seen.glimpse, seen.mtimeMs));
    else pools.push(...await run(describingFiles([path], disk, brief)));
  }
  return pools;
}
