/**
 * Modules that come in one file: they do what they do apart.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { type Packed, packed, type Scripts } from "../../server/ui/packs.ts";
import { withDir } from "../support/processes.ts";

/** Lines without the margin that keeps them apart from the lines of this file. */
const lines = (text: string): string => text.replaceAll(/^\s*\| ?/gm, "").trimStart();

const SCRIPTS: Scripts = {
  base: lines(`
    | export const things = [];
    | export function put(thing) {
    |   things.push(thing);
    | }
    | const own = "base";
    | export { own as whose };
    | put(own);
  `),
  more: lines(`
    | import {
    |   put as add,
    |   whose,
    | } from "./base.js";
    | export { things } from "./base.js";
    |
    | await Promise.resolve();
    | const own = \`more than ${"${whose}"}\`;
    | export class Thing {
    |   name = own;
    | }
    | add(new Thing().name);
  `),
  one: lines(`
    | import { alone } from "./alone.js";
    | import { things } from "./more.js";
    | export async function seen() {
    |   const { late } = await import("./late.js");
    |   return [...things, alone, late()];
    | }
  `),
  two: lines(`
    | import { put } from "./base.js";
    | put("two");
  `),
  alone: lines(`
    | export const alone = "alone";
  `),
  late: lines(`
    | import { Thing, things } from "./more.js";
    | import { whose } from "./base.js";
    | export const late = () => [new Thing().name, things.length, whose].join();
  `),
};

const reached = new Map([
  ["one", new Set(["one", "alone", "more", "base"])],
  ["two", new Set(["two", "base"])],
]);

/** Imports a module from files, in a process of its own. */
async function run(files: Scripts, module: string, show: string): Promise<unknown> {
  return await withDir(async (dir) => {
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(`${dir}/${name}.js`, text);
    }
    const url = pathToFileURL(`${dir}/${module}.js`).href;
    await Deno.writeTextFile(
      `${dir}/run_it.js`,
      `const it = await import("${url}"); console.log(JSON.stringify(await ${show}));`,
    );
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "--no-config", `${dir}/run_it.js`],
      stdin: "null",
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    return JSON.parse(new TextDecoder().decode(stdout));
  });
}

const pack = (scripts: Scripts): Packed => packed(scripts, reached, ["alone"]);

// Lost: the state of a page, to a second copy of a module; or a page that does not start.
Deno.test("packs: modules are the same together and apart, and there once", async () => {
  const { files, packs } = pack(SCRIPTS);
  assert.deepEqual([...packs], [
    ["one", "with_one"],
    ["more", "with_one"],
    ["base", "with_one_two"],
    ["two", "with_two"],
  ]);
  assert.equal(files["alone"], SCRIPTS["alone"]);
  assert.equal(files["late"], SCRIPTS["late"]);
  const expected = ["base", "more than base", "alone", "more than base,2,base"];
  for (const scripts of [SCRIPTS, files]) {
    assert.deepEqual(await run(scripts, "one", "it.seen()"), expected);
    const both = 'import("./two.js").then(() => import("./base.js")).then((base) => base.things)';
    assert.deepEqual(await run(scripts, "one", both), ["base", "more than base", "two"]);
    for (const module of Object.keys(SCRIPTS)) {
      assert.deepEqual(
        await run(scripts, module, "Object.keys(it).sort()"),
        await run(SCRIPTS, module, "Object.keys(it).sort()"),
        module,
      );
    }
  }
});

// Lost: a page that does not start, for a way to write modules that works apart.
Deno.test("packs: what no pack can hold is refused", () => {
  for (
    const line of ["export default 1;", "export let a = 1;", 'import * as b from "./base.js";']
  ) {
    assert.throws(() => pack({ ...SCRIPTS, two: `${line}\n` }), /no pack can hold/);
  }
  const circle = { ...SCRIPTS, more: `import { seen } from "./one.js";\n${SCRIPTS["more"]}` };
  assert.throws(() => pack(circle), /A circle: /);
});
