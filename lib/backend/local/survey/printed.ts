/**
 * Lists the pools of large directories for a server, printed by a worker.
 *
 * @module
 */

import { disk } from "../../../storage/file.ts";
import type { Steps } from "../../../storage/steps.ts";
import type { Awaitable } from "../../../types.ts";
import { poolName } from "../../refs.ts";
import type { PrintedPools, SeenPool } from "../../types.ts";
import type { PoolInfo } from "../info.ts";
import { describingFiles } from "../listing.ts";
import { SurveyHelper } from "./helper.ts";
import { NOBODY, PRINTED } from "./records.ts";
import type { SurveyReport } from "./worker.ts";

/** How to list. */
export interface PrintingOptions {
  /** The names of pools of which more is to be said than a file tells. */
  readonly own: ReadonlySet<string>;
  /** Runs steps. */
  readonly run: <T>(steps: Steps<T>) => Awaitable<T>;
  /** The worker; default the one of this process. */
  readonly helper?: SurveyHelper;
}

/** Describes the pools in these files of a directory, in pieces and in order. */
export async function* printing(
  dir: string,
  files: readonly string[],
  { own, run, helper = SurveyHelper.shared() }: PrintingOptions,
): AsyncGenerator<PrintedPools, void> {
  const ended = new SharedArrayBuffer(4);
  const numbers: number[] = [];
  if (own.size > 0) {
    for (const [i, file] of files.entries()) if (own.has(poolName(file))) numbers.push(i);
  }
  const help = helper.help({ dir, files: files.join("\0"), own: numbers, ended });
  const describe = (names: readonly string[]): Awaitable<readonly PoolInfo[]> =>
    run(describingFiles(names.map((name) => `${dir}/${name}`), disk));
  try {
    for (let from = 0; from < files.length; from += PRINTED) {
      const report = await help.said(from / PRINTED);
      const names = files.slice(from, from + PRINTED);
      if (!isPrinted(report)) {
        yield described(await describe(names));
        continue;
      }
      const parts: (Uint8Array<ArrayBuffer> | PoolInfo)[] = [];
      for (const part of report.parts) {
        if (typeof part !== "number") parts.push(part);
        else parts.push(...await describe(names.slice(part - from, part - from + 1)));
      }
      yield { parts, seen: () => seenIn(parts, names, report.identities) };
    }
  } finally {
    Atomics.store(new Int32Array(ended), 0, 1);
    help.close();
  }
}

type Printed = Extract<SurveyReport, { readonly parts: unknown }>;

function isPrinted(report: SurveyReport | null): report is Printed {
  return report !== null && typeof report === "object" && "parts" in report;
}

/** Pools that are not printed yet. */
export function described(pools: readonly PoolInfo[]): PrintedPools {
  return { parts: pools, seen: () => pools };
}

function* seenIn(
  parts: PrintedPools["parts"],
  names: readonly string[],
  identities: string,
): Generator<SeenPool, void> {
  for (const part of parts) if (!(part instanceof Uint8Array)) yield part;
  for (const [i, name] of names.entries()) {
    const identity = identities.slice(i * NOBODY.length, (i + 1) * NOBODY.length);
    if (identity !== NOBODY) yield { name: poolName(name), identity };
  }
}
