/**
 * `plasmite doctor`: checks pools, explains damage, and repairs it
 * (docs/spec/command-line.md 11).
 *
 * @module
 */

import { isPathRef, listedButMissing, poolFiles, poolName, poolPath } from "../backend/refs.ts";
import { outliveFileSizeLimit } from "../environment.ts";
import { ErrorKind, PlasmiteError } from "../errors.ts";
import { type CheckReport, checkRing, REPAIR } from "../pool/check.ts";
import { diagnoseRing, type Prognosis, type RepairReport, repairRing } from "../pool/rebuild.ts";
import type { Salvage, SeqRange } from "../pool/salvage.ts";
import { backUp } from "../storage/backup.ts";
import { disk } from "../storage/file.ts";
import { Semaphore } from "../storage/semaphore.ts";
import { osError } from "../storage/os_error.ts";
import { advised } from "./advice.ts";
import { related, type TypedLine } from "./command_line.ts";
import type { CommandContext } from "./context.ts";
import {
  byKind,
  countOf,
  countText,
  kindOf,
  meaningOf,
  meaningOfAll,
  rangeText,
} from "./doctor_words.ts";
import { escapeControls } from "../visible.ts";
import { humanBytes } from "./human.ts";
import type { Json } from "./output.ts";
import { missingHint } from "./missing.ts";
import { refuseUrl } from "./refuse_url.ts";
import { errorJson } from "./report.ts";

/** How many issues of one kind are told; the others are counted. */
const MOST_OF_A_KIND = 3;

/** The result for one pool. */
export interface Patient {
  readonly ref: string;
  readonly path: string;
  /** Its name in a table. */
  readonly name: string;
  /** Its state now; null if it could not be read. */
  readonly report: CheckReport | null;
  /** What a repair would do, if it is damaged. */
  readonly prognosis: Prognosis | null;
  /** What `--repair` did. */
  readonly repair: RepairReport | null;
  /** Advice and warnings. */
  readonly hints: readonly string[];
  /** The error, if it could not be read or repaired. */
  readonly error: PlasmiteError | null;
}

/** Receives the progress of a check: bytes checked, and bytes in total. */
type Told = (done: number, total: number) => void;
/** How to examine pools. */
interface Manner {
  /** The context of the command. */
  readonly line: TypedLine;
  /** Whether to repair damaged pools. */
  readonly mend: boolean;
  /** Whether to check only a sample. */
  readonly quick: boolean;
  /** Creates the receiver of progress for a pool. */
  readonly progress: (name: string) => Told;
}

/** Runs `doctor`; returns 7 if a pool is damaged, else the code of the first unreadable one. */
export async function run(context: CommandContext): Promise<number> {
  outliveFileSizeLimit();
  const { args } = context;
  const ref = args.text("POOL");
  const all = args.has("all");
  const mend = args.has("repair");
  const quick = args.has("quick");
  if (quick && mend) {
    throw new PlasmiteError("Usage", "--quick cannot be combined with --repair", {
      hint: "A repair checks the whole pool: leave --quick out.",
    });
  }
  if (ref !== undefined && all) {
    throw new PlasmiteError("Usage", "--all cannot be combined with a pool name", {
      hint: "Use --all by itself, or name one pool.",
    });
  }
  if (ref === undefined && !all) {
    throw new PlasmiteError("Usage", "doctor requires a pool name or --all", {
      hint: `Name a pool, or check every pool with \`${
        related(context, "doctor", undefined, ["--all"])
      }\`.`,
    });
  }
  const { progress, end } = await progressOf(context);
  const manner = { line: context, mend, quick, progress };
  let patients: Patient[];
  try {
    patients = ref === undefined ? everyPool(context, manner) : [onePool(context, ref, manner)];
  } finally {
    end();
  }
  const table = ref === undefined && context.stdout.isTerminal
    ? (await import("./doctor_table.ts")).doctorTable
    : undefined;
  context.report(
    () => ({ reports: patients.map((one) => patientJson(one, mend)) }),
    () => {
      if (patients.length === 0) return "No pools found.\n";
      if (!context.stdout.isTerminal) return patients.map(forPipes).join("");
      return table?.(patients) ?? patients.map(forPeople).join("");
    },
  );
  if (patients.some((one) => one.report?.status === "corrupt")) return ErrorKind.Corrupt;
  return patients.find((one) => one.error !== null)?.error?.kind ?? 0;
}

