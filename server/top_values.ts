/**
 * Counts the values of fields in bounded memory: of a field with very many values the rare ones are
 * forgotten, and the counts of the others are then "about".
 *
 * @module
 */

import { Buf } from "../lib/bytes.ts";
import type { Lite3Doc } from "../lib/lite3/doc.ts";
import { Tag } from "../lib/lite3/layout.ts";
import type { MessageView } from "../lib/lite3/message.ts";
import { printJson } from "../lib/lite3/print.ts";

/** Different values of a field that are counted at the same time; */
const MOST_VALUES = 400;
/** and so many of them, the most frequent, are kept when there are more. */
const KEPT_VALUES = 200;
/** Fields that are counted. */
const MOST_FIELDS = 64;
/** How deep objects are looked into. */
const MOST_LEVELS = 4;
/** Members of one object that are looked at. */
const MOST_MEMBERS = 200;
/** The longest value that is counted, in bytes; longer ones are texts, not values to choose from. */
const LONGEST_VALUE = 120;
/** The longest name of a field, in bytes. */
const LONGEST_NAME = 120;

/** How often each value was seen. */
export class TopValues {
  readonly #counts = new Map<string, number>();
  /** How often the field was seen. */
  total = 0;
  /** Whether every value was counted each time. */
  isExact = true;

  /** Counts a value, given as JSON text. */
  add(value: string): void {
    this.total++;
    const counts = this.#counts;
    counts.set(value, (counts.get(value) ?? 0) + 1);
    if (counts.size <= MOST_VALUES) return;
    this.isExact = false;
    const kept = this.top(KEPT_VALUES);
    counts.clear();
    for (const [one, count] of kept) counts.set(one, count);
  }

  /** Counts a value that is too long to be chosen. */
  skip(): void {
    this.total++;
    this.isExact = false;
  }

  /** The most frequent values, the first of equals first. */
  top(most: number): [value: string, count: number][] {
    return [...this.#counts].sort((a, b) => b[1] - a[1]).slice(0, most);
  }
}

/** A field and its values. */
export interface Field {
  /** The names below `data`. */
  readonly path: readonly string[];
  /** Its values. */
  readonly values: TopValues;
}

interface Node {
  readonly path: readonly string[];
  readonly children: Map<string, Node>;
  values: TopValues | null;
}

/** Counts tags and fields of messages. */
export class FieldCounter {
  /** Tags, as JSON texts. */
  readonly tags = new TopValues();
  readonly #root: Node = { path: [], children: new Map(), values: null };
  #fields: Field[] = [];
  #nodes = 0;
  readonly #out = new Buf(256);
  readonly #decoder = new TextDecoder();

  /** Counts one message. */
  add(message: MessageView): void {
    for (const tag of new Set(message.tags())) this.tags.add(JSON.stringify(tag));
    if (message.doc.tag(message.dataAt) === Tag.Object) {
      this.#object(message.doc, message.dataAt, this.#root);
    }
  }

  /** The fields, those that most messages have first. */
  get fields(): readonly Field[] {
    return [...this.#fields].sort((a, b) => b.values.total - a.values.total);
  }

  #object(doc: Lite3Doc, object: number, node: Node): void {
    for (const entry of doc.entries(object).slice(0, MOST_MEMBERS)) {
      const value = doc.readKey(entry);
      if (doc.keyEnd - doc.keyStart > LONGEST_NAME) continue;
      const child = this.#child(node, doc.keyText());
      if (child === undefined) continue;
      const kind = doc.tag(value);
      if (kind === Tag.Object) {
        if (child.path.length < MOST_LEVELS) this.#object(doc, value, child);
      } else if (kind !== Tag.Array) this.#value(doc, value, kind, child);
    }
  }

  #child(node: Node, name: string): Node | undefined {
    const known = node.children.get(name);
    if (known !== undefined) return known;
    // Objects with ever new keys are tables, not fields.
    if (this.#nodes >= 4 * MOST_FIELDS) return undefined;
    this.#nodes++;
    const child: Node = { path: [...node.path, name], children: new Map(), values: null };
    node.children.set(name, child);
    return child;
  }

  #value(doc: Lite3Doc, value: number, kind: number, node: Node): void {
    let { values } = node;
    if (values === null) {
      if (this.#fields.length >= MOST_FIELDS) return;
      node.values = values = new TopValues();
      this.#fields.push({ path: node.path, values });
    }
    if (kind === Tag.String && doc.stringLength(value) > LONGEST_VALUE) return values.skip();
    this.#out.clear();
    printJson(doc, value, this.#out);
    if (this.#out.len > 2 * LONGEST_VALUE) return values.skip();
    values.add(this.#decoder.decode(this.#out.bytes()));
  }
}
