/**
 * Publishes several single messages concurrently, for servers without atomic batches
 * (docs/spec/jetstream.md 5).
 *
 * @module
 */

import type { Msg } from "@nats-io/transport-node";
import { ErrorKind, PlasmiteError } from "../../errors.ts";
import { waitFor } from "../../timers.ts";
import { forbidden, silent, wireError } from "./errors.ts";
import { type LinkEvent, parseAnswer, REQUEST_MS } from "./link.ts";
import {
  type Ack,
  explain,
  headersOf,
  type Item,
  type Patience,
  proven,
  type Target,
  type WireAck,
} from "./publisher.ts";
import type { Incoming } from "./wire.ts";

/** The maximum number of messages and bytes in flight. */
const WINDOW = 512;
const WINDOW_BYTES = 4 * 1024 * 1024;

/** The state of the messages sent by a window. */
interface Flight {
  readonly acks: (WireAck | undefined)[];
  waiting: number;
  bytes: number;
  failure: unknown;
}

/**
 * Whether a message with the id of an item is not the item: clones of a pool give their messages the
 * same ids, but copy them as different sources.
 */
export function isOther({ isGiven, message }: Item, stored: Incoming): boolean {
  return isGiven !== true && stored.subject !== message.subject;
}

/** A subscription that receives the acknowledgements of many messages. */
export class Window {
  readonly #target: Target;
  #flight: Flight | null = null;
  #wake: () => void = () => {};
  #inbox = "";
  #listener: ((event: LinkEvent) => void) | null = null;
  #stop: () => void = () => {};
  /** Appends of one process are stored one after another. */
  #turn: Promise<void> = Promise.resolve();

  /** Publishes to `target`. */
  constructor(target: Target) {
    this.#target = target;
  }

  #open(): void {
    if (this.#inbox !== "") return;
    const { link } = this.#target;
    this.#inbox = link.library.createInbox();
    const subscription = link.nc.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error === null) this.#answered(message);
        else this.#fail(link.failure(error, this.#inbox, this.#target.path));
      },
    });
    this.#listener = (event) => this.#onLink(event);
    link.listeners.add(this.#listener);
    this.#stop = () => {
      if (this.#listener !== null) link.listeners.delete(this.#listener);
      if (!link.nc.isClosed()) subscription.unsubscribe();
    };
  }

  #onLink(event: LinkEvent): void {
    const { path } = this.#target;
    if (event.type === "forbidden") {
      if (event.subject.startsWith("plasmite.")) this.#fail(forbidden(event.subject, path));
    } else if (event.type !== "reconnect") {
      const hint = "It is sent again when the connection is back.";
      this.#fail(new PlasmiteError("Io", "cannot reach the NATS server", { hint, path }));
    }
  }

  #fail(error: unknown): void {
    if (this.#flight !== null) this.#flight.failure ??= error;
    this.#wake();
  }

  #answered(message: Msg): void {
    const flight = this.#flight;
    const at = Number(message.subject.slice(this.#inbox.length + 1));
    if (flight === null || flight.acks[at] !== undefined) return;
    const { path } = this.#target;
    if (message.headers?.code === 503) {
      flight.acks[at] = { error: { code: 503, description: "no responders" } };
    } else flight.acks[at] = parseAnswer(message, path) as WireAck;
    flight.waiting--;
    this.#wake();
  }

  async #sleep(ms: number): Promise<boolean> {
    return await waitFor((wake) => this.#wake = wake, () => {}, ms, undefined);
  }

  /**
   * Stores messages in order.
   *
   * @param stored called for each message in order, once it and all previous ones are stored
   */
  publish(
    items: readonly Item[],
    stored: (index: number, ack: Ack) => void,
    patience: Patience,
  ): Promise<void> {
    const mine = this.#turn.then(() => this.#publish(items, stored, patience));
    this.#turn = mine.catch(() => {}); // The caller gets the error.
    return mine;
  }

  async #publish(
    items: readonly Item[],
    stored: (index: number, ack: Ack) => void,
    patience: Patience,
  ): Promise<void> {
    const attempts = new Map<number, number>();
    for (let from = 0; from < items.length;) {
      const { acks, failure } = await this.#send(items, from, attempts);
      let next = from;
      let problem: unknown = failure;
      for (; next < items.length; next++) {
        const ack = acks[next - from];
        if (ack === undefined) break;
        const item = items[next];
        if (ack.error !== undefined || ack.seq === undefined || item === undefined) {
          problem = wireError(ack.error ?? {}, this.#target.path);
          break;
        }
        const attempt = attempts.get(next) ?? 0;
        const duplicate = ack.duplicate === true
          ? await proven(this.#target, item, attempt, ack.seq)
          : null;
        if (ack.duplicate === true && (duplicate === null || isOther(item, duplicate))) {
          attempts.set(next, attempt + 1);
          break;
        }
        stored(next, { seq: ack.seq, duplicate });
        patience.progress();
      }
      from = next;
      if (from < items.length && problem !== null && problem !== undefined) {
        await patience.after(
          PlasmiteError.is(problem, ErrorKind.Busy)
            ? await explain(this.#target, problem)
            : problem,
        );
      }
    }
  }

  /** Sends messages starting at `from` until one fails, then waits for the rest to settle. */
  async #send(
    items: readonly Item[],
    from: number,
    attempts: ReadonlyMap<number, number>,
  ): Promise<Flight> {
    this.#stopInbox(); // Ignore late responses to an earlier flight.
    this.#open();
    const { link, path } = this.#target;
    const flight: Flight = { acks: [], waiting: 0, bytes: 0, failure: null };
    this.#flight = flight;
    let heard = 0;
    for (let next = from;;) {
      while (next < items.length && this.#hasRoom(flight) && flight.failure === null) {
        const item = items[next];
        if (item === undefined) break;
        const { payload, subject } = item.message;
        link.nc.publish(subject, payload, {
          reply: `${this.#inbox}.${next - from}`,
          headers: headersOf(this.#target, item, attempts.get(next) ?? 0),
        });
        next++;
        flight.waiting++;
        flight.bytes += payload.length;
      }
      if (flight.waiting === 0 && (next === items.length || flight.failure !== null)) break;
      const answered = await this.#sleep(REQUEST_MS);
      if (flight.failure !== null && link.lost) break; // No more responses will arrive.
      while (flight.acks[heard] !== undefined) {
        const ack = flight.acks[heard];
        if (ack?.error !== undefined) flight.failure ??= wireError(ack.error, path);
        flight.bytes -= items[from + heard]?.message.payload.length ?? 0;
        heard++;
      }
      if (!answered) {
        flight.failure ??= silent(path);
        break;
      }
    }
    this.#flight = null;
    return flight;
  }

  #hasRoom({ bytes, waiting }: Flight): boolean {
    return waiting < WINDOW && bytes < WINDOW_BYTES;
  }

  #stopInbox(): void {
    this.#stop();
    this.#stop = () => {};
    this.#inbox = "";
  }

  /** Ends the subscription. */
  close(): void {
    this.#stopInbox();
  }
}
