/**
 * The machine of a run, as far as it decides how fast something is. It has no name in it.
 *
 * @module
 */

import { fileURLToPath } from "node:url";

/** What is known of a machine. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly system: string;
  readonly kernel: string;
  readonly deno: string;
}

/** The machine that this runs on. */
export function thisMachine(): Machine {
  const info = Deno.build.os === "linux" ? Deno.readTextFileSync("/proc/cpuinfo") : "";
  return {
    cpu: /^(?:model name|Model)\s*:\s*(.+)$/m.exec(info)?.[1]?.trim() ?? Deno.build.arch,
    cores: navigator.hardwareConcurrency,
    memoryGib: Math.round(Deno.systemMemoryInfo().total / 2 ** 30),
    system: Deno.build.target,
    kernel: Deno.osRelease(),
    deno: Deno.version.deno,
  };
}

/** Runs are compared on machines of one kind. Kernel and Deno may differ: they are yours to update. */
export function machineKind({ cpu, cores, memoryGib, system }: Machine): string {
  return `${cpu}, ${cores} cores, ${memoryGib} GiB, ${system}`;
}

/** One line about a machine, for people. */
export function describe(machine: Machine): string {
  const { cpu, cores, memoryGib, kernel, deno } = machine;
  return `${cores} × ${cpu}, ${memoryGib} GiB, kernel ${kernel}, Deno ${deno}`;
}

/** The load average of the last minute. */
export function load(): number {
  return Math.round((Deno.loadavg()[0] ?? NaN) * 100) / 100;
}

/** The commit of this checkout, with a plus sign if files differ from it. */
export async function commit(): Promise<string> {
  const git = async (...args: string[]): Promise<string> => {
    const { code, stdout } = await new Deno.Command("git", {
      args,
      cwd: fileURLToPath(new URL("../../", import.meta.url)),
      stderr: "null",
    }).output();
    return code === 0 ? new TextDecoder().decode(stdout).trim() : "";
  };
  try {
    const hash = await git("rev-parse", "--short", "HEAD");
    const changed = await git("status", "--porcelain", "--untracked-files=no", "--", "*.ts");
    return hash === "" ? "unknown" : changed === "" ? hash : `${hash}+`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "unknown";
    throw error;
  }
}
