/**
 * What a process costs: wall time, processor time and memory.
 *
 * @module
 */

/** The cost of one run of a program. */
export interface Cost {
  readonly wallMs: number;
  /** User and system time, of the process and of those that it waited for. */
  readonly cpuMs: number;
  /** The most resident memory that was seen, in MB; looked at every 20 ms, if asked for. */
  readonly peakMb?: number;
}

/** How a program is run. */
export interface RunOptions {
  readonly peak?: boolean;
  readonly env?: Record<string, string>;
  readonly signal?: AbortSignal;
}

/** Whose processor time is asked for: that of this process, or of its children that have ended. */
enum Whose {
  Own = 0,
  Children = -1,
}

const usedTime: (whose: Whose) => number = openUsage();

/** The processor time of this process until now, in milliseconds. */
export function ownCpuMs(): number {
  return usedTime(Whose.Own);
}

function openUsage(): (whose: Whose) => number {
  if (Deno.build.os === "windows") return () => NaN;
  const name = Deno.build.os === "darwin" ? "libSystem.B.dylib" : "libc.so.6";
  const { symbols } = Deno.dlopen(name, {
    getrusage: { parameters: ["i32", "buffer"], result: "i32" },
  });
  return (whose) => {
    const usage = new DataView(new ArrayBuffer(256));
    if (symbols.getrusage(whose, new Uint8Array(usage.buffer)) !== 0) return NaN;
    const time = (at: number): number =>
      Number(usage.getBigInt64(at, true)) * 1000 + usage.getInt32(at + 8, true) / 1000;
    return time(0) + time(16);
  };
}

/**
 * Runs a program and measures it; its output is discarded. Only one at a time, as the processor
 * time is that of all children that end in between.
 */
export async function measure(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Cost> {
  const before = usedTime(Whose.Children);
  const start = performance.now();
  const child = new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  }).spawn();
  let peakMb = 0;
  const look = (): void => void (peakMb = Math.max(peakMb, memory(child.pid).peakMb));
  const timer = options.peak === true ? setInterval(look, 20) : undefined;
  const { code, stderr } = await child.output().finally(() => clearInterval(timer));
  const wallMs = performance.now() - start;
  if (code !== 0) {
    throw new Error(`${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
  }
  const cpuMs = usedTime(Whose.Children) - before;
  return { wallMs, cpuMs, ...(options.peak === true ? { peakMb } : {}) };
}

/** What a program prints; it fails if the program does. */
export async function output(program: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  if (code !== 0) throw new Error(`${program} ${args.join(" ")}: ${text.decode(stderr).trim()}`);
  return text.decode(stdout);
}

/** Memory of a running process in MB (1024 × 1024 bytes); zeros when it has ended. */
export function memory(pid: number): { readonly peakMb: number; readonly pssMb: number } {
  const kilobytes = (file: string, key: string): number => {
    const text = readIfThere(`/proc/${pid}/${file}`);
    return Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0);
  };
  return {
    peakMb: kilobytes("status", "VmHWM") / 1024,
    get pssMb() {
      return kilobytes("smaps_rollup", "Pss") / 1024;
    },
  };
}

/** Processor time and voluntary switches of all threads of a running process. */
export function activity(pid: number): { readonly cpuMs: number; readonly switches: number } {
  let cpuMs = 0;
  let switches = 0;
  for (const task of Deno.readDirSync(`/proc/${pid}/task`)) {
    const of = `/proc/${pid}/task/${task.name}`;
    cpuMs += Number(readIfThere(`${of}/schedstat`).split(" ")[0]) / 1e6;
    const status = readIfThere(`${of}/status`);
    switches += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  }
  return { cpuMs, switches };
}

/** A thread or a process may end while it is looked at. */
function readIfThere(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    const gone = error instanceof Deno.errors.NotFound ||
      error instanceof Error && /ESRCH|os error 3\b/.test(error.message);
    if (gone) return "";
    throw error;
  }
}

/** Waits. */
export function sleep(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

/** Ends a process that was started here. */
export async function end(child: Deno.ChildProcess): Promise<void> {
  child.kill("SIGTERM");
  await child.status;
}
