/**
 * The claim of a cursor's reader: a consumer whose name begins with the cursor's, and which the
 * server deletes when its owner gives no sign of life (docs/spec/jetstream.md 12).
 *
 * Servers put the creation and deletion of consumers in one order. Whoever wants the cursor creates
 * a consumer of its own, and has the cursor only if a list that contains this consumer contains no
 * other one: of two, the later one sees the earlier. If there are several, the first of them stays
 * until the others are gone, so that one of them gets the cursor. Names begin with the time, so that
 * it is usually the first that came; if clocks differ, it only takes longer. It adds no message to
 * the stream, and needs no right to publish.
 *
 * @module
 */

import { hostname } from "../../coordination/cursor_file.ts";
import { PlasmiteError } from "../../errors.ts";
import { pause } from "../../timers.ts";
import { type ConsumerInfo, findConsumer, putConsumer, removeConsumer } from "./consumers.ts";
import { Patience, patiently, type Target } from "./publisher.ts";

/** How long a reader holds a cursor without a sign of life, in milliseconds. */
const HELD_MS = 30_000;
/** How often it gives one, in milliseconds. */
const RENEW_MS = 10_000;
/** How long after the last one nobody else can have it, in milliseconds. */
const CERTAIN_MS = 25_000;
/** Pauses between attempts while others try the same, in milliseconds. */
const FIRST_PAUSE = 50;
const RANDOM_PAUSE = 150;
/** How long to look for one's own consumer in the list, and to wait for others, in milliseconds. */
const LOOKS_MS = 10_000;
const LOOK_MS = 50;

/** Who reads a cursor. */
export interface Holder {
  readonly pid: number;
  readonly host: string;
}

/** A cursor and where it is. */
export interface Held {
  readonly target: Target;
  readonly name: string;
}

function prefixOf(name: string): string {
  return `hold~${name.replaceAll(".", "~")}~`;
}

/** Whether a consumer is a hold of that cursor. */
function isHold(consumer: string, prefix: string): boolean {
  return consumer.startsWith(prefix) && !consumer.slice(prefix.length).includes("~");
}

/** Who created a hold. */
function holderIn({ config }: ConsumerInfo): Holder {
  try {
    const { host = "", pid = 0 } = JSON.parse(config.description ?? "{}") as Partial<Holder>;
    return { host: String(host), pid: Number.isSafeInteger(pid) ? pid : 0 };
  } catch {
    return { host: "", pid: 0 }; // The description was not written by this program.
  }
}

/** Who holds a cursor, according to a list of all consumers; null if nobody does. */
export function holderAmong(consumers: readonly ConsumerInfo[], name: string): Holder | null {
  const prefix = prefixOf(name);
  const hold = consumers.find((one) => isHold(one.name, prefix));
  return hold === undefined ? null : holderIn(hold);
}

/** The names of the holds of a cursor. */
async function holdsOf({ name, target }: Held): Promise<string[]> {
  const { link, path, stream } = target;
  const names = await link.list<string>(`CONSUMER.NAMES.${stream}`, "consumers", path);
  const prefix = prefixOf(name);
  return names.filter((one) => isHold(one, prefix));
}

/** Throws Busy if a cursor has a reader. */
export async function refuseHeld(held: Held): Promise<void> {
  const [hold] = await holdsOf(held);
  if (hold !== undefined) await refuse(held, hold);
}

/** Throws Busy, unless that hold is gone by now. */
async function refuse({ name, target }: Held, hold: string): Promise<void> {
  const found = await patiently(() => findConsumer(target, hold), new Patience());
  if (found === null) return;
  const { host, pid } = holderIn(found);
  const on = host === "" ? "" : ` on ${host}`;
  throw new PlasmiteError("Busy", `Cursor ${name} is in use by pid ${pid}${on}`, {
    path: target.path,
    hint: "A cursor has one reader at a time; use another name, or end the other reader.",
    details: { cursor: name, pid: BigInt(pid), host },
  });
}

/** The right of this process to read a cursor. */
export class Hold {
  readonly #held: Held;
  /** The name of the consumer. */
  #consumer: string;
  /** When the last sign of life was given, in milliseconds of `performance.now()`. */
  #since: number;
  readonly #timer: ReturnType<typeof setInterval>;
  #released = false;

  private constructor(held: Held, { consumer, since }: Made) {
    this.#held = held;
    this.#consumer = consumer;
    this.#since = since;
    this.#timer = setInterval(() => void this.#tick(), RENEW_MS);
  }

