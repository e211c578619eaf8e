/**
 * The rewriting that has V8 compile early what `feed`, `fetch` and `follow` call: it must not change
 * what the program does, and must reach most of what is called.
 *
 * @module
 */

import assert from "node:assert/strict";
import { compileEarly, functionsOf } from "../../.ci/package/early.ts";
import { programEntries } from "../../.ci/package/portable.ts";
import { inTemp } from "../cli/cli_util.ts";

/** Everything that is written differently afterwards, and what must stay as it is. */
const PROGRAM = `var n=(a,b)=>Object.defineProperty(a,"name",{value:b,configurable:!0});
var early=later(2);function later(x){return x+1}n(later,"later");async function wait(x){return await x}
function*count(to){for(let i=0;i<to;i++)yield i}
function outer(x){function inner(){return x*2}return inner()+[1,2].map(y=>y+x).length}
var Base=class{static{n(this,"Base")}#secret=1;static made=new this;constructor(){this.order="}{"}
plain(a,b=2){return[a,b,arguments.length]}get value(){return this.#secret}set value(to){this.#secret=to}
async slow(){return await this.#hidden()}*steps(){yield*count(2)}#hidden(){return this.#secret+40}
static open(...args){return new this(...args)}text(){return "}" + /[{]/.source + \`{\${this.order}\`}
nested(){class Inner{static{n(this,"Inner")}say(){return"inner"}}return new Inner().say()}
after(){return"after"}static{this.done=true}};
var Sub=class extends Base{static{n(this,"Sub")}plain(a){return["sub",...super.plain(a)]}
get after(){return()=>"getter"}own(){return new.target===void 0}};
var thing={open(x){return x.length},async slow(){return 1},get it(){return 3},"odd name"(){return 4},
arrow:async(x)=>(await x)+1,*steps(){yield 1}},pick=(a,{b}={b:(1)})=>[a,b],one=x=>y=>x+y;
var base=Base.open(),sub=new Sub;base.value=5;
var inherited=[];for(let name in base)inherited.push(name);
console.log(JSON.stringify([early,await wait(4),[...count(3)],outer(3),base.plain(1),base.value,
await base.slow(),[...base.steps()],base.text(),base.nested(),base.after(),Base.done,sub.plain(7),
sub.after(),sub.own(),thing.open("ab"),await thing.slow(),thing.it,thing["odd name"](),
await thing.arrow(1),[...thing.steps()],pick(1),one(1)(2),inherited,base.after.name,Base.name,
Object.getOwnPropertyNames(Base.prototype).sort(),Base.made instanceof Base,later.name,outer.name]));
`;

async function outputOf(dir: string): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-config", `${dir}/cli.js`],
  }).output();
  const text = new TextDecoder();
  assert.equal(code, 0, text.decode(stderr));
  return text.decode(stdout);
}

Deno.test("compiled early: a program does the same as before", () =>
  inTemp(async (dir) => {
    await Deno.writeTextFile(`${dir}/cli.js`, PROGRAM);
    const before = await outputOf(dir);
    await compileEarly(dir);
    const code = await Deno.readTextFile(`${dir}/cli.js`);
    for (
      const rewritten of [
        "var later=(function(x){",
        "plain:(function(a,b=2){",
        "slow:(async function(){",
        "steps:(function*(){",
        "open:(function(...args){",
        "get:(function(){return this.#secret}",
        "open:(function(x){",
        "(y=>y+x)",
        "nested:(function(){",
        "after:(function(){",
      ]
    ) {
      assert.ok(code.includes(rewritten), `${rewritten} in ${code}`);
    }
    for (const kept of ["function inner(){", "#hidden(){", "plain(a){return[", "async(x)=>"]) {
      assert.ok(code.includes(kept), `${kept} in ${code}`);
    }
    assert.equal(await outputOf(dir), before);
  }));

// Lost: 8 % of the processor time of each `feed` and `follow`, to compile the same functions again.
Deno.test("compiled early: most of what one-shot commands call stands in parentheses", () =>
  inTemp(async (dir) => {
    for (const { name, content } of await programEntries(".")) {
      if (content !== undefined) await Deno.writeFile(`${dir}/${name}`, content);
    }
    let called = 0;
    let early = 0;
    for (const [name, { compiled }] of await functionsOf(dir)) {
      const code = await Deno.readTextFile(`${dir}/${name}`);
      for (const start of compiled) {
        called++;
        if (/\((?:(?:async )?function\*? ?[\w$]*)?$/.test(code.slice(0, start))) early++;
      }
    }
    assert.ok(called > 200, `${called} functions`);
    assert.ok(early > 0.6 * called, `${early} of ${called} functions`);
  }));
