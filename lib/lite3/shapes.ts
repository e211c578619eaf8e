/**
 * Objects whose keys have come before, in the same order: the tree of such an object is known, so
 * only its values are encoded. The result is the same to the byte; who has many messages to encode
 * sets {@linkcode Lite3Encoder.shapes}.
 *
 * The place of an entry in the tree depends on nothing but the keys before and after it
 * (docs/spec/format.md 7.5). So the orders of keys that were seen are kept as a trie, and each of
 * its steps knows how many nodes the insertion of its key appends, and what is in all nodes when
 * the object ends with it. Both are found by building an object of these keys with the same writer.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import type { Lite3Encoder } from "./encode.ts";
import { MAX_LEVELS, NODE_CHILD, NODE_KV, NODE_SIZE, Tag } from "./layout.ts";
import { hashOf, Lite3Writer } from "./writer.ts";

/** An object with more keys, or a key that takes more bytes, is not remembered. */
const MOST_KEYS = 64;
const LONGEST_KEY = 250;
/** How many steps are kept altogether, and how many after the same one. */
const MOST_STEPS = 256;
const MOST_BRANCHES = 8;
/** How many misses are too many in a row, what one costs, and the most that can be saved. */
const CREDIT = 1024;
const MISS = 64;
const MOST_CREDIT = 8192;
/** How many messages are encoded without shapes after too many misses; the next time four times. */
const FIRST_PAUSE = 1 << 14;
const LONGEST_PAUSE = 1 << 24;

/** Places of all entries, then of all nodes, of an object that is being encoded. */
const STRIDE = 2 * MOST_KEYS;

/** Thrown for an object that is not known and is not learned. */
const UNKNOWN_SHAPE: Error = new Error("unknown shape");

/** A key, to be inserted. */
interface Key {
  readonly dv: DataView;
  readonly length: number;
  readonly hash: number;
}

/** A key after certain others. */
export interface Step {
  /** The keys up to this one, this one included. */
  readonly path: readonly Step[];
  /** The key as it is written in the text, up to its closing quote, which is included. */
  readonly text: Int32Array;
  readonly textLength: number;
  /** The key. */
  readonly key: Key;
  /** The key as it is stored: tag, bytes and final 00. */
  readonly entry: Int32Array;
  readonly entryLength: number;
  /** How many nodes its insertion appends. */
  readonly nodes: number;
  /** The step that came next the last time, and all that did. */
  next: Step | null;
  readonly branches: Step[];
  /** The start of objects that are its value, or in arrays that are. */
  inside: Step | null;
  /** What an object is like that ends with this key. */
  form: Form | null;
}

/** The nodes of an object, except places. */
interface Form {
  /** Its nodes in the order in which they are appended, the root first, eight bytes each. */
  readonly nodes: Float64Array;
  /** For each key: its node and the offset of its slot there, as one number. */
  readonly slots: Int32Array;
  /** For each node but the root: its parent and the offset of its slot there, as one number. */
  readonly parents: Int32Array;
}

/** The shapes of the objects in a stream of messages. */
export class Shapes {
  /** What is thrown for an object that is not known: its message is encoded without shapes. */
  readonly unknown: Error = UNKNOWN_SHAPE;
  #root = start();
  #steps = 0;
  #credit = CREDIT;
  #pause = 0;
  #nextPause = FIRST_PAUSE;
  readonly #places = new Int32Array((MAX_LEVELS + 1) * STRIDE);
  #trial: Lite3Writer | undefined;
  #key: Buf | undefined;