/** Shows progress while a large pool is checked, on a terminal only. */
async function progressOf(
  context: CommandContext,
): Promise<{ progress: (name: string) => Told; end: () => void }> {
  if (!context.stderr.isTerminal) return { progress: () => () => {}, end: () => {} };
  const { Progress } = await import("./progress.ts");
  const line = new Progress(context, "checking", 0);
  return {
    progress: (name) => (done, total) =>
      line.say(() => {
        const share = Math.floor(100 * done / Math.max(1, total));
        return `checking ${escapeControls(name)}: ${share}% of ${humanBytes(total)}`;
      }),
    end: () => line.end(),
  };
}

function onePool(context: CommandContext, ref: string, manner: Manner): Patient {
  refuseUrl(context, ref);
  const path = poolPath(ref, isPathRef(ref) ? "." : context.dir);
  try {
    return examine(path, ref, ref, manner);
  } catch (error) {
    if (!PlasmiteError.is(error, ErrorKind.NotFound)) throw error;
    throw new PlasmiteError("NotFound", "not found", {
      hint: missingHint(context, { ref, name: ref, isRemote: false, creation: "any" }),
      path,
      causes: error.causes,
      cause: error,
    });
  }
}

function everyPool(context: CommandContext, manner: Manner): Patient[] {
  const { dir } = context;
  let files: string[];
  try {
    Deno.statSync(dir);
    files = poolFiles(dir);
  } catch (error) {
    const create = related(context, "pool create", "chat");
    const hint = `Make a first pool with \`${create}\`, or name the directory with --dir.`;
    throw osError(error, { path: dir, hint }, "failed to read pool directory");
  }
  return files.flatMap((path) => {
    const name = poolName(path);
    try {
      return [examine(path, path, name, manner)];
    } catch (cause) {
      let error: PlasmiteError | undefined = osError(cause, { path });
      if (error.kind === ErrorKind.NotFound) error = listedButMissing(path);
      if (error === undefined) return [];
      const advice = advised(error, context).hint;
      const hints = advice === undefined ? [] : [advice];
      return [{ ref: path, path, name, report: null, prognosis: null, repair: null, hints, error }];
    }
  });
}

function examine(path: string, ref: string, name: string, manner: Manner): Patient {
  const progress = manner.progress(name);
  if (manner.quick) {
    const report = checkRing(disk, path, ref, { messages: true, quick: true });
    const hints = hintsOf(report, null, manner.line);
    return { ref, path, name, report, prognosis: null, repair: null, hints, error: null };
  }
  if (!manner.mend) {
    const { report, prognosis } = diagnoseRing(disk, path, ref, progress);
    const hints = hintsOf(report, prognosis, manner.line);
    return { ref, path, name, report, prognosis, repair: null, hints, error: null };
  }
  const repair = repairRing(disk, path, ref, {
    messages: true,
    progress,
    backup: (file) => backUp(file, progress),
  });
  if (repair.salvage !== null) {
    const semaphore = new Semaphore(path);
    semaphore.post(); // Wakes followers of the reference.
    semaphore.close();
  }
  const report = repair.after;
  const hints = hintsOf(report, null, manner.line);
  return { ref, path, name, report, prognosis: null, repair, hints, error: null };
}

/** Advice about a pool, and warnings, in terms of the command line. */
function hintsOf(
  report: CheckReport,
  prognosis: Prognosis | null,
  line: TypedLine,
): readonly string[] {
  const { poolRef, remediationHints } = report;
  const repair = related(line, "doctor", poolRef, ["--repair"], "end");
  const hints = remediationHints.map((hint) =>
    hint === REPAIR
      ? `Run \`${repair}\` to back the pool up and repair it in place.`
      : hint.replace("A repair rebuilds", `\`${repair}\` rebuilds`)
  );
  if (prognosis === null || prognosis.salvage !== null) return hints;
  return [prognosis.refusal, ...hints.filter((hint) => hint.startsWith("warning"))];
}

