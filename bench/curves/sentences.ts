/**
 * What each curve shows, in one sentence: the reason here, the numbers from a run.
 *
 * @module
 */

import { table } from "../support/blocks.ts";
import type { Run } from "../support/runs.ts";
import { axisLabel } from "./draw.ts";
import { type Panel, type Point, valueOf } from "./points.ts";

const SENTENCES: Readonly<Record<Panel, Readonly<Record<string, string>>>> = {
  commands: {
    "feed all": "Each message costs the same, however many there are; below 10⁵ start-up counts.",
    "doctor": "Every byte is read and checked once, so it grows with the pool.",
    "doctor --quick": "Both ends and the index are checked: it does not grow.",
    "follow --tag, nothing found": "All headers and tags are read, payloads are passed over.",
    "follow --since the middle --one":
      "Half the headers are read until the first message, as nothing orders times.",
    "follow --tail 1": "It reads the end of the ring, wherever that is, and does not grow.",
    "fetch of the middle":
      "One look while the index holds the number, else a guess that is proved by 256 MiB at most.",
    "deno eval 0": "Start-up alone: the floor of all commands.",
  },
  calls: {
    "open a pool": "The header and the state, whatever the size.",
    "append": "The same system calls in any ring.",
    "get the newest": "Its slot of the index is known.",
    "get the middle one":
      "A step, not a slope: behind the 65,536 slots of the index the place is guessed and proved.",
  },
  pools: {
    "pool list": "It opens every pool for its numbers, so it grows with the pools.",
    "pool list, wall": "From 2,000 pools on, a worker does its part on another core.",
    "deno eval 0": "Start-up alone: the floor of the command.",
    "GET /v0/pools, the first": "The same in a server that has seen none of them before.",
    "GET /v0/pools": "And once it has.",
    "GET /v0/pools, wall": "The worker looks while the answer is printed.",
    "wait of another request": "How long a small request waits at most while the list is made.",
    "a wait without lists": "The longest wait of the same request when nobody asks for a list.",
  },
  delivery: {
    "streams of one server":
      "One thread sends to one follower after the other, so the median waits for half of them.",
    "bare streams": "A bare server that sends the same bytes queues them as well.",
    "processes": "Each has to be woken: two cores are shared by all.",
    "bare watchFs processes": "So have processes that do nothing but wait and read.",
  },
  append: {
    "streams of one server": "The message is read and printed once, and sent to each.",
    "bare streams": "Only sending.",
    "processes": "Each process wakes, reads and checks: all of them together.",
    "bare watchFs processes": "Waking alone.",
  },
  idle: {
    "streams of one server": "One watch for all streams of a pool: it does not grow.",
    "bare streams": "Connections that wait cost nothing.",
    "processes": "Each looks once a second itself, in case a notice was lost.",
    "bare watchFs processes": "Without looking for themselves.",
  },
};

const TITLES: Readonly<Record<Panel, string>> = {
  commands: "Commands, by messages",
  calls: "Calls, by messages",
  pools: "Lists, by pools",
  delivery: "From append to follower",
  append: "An append, for those who follow",
  idle: "Waiting",
};

/** Three digits are enough. */
function amount(value: number, unit: string): string {
  if (unit === "µs" && value >= 1000) return amount(value / 1000, "ms");
  if (unit === "ms" && value >= 1000) return amount(value / 1000, "s");
  return `${value >= 100 ? value.toFixed(0) : Number(value.toPrecision(2))} ${unit}`;
}

/** A row for each curve: its ends, and what it shows. */
export function sentences({ measured }: Run<Point>): string {
  const rows: string[][] = [];
  for (const panel of Object.keys(TITLES) as Panel[]) {
    const own = measured.filter((point) => point.panel === panel);
    for (const name of new Set(own.map((point) => point.name))) {
      const points = own.filter((point) => point.name === name).toSorted((a, b) => a.x - b.x);
      const [first, last] = [points[0], points.at(-1)];
      if (first === undefined || last === undefined) continue;
      const end = (point: Point): string =>
        `${amount(valueOf(point), point.unit)} at ${axisLabel(point.x)}`;
      const sentence = SENTENCES[panel][name] ?? "";
      rows.push([TITLES[panel], name, end(first), end(last), sentence]);
    }
  }
  return table(["Panel", "Curve", "From", "To", "What it shows"], rows);
}
