/**
 * Points of curves: how something costs more when there is more of something.
 *
 * @module
 */

import { median } from "../support/comparison.ts";

/** Which picture a curve belongs to. */
export type Panel = "commands" | "calls" | "pools" | "delivery" | "append" | "idle";

/** One point: what was measured at one size, in all rounds. */
export interface Point {
  readonly panel: Panel;
  readonly name: string;
  /** Of the costs. */
  readonly unit: string;
  /** How many messages, pools or followers there were. */
  readonly x: number;
  readonly costs: readonly number[];
  /** What a bare program costs that does no more than it must: drawn with dashes. */
  readonly yardstick?: true;
}

/** What a part needs to know. */
export interface Curves {
  /** The greatest size. */
  readonly most: number;
  readonly rounds: number;
  readonly record: (point: Point) => void;
}

/** What is drawn of a point. Other work never speeds anything up, but the least is luck. */
export function valueOf({ costs }: Point): number {
  return median(costs);
}

/** Powers of ten from `least` up to `most`, and `most` itself. */
export function decades(least: number, most: number): number[] {
  const sizes: number[] = [];
  for (let size = least; size < most; size *= 10) sizes.push(size);
  return [...sizes, most];
}
