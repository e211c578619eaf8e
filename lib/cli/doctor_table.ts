/**
 * The table of `doctor --all` on a terminal: damaged pools by the kind of their damage, then the
 * healthy ones; a line a pool, however long its name.
 *
 * @module
 */

import { escapeControls } from "../visible.ts";
import type { Patient } from "./doctor.ts";
import { byKind, countText, kindOf } from "./doctor_words.ts";
import { fitMiddle, padded, textWidth, widest } from "./line_width.ts";
import { consoleSize } from "./terminal.ts";

/** A pool as cells. */
interface Row {
  readonly mark: string;
  readonly name: string;
  readonly messages: string;
  readonly issues: string;
  readonly note: string;
}

/** The narrowest column of names. */
const NARROWEST = 12;

/** The table (docs/spec/command-line.md 11). */
export function doctorTable(patients: readonly Patient[]): string {
  const bad = patients.filter(isBad);
  const good = patients.filter((one) => !isBad(one));
  const { columns } = consoleSize();
  if (bad.length === 0) {
    return `All ${patients.length} pools healthy.\n\n${
      table(good.map((one) => rowOf(one, "")), columns)
    }`;
  }
  const rows = new Map([...byKind(bad, kindOfPatient)].map(
    ([kind, group]) => [kind, group.map((one) => rowOf(one, "✗ "))],
  ));
  if (good.length > 0) rows.set("Healthy.", good.map((one) => rowOf(one, "✓ ")));
  const widths = widthsOf([...rows.values()].flat(), columns);
  const groups = [...rows].map(([kind, group]) => `${kind}\n${lines(group, widths, columns)}`);
  return `${bad.length} of ${patients.length} pools unhealthy.\n\n${groups.join("\n")}`;
}

function isBad({ report }: Patient): boolean {
  return report === null || report.status === "corrupt";
}

function kindOfPatient({ report, error }: Patient): string {
  const first = report?.issues[0];
  return first === undefined ? escapeControls(error?.message ?? "") : kindOf(first);
}

function rowOf(one: Patient, mark: string): Row {
  const name = escapeControls(one.name);
  return {
    mark,
    name,
    messages: one.report === null ? "-" : countText(one.report.messageCount, "message"),
    issues: one.report === null ? "unreadable" : countText(one.report.issueCount, "issue"),
    note: isBad(one)
      ? `(run \`pls doctor ${name}\` for detail)`
      : one.repair?.salvage
      ? `repaired, backup: ${escapeControls(one.repair.backupPath ?? "")}`
      : "",
  };
}

interface Widths {
  readonly name: number;
  readonly messages: number;
  readonly issues: number;
}

function widthsOf(rows: readonly Row[], columns: number): Widths {
  const longest = (cell: (row: Row) => string): number => widest(rows.map(cell));
  const messages = longest((row) => row.messages);
  const issues = longest((row) => row.issues);
  const mark = longest((row) => row.mark);
  const room = columns - 2 - mark - 3 - messages - 3 - issues;
  return {
    name: Math.min(longest((row) => row.name), Math.max(NARROWEST, room)),
    messages,
    issues,
  };
}

function table(rows: readonly Row[], columns: number): string {
  return lines(rows, widthsOf(rows, columns), columns);
}

function lines(rows: readonly Row[], widths: Widths, columns: number): string {
  return rows.map((row) => {
    const name = padded(fitMiddle(row.name, widths.name), widths.name);
    const line = `  ${row.mark}${name}   ${padded(row.messages, widths.messages)}   `;
    if (row.note === "") return `${line}${row.issues}\n`;
    const whole = `${line}${padded(row.issues, widths.issues)}  ${row.note}`;
    // What does not fit beside the name stands below it.
    return textWidth(whole) <= columns ? `${whole}\n` : `${line}${row.issues}\n      ${row.note}\n`;
  }).join("");
}
