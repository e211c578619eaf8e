/**
 * A recursive descent parser for the grammar of jq 1.8, without modules. Precedence, lowest first:
 * `|`, `,`, `//`, the assignments, `or`, `and`, comparisons, `+ -`, `* / %`.
 *
 * @module
 */

import type { BinaryOp, Definition, Node, Pattern, PatternEntry } from "./ast.ts";
import { FilterSyntaxError, type Token, tokenize } from "./lexer.ts";

export { FilterSyntaxError };

/** The deepest nesting, so that hostile filters cannot exhaust the stack. */
const MAX_DEPTH = 250;
/** The longest chain of one operator, for the same reason. */
const MAX_CHAIN = 1000;
/** The longest expression in characters; real filters are a hundred times shorter. */
const MAX_LENGTH = 64 * 1024;

const ID: Node = { t: "id" };
const ASSIGN = ["=", "|=", "+=", "-=", "*=", "/=", "%=", "//="];

/** Parses a whole filter; throws {@linkcode FilterSyntaxError}. */
export function parse(text: string): Node {
  if (text.length > MAX_LENGTH) {
    throw new FilterSyntaxError(`expression is longer than ${MAX_LENGTH} characters`, MAX_LENGTH);
  }
  return new Parser(text, 0, text.length, 0).whole();
}

function stringNode(text: string): Node {
  return { t: "str", parts: [text] };
}

class Parser {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth: number;

  constructor(text: string, start: number, end: number, depth: number) {
    this.#text = text;
    this.#tokens = tokenize(text, start, end);
    this.#depth = depth;
  }

  whole(): Node {
    if (this.#peek().kind === "end") {
      throw new FilterSyntaxError("expression is empty", this.#peek().start);
    }
    const node = this.#query();
    if (this.#peek().kind !== "end") this.#unexpected();
    return node;
  }

  #peek(ahead = 0): Token {
    const token = this.#tokens[Math.min(this.#next + ahead, this.#tokens.length - 1)];
    if (token === undefined) throw new FilterSyntaxError("unexpected end of expression", 0);
    return token;
  }

  #take(): Token {
    const token = this.#peek();
    this.#next++;
    return token;
  }

