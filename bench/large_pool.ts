/**
 * How the cost of commands grows with the pool: `deno run -A bench/large_pool.ts [COUNTS] [RUNS]
 * [THIS]`, where COUNTS is a list such as `10000,100000,1000000` and THIS may be the `cli.js` of a
 * bundle. Needs bash, which measures the processes, and a directory for temporary files with room
 * for the largest pool, 1 KiB for each message.
 *
 * CPU time of whole processes, user and system, start-up included, the least of the runs. Each size
 * is printed as a line of JSON when it is done, to be kept in `bench/runs/`, and all as a table at
 * the end.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { bash, cpu, print, program } from "./processes.ts";

const HERE = fileURLToPath(new URL("../", import.meta.url));
const [counts = "10000,100000,1000000", runs = "3", own = HERE] = Deno.args;
/** Bytes of a frame with the message that is fed. */
const FRAME = 1016;

/** Writes a file of lines, each of which becomes a frame of {@linkcode FRAME} bytes. */
async function writeLines(path: string, count: number): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  const pad = "x".repeat(470);
  const encoder = new TextEncoder();
  for (let i = 0; i < count;) {
    let text = "";
    const end = Math.min(i + 1000, count);
    for (; i < end; i++) {
      const level = i % 10 === 0 ? "warn" : "info";
      text += `{"id":${i},"level":"${level}","host":"web-${i % 17}","ok":true,"msg":"${pad}"}\n`;
    }
    const bytes = encoder.encode(text);
    for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
  }
}

interface Sample {
  readonly count: number;
  readonly ms: { readonly [command: string]: number };
}

async function measure(count: number): Promise<Sample> {
  const dir = await Deno.makeTempDir({ prefix: "plasmite-large-" });
  try {
    const command = program(own, dir);
    const lines = `${dir}/lines.jsonl`;
    await writeLines(lines, count);
    const size = Math.ceil(1.1 * FRAME * count) + (2 << 20);
    const ms: Record<string, number> = {};
    ms["`feed` of all"] = await cpu(
      `${command} feed p --create --create-size ${size} --file ${lines}`,
    );
    await Deno.remove(lines);
    const middle = count >> 1;
    const { stdout } = await bash(`${command} fetch p ${middle}`);
    const since = (JSON.parse(stdout) as { time: string }).time;
    const commands: readonly (readonly [string, string])[] = [
      ["export of all", "follow p --no-follow --jsonl"],
      ["`--tag`, nothing found", "follow p --no-follow --jsonl --tag none"],
      ["`--where`, nothing found", "follow p --no-follow --jsonl --where '.data.id == -1'"],
      ["`--tail` of a sixth", `follow p --no-follow --jsonl --tail ${Math.ceil(count / 6)}`],
      [
        "`--since` the middle, first message",
        `follow p --no-follow --jsonl --one --since ${since}`,
      ],
      ["`fetch` of the middle", `fetch p ${middle}`],
      ["`doctor`", "doctor p"],
      ["`doctor --quick`", "doctor p --quick"],
    ];
    for (const [name, args] of commands) {
      let best = Infinity;
      for (let i = 0; i < Number(runs); i++) {
        best = Math.min(best, await cpu(`${command} ${args}`));
      }
      ms[name] = best;
    }
    return { count, ms };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const samples: Sample[] = [];
for (const count of counts.split(",").map(Number)) {
  const sample = await measure(count);
  samples.push(sample);
  print(JSON.stringify({ date: new Date().toISOString(), deno: Deno.version.deno, ...sample }));
}
const head = samples.map(({ count }) => count.toLocaleString("en-US"));
print(`| CPU time, ms | ${head.join(" | ")} |`);
print(`| --- | ${head.map(() => "---").join(" | ")} |`);
for (const name of Object.keys(samples[0]?.ms ?? {})) {
  print(`| ${name} | ${samples.map(({ ms }) => Math.round(ms[name] ?? NaN)).join(" | ")} |`);
}
