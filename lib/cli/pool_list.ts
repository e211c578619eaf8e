/**
 * `plasmite pool list`: the pools of a directory or of a server (docs/spec/command-line.md 4.3).
 *
 * @module
 */

import { type PoolInfo, unreadablePool } from "../backend/local/info.ts";
import { isNats } from "../backend/refs.ts";
import { localPlace, type PlaceRef, resolveServer } from "../backend/resolve.ts";
import { missingFlag } from "../environment.ts";
import { PlasmiteError } from "../errors.ts";
import { formatTime } from "../text/time.ts";
import { pause } from "../timers.ts";
import { colors, type CommandContext } from "./context.ts";
import { displayDir, shortPath, table } from "./human.ts";
import { connectTo } from "./open.ts";
import type { Json } from "./output.ts";
import { boundsDocument } from "../backend/pool_document.ts";
import { poolTable } from "./pool_table.ts";
import { asPlasmiteError, errorJson } from "./report.ts";
import { consoleSize } from "./terminal.ts";

/** How often `--watch` lists, in milliseconds. */
const WATCH_EVERY = 1000;

/** Runs `pool list`. Damaged pools are rows, not failures. */
export async function run(context: CommandContext): Promise<number> {
  const server = context.args.text("SERVER");
  if (context.args.has("all") && !isNats(server ?? "")) {
    throw new PlasmiteError("Usage", "--all requires a NATS server", {
      hint: "Use nats://host:port, or leave out --all: every pool is listed.",
    });
  }
  if (!context.args.has("watch")) return await listOnce(context, server);
  for (;;) {
    if (context.stdout.isTerminal) context.stdout.text("\x1b[H\x1b[2J");
    await listOnce(context, server);
    await pause(WATCH_EVERY);
  }
}

async function listOnce(context: CommandContext, server: string | undefined): Promise<number> {
  const dir = server === undefined ? context.dir : "";
  const found = server === undefined
    ? await localPools(context)
    : await serverPools(context, server);
  const pools = found.some((info) => info.error !== undefined)
    ? await withAdvice(context, found)
    : found;
  context.report(
    () => ({ pools: pools.map(rowJson) }),
    () => {
      if (!context.stdout.isTerminal) return wideTable(pools, dir);
      if (pools.length === 0) return nothing(server, dir);
      return poolTable(pools, {
        dir,
        columns: consoleSize().columns,
        colored: colors(context.stdout, context.color),
      });
    },
  );
  return 0;
}

/** The pools of the directory; one that cannot be read is one row named `pools`. */
async function localPools(context: CommandContext): Promise<readonly PoolInfo[]> {
  const backend = await connectTo(context, localPlace(context.dir));
  try {
    // Only the table for people shows how full and how old pools are.
    const { format, stdout } = context;
    const brief = !stdout.isTerminal || (format !== undefined && format !== "pretty");
    return await backend.list(undefined, { brief });
  } catch (error) {
    if (missingFlag(error) !== undefined) throw error;
    const cause = asPlasmiteError(error);
    const failure = new PlasmiteError("Io", "failed to read pool directory", {
      path: context.dir,
      hint: cause.hint,
      causes: cause.causes ?? [cause.message],
      cause: error,
    });
    return [unreadablePool("pools", context.dir, failure)];
  }
}

async function withAdvice(
  context: CommandContext,
  pools: readonly PoolInfo[],
): Promise<readonly PoolInfo[]> {
  const { advised } = await import("./advice.ts");
  return pools.map((info) =>
    info.error === undefined ? info : { ...info, error: advised(info.error, context) }
  );
}

async function serverPools(context: CommandContext, server: string): Promise<readonly PoolInfo[]> {
  const backend = await connectTo(context, await findServer(server));
  try {
    return await backend.list(undefined, { foreign: context.args.has("all") });
  } finally {
    await backend.close();
  }
}

/** Throws Usage for anything but a server, with what local directories need. */
async function findServer(server: string): Promise<PlaceRef> {
  try {
    return await resolveServer(server);
  } catch (error) {
    if (!PlasmiteError.is(error) || /^(https?|nats(\+tls)?):\/\//.test(server)) throw error;
    throw new PlasmiteError("Usage", error.message, {
      hint: `${error.hint} For a local directory use --dir.`,
    });
  }
}

function rowJson(info: PoolInfo): Json {
  const { name, path, error } = info;
  if (error !== undefined) return { name, path, error: { error: errorJson(error) } };
  return {
    name,
    path,
    file_size: info.fileSize,
    bounds: boundsDocument(info),
    mtime: mtime(info) ?? null,
  };
}

function mtime({ mtimeMs }: PoolInfo): string | undefined {
  return typeof mtimeMs === "number"
    ? formatTime(BigInt(Math.floor(mtimeMs)) * 1_000_000n)
    : undefined;
}

/** Every column, as 0.8 prints it in a pipe. */
function wideTable(pools: readonly PoolInfo[], dir: string): string {
  const rows = pools.map((info) => {
    const failed = info.error !== undefined;
    return [
      info.name,
      failed ? "ERR" : "OK",
      failed ? "-" : String(info.fileSize),
      String(info.bounds.oldestSeq ?? "-"),
      String(info.bounds.newestSeq ?? "-"),
      mtime(info) ?? "-",
      shortPath(info.path, dir),
      info.error?.message ?? "-",
    ];
  });
  return table(["NAME", "STATUS", "SIZE", "OLDEST", "NEWEST", "MTIME", "PATH", "DETAIL"], rows);
}

function nothing(server: string | undefined, dir: string): string {
  const where = server ?? displayDir(dir);
  return `No pools found in ${where}\n\n  Create one: plasmite pool create <name>\n`;
}
