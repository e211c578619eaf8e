/**
 * Slows down guessing of keys: failed attempts are counted by address (docs/spec/sharing.md 4).
 *
 * @module
 */

import { HttpError } from "../errors.ts";

/** The number of wrong keys that are allowed, */
const MOST = 10;
/** within this many milliseconds. */
const WINDOW = 60_000;
/** The maximum number of tracked addresses; beyond it, the oldest is dropped. */
const ADDRESSES = 10_000;

/** Failures of one address. */
interface Count {
  readonly since: number;
  failures: number;
}

/** The addresses of an IPv6 network count as one, since they usually belong to one household. */
export function networkOf(address: string): string {
  if (!address.includes(":") || address.startsWith("::ffff:")) return address;
  const [head = "", tail] = address.split("::");
  const groups = head === "" ? [] : head.split(":");
  // The groups omitted by `::` may extend into the first half.
  const rest = tail === undefined || tail === "" ? [] : tail.split(":");
  const all = tail === undefined ? groups : [
    ...groups,
    ...Array<string>(Math.max(0, 8 - groups.length - rest.length)).fill("0"),
    ...rest,
  ];
  return all.slice(0, 4).join(":");
}

/** Counts failed sign-in attempts, or other actions that are limited by address. */
export class AttemptLimit {
  readonly #counts = new Map<string, Count>();
  readonly #most: number;

  /** @param most attempts within a minute */
  constructor(most: number = MOST) {
    this.#most = most;
  }

  /**
   * Called before an attempt is processed.
   *
   * @throws {HttpError} 429 after too many failed attempts
   */
  check(address: string): void {
    const wait = this.wait(address);
    if (wait === 0) return;
    throw new HttpError(429, "Busy", "too many failed attempts to sign in", {
      hint: "Wait a minute, then try again.",
      headers: [["retry-after", String(wait)]],
    });
  }

  /** How many seconds an address must wait; 0 if it need not. */
  wait(address: string): number {
    const count = this.#current(networkOf(address));
    if (count === undefined || count.failures < this.#most) return 0;
    return Math.max(1, Math.ceil((count.since + WINDOW - performance.now()) / 1000));
  }

  /** Records a wrong key. */
  failed(address: string): void {
    const network = networkOf(address);
    const count = this.#current(network) ?? { since: performance.now(), failures: 0 };
    count.failures++;
    this.#counts.delete(network);
    this.#counts.set(network, count);
    if (this.#counts.size <= ADDRESSES) return;
    const [oldest] = this.#counts.keys();
    if (oldest !== undefined) this.#counts.delete(oldest);
  }

  #current(network: string): Count | undefined {
    const count = this.#counts.get(network);
    if (count === undefined || performance.now() - count.since < WINDOW) return count;
    this.#counts.delete(network);
    return undefined;
  }
}