  /** Acquires a cursor. Throws Busy while another process has it. */
  static async acquire(held: Held): Promise<Hold> {
    return new Hold(held, await make(held));
  }

  async #tick(): Promise<void> {
    try {
      await this.#renew();
    } catch (error) {
      // Whoever moves the cursor next learns whether it is still held.
      if (!PlasmiteError.is(error)) throw error;
    }
  }

  /** Gives a sign of life; false if the consumer no longer exists. */
  async #renew(): Promise<boolean> {
    const { link, path, stream } = this.#held.target;
    const since = performance.now();
    if (await findConsumer(this.#held.target, this.#consumer) === null) return false;
    const subject = link.subject(`CONSUMER.MSG.NEXT.${stream}.${this.#consumer}`);
    await link.request(subject, JSON.stringify({ batch: 1, no_wait: true }), path);
    this.#since = since;
    return true;
  }

  /** Throws Busy if the cursor was lost to another process. */
  async check(): Promise<void> {
    if (this.#released || performance.now() - this.#since < CERTAIN_MS) return;
    if (await patiently(() => this.#renew(), new Patience())) return;
    // This process slept, or the server lost the consumer: nobody else may have noticed.
    const { consumer, since } = await make(this.#held);
    this.#consumer = consumer;
    this.#since = since;
  }

  /** Releases the cursor; without a connection it is free after some time. */
  async release(): Promise<void> {
    this.#released = true;
    clearInterval(this.#timer);
    await abandon(this.#held.target, this.#consumer);
  }
}

/** Removes a hold if the server can be reached; if not, the server removes it after some time. */
async function abandon(target: Target, consumer: string): Promise<void> {
  try {
    await removeConsumer(target, consumer);
  } catch (error) {
    if (!PlasmiteError.is(error)) throw error;
  }
}

/** A consumer that holds a cursor, and when it was requested. */
interface Made {
  readonly consumer: string;
  readonly since: number;
}

/** Creates the only hold of a cursor. Throws Busy if another one stays. */
async function make(held: Held): Promise<Made> {
  const seen = new Set<string>();
  for (;;) {
    const others = await patiently(() => holdsOf(held), new Patience());
    const made = others.length === 0 ? await contend(held, others) : null;
    if (made !== null) return made;
    // Others who are only trying give up their consumers, too, until one is left.
    const stays = others.find((other) => seen.has(other));
    if (stays !== undefined) await refuse(held, stays);
    for (const other of others) seen.add(other);
    await pause(FIRST_PAUSE + Math.random() * RANDOM_PAUSE);
  }
}

/** Creates a hold; null, and no hold, if there are others, which are added to `others`. */
async function contend(held: Held, others: string[]): Promise<Made | null> {
  const { target, name } = held;
  const time = Date.now().toString(36).padStart(9, "0");
  const consumer = prefixOf(name) + time + target.link.library.nuid.next();
  const since = performance.now();
  const config = {
    durable_name: consumer,
    description: JSON.stringify({ pid: Deno.pid, host: hostname() }),
    ack_policy: "none",
    deliver_policy: "new",
    headers_only: true,
    inactive_threshold: HELD_MS * 1_000_000,
  };
  try {
    await patiently(() => putConsumer(target, consumer, config), new Patience());
    others.push(...await outlast(held, consumer));
    if (others.length === 0) return { consumer, since };
  } catch (error) {
    await abandon(target, consumer); // Nobody else could have the cursor while it is there.
    throw error;
  }
  await patiently(() => removeConsumer(target, consumer), new Patience());
  return null;
}

/** Waits until a hold is the only one, unless another one comes first; returns those that stay. */
async function outlast(held: Held, consumer: string): Promise<string[]> {
  for (const until = performance.now() + LOOKS_MS;;) {
    const holds = await patiently(() => holdsOf(held), new Patience());
    const isListed = holds.includes(consumer);
    const others = holds.filter((one) => one !== consumer);
    if (isListed && (others.length === 0 || others.some((one) => one < consumer))) return others;
    if (performance.now() > until) {
      if (isListed) return others;
      throw new PlasmiteError("Busy", `The server does not list the hold of cursor ${held.name}`, {
        path: held.target.path,
        hint: "Try again in a moment.",
      });
    }
    await pause(LOOK_MS); // The others give up; or the list is older than the consumer.
  }
}
