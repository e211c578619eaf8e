/**
 * Formats cursors and groups for `cursor list` and `cursor set` (docs/spec/coordination.md 13.6).
 *
 * @module
 */

import type { CursorInfo } from "../backend/coordination.ts";
import { table } from "./human.ts";
import type { Json } from "./output.ts";
import { errorJson } from "./report.ts";

/** One cursor or group as JSON. */
export function cursorJson(info: CursorInfo): Json {
  const { name, kind, seq, lag, lost, acked, inUse, next, pending, headroom, error } = info;
  if (error !== undefined) return { name, kind, error: errorJson(error) };
  return {
    name,
    kind,
    seq,
    lag,
    lost,
    acked,
    in_use: inUse === null ? null : { pid: inUse.pid, host: inUse.host },
    next,
    pending,
    headroom,
  };
}

/** Cursors and groups as a table. */
export function cursorTable(infos: readonly CursorInfo[]): string {
  const header = ["NAME", "KIND", "SEQ", "LAG", "LOST", "PENDING", "ACKED", "IN USE BY"];
  const rows = infos.map((info) => {
    const { name, kind, seq, lag, lost, acked, inUse, pending, error } = info;
    if (error !== undefined) return [name, kind, "-", "-", "-", "-", "-", error.message];
    const user = inUse === null ? "-" : `pid ${inUse.pid}${inUse.host && ` on ${inUse.host}`}`;
    const numbers = [seq, lag, lost, pending ?? "-"].map(String);
    return [name, kind, ...numbers, acked === "" ? "-" : acked, user];
  });
  return table(header, rows);
}
