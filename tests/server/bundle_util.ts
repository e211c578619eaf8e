/**
 * Reads a bundle of streams as a client does (docs/spec/http-api.md 3).
 *
 * @module
 */

import { joinBytes } from "../../lib/bytes.ts";
import { soon } from "./shared_util.ts";

/** What one line of a bundle says. */
export interface Told {
  readonly bundle?: string;
  readonly key?: string;
  readonly status?: number;
  readonly error?: Record<string, unknown>;
  readonly bytes?: number;
  readonly end?: true;
  /** A heartbeat. */
  readonly beat?: true;
  /** The part of an event stream that follows the line. */
  readonly text?: string;
}

/** A stream that is asked for. */
export interface Ask {
  readonly key: string;
  readonly pool: string;
  readonly query?: string;
}

const JSON_TYPE = { "content-type": "application/json" };

/** A request that changes a bundle. */
export function asking(
  open: readonly Ask[],
  close: readonly string[] = [],
  headers: Record<string, string> = {},
): RequestInit {
  return {
    method: "POST",
    headers: { ...JSON_TYPE, ...headers },
    body: JSON.stringify({ open, close }),
  };
}

/** The answer that a bundle is. */
export class BundleReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #held: Uint8Array<ArrayBufferLike> = new Uint8Array();
  /** Everything that each stream has sent. */
  readonly texts = new Map<string, string>();
  /** How each stream began and ended: its status, then `end`. */
  readonly states = new Map<string, (number | "end")[]>();

  constructor(answer: Response) {
    if (answer.status !== 200 || answer.body === null) throw new Error(`status ${answer.status}`);
    this.#reader = answer.body.getReader();
  }

  /** The next line with what belongs to it; null at the end. */
  async next(): Promise<Told | null> {
    const at = await this.#find();
    if (at < 0) return null;
    const text = new TextDecoder().decode(this.#take(at + 1)).trimEnd();
    if (text === "") return { beat: true };
    const told: Told = JSON.parse(text);
    const { key = "", status, end, bytes } = told;
    const states = this.states.get(key) ?? [];
    this.states.set(key, states);
    if (status !== undefined) states.push(status);
    if (end) states.push("end");
    if (bytes === undefined) return told;
    while (this.#held.length < bytes) {
      if (!await this.#more()) throw new Error("cut off within a piece");
    }
    const piece = new TextDecoder().decode(this.#take(bytes));
    this.texts.set(key, (this.texts.get(key) ?? "") + piece);
    return { ...told, text: piece };
  }

  /** Reads until a condition holds. */
  async until(condition: (told: Told) => boolean): Promise<Told> {
    for (;;) {
      const told = await this.next();
      if (told === null) throw new Error("the bundle has ended");
      if (condition(told)) return told;
    }
  }

  /** Reads until a stream has sent a text. */
  async untilText(key: string, text: string | RegExp): Promise<void> {
    const has = (): boolean => {
      const all = this.texts.get(key) ?? "";
      return typeof text === "string" ? all.includes(text) : text.test(all);
    };
    while (!has()) {
      if (await this.next() === null) throw new Error("the bundle has ended");
    }
  }

  /** The name of the bundle, which its first line tells. */
  async name(): Promise<string> {
    const told = await this.next();
    if (told?.bundle === undefined) throw new Error(JSON.stringify(told));
    return told.bundle;
  }

  /** The numbers of the messages that a stream has sent. */
  seqs(key: string): number[] {
    return [...(this.texts.get(key) ?? "").matchAll(/^id: (\d+)\nevent: message$/gm)]
      .map(([, seq]) => Number(seq));
  }

  /** Reads to the end. */
  async rest(): Promise<void> {
    while (await this.next() !== null);
  }

  /** Leaves without reading the rest. */
  leave(): Promise<void> {
    return this.#reader.cancel();
  }

  async #find(): Promise<number> {
    for (;;) {
      const at = this.#held.indexOf(10);
      if (at >= 0 || !await this.#more()) return at;
    }
  }

  async #more(): Promise<boolean> {
    const { done, value } = await soon(this.#reader.read());
    if (done) return false;
    this.#held = joinBytes([this.#held, value]);
    return true;
  }

  #take(n: number): Uint8Array {
    const taken = this.#held.subarray(0, n);
    this.#held = this.#held.subarray(n);
    return taken;
  }
}
