/**
 * The state of a running filter: the current message, its envelope as values, and the step budget.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { Lite3Doc } from "../lite3/doc.ts";
import { Tag } from "../lite3/layout.ts";
import type { MessageView } from "../lite3/message.ts";
import { formatTime } from "../text/time.ts";
import { exact, LazyObject, load, Ref, type Value } from "./values.ts";

/**
 * The offset that represents the filter's input, because the envelope is not stored in the bytes.
 */
export const ROOT = -1;

/** The outcome of a part of a filter that does not yield a value. */
export class Signal {
  /** For debugging. */
  readonly name: string;

  /** Creates a signal. */
  constructor(name: string) {
    this.name = name;
  }
}

/** A runtime error: the message does not match. */
export const ERROR = new Signal("error");
/** No output. */
export const EMPTY = new Signal("empty");

/** A value, or the reason why there is none. */
export type Outcome = Value | Signal;

/** The state of one compiled filter; filters are synchronous and not re-entrant. */
export class Context {
  /** The current document. */
  doc: Lite3Doc = new Lite3Doc();
  /** Values of the variables. */
  readonly variables: Value[] = [];
  readonly #maxSteps: number;
  #view: MessageView | undefined;
  #steps = 0;
  #time: string | undefined;
  readonly #envelope = new Envelope(this);

  /** Whether the message is not stored yet: then it has no sequence number and no time. */
  isUnstored = false;

  /** Creates a context that allows `maxSteps` steps per message. */
  constructor(maxSteps: number) {
    this.#maxSteps = maxSteps;
  }

  /** Sets the current message. */
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

  /** Counts `n` steps against the budget. */
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
        if (this.isUnstored) return undefined;
        return exact(this.#view?.seq ?? 0n);
      case "time":
        if (this.isUnstored) return undefined;
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
    const names = ["data", "meta", ...(this.#context.isUnstored ? [] : ["seq", "time"])];
    return new Map(names.map((n) => [n, this.member(n) ?? null]));
  }
}