  #is(text: string, ahead = 0): boolean {
    const token = this.#peek(ahead);
    return token.text === text && (token.kind === "op" || token.kind === "keyword");
  }

  #accept(text: string): boolean {
    if (!this.#is(text)) return false;
    this.#next++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#accept(text)) this.#unexpected(`expected \`${text}\``);
  }

  #unexpected(wanted?: string): never {
    const token = this.#peek();
    const found = token.kind === "end"
      ? "unexpected end of expression"
      : `unexpected \`${this.#text.slice(token.start, token.end)}\``;
    throw new FilterSyntaxError(wanted === undefined ? found : `${found}, ${wanted}`, token.start);
  }

  #nested<T>(body: () => T): T {
    if (++this.#depth > MAX_DEPTH) {
      throw new FilterSyntaxError("expression too deeply nested", this.#peek().start);
    }
    const result = body();
    this.#depth--;
    return result;
  }

  /** A whole expression with pipes and definitions; without commas inside object values. */
  #query(commas = true): Node {
    return this.#nested(() => {
      const l = commas ? this.#comma() : this.#alternative();
      return this.#accept("|") ? { t: "pipe", l, r: this.#query(commas) } : l;
    });
  }

  #comma(): Node {
    let l = this.#element();
    for (let n = 0; this.#accept(","); n++) {
      l = { t: "comma", l, r: this.#link(n, this.#element()) };
    }
    return l;
  }

  /**
   * One side of a comma. The scope of a definition, label or binding is everything that follows.
   */
  #element(): Node {
    if (this.#is("def")) {
      const def = this.#definition();
      return { t: "def", def, body: this.#query() };
    }
    if (this.#accept("label")) {
      const name = this.#variable();
      this.#expect("|");
      return { t: "label", name, body: this.#query() };
    }
    const l = this.#alternative();
    if (!this.#accept("as")) return l;
    const patterns = this.#patterns();
    this.#expect("|");
    return { t: "as", source: l, patterns, body: this.#query() };
  }

  /** Checks the length `n` of a chain of operators, which becomes a tree of that depth. */
  #link(n: number, node: Node): Node {
    if (n > MAX_CHAIN) throw new FilterSyntaxError("expression too long", this.#peek().start);
    return node;
  }

  #alternative(): Node {
    const l = this.#assignment();
    if (this.#accept("//")) return this.#nested(() => ({ t: "alt", l, r: this.#alternative() }));
    // jq 1.6 reads `a?//b` as `a? // b`; outside patterns it has no other meaning
    if (!this.#is("?//")) return l;
    this.#take();
    return this.#nested(() => ({ t: "alt", l: { t: "try", body: l }, r: this.#alternative() }));
  }

  #assignment(): Node {
    const l = this.#or();
    const token = this.#peek();
    if (token.kind !== "op" || !ASSIGN.includes(token.text)) return l;
    this.#take();
    return { t: "assign", op: token.text, l, r: this.#or() };
  }

  #or(): Node {
    let l = this.#and();
    for (let n = 0; this.#accept("or"); n++) l = { t: "or", l, r: this.#link(n, this.#and()) };
    return l;
  }

  #and(): Node {
    let l = this.#comparison();
    for (let n = 0; this.#accept("and"); n++) {
      l = { t: "and", l, r: this.#link(n, this.#comparison()) };
    }
    return l;
  }

  #comparison(): Node {
    const l = this.#sum();
    const op = this.#binaryOp(["==", "!=", "<", "<=", ">", ">="]);
    return op === undefined ? l : { t: "binary", op, l, r: this.#sum() };
  }

  #sum(): Node {
    let l = this.#product();
    for (let n = 0, op; (op = this.#binaryOp(["+", "-"])) !== undefined; n++) {
      l = { t: "binary", op, l, r: this.#link(n, this.#product()) };
    }
    return l;
  }

  #product(): Node {
    let l = this.#unary();
    for (let n = 0, op; (op = this.#binaryOp(["*", "/", "%"])) !== undefined; n++) {
      l = { t: "binary", op, l, r: this.#link(n, this.#unary()) };
    }
    return l;
  }

  #binaryOp(ops: readonly BinaryOp[]): BinaryOp | undefined {
    const token = this.#peek();
    const op = token.kind === "op" ? ops.find((o) => o === token.text) : undefined;
    if (op !== undefined) this.#next++;
    return op;
  }

  #unary(): Node {
    if (this.#accept("-")) return { t: "neg", body: this.#nested(() => this.#unary()) };
    return this.#postfix();
  }

  #postfix(): Node {
    return this.#nested(() => {
      let node = this.#term();
      for (let n = 0;; n++) {
        const suffixed = this.#suffix(node);
        if (suffixed === undefined) return node;
        node = this.#link(n, suffixed);
      }
    });
  }

  #suffix(term: Node): Node | undefined {
    const token = this.#peek();
    if (token.kind === "field") {
      this.#take();
      return { t: "index", term, key: stringNode(token.text), opt: this.#accept("?") };
    }
    if (this.#is("[")) return this.#bracket(term);
    if (this.#is(".")) {
      const after = this.#peek(1);
      if (after.kind === "str" || after.kind === "fmt") {
        this.#take();
        return { t: "index", term, key: this.#string(), opt: this.#accept("?") };
      }
      if (this.#is("[", 1)) {
        this.#take();
        return this.#bracket(term);
      }
      return undefined;
    }
    return this.#accept("?") ? { t: "try", body: term } : undefined;
  }

  #bracket(term: Node): Node {
    this.#expect("[");
    if (this.#accept("]")) return { t: "iterate", term, opt: this.#accept("?") };
    const from = this.#is(":") ? undefined : this.#query();
    if (from !== undefined && this.#accept("]")) {
      return { t: "index", term, key: from, opt: this.#accept("?") };
    }
    this.#expect(":");
    const to = this.#is("]") && from !== undefined ? undefined : this.#query();
    this.#expect("]");
    return {
      t: "slice",
      term,
      ...(from === undefined ? {} : { from }),
      ...(to === undefined ? {} : { to }),
      opt: this.#accept("?"),
    };
  }

  #term(): Node {
    const token = this.#peek();
    switch (token.kind) {
      case "num":
        this.#take();
        return { t: "num", text: token.text };
      case "str":
      case "fmt":
        return this.#string();
      case "field":
        this.#take();
        return this.#firstStep(stringNode(token.text), token.start);
      case "var":
        this.#take();
        return token.text === "__loc__" ? this.#location(token) : { t: "var", name: token.text };
      case "ident":
        return this.#call();
      case "keyword":
        return this.#keyword(token);
      case "op":
        return this.#bracketed(token);
      case "end":
        return this.#unexpected();
    }
  }

  /** The first step of a path, such as `.a`. */
  #firstStep(key: Node, at: number): Node {
    return { t: "index", term: ID, key, opt: this.#accept("?"), at };
  }

  #bracketed(token: Token): Node {
    this.#take();
    switch (token.text) {
      case ".": {
        const after = this.#peek();
        if (after.kind !== "str" && after.kind !== "fmt") return ID;
        return this.#firstStep(this.#string(), token.start);
      }
      case "..":
        return { t: "call", name: "recurse", args: [], at: token.start };
      case "(": {
        const node = this.#query();
        this.#expect(")");
        return node;
      }
      case "[": {
        if (this.#accept("]")) return { t: "array" };
        const body = this.#query();
        this.#expect("]");
        return { t: "array", body };
      }
      case "{":
        return this.#object();
    }
    this.#next--;
    return this.#unexpected();
  }

  #keyword(token: Token): Node {
    this.#take();
    switch (token.text) {
      case "if":
        return this.#if();
      case "try": {
        const body = this.#nested(() => this.#unary());
        if (!this.#accept("catch")) return { t: "try", body };
        return { t: "try", body, handler: this.#nested(() => this.#unary()) };
      }
      case "reduce": {
        const [source, patterns] = this.#loopHead();
        const init = this.#query();
        this.#expect(";");
        const update = this.#query();
        this.#expect(")");
        return { t: "reduce", source, patterns, init, update };
      }
      case "foreach": {
        const [source, patterns] = this.#loopHead();
        const init = this.#query();
        this.#expect(";");
        const update = this.#query();
        const extract = this.#accept(";") ? this.#query() : undefined;
        this.#expect(")");
        const node = { t: "foreach", source, patterns, init, update } as const;
        return extract === undefined ? node : { ...node, extract };
      }
      case "import":
      case "include":
      case "module":
        throw new FilterSyntaxError("modules are not available in filters", token.start);
      case "def":
      case "label":
        throw new FilterSyntaxError(`put \`${token.text}\` in parentheses here`, token.start);
    }
    this.#next--;
    return this.#unexpected();
  }

  #if(): Node {
    return this.#nested(() => {
      const cond = this.#query();
      this.#expect("then");
      const then = this.#query();
      if (this.#accept("elif")) return { t: "if", cond, then, else: this.#if() };
      const otherwise = this.#accept("else") ? this.#query() : undefined;
      this.#expect("end");
      const node = { t: "if", cond, then } as const;
      return otherwise === undefined ? node : { ...node, else: otherwise };
    });
  }

  /** `SOURCE as PATTERNS (` of reduce and foreach. */
  #loopHead(): [Node, readonly Pattern[]] {
    const source = this.#nested(() => this.#alternative());
    this.#expect("as");
    const patterns = this.#patterns();
    this.#expect("(");
    return [source, patterns];
  }

  #call(): Node {
    const token = this.#take();
    if (token.text === "break" && this.#peek().kind === "var") {
      return { t: "break", name: this.#variable() };
    }
    const args: Node[] = [];
    if (this.#accept("(")) {
      do args.push(this.#query()); while (this.#accept(";"));
      this.#expect(")");
    }
    return { t: "call", name: token.text, args, at: token.start };
  }

  #definition(): Definition {
    this.#expect("def");
    const token = this.#take();
    if (token.kind !== "ident" && token.kind !== "keyword") {
      this.#next--;
      this.#unexpected("expected a function name");
    }
    const params: string[] = [];
    if (this.#accept("(")) {
      do {
        const param = this.#take();
        if (param.kind === "var") params.push(`$${param.text}`);
        else if (param.kind === "ident" || param.kind === "keyword") params.push(param.text);
        else {
          this.#next--;
          this.#unexpected("expected a parameter name");
        }
      } while (this.#accept(";"));
      this.#expect(")");
    }
    this.#expect(":");
    const body = this.#query();
    this.#expect(";");
    return { name: token.text, params, body };
  }

  #variable(): string {
    const token = this.#peek();
    if (token.kind !== "var") this.#unexpected("expected a variable");
    this.#next++;
    return token.text;
  }

  #location(token: Token): Node {
    return { t: "loc", line: this.#text.slice(0, token.start).split("\n").length };
  }

  /** A string, optionally after a format (`@base64 "…"`), or a format alone. */
  #string(): Node {
    const token = this.#take();
    if (token.kind === "fmt" && this.#peek().kind !== "str") {
      return { t: "format", name: token.text };
    }
    const text = token.kind === "fmt" ? this.#take() : token;
    const parts = (text.parts ?? []).map((part) =>
      typeof part === "string"
        ? part
        : new Parser(this.#text, part.start, part.end, this.#depth + 1).whole()
    );
    return token.kind === "fmt" ? { t: "str", parts, format: token.text } : { t: "str", parts };
  }

  #object(): Node {
    const entries: { key: Node; value: Node }[] = [];
    while (!this.#is("}")) {
      entries.push(this.#objectEntry());
      if (!this.#accept(",")) break;
    }
    this.#expect("}");
    return { t: "object", entries };
  }

  #objectEntry(): { key: Node; value: Node } {
    const token = this.#peek();
    if (this.#accept("(")) {
      const key = this.#query();
      this.#expect(")");
      this.#expect(":");
      return { key, value: this.#query(false) };
    }
    let key: Node;
    let shorthand: Node;
    if (token.kind === "var") {
      this.#take();
      shorthand = token.text === "__loc__" ? this.#location(token) : { t: "var", name: token.text };
      // `{$x}` is {"x": $x}, `{$x: 1}` takes the value of $x as the key
      key = this.#is(":") ? shorthand : stringNode(token.text);
    } else {
      if (token.kind === "ident" || token.kind === "keyword") {
        this.#take();
        key = stringNode(token.text);
      } else if (token.kind === "str" || (token.kind === "fmt" && this.#peek(1).kind === "str")) {
        key = this.#string();
      } else return this.#unexpected("expected a key");
      shorthand = { t: "index", term: ID, key, opt: false };
    }
    return { key, value: this.#accept(":") ? this.#query(false) : shorthand };
  }

  #patterns(): readonly Pattern[] {
    const patterns = [this.#pattern()];
    while (this.#accept("?//")) patterns.push(this.#pattern());
    return patterns;
  }

  #pattern(): Pattern {
    return this.#nested(() => {
      if (this.#peek().kind === "var") return { p: "var", name: this.#variable() };
      if (this.#accept("[")) {
        const items: Pattern[] = [];
        do items.push(this.#pattern()); while (this.#accept(","));
        this.#expect("]");
        return { p: "arr", items };
      }
      this.#expect("{");
      const entries: PatternEntry[] = [];
      do entries.push(this.#patternEntry()); while (this.#accept(","));
      this.#expect("}");
      return { p: "obj", entries };
    });
  }

  #patternEntry(): PatternEntry {
    const token = this.#peek();
    if (token.kind === "var") {
      const variable = this.#variable();
      return this.#accept(":") ? { variable, value: this.#pattern() } : { variable };
    }
    let key: Node;
    if (this.#accept("(")) {
      key = this.#query();
      this.#expect(")");
    } else if (token.kind === "ident" || token.kind === "keyword") {
      this.#take();
      key = stringNode(token.text);
    } else if (token.kind === "str") key = this.#string();
    else return this.#unexpected("expected a key or a variable");
    this.#expect(":");
    return { key, value: this.#pattern() };
  }
}
