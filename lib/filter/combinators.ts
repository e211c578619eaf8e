/**
 * Combines compiled parts of a filter: pipes, loops over both operands, logic, alternatives,
 * conditionals, bindings.
 *
 * Each combinator has a form for parts that yield at most one output, as nearly all do, and one for
 * the others, whose outputs are collected in lists.
 *
 * @module
 */

import { type Context, EMPTY, ERROR, type Outcome, Signal } from "./context.ts";
import { truthy } from "./operators.ts";
import type { Value } from "./values.ts";

/** Yields at most one output. */
export type One = (input: Value) => Outcome;
/** Appends its outputs; false if a runtime error follows them. */
export type Many = (input: Value, out: Value[]) => boolean;
/** A compiled part; `one` is set if it is known to yield at most one output. */
export interface Part {
  readonly one?: One;
  readonly many: Many;
}

/** Appends an outcome; false if it is an error. */
function push(outcome: Outcome, out: Value[]): boolean {
  if (!(outcome instanceof Signal)) out.push(outcome);
  return outcome !== ERROR;
}

/** Builds parts from parts; their steps count against the budget of one context. */
export class Combinators {
  readonly #context: Context;

  /** Combines parts that run in `context`. */
  constructor(context: Context) {
    this.#context = context;
  }

  /** A part that yields at most one output. */
  single(one: One): Part {
    return { one, many: (v, out) => push(one(v), out) };
  }

  /** A part with one output, computed by `collect` from all outputs of `part`. */
  gather(part: Part, collect: (outputs: Value[], failed: boolean) => Outcome): Part {
    return this.single((v) => {
      const outputs: Value[] = [];
      const failed = !part.many(v, outputs);
      this.#context.tick(outputs.length + 1);
      return collect(outputs, failed);
    });
  }

  /** `l | r`. */
  pipe(l: Part, r: Part): Part {
    const { one: first } = l;
    const { one: second } = r;
    if (first !== undefined && second !== undefined) {
      return this.single((v) => {
        const middle = first(v);
        return middle instanceof Signal ? middle : second(middle);
      });
    }
    return {
      many: (v, out) => {
        const middle: Value[] = [];
        const fine = l.many(v, middle);
        this.#context.tick(middle.length + 1);
        for (const m of middle) if (!r.many(m, out)) return false;
        return fine;
      },
    };
  }

  /** All pairs of outputs; like jq, the right operand is the outer loop. */
  cross(l: Part, r: Part, combine: (a: Value, b: Value) => Outcome): Part {
    const { one: left } = l;
    const { one: right } = r;
    if (left !== undefined && right !== undefined) {
      return this.single((v) => {
        const b = right(v);
        if (b instanceof Signal) return b;
        const a = left(v);
        return a instanceof Signal ? a : combine(a, b);
      });
    }
    return {
      many: (v, out) => {
        const rights: Value[] = [];
        const fine = r.many(v, rights);
        for (const b of rights) {
          const lefts: Value[] = [];
          const ok = l.many(v, lefts);
          this.#context.tick(lefts.length + 1);
          for (const a of lefts) if (!push(combine(a, b), out)) return false;
          if (!ok) return false;
        }
        return fine;
      },
    };
  }

  /** `l and r`, `l or r`. */
  logic(or: boolean, l: Part, r: Part): Part {
    const { one: left } = l;
    const { one: right } = r;
    if (left !== undefined && right !== undefined) {
      return this.single((v) => {
        const a = left(v);
        if (a instanceof Signal) return a;
        if (truthy(a) === or) return or;
        const b = right(v);
        return b instanceof Signal ? b : truthy(b);
      });
    }
    return {
      many: (v, out) => {
        const lefts: Value[] = [];
        const fine = l.many(v, lefts);
        this.#context.tick(lefts.length + 1);
        for (const a of lefts) {
          if (truthy(a) === or) out.push(or);
          else {
            const rights: Value[] = [];
            const ok = r.many(v, rights);
            for (const b of rights) out.push(truthy(b));
            if (!ok) return false;
          }
        }
        return fine;
      },
    };
  }

  /** `l // r`. */
  alternative(l: Part, r: Part): Part {
    const { one: left } = l;
    const { one: right } = r;
    if (left !== undefined && right !== undefined) {
      return this.single((v) => {
        const a = left(v);
        return a === ERROR || (!(a instanceof Signal) && truthy(a)) ? a : right(v);
      });
    }
    return {
      many: (v, out) => {
        const lefts: Value[] = [];
        const fine = l.many(v, lefts);
        this.#context.tick(lefts.length + 1);
        const good = lefts.filter(truthy);
        for (const a of good) out.push(a);
        return fine && (good.length > 0 || r.many(v, out));
      },
    };
  }

  /** `part?`. */
  optional(part: Part): Part {
    const { one, many } = part;
    if (one === undefined) return { many: (v, out) => many(v, out) || true };
    return this.single((v) => {
      const outcome = one(v);
      return outcome === ERROR ? EMPTY : outcome;
    });
  }

  /** `select(cond)`. */
  select(cond: Part): Part {
    const { one } = cond;
    if (one !== undefined) {
      return this.single((v) => {
        const c = one(v);
        return c instanceof Signal ? c : truthy(c) ? v : EMPTY;
      });
    }
    return {
      many: (v, out) => {
        const conditions: Value[] = [];
        const fine = cond.many(v, conditions);
        for (const c of conditions) if (truthy(c)) out.push(v);
        return fine;
      },
    };
  }

  /** `if cond then … else … end`. */
  choose(cond: Part, then: Part, otherwise: Part): Part {
    const { one: test } = cond;
    const { one: yes } = then;
    const { one: no } = otherwise;
    if (test !== undefined && yes !== undefined && no !== undefined) {
      return this.single((v) => {
        const c = test(v);
        return c instanceof Signal ? c : truthy(c) ? yes(v) : no(v);
      });
    }
    return {
      many: (v, out) => {
        const conditions: Value[] = [];
        const fine = cond.many(v, conditions);
        this.#context.tick(conditions.length + 1);
        for (const c of conditions) {
          if (!(truthy(c) ? then : otherwise).many(v, out)) return false;
        }
        return fine;
      },
    };
  }

  /** `source as $x | body`; the value is stored in `slot` of the context's variables. */
  bind(source: Part, slot: number, body: Part): Part {
    const { variables } = this.#context;
    const { one: bind } = source;
    const { one: run } = body;
    if (bind !== undefined && run !== undefined) {
      return this.single((v) => {
        const x = bind(v);
        if (x instanceof Signal) return x;
        variables[slot] = x;
        return run(v);
      });
    }
    return {
      many: (v, out) => {
        const values: Value[] = [];
        const fine = source.many(v, values);
        this.#context.tick(values.length + 1);
        for (const x of values) {
          variables[slot] = x;
          if (!body.many(v, out)) return false;
        }
        return fine;
      },
    };
  }

  /** `any` and `all`: evaluation ends at the first deciding output; errors after it are ignored. */
  quantify(any: boolean, items: Part, test: Part): Part {
    return this.single((v) => {
      const values: Value[] = [];
      const fine = items.many(v, values);
      this.#context.tick(values.length + 1);
      for (const item of values) {
        const results: Value[] = [];
        const ok = test.many(item, results);
        for (const result of results) if (truthy(result) === any) return any;
        if (!ok) return ERROR;
      }
      return fine ? !any : ERROR;
    });
  }
}
