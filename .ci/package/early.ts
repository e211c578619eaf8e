/**
 * Has V8 compile what the commonest commands call together with their file, so that Deno's cache of
 * compiled code holds it.
 *
 * Deno stores compiled code before a module runs. V8 compiles a function when it is first called,
 * unless it stands in parentheses; so each of the 230 functions that `feed` calls was compiled in
 * every process, 20 µs each. Which ones these are, and where they stand, V8 itself tells. Methods
 * cannot stand in parentheses: they become function expressions that a static block defines.
 *
 * @module
 */

import { pathToFileURL } from "node:url";

/** What is called: the arguments after `--dir`. */
const COMMANDS: readonly (readonly string[])[] = [
  ["feed", "p", "--create", "{}"],
  ["feed", "p", '{"a":"b","c":[1,-2.5,true,null]}'],
  ["fetch", "p", "1"],
  ["follow", "p", "--tail", "1", "--one"],
];

/** Where the functions of a file start and end in its text, and which of them were compiled. */
interface Functions {
  readonly ends: Map<number, number>;
  readonly compiled: Set<number>;
}

/** Rewrites the files of a bundle in `dir`, whose program is cli.js. */
export async function compileEarly(dir: string): Promise<void> {
  for (const [name, functions] of await functionsOf(dir)) {
    const path = `${dir}/${name}`;
    await Deno.writeTextFile(path, parenthesized(await Deno.readTextFile(path), functions));
  }
}

/** Runs the commands and returns what V8 tells of the functions of each file in `dir`. */
export async function functionsOf(
  dir: string,
  flags: readonly string[] = ["--no-code-cache"],
): Promise<Map<string, Functions>> {
  const work = await Deno.makeTempDir({ prefix: "plasmite-early-" });
  const files = new Map<string, Functions>();
  try {
    for (const command of COMMANDS) {
      const log = `${work}/v8.log`;
      const { code, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "-A", "--quiet", "--no-config", "--no-lock"],
          "--unstable-lazy-dynamic-imports",
          ...flags,
          `--v8-flags=--log-function-events,--no-logfile-per-isolate,--logfile=${log}`,
          ...[`${dir}/cli.js`, "--dir", `${work}/pools`, ...command],
        ],
        stdin: "null",
      }).output();
      if (code !== 0) throw new Error(`${command.join(" ")}: ${new TextDecoder().decode(stderr)}`);
      readLog(await Deno.readTextFile(log), `${pathToFileURL(dir).href}/`, files);
    }
  } finally {
    await Deno.remove(work, { recursive: true });
  }
  return files;
}

/** Reads V8's log: `script-details,ID,URL,…` and `function,EVENT,ID,START,END,…`. */
function readLog(log: string, base: string, files: Map<string, Functions>): void {
  const lines = log.split("\n").map((line) => line.split(","));
  const scripts = new Map<string, Functions>();
  for (const [kind, id = "", url = ""] of lines) {
    if (kind !== "script-details" || !url.startsWith(base)) continue;
    const name = url.slice(base.length);
    const known = files.get(name) ?? { ends: new Map(), compiled: new Set() };
    files.set(name, known);
    scripts.set(id, known);
  }
  for (const [kind, event, id = "", start, end] of lines) {
    const script = kind === "function" ? scripts.get(id) : undefined;
    // At 0 is the whole file, and constructors that nobody wrote.
    if (script === undefined || !(Number(start) > 0) || !(Number(end) > 0)) continue;
    script.ends.set(Number(start), Number(end));
    if (event === "interpreter") script.compiled.add(Number(start));
  }
}

/** A function, and how it is written to be compiled early. */
interface Rewritten {
  /** Where its text starts and ends, and where its parameters start. */
  readonly from: number;
  readonly to: number;
  readonly start: number;
  /** What stands before the parameters, and after the body. */
  readonly before: string;
  readonly after: string;
  /** Where it moves: to the start of the file, or into its class. */
  readonly move?: { readonly at: number; readonly owner: string };
}

/** The owner of what moves to the start of the file. */
const FILE = "";
/** The function that defines methods; the bundler makes no such name. */
const DEFINE = "defineEarly";
const HELPER =
  `var ${DEFINE}=((to,methods)=>{for(let name in methods)Object.defineProperty(to,name,` +
  `{value:methods[name],writable:!0,configurable:!0})});`;