function patientJson(patient: Patient, mend: boolean): Json {
  const { report, prognosis, repair, error, ref, path } = patient;
  if (report === null) {
    return {
      issue_count: 1,
      issues: [{
        code: "unreadable",
        message: error?.message ?? "",
        offset: null,
        seq: null,
        lost: null,
        meaning: "The pool could not be checked.",
      }],
      last_good_seq: null,
      path,
      pool_ref: ref,
      remediation_hints: patient.hints,
      snapshot_path: null,
      status: "error",
      error: error === null ? null : errorJson(error),
    };
  }
  return {
    issue_count: report.issueCount,
    issues: issuesJson(report),
    last_good_seq: report.lastGoodSeq,
    path: report.path,
    pool_ref: report.poolRef,
    remediation_hints: patient.hints,
    snapshot_path: report.snapshotPath,
    status: report.status,
    unchecked_from: uncheckedFrom(patient) ?? undefined,
    quick: report.sampled === null
      ? undefined
      : { checked: report.sampled, of: report.messageCount },
    prognosis: prognosis === null ? undefined : {
      repairable: prognosis.salvage !== null,
      ...(prognosis.salvage === null
        ? { reason: prognosis.refusal }
        : salvageJson(prognosis.salvage)),
    },
    repair: repairJson(repair, mend),
  };
}

/** The ring offset after which nothing was searched; null if all was. */
function uncheckedFrom({ report, prognosis }: Patient): number | null {
  return report?.uncheckedFrom ?? prognosis?.uncheckedFrom ?? null;
}

function issuesJson(report: CheckReport): Json {
  return report.issues.map((issue) => ({
    code: issue.code,
    message: issue.message,
    offset: issue.offset,
    seq: issue.seq,
    lost: issue.lost === null ? null : rangeJson(issue.lost),
    meaning: meaningOf(issue),
  }));
}

function rangeJson({ first, last }: SeqRange): Json {
  return { first, last };
}

/** The messages that cannot be read any more. */
function lostRanges({ dropped, replaced }: Salvage): SeqRange[] {
  return [...(dropped === null ? [] : [dropped]), ...replaced];
}

function salvageJson(salvage: Salvage): { [key: string]: Json } {
  return {
    kept: salvage.kept.map(rangeJson),
    kept_count: countOf(salvage.kept),
    mended: salvage.mended.map(rangeJson),
    lost: lostRanges(salvage).map(rangeJson),
    lost_count: countOf(lostRanges(salvage)),
    replaced: salvage.replaced.map(rangeJson),
    dropped: salvage.dropped === null ? null : rangeJson(salvage.dropped),
    reissued: salvage.reissued === null ? null : rangeJson(salvage.reissued),
  };
}

function repairJson(repair: RepairReport | null, mend: boolean): Json | undefined {
  if (!mend) return undefined;
  if (repair === null || repair.salvage === null) return null;
  return {
    backup_path: repair.backupPath,
    found: issuesJson(repair.before),
    file_resized: repair.layout.resized,
    header_rewritten: repair.layout.header,
    index_slots_mended: repair.before.indexWrong,
    ...salvageJson(repair.salvage),
  };
}

/** One line per pool for scripts, with details for people if it is damaged. */
function forPipes(patient: Patient): string {
  const { report, repair, error } = patient;
  const ref = escapeControls(patient.ref);
  if (report === null) return `ERROR: ${ref} ${escapeControls(error?.message ?? "")}\n`;
  const lines = details(patient).map(([name, text]) => `  ${name}: ${escapeControls(text)}\n`).join(
    "",
  );
  if (report.status === "ok") {
    const more = repair?.salvage || report.sampled !== null;
    return `${repair?.salvage ? "REPAIRED" : "OK"}: ${ref}\n${more ? lines : ""}`;
  }
  const good = report.lastGoodSeq === null ? "" : ` last_good_seq=${report.lastGoodSeq}`;
  return `CORRUPT: ${ref}${good} issue=${report.issues[0]?.message ?? ""}\n${lines}`;
}

function messagesText(report: CheckReport): string {
  const { oldestSeq, newestSeq } = report.bounds;
  if (oldestSeq !== null) return `${report.messageCount} (seq ${oldestSeq}..${newestSeq})`;
  return report.status === "ok" ? "empty" : "not known";
}

