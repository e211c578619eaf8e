/**
 * What a running filter looks at: the message of the moment, its envelope as values, and the
 * budget of steps.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { Lite3Doc } from "../lite3/doc.ts";
import { Tag } from "../lite3/layout.ts";
import type { MessageView } from "../lite3/message.ts";
import { formatTime } from "../text/time.ts";
import { exact, LazyObject, load, Ref, type Value } from "./values.ts";

/** The filter's input, as an offset: the whole envelope is nowhere in the bytes. */
export const ROOT = -1;

/** How a part of a filter ends when it does not yield a value. */
export class Signal {
  /** For debugging. */
  readonly name: string;

  /** Names a signal. */
  constructor(name: string) {
    this.name = name;
  }
}

/** A runtime error: the message does not match. */
export const ERROR = new Signal("error");
/** No output. */
export const EMPTY = new Signal("empty");

/** A value, or how it failed to be one. */
export type Outcome = Value | Signal;

/** The state of one compiled filter; filters are synchronous and not re-entrant. */
export class Context {
  /** The document being looked at. */
  doc: Lite3Doc = new Lite3Doc();
  /** Values of the variables. */
  readonly variables: Value[] = [];
  readonly #maxSteps: number;
  #view: MessageView | undefined;
  #steps = 0;
  #time: string | undefined;
  readonly #envelope = new Envelope(this);

  /** Makes a context that allows `maxSteps` steps a message. */
  constructor(maxSteps: number) {
    this.#maxSteps = maxSteps;
  }

  /** Looks at the next message. */
  open(view: MessageView): void {
    this.#view = view;
    this.doc = view.doc;
    this.#steps = 0;
    this.#time = undefined;
  }

  /** Offset of the message's data. */
  get dataAt(): number {
    return this.#view?.dataAt ?? 0;
  }

  /** Whether the tags are an array; an empty object may stand for none (docs/spec/format.md 9). */
  get hasTagArray(): boolean {
    return this.doc.tag(this.tagsAt) === Tag.Array;
  }

  /** Offset of the node of the message's tags. */
  get tagsAt(): number {
    return this.#view?.tagsAt ?? 0;
  }

  /** Spends `n` steps. */
  tick(n = 1): void {
    if ((this.#steps += n) <= this.#maxSteps) return;
    throw new PlasmiteError("Usage", "filter took too many steps", {
      hint: "Use a simpler filter expression, or filter on the client.",
    });
  }

  /** The value at an offset, or the whole envelope. */
  value(at: number): Value {
    return at === ROOT ? this.#envelope : load(this.doc, at);
  }

  /** One member of the envelope. */
  member(name: string): Value | undefined {
    switch (name) {
      case "data":
        return new Ref(this.doc, this.dataAt);
      case "meta":
        return new Map([["tags", this.#tags()]]);
      case "seq":
        return exact(this.#view?.seq ?? 0n);
      case "time":
        return this.#time ??= formatTime(this.#view?.timestampNs ?? 0n);
    }
    return undefined;
  }

  #tags(): Value {
    return this.hasTagArray ? new Ref(this.doc, this.tagsAt) : [];
  }
}

/** The filter's input: `{data, meta: {tags}, seq, time}`. */
class Envelope extends LazyObject {
  readonly #context: Context;

  constructor(context: Context) {
    super();
    this.#context = context;
  }

  override member(name: string): Value | undefined {
    return this.#context.member(name);
  }

  override members(): ReadonlyMap<string, Value> {
    return new Map(["data", "meta", "seq", "time"].map((n) => [n, this.member(n) ?? null]));
  }
}