const NAME = "[\\w$]+";
const DECLARATION = new RegExp(`[;}]\\n?((?:async )?function\\*? ?)(${NAME})$`);
const EXPRESSION = new RegExp(`[=(,:?|&]((?:async )?function\\*? ?(?:${NAME})?)$`);
const CLASS_METHOD = new RegExp(`[;}]\\n?(static )?(async )?(\\*)?(${NAME})$`);
const ACCESSOR = new RegExp(`[;}]\\n?(static )?(get|set) (${NAME})$`);
const OBJECT_METHOD = new RegExp(`[{,](async )?(\\*)?(${NAME})$`);
const ARROW = /^(?:[\w$]+|\((?:[^()]|\([^()]*\))*\))=>/;
/** The bundler gives each class its name in a block that comes first in it. */
const CLASS_START = /\bstatic\{[\w$]+\(this,"[^"]*"\)\}/g;

/** Puts compiled functions into parentheses; declarations and methods become expressions first. */
export function parenthesized(code: string, functions: Functions): string {
  const classes = [...code.matchAll(CLASS_START)].map((found) => found.index + found[0].length);
  const all: Rewritten[] = [];
  for (const start of functions.compiled) {
    const one = rewritten(code, functions, start, classes);
    if (one !== undefined) all.push(one);
  }
  const text = new Writer(code, all).whole();
  return text.includes(DEFINE) ? HELPER + text : text;
}

function rewritten(
  code: string,
  { ends }: Functions,
  start: number,
  classes: readonly number[],
): Rewritten | undefined {
  const to = ends.get(start) ?? start;
  const head = code.slice(Math.max(0, start - 80), start);
  const text = code.slice(start, to);
  const [declaration, keywords = "", declared] = DECLARATION.exec(head) ?? [];
  if (declaration !== undefined) {
    // A declaration is there before the file runs: as a variable it has to come first.
    const isInner = [...ends].some(([from, end]) => from < start && to <= end);
    if (isInner) return undefined;
    const from = start - declaration.length + 1;
    const move = { at: 0, owner: FILE };
    return { from, to, start, before: `${declared}=(${keywords.trimEnd()}`, after: ")", move };
  }
  const [expression, own = ""] = EXPRESSION.exec(head) ?? [];
  if (expression !== undefined) {
    return { from: start - own.length, to, start, before: `(${own}`, after: ")" };
  }
  if (ARROW.test(text)) {
    if (/\basync ?$/.test(head)) return undefined;
    return { from: start, to, start, before: "(", after: ")" };
  }
  if (!text.startsWith("(") || /\bsuper\b/.test(text)) return undefined;
  const [method, async = "", star = "", name = ""] = OBJECT_METHOD.exec(head) ?? [];
  if (method !== undefined) {
    const from = start - method.length + 1;
    return { from, to, start, before: `${name}:(${async}function${star}`, after: ")" };
  }
  return inClass(code, ends, { start, to, head }, classes);
}

function inClass(
  code: string,
  ends: ReadonlyMap<number, number>,
  { start, to, head }: { readonly start: number; readonly to: number; readonly head: string },
  classes: readonly number[],
): Rewritten | undefined {
  const at = classes.findLast((one) => one < start && isDirectlyIn(code, ends, one, start));
  if (at === undefined) return undefined;
  const owner = (fixed: string | undefined): string => fixed ? "this" : "this.prototype";
  const [method, fixed, async = "", star = "", name = ""] = CLASS_METHOD.exec(head) ?? [];
  if (method !== undefined) {
    if (name === "constructor") return undefined;
    const from = start - method.length + 1;
    const before = `${name}:(${async}function${star}`;
    return { from, to, start, before, after: ")", move: { at, owner: owner(fixed) } };
  }
  const [accessor, own, access, property] = ACCESSOR.exec(head) ?? [];
  if (accessor === undefined) return undefined;
  const from = start - accessor.length + 1;
  const before = `${owner(own)},"${property}",{configurable:!0,${access}:(function`;
  return { from, to, start, before, after: ")}", move: { at, owner: "Object.defineProperty" } };
}

/** Whether what starts at `start` is a member of the class whose first member ends at `at`. */
function isDirectlyIn(
  code: string,
  ends: ReadonlyMap<number, number>,
  at: number,
  start: number,
): boolean {
  let depth = 0;
  for (let i = at; i < start; i++) {
    const end = ends.get(i);
    if (end !== undefined && end <= start) i = end - 1;
    else if (code[i] === "{") depth++;
    else if (code[i] === "}" && --depth < 0) return false;
  }
  return depth === 0;
}

/** Writes the text with what is rewritten, and what is moved at its new place. */
class Writer {
  readonly #code: string;
  /** Functions where they are, and places that functions are moved to; in order. */
  readonly #events: readonly (Rewritten | number)[];
  readonly #moved = new Map<number, Rewritten[]>();

  constructor(code: string, all: readonly Rewritten[]) {
    this.#code = code;
    const order = all.toSorted((a, b) => a.from - b.from);
    for (const one of order) {
      if (one.move === undefined) continue;
      const { at } = one.move;
      this.#moved.set(at, [...this.#moved.get(at) ?? [], one]);
    }
    // The first member of a class may itself move to where it is.
    this.#events = [...this.#moved.keys(), ...order]
      .toSorted((a, b) => position(a) - position(b));
  }

  whole(): string {
    return this.#between(0, this.#code.length);
  }

  #between(from: number, to: number, within?: Rewritten): string {
    let text = "";
    let at = from;
    for (const event of this.#events) {
      const place = position(event);
      if (place < at || place >= to || event === within) continue;
      text += this.#code.slice(at, place);
      at = place;
      if (typeof event === "number") {
        text += this.#together(this.#moved.get(event) ?? []);
      } else {
        if (event.move === undefined) text += this.#one(event);
        at = event.to;
      }
    }
    return text + this.#code.slice(at, to);
  }

  #one(one: Rewritten): string {
    return one.before + this.#between(one.start, one.to, one) + one.after;
  }

  /** What is moved to one place: variables, or a block that defines the members of a class. */
  #together(moved: readonly Rewritten[]): string {
    let text = "";
    for (const [owner, ones] of Map.groupBy(moved, ({ move }) => move?.owner)) {
      const texts = ones.map((one) => this.#one(one));
      if (owner === FILE) return `var ${texts};`;
      text += owner === "Object.defineProperty"
        ? texts.map((one) => `Object.defineProperty(${one});`).join("")
        : `${DEFINE}(${owner},{${texts}});`;
    }
    return `static{${text}}`;
  }
}

function position(event: Rewritten | number): number {
  return typeof event === "number" ? event : event.from;
}
