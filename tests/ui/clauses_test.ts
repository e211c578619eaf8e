/**
 * Filters made by choosing values.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { refuseHopeless } from "../../lib/filter/refusal.ts";
import { compileWhereSync } from "../../lib/filter/where.ts";
import { choose, chosen } from "../../server/ui/clauses.js";
import { message } from "../text/message_fixture.ts";

type Field = readonly string[] | "tags";

const LEVEL = ["level"];

Deno.test("a value takes the place of others, is added, excluded, and taken back", () => {
  let where = choose("", LEVEL, '"error"', "only");
  assert.equal(where, '.data.level == "error"');
  where = choose(where, LEVEL, '"warn"', "or");
  assert.equal(where, '.data.level == "error" or .data.level == "warn"');
  where = choose(where, ["user", "odd name"], "7", "only");
  assert.equal(
    where,
    '(.data.level == "error" or .data.level == "warn") and .data.user["odd name"] == 7',
  );
  where = choose(where, LEVEL, '"error"', "or");
  assert.equal(where, '.data.level == "warn" and .data.user["odd name"] == 7');
  where = choose(where, LEVEL, '"info"', "only");
  assert.equal(where, '.data.level == "info" and .data.user["odd name"] == 7');
  where = choose(where, LEVEL, '"info"', "not");
  assert.equal(where, '.data.user["odd name"] == 7 and [.data.level?] != ["info"]');
  assert.equal(chosen(where, LEVEL, '"info"'), "not");
  where = choose(where, LEVEL, '"info"', "not");
  assert.equal(where, '.data.user["odd name"] == 7');
  assert.equal(chosen(where, ["user", "odd name"], "7"), "is");
  assert.equal(choose(where, ["user", "odd name"], "7", "only"), "");
});

// Lost: what was written by hand, or its meaning, to the first click.
Deno.test("what was written by hand stays, and holds as well", () => {
  const own = '.data.n > 3 or .data.text == "a and b"';
  const both = choose(own, LEVEL, '"x and y"', "only");
  assert.equal(both, `(${own}) and .data.level == "x and y"`);
  assert.equal(choose(both, LEVEL, '"x and y"', "only"), own);
  assert.equal(choose(".data.a|not", LEVEL, "1", "only"), "(.data.a|not) and .data.level == 1");
  assert.equal(choose(".data.n > 3", LEVEL, "1", "or"), ".data.n > 3 and .data.level == 1");
  assert.equal(
    choose(".data.level.and == 1", LEVEL, "1", "only"),
    ".data.level.and == 1 and .data.level == 1",
  );
});

// Lost: messages that were chosen, or that were not excluded.
Deno.test("after any choices the filter means what was chosen", async () => {
  const fields: Field[] = [LEVEL, ["a b", "c"], "tags"];
  const values = ['"x"', '"x\\" or \\"y"', "1", "null", "false"];
  const how = fc.constantFrom("only" as const, "or" as const, "not" as const);
  const step = fc.tuple(fc.nat(2), fc.nat(4), how);
  const own = fc.constantFrom("", ".data.n == 1 or .data.n == 2", ".data.n|. < 3");
  await fc.assert(
    fc.asyncProperty(own, fc.array(step, { maxLength: 6 }), async (start, steps) => {
      let where: string = start;
      const wanted = fields.map(() => ({ is: new Set<string>(), not: new Set<string>() }));
      for (const [f, v, mode] of steps) {
        const field = fields[f];
        const value = field === "tags" ? JSON.stringify(`t${v}`) : values[v];
        const state = wanted[f];
        if (field === undefined || value === undefined || state === undefined) continue;
        where = choose(where, field, value, mode);
        const wasNot = state.not.has(value);
        state.not.delete(value);
        if (mode === "only") {
          const alone = state.is.size === 1 && state.is.has(value);
          state.is.clear();
          if (!alone) state.is.add(value);
        } else if (mode === "or") {
          if (!state.is.delete(value)) state.is.add(value);
        } else {
          state.is.delete(value);
          if (!wasNot) state.not.add(value);
        }
        for (const one of values) {
          const text: string = field === "tags" ? JSON.stringify(`t${values.indexOf(one)}`) : one;
          const expected: string = state.not.has(text) ? "not" : state.is.has(text) ? "is" : "";
          assert.equal(chosen(where, field, text), expected, `${where}: ${text}`);
        }
      }
      if (where === "") return;
      const filter = compileWhereSync(where, { maxSteps: 20_000 });
      assert(filter !== undefined, where);
      await refuseHopeless(where);
      for (const level of [...values, undefined]) {
        for (const tags of [[], ["t1"], ["t0", "t3"]]) {
          for (const n of [1, 5]) {
            const data = `{"n":${n},"a b":{"c":"x"}${
              level === undefined ? "" : `,"level":${level}`
            }}`;
            const has = [[level], ['"x"'], tags.map((tag) => JSON.stringify(tag))];
            const expected = (start === "" || n === 1) &&
              wanted.every(({ is, not }, f) =>
                (is.size === 0 ||
                  has[f]?.some((one) => one !== undefined && is.has(one)) === true) &&
                !has[f]?.some((one) => one !== undefined && not.has(one))
              );
            assert.equal(filter.matches(message(data, { tags })), expected, `${where} on ${data}`);
          }
        }
      }
    }),
    { numRuns: 150 },
  );
});