  /** Where the data of the next message starts; null if it is to be encoded without shapes. */
  begin(): Step | null {
    if (this.#pause > 0) {
      this.#pause--;
      return null;
    }
    if (this.#credit < MOST_CREDIT) this.#credit++;
    return this.#root;
  }

  /** Notes that a message had to be encoded again, and gives up for a while if many have to be. */
  missed(): void {
    this.#credit -= MISS;
    if (this.#credit >= 0) return;
    this.#root = start();
    this.#steps = 0;
    this.#credit = CREDIT;
    this.#pause = this.#nextPause;
    this.#nextPause = Math.min(this.#nextPause * 4, LONGEST_PAUSE);
  }

  /**
   * Encodes the members of an object, the first of which begins with `c` at `pos`, into its empty
   * node; returns the index of its end.
   *
   * @throws {Error} {@linkcode Shapes.unknown}
   */
  object(
    to: Lite3Encoder,
    pos: number,
    c: number,
    node: number,
    depth: number,
    root: Step,
  ): number {
    const { text, end } = to;
    const places = this.#places;
    const first = depth * STRIDE;
    const firstNode = first + MOST_KEYS;
    places[firstNode] = node;
    let nodes = 1;
    let step = root;
    for (let count = 0;; count++) {
      if (c !== 0x22) to.fail(pos);
      const key = pos + 1;
      let next = step.next;
      if (next === null || !isAt(next, text, key, end)) next = this.#branch(to, step, key);
      step = next;
      pos = key + step.textLength;
      pos = to.colon(pos);
      c = text.getUint8(pos);

      to.room(end - key);
      if (step.nodes > 0) {
        to.align(0);
        for (let i = 0; i < step.nodes; i++) {
          places[firstNode + nodes++] = to.at;
          to.at += NODE_SIZE;
        }
      }
      const { entry, entryLength } = step;
      if (c === 0x7b || c === 0x5b) {
        to.align(entryLength);
        to.inside = step.inside ??= start();
      }
      const kv = to.at;
      const { dv } = to.out;
      for (let i = 0, o = kv; i < entry.length; i++, o += 4) {
        dv.setInt32(o, entry[i] as number, true);
      }
      to.at = kv + entryLength;
      // The entry's slot may be in a node that is still to come.
      const slot = node + NODE_KV;
      pos = to.value(pos, c, slot, kv, depth);
      places[first + count] = to.out.dv.getInt32(slot, true);

      c = pos < end ? text.getUint8(pos) : 0;
      if (c <= 0x20) {
        pos = to.space(pos);
        c = text.getUint8(pos);
      }
      if (c === 0x7d) break;
      if (c !== 0x2c) to.fail(pos);
      c = ++pos < end ? text.getUint8(pos) : 0;
      if (c <= 0x20) {
        pos = to.space(pos);
        c = text.getUint8(pos);
      }
    }
    this.#finish(to, step.form ??= this.#formOf(step.path), first);
    return pos + 1;
  }

  /** Writes the nodes of an object, whose places begin at `first`. */
  #finish({ out: { dv }, base }: Lite3Encoder, form: Form, first: number): void {
    const places = this.#places;
    const { nodes, parents, slots } = form;
    const firstNode = first + MOST_KEYS;
    for (let i = 0, n = 0; i < nodes.length; n++) {
      const at = places[firstNode + n] as number;
      for (let o = at; o < at + NODE_SIZE; o += 8) dv.setFloat64(o, nodes[i++] as number, true);
    }
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i] as number;
      const at = places[firstNode + (slot >> 8)] as number;
      dv.setInt32(at + (slot & 255), places[first + i] as number, true);
    }
    for (let i = 0; i < parents.length; i++) {
      const slot = parents[i] as number;
      const at = places[firstNode + (slot >> 8)] as number;
      dv.setInt32(at + (slot & 255), (places[firstNode + 1 + i] as number) - base, true);
    }
  }

  /** The step for the key at `pos`, which did not come after `step` the last time. */
  #branch(to: Lite3Encoder, step: Step, pos: number): Step {
    const { branches } = step;
    let next = branches.find((other) => isAt(other, to.text, pos, to.end));
    if (next === undefined) {
      const isFull = branches.length === MOST_BRANCHES || step.path.length === MOST_KEYS;
      if (isFull || this.#steps === MOST_STEPS) throw UNKNOWN_SHAPE;
      next = this.#learn(to, step, pos);
      branches.push(next);
      this.#steps++;
    }
    step.next = next;
    return next;
  }

  #learn(to: Lite3Encoder, before: Step, pos: number): Step {
    const scratch = this.#key ??= new Buf(256);
    scratch.reserve(to.end - pos + 8);
    const after = to.string(pos, scratch.dv, 0);
    const bytes = scratch.u8.slice(0, to.stringEnd);
    if (after - pos > LONGEST_KEY || bytes.includes(0)) throw UNKNOWN_SHAPE;
    const dv = new DataView(bytes.buffer);
    const key: Key = { dv, length: bytes.length, hash: hashOf(dv, bytes.length) };
    const writer = new Lite3Writer(new Buf(LONGEST_KEY + 8));
    writer.writeKey(dv, 0, bytes.length);
    const known = {
      ...{ key, text: wordsOf(to.text, pos, after - pos), textLength: after - pos },
      ...{ entry: wordsOf(writer.out.dv, 0, writer.at), entryLength: writer.at },
    };
    const path: Step[] = [...before.path];
    const nodes = this.#try([...path, { ...start(), ...known }]).appended;
    const step: Step = { ...start(), ...known, path, nodes };
    path.push(step);
    return step;
  }

  #formOf(path: readonly Step[]): Form {
    return this.#try(path).form();
  }

  /**
   * Builds an object of these keys, each with null as its value.
   *
   * @returns how many nodes the last key appended, and how to get the form
   * @throws {Error} {@linkcode Shapes.unknown} if that is not possible
   */
  #try(path: readonly Step[]): { appended: number; form: () => Form } {
    const writer = this.#trial ??= new Lite3Writer(new Buf(4096));
    writer.begin();
    writer.room(0);
    writer.emptyNode(0, Tag.Object);
    writer.at = NODE_SIZE;
    const nodes = [0];
    const entries: number[] = [];
    let appended = 0;
    for (const { key } of path) {
      writer.room(LONGEST_KEY + 8);
      const before = (writer.at + 3) & ~3;
      const slot = writer.place(0, key.hash, key.dv, 0, key.length);
      if (slot < 0 || writer.unrepresentable !== "") throw UNKNOWN_SHAPE;
      appended = 0;
      for (let at = before; at + NODE_SIZE <= writer.at; at += NODE_SIZE, appended++) {
        nodes.push(at);
      }
      const { dv } = writer.out;
      dv.setInt32(slot, writer.at, true);
      entries.push(writer.at);
      writer.writeKey(key.dv, 0, key.length);
      dv.setUint8(writer.at++, Tag.Null);
    }
    return { appended, form: () => formOf(writer.out.dv, nodes, entries) };
  }
}

