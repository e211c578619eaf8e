/**
 * `plasmite pool info`: sizes, bounds and use of one pool (docs/spec/command-line.md 4.2).
 *
 * @module
 */

import type { PoolInfo, PoolRetention, StreamPlace } from "../backend/local/info.ts";
import type { PoolRef } from "../backend/resolve.ts";
import { PlasmiteError } from "../errors.ts";
import { formatTime } from "../text/time.ts";
import type { CommandContext } from "./context.ts";
import { escapeControls } from "../visible.ts";
import { connectTo, findPool } from "./open.ts";
import { bar, humanAge, humanBytes, humanDuration, shortPath } from "./human.ts";
import { humanRate, infoJson, messageRate } from "./pool_report.ts";

/** Runs `pool info`. */
export async function run(context: CommandContext): Promise<number> {
  const ref = await findPool(context, "NAME");
  const info = await inform(context, ref);
  context.report(
    () => infoJson(info, ref.ref, true),
    () => context.stdout.isTerminal ? forPeople(info, ref, context.dir) : forPipes(info, ref),
  );
  return 0;
}

async function inform(context: CommandContext, ref: PoolRef): Promise<PoolInfo> {
  const backend = await connectTo(context, ref);
  try {
    return await backend.info(ref.name);
  } catch (error) {
    if (!PlasmiteError.is(error) || error.kindName !== "NotFound") throw error;
    const { missingHint } = await import("./missing.ts");
    // Path and causes are left out: docs/spec/command-line.md 4.2.
    throw new PlasmiteError("NotFound", "not found", {
      hint: missingHint(context, ref),
      cause: error,
    });
  } finally {
    await backend.close();
  }
}

function forPipes(info: PoolInfo, ref: PoolRef): string {
  const { metrics, bounds } = info;
  const use = metrics?.utilization;
  const at = (ns: bigint | null | undefined, age: number | null | undefined): string =>
    typeof ns === "bigint" ? `${formatTime(ns)} (${humanAge(age ?? 0)})` : "- (-)";
  const index = `index: offset=${info.indexOffset} slots=${info.indexCapacity} ` +
    `bytes=${info.indexSizeBytes}`;
  const { stream } = info;
  const size = stream === undefined
    ? `Size: ${info.fileSize} bytes (${index}, ring: offset=${info.ringOffset} size=${info.ringSize})`
    : `Size: ${info.fileSize} bytes\nStream: replicas=${stream.replicas} ` +
      `leader=${stream.leader ?? "-"} server=${stream.server} version=${stream.version}`;
  return [
    `Pool: ${escapeControls(ref.ref)}`,
    `Path: ${escapeControls(info.path)}`,
    size,
    `Bounds: oldest=${bounds.oldestSeq ?? "-"} newest=${bounds.newestSeq ?? "-"} ` +
    `count=${metrics?.messageCount ?? "-"}`,
    use === undefined
      ? "Utilization: -"
      : `Utilization: used=${use.usedBytes}B free=${use.freeBytes}B (${percent(use.usedPercent)})`,
    `Oldest: ${at(metrics?.age.oldestTimeNs, metrics?.age.oldestAgeMs)}`,
    `Newest: ${at(metrics?.age.newestTimeNs, metrics?.age.newestAgeMs)}`,
    ...limitLine(info.retention),
  ].map((line) => `${line}\n`).join("");
}

/** One line about the age limit, if there is one. */
function limitLine(retention: PoolRetention | undefined): string[] {
  if (retention === undefined || retention.maxAgeMs === null) return [];
  const { expired, maxAgeMs, oldestLiveSeq } = retention;
  return [
    `Retention: max_age=${humanDuration(maxAgeMs)} oldest_live=${oldestLiveSeq ?? "-"} ` +
    `expired=${expired}`,
  ];
}

function forPeople(info: PoolInfo, ref: PoolRef, dir: string): string {
  const { metrics, bounds } = info;
  const use = metrics?.utilization;
  const path = ref.isRemote ? info.path : shortPath(info.path, dir);
  const used = use === undefined
    ? ""
    : ` (${humanBytes(use.usedBytes)} used, ${percent(use.usedPercent)})`;
  const when = (ns: bigint | null | undefined, age: number | null | undefined): string =>
    typeof ns === "bigint" ? `${humanAge(age ?? 0)} (${formatTime(ns / SECOND * SECOND)})` : "—";
  const lines: [string, string][] = [
    ["path", escapeControls(path)],
    ["size", humanBytes(info.fileSize) + used],
    [
      "messages",
      bounds.oldestSeq === null
        ? "empty"
        : `${metrics?.messageCount ?? "?"} (seq ${bounds.oldestSeq}..${bounds.newestSeq})`,
    ],
    ["oldest", when(metrics?.age.oldestTimeNs, metrics?.age.oldestAgeMs)],
    ["newest", when(metrics?.age.newestTimeNs, metrics?.age.newestAgeMs)],
    ...(info.stream === undefined ? fileLines(info) : streamLines(info.stream)),
  ];
  const { expired, maxAgeMs = null } = info.retention ?? {};
  if (maxAgeMs !== null) {
    lines.push(["max age", `${humanDuration(maxAgeMs)} (${expired} expired, still in the file)`]);
  }
  if (use !== undefined) lines.push(["fill", bar(use.usedBytes / info.ringSize, 24)]);
  const rate = messageRate(info);
  if (rate !== undefined) lines.push(["rate", `${humanRate(rate)} over the retained messages`]);
  const text = lines.map(([name, value]) => `  ${`${name}:`.padEnd(11)}${value}\n`);
  return `${escapeControls(ref.ref)}\n${text.join("")}`;
}

function fileLines(info: PoolInfo): [string, string][] {
  return [
    ["index", `${info.indexCapacity} slots (${humanBytes(info.indexSizeBytes)})`],
    ["ring", humanBytes(info.ringSize)],
  ];
}

function streamLines({ leader, replicas, server, version }: StreamPlace): [string, string][] {
  return [
    ["replicas", String(replicas)],
    ["leader", escapeControls(leader ?? "—")],
    ["server", escapeControls(`${server} (${version})`)],
  ];
}

const SECOND = 1_000_000_000n;

function percent(value: number): string {
  return `${value.toFixed(2)}%`;
}