function issuesText(report: CheckReport): string {
  return countText(report.issueCount, "issue");
}

/** What a check of everything covered; a quick one tells in its details. */
function wholeCheck(report: CheckReport): [string, string][] {
  return report.sampled === null
    ? [["checked", `header, index, ring — ${issuesText(report)}`]]
    : [];
}

/** How many messages a quick check looked at. */
function sampleText({ sampled, messageCount }: CheckReport): string {
  return `${sampled ?? 0} of ${countText(messageCount, "message")}`;
}

function forPeople(patient: Patient): string {
  const { report, repair } = patient;
  if (report === null) return "";
  const state = report.status === "corrupt" ? "corrupt" : repair?.salvage ? "repaired" : "healthy";
  const lines: [string, string][] = [
    ["messages", messagesText(report)],
    ...wholeCheck(report),
    ...details(patient),
  ];
  const text = lines.map(([name, value]) => `  ${`${name}:`.padEnd(11)}${escapeControls(value)}\n`);
  return `${escapeControls(patient.ref)}: ${state}\n${text.join("")}`;
}

/** All issues with their meaning, what a repair did or would do, and advice. */
function details({ report, prognosis, repair, hints }: Patient): [string, string][] {
  const lines: [string, string][] = [];
  if (report === null) return lines;
  if (report.sampled !== null) {
    lines.push(["checked", `header, both ends, ${sampleText(report)} — ${issuesText(report)}`]);
    lines.push(["skipped", "the other messages and index slots, and what is not live"]);
  }
  const done = repair?.salvage ?? null;
  const issues = done === null ? report.issues : repair?.before.issues ?? [];
  const found = done === null ? "detail" : "found";
  for (const [kind, group] of byKind(issues, kindOf)) {
    for (const issue of group.slice(0, MOST_OF_A_KIND)) {
      const place = issue.offset === null ? "" : ` (ring offset ${issue.offset})`;
      lines.push([found, issue.message + place]);
    }
    const more = group.length - MOST_OF_A_KIND;
    if (more > 0) lines.push([found, `and ${more} more of this kind; --json lists them`]);
    lines.push(["means", meaningOfAll(kind, group)]);
  }
  if (repair !== null && done !== null) {
    const slots = repair.before.indexWrong;
    if (slots > 0) lines.push(["found", `${countText(slots, "wrong index slot")}, index rebuilt`]);
    if (repair.layout.resized) lines.push(["file", "brought back to the length in its header"]);
    if (repair.layout.header) lines.push(["header", "written anew from what the file shows"]);
    lines.push(["backup", repair.backupPath ?? "none"], ...salvageLines(done, true));
  } else if (prognosis !== null && prognosis.salvage !== null) {
    lines.push(...salvageLines(prognosis.salvage, false));
  }
  for (const hint of hints) {
    if (hint.startsWith("warning: ")) lines.push(["warning", hint.slice("warning: ".length)]);
    else lines.push(["do", hint]);
  }
  return lines;
}

/** What was saved and what was not, or would be. */
function salvageLines(salvage: Salvage, done: boolean): [string, string][] {
  const { kept, mended, replaced, dropped, reissued } = salvage;
  const lines: [string, string][] = [];
  const lead = done ? "" : "a repair would keep ";
  lines.push(["kept", lead + (kept.length === 0 ? "no message" : rangeText(kept))]);
  if (mended.length > 0) {
    lines.push(["mended", `${rangeText(mended)}: the damage can be undone from what is there`]);
  }
  if (dropped !== null) {
    lines.push(["lost", `${rangeText([dropped])}: gone like expired messages`]);
  }
  if (replaced.length > 0) {
    lines.push([
      "lost",
      `${rangeText(replaced)}: a stand-in with the tag plasmite.lost is in its place`,
    ]);
  }
  if (dropped === null && replaced.length === 0) lines.push(["lost", "nothing that was recorded"]);
  if (reissued !== null) {
    lines.push(["numbers", `${rangeText([reissued])} never stood there; these numbers come again`]);
  }
  return lines;
}