/**
 * The form of the object at the start of a document with these nodes and entries; its places are
 * cleared there.
 *
 * @throws {Error} {@linkcode Shapes.unknown} if eight bytes are no number and could not be copied so
 */
function formOf(dv: DataView, places: readonly number[], entries: readonly number[]): Form {
  const nodes = new Float64Array(places.length * NODE_SIZE / 8);
  const slots = new Int32Array(entries.length);
  const parents = new Int32Array(places.length - 1);
  places.forEach((at, n) => {
    for (let o = NODE_KV; o < NODE_SIZE; o += 4) {
      const place = dv.getInt32(at + o, true);
      if (place === 0) continue;
      if (o < NODE_CHILD) slots[entries.indexOf(place)] = n << 8 | o;
      else parents[places.indexOf(place) - 1] = n << 8 | o;
      dv.setInt32(at + o, 0, true);
    }
    for (let o = 0; o < NODE_SIZE; o += 8) {
      const value = dv.getFloat64(at + o, true);
      if (Number.isNaN(value)) throw UNKNOWN_SHAPE;
      nodes[(n * NODE_SIZE + o) / 8] = value;
    }
  });
  return { nodes, slots, parents };
}

const NO_KEY: Key = { dv: new DataView(new ArrayBuffer(0)), length: 0, hash: 0 };

/** The start of an object. */
function start(): Step {
  const none = new Int32Array(0);
  return {
    ...{ path: [], key: NO_KEY, text: none, textLength: 0, entry: none, entryLength: 0, nodes: 0 },
    ...{ next: null, branches: [], inside: null, form: null },
  };
}

/** Whether the key of a step is at `pos`. */
function isAt({ text, textLength }: Step, of: DataView, pos: number, end: number): boolean {
  if (pos + textLength > end) return false;
  const whole = textLength >> 2;
  let at = pos;
  for (let i = 0; i < whole; i++, at += 4) {
    if (of.getInt32(at, true) !== text[i]) return false;
  }
  let rest = text[whole] ?? 0;
  for (const stop = pos + textLength; at < stop; at++, rest >>>= 8) {
    if (of.getUint8(at) !== (rest & 255)) return false;
  }
  return true;
}

/** Bytes as words, the last of which is filled with zeros. */
function wordsOf(of: DataView, start: number, length: number): Int32Array {
  const words = new Int32Array((length + 3) >> 2);
  for (let i = 0; i < length; i++) {
    words[i >> 2] = (words[i >> 2] as number) | of.getUint8(start + i) << (8 * (i & 3));
  }
  return words;
}
