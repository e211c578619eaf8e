/**
 * What agents send, as they send it: JSON inside strings, names and sizes that cannot be, filters
 * with a slip in them; and answers that are no longer than they have to be.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { accessGrant } from "../../lib/grant.ts";
import { follow, parsePath } from "../../mcp/path.ts";
import { GrantedPools } from "../../mcp/pools.ts";
import { listResources, type ResourcePage } from "../../mcp/resources.ts";
import { compileCondition } from "../../mcp/selection.ts";
import { message } from "../text/message_fixture.ts";
import { type Outcome, run, StorePlace, test } from "./mcp_tools_util.ts";
import type { Any, Place } from "./mcp_util.ts";

function stored(place: Place, pool: string): string[] {
  using opened = place.client.openPool(pool);
  const { newestSeq } = opened.bounds();
  return Array.from({ length: Number(newestSeq ?? 0n) }, (_, n) => {
    return new TextDecoder().decode(opened.getJson(n + 1));
  });
}

// The message of an agent that quotes its JSON was refused, with the advice to store it as text.
test("data and tags that are JSON inside a string are taken for what they hold", async (kind) => {
  await using place = new StorePlace(kind);
  const data = ['{"n":9007199254740993,"10":1,"2":{"a":[]}}', ' \n{ "pretty":\n 1.0 }\n', "{}"];
  for (const text of data) {
    const outcome = await run(place, "plasmite_feed", { pool: "s", create: true, data: text });
    assert.equal(outcome.isError, false, outcome.text[0]);
  }
  await run(place, "plasmite_feed", { pool: "s", data: {}, tags: ' ["x", " y "] ' });
  const messages = stored(place, "s");
  assert.ok(messages[0]?.startsWith('{"data":{"n":9007199254740993,"10":1,"2":{"a":[]}},'));
  assert.ok(messages[1]?.startsWith('{"data":{"pretty":1.0},'), messages[1]);
  assert.ok(messages[3]?.includes('"tags":["x","y"]'));
  const read = await run(place, "plasmite_read", { pool: "s", tags: '["y"]' });
  assert.equal((read.result["messages"] as unknown[]).length, 1);
  const waited = await run(place, "plasmite_wait", { pool: "s", after_seq: 0, tags: '["x"]' });
  assert.equal((waited.result["messages"] as unknown[]).length, 1);

  const refused: [Any, RegExp, RegExp][] = [
    [{ data: '{"a":1' }, /begins like one but is no JSON.*Send the object itself/, /Wrap/],
    [{ data: "{'a':1}" }, /Send the object itself/, /Wrap/],
    [{ data: `{"a":${"[".repeat(200)}${"]".repeat(200)}}` }, /127 levels/, /Wrap/],
    [{ data: "[1,2]" }, /Wrap it, as in \{"value": \[1,2\]\}/, /\\"/],
    [{ data: "plain" }, /Wrap it, as in \{"value": "plain"\}/, /begins like/],
    [{ data: {}, tags: '["x", 1]' }, /entry 2/, /Wrap/],
    [{ data: {}, tags: '["x"' }, /array of strings/, /Wrap/],
    [{ data: {}, tags: "x" }, /array of strings/, /Wrap/],
  ];
  for (const [args, words, never] of refused) {
    const { text, result } = await run(place, "plasmite_feed", { pool: "s", ...args });
    assert.equal(result["error_kind"], "Usage");
    assert.match(text[0] ?? "", words);
    assert.doesNotMatch(text[0] ?? "", never);
  }
  assert.equal(stored(place, "s").length, 4);
});

// An agent paid twice for the 50 KB that it had just written.
test("feed does not send the data back twice", async (kind) => {
  await using place = new StorePlace(kind);
  const pad = "y".repeat(5_000);
  const data = { pad, "10": 1, meta: { seq: 7 } };
  const fed = await run(place, "plasmite_feed", { pool: "s", create: true, data, tags: ["t"] });
  const message = fed.result["message"] as Any;
  assert.deepEqual(message["data"], data);
  const shown = JSON.parse(fed.text[1] ?? "") as { message: Any };
  const { data: _data, ...rest } = message;
  assert.deepEqual(shown.message, rest);
  assert.deepEqual(Object.keys(shown.message).sort(), ["meta", "seq", "time"]);
});

test("fetch gives a part of a message, or no more of it than is wanted", async (kind) => {
  await using place = new StorePlace(kind);
  const log = 'say "é"\\ \u0001'.repeat(2_000);
  {
    using pool = place.client.createPool("p");
    pool.appendJson(new TextEncoder().encode(
      JSON.stringify({
        a: [{ "odd name": [10, 20] }, null, true],
        log,
        big: "@",
        deep: { er: { x: {} } },
        s: "text",
      }).replace('"@"', "9007199254740993"),
    ));
  }
  const fetch = (args: Any): Promise<Outcome> => {
    return run(place, "plasmite_fetch", { pool: "p", seq: 1, ...args });
  };
  const parts: [string, string][] = [
    [".data.a[0]", '{"odd name":[10,20]}'],
    ['.data.a[0]["odd name"][1]', "20"],
    ['.data.a[0]."odd name"[-2]', "10"],
    ['.data["big"]', "9007199254740993"],
    [" .data.a.[2] ", "true"],
    [".data.deep.er", '{"x":{}}'],
  ];
  for (const [path, part] of parts) {
    const { json, result, text } = await fetch({ path });
    assert.ok(json.startsWith(`{"message":{"data":${part},"meta"`), json);
    assert.equal(result["path"], path);
    assert.equal((result["message"] as Any)["seq"], 1);
    assert.ok(text[0]?.includes(path));
  }
  const nowhere: [string, RegExp][] = [
    [".data.a[3]", /\.data\.a has no element 3; it is an array of 3/],
    [".data.a[-4]", /no element -4/],
    [".data.a.b", /\.data\.a has no key "b"; it is an array of 3/],
    [".data.a[0].b", /\.data\.a\[0\] has no key "b"; it is an object with "odd name"/],
    [".data.nope", /\.data has no key "nope"; it is an object with "a", "log"/],
    [".data.s[0]", /it is a string/],
    [".data.a[1].x", /it is null/],
    [".data.deep.er.x.y", /an empty object/],
  ];
  for (const [path, words] of nowhere) {
    const { result } = await fetch({ path });
    assert.equal(result["field"], "path");
    assert.match(String(result["detail"]), words);
  }
  for (
    const path of ["a", ".a", "data.a", ".data.", ".data..a", ".data[a]", ".data.a[0", ".seq", ""]
  ) {
    const { result } = await fetch({ path });
    assert.equal(result["field"], "path", path);
    assert.match(String(result["detail"]), /invalid path/);
  }

  const whole = await fetch({});
  assert.equal(((whole.result["message"] as Any)["data"] as Any)["log"], log);
  assert.deepEqual(Object.keys(whole.result), ["message"]);
  for (const args of [{ max_bytes: 1_024 }, { max_bytes: 4_000, path: ".data.log" }]) {
    const { json, result, text } = await fetch(args);
    const message = JSON.stringify(result["message"]);
    assert.ok(new TextEncoder().encode(message).length <= args.max_bytes, message);
    assert.ok(json.length > args.max_bytes / 4, "as much as fits is shown");
    const { plasmite_cut, bytes, starts_with } = (result["message"] as Any)["data"] as Any;
    assert.equal(plasmite_cut, true);
    const of = "path" in args ? JSON.stringify(log) : '{"a":[{"odd name":[10,20]},null,true],"log"';
    assert.ok(of.startsWith(String(starts_with).slice(0, 40)));
    assert.deepEqual(result["cut"], [{ seq: 1, bytes }]);
    assert.match(text[0] ?? "", /larger max_bytes/);
  }
  const fits = await fetch({ path: ".data.s", max_bytes: 1_024 });
  assert.equal((fits.result["message"] as Any)["data"], "text");
  assert.equal(fits.result["cut"], undefined);
});

Deno.test("mcp path: whatever the data is, every value is found by its path", () => {
  fc.assert(
    fc.property(fc.object({ maxDepth: 3 }), (data) => {
      const json = JSON.stringify(data, null, 1);
      const plain = JSON.parse(json) as unknown;
      const walk = (value: unknown, path: string): void => {
        assert.deepEqual(JSON.parse(follow(json, parsePath(path))), value, path);
        if (Array.isArray(value)) {
          value.forEach((item, i) => walk(item, `${path}[${i}]`));
        } else if (value !== null && typeof value === "object") {
          for (const [key, item] of Object.entries(value)) {
            walk(item, `${path}[${JSON.stringify(key)}]`);
          }
        }
      };
      walk(plain, ".data");
    }),
    { numRuns: 100 * Number(Deno.env.get("PLASMITE_TEST_SCALE") ?? 1) },
  );
});

// A page that promises another one has a client ask forever, or miss the last pools.
test("pages of resources: each pool once, and the last page says so", async (kind) => {
  await using place = new StorePlace(kind);
  const names = ["a", "b b", "c", "d%", "é", "f"];
  for (const name of names) place.client.createPool(name, 16_384).close();
  const grant = accessGrant("test", "read-only");
  const pools = new GrantedPools(place.backend, { grant });
  for (let count = 1; count <= 7; count++) {
    const pages: string[][] = [];
    for (let from: number | undefined = 0; from !== undefined;) {
      const page: ResourcePage = await listResources(pools, from, count);
      pages.push(page.resources.map(({ name }) => name));
      from = page.next;
    }
    assert.deepEqual(pages.flat().sort(), names.toSorted());
    assert.equal(pages.length, Math.ceil(names.length / count), `pages of ${count}`);
    assert.ok(pages.slice(0, -1).every((page) => page.length === count));
  }
  assert.deepEqual(await listResources(pools, 6, 2), { resources: [] });
  assert.deepEqual(await listResources(pools, 9, 2), { resources: [] });
});

// A condition that one message makes endless would stop the server for everybody.
Deno.test("where: a condition is given up after a million steps on one message, not before", async () => {
  const pairs = "[.data.list[] as $x | .data.list[] as $y | $x == $y] | length == 0";
  const { where } = await compileCondition(pairs);
  const list = (length: number) =>
    message(JSON.stringify({ list: Array.from({ length }, (_, i) => i) }));
  // Four steps a pair.
  for (const length of [10, 400, 490]) assert.equal(where.matches(list(length)), false);
  for (const length of [510, 600, 5_000]) {
    assert.throws(() => where.matches(list(length)), /filter took too many steps/);
  }
  assert.equal(where.matches(list(400)), false, "the next message has its own");
  const text = await compileCondition('.data.text | test("a.*b")');
  assert.ok(text.where.matches(message(JSON.stringify({ text: `${"a".repeat(1_000)}b` }))));
});

// A list of 20,000 pools filled the context of an agent that wanted to know whether one is there.
test("a list of pools comes in pages, each pool once", async (kind) => {
  await using place = new StorePlace(kind);
  const names = Array.from({ length: 105 }, (_, n) => `pool ${n}`).sort();
  for (const name of names) place.client.createPool(name, 16_384).close();
  const first = await run(place, "plasmite_pool_list");
  const shown = (outcome: Outcome): unknown[] =>
    (outcome.result["pools"] as Any[]).map((pool) => pool["name"]);
  assert.deepEqual(shown(first), names.slice(0, 100));
  assert.equal(first.result["total"], 105);
  assert.match(first.text[0] ?? "", /^100 of 105 pools: .*Pass cursor/);
  // A pool that goes meanwhile costs no other one its place.
  place.client.deletePool(names[99] ?? "");
  const second = await run(place, "plasmite_pool_list", { cursor: first.result["next_cursor"] });
  assert.deepEqual(shown(second), names.slice(100));
  assert.equal(second.result["next_cursor"], undefined);
  assert.equal(second.result["total"], 104);

  const seen: unknown[] = [];
  let cursor: unknown;
  for (let page = 0; page < 10; page++) {
    const { result } = await run(place, "plasmite_pool_list", { count: 30, cursor });
    seen.push(...(result["pools"] as Any[]).map((pool) => pool["name"]));
    cursor = result["next_cursor"];
    if (cursor === undefined) break;
  }
  assert.deepEqual(seen, names.filter((name) => name !== names[99]));
  for (const args of [{ count: 0 }, { count: 1001 }, { cursor: 5 }]) {
    assert.equal((await run(place, "plasmite_pool_list", args)).result["error_kind"], "Usage");
  }
});

// `.` made a hidden file, a long name came back as a failure of the disk.
test("names and sizes that cannot be are refused before the disk is asked", async (kind) => {
  await using place = new StorePlace(kind);
  const names: [string, RegExp][] = [
    [".", /only dots/],
    ["..", /only dots/],
    ["...", /only dots/],
    ["..plasmite", /only dots/],
    [".plasmite", /empty/],
    ["", /empty/],
    ["n".repeat(247), /more than 246 bytes/],
    ["é".repeat(124), /more than 246 bytes/],
    ["a/b", /separators/],
    ["a\u0000b", /control/],
    ["a\nb", /control/],
    ["a\ud800", /control|invalid/],
  ];
  const calls: [string, string, Any][] = [
    ["plasmite_pool_create", "name", {}],
    ["plasmite_pool_info", "pool", {}],
    ["plasmite_pool_delete", "pool", {}],
    ["plasmite_feed", "pool", { data: {}, create: true }],
    ["plasmite_feed", "pool", { data: {} }],
    ["plasmite_fetch", "pool", { seq: 1 }],
    ["plasmite_read", "pool", {}],
    ["plasmite_wait", "pool", { timeout_ms: 40_000 }],
  ];
  for (const [name, words] of names) {
    for (const [tool, argument, more] of calls) {
      const { result, text } = await run(place, tool, { [argument]: name, ...more });
      assert.equal(result["error_kind"], "Usage", `${tool} ${JSON.stringify(name)} ${text[0]}`);
      assert.match(text[0] ?? "", words);
    }
  }
  for (const size of [2 ** 40 + 1, 2n ** 63n, 2n ** 64n - 1n]) {
    const { result } = await run(place, "plasmite_pool_create", { name: "huge", size });
    assert.equal(result["error_kind"], "Usage");
    assert.equal(result["field"], "size");
    assert.match(String(result["detail"]), /at most 1099511627776 bytes/);
  }
  assert.deepEqual([...Deno.readDirSync(place.dir)].map(({ name }) => name), []);
  const longest = await run(place, "plasmite_pool_create", { name: "n".repeat(246) });
  assert.equal(longest.isError, false, longest.text[0]);
});

// "Filter needs jq" told an agent with a slip in a name to give its filter up.
test("an error of a filter names the function, the dot or the sign that is wrong", async (kind) => {
  await using place = new StorePlace(kind);
  {
    using pool = place.client.createPool("p");
    pool.append({ level: "error", s: "a" });
  }
  const cases: [string, RegExp][] = [
    ['.data.s | tset("x")', /tset\/1 is not defined; did you mean test\?/],
    ['.data.s | startsWith("x")', /startsWith\/1 .*did you mean startswith\?/],
    [".data.s | len > 1", /len\/0 .*did you mean length\?/],
    [".data.s == None", /None\/0 .*did you mean null\?/],
    ["any(.meta.tags[]; . == foo)", /foo\/0 is not defined; .*\.data\.foo/],
    ["data.x == 1", /data\/0 is not defined; did you mean \.data/],
    ['any(tags[]; . == "x")', /did you mean \.meta\.tags/],
    ['seq > 3 and .data.s == "a"', /did you mean \.seq/],
    ['level == "error"', /\.data\.level/],
    ['contains(.data.s; "a")', /contains\/2 .*takes 1 argument/],
    [".data.n = 1", /assignment =.*To compare, write ==/],
    [".data.s == 'a'", /double quotes/],
    ["true && true", /write `and`/],
    ["true || true", /write `or`/],
    ["! .data.s", /\| not/],
    ["def f: .data.s; g == 1", /g\/0 is not defined/],
  ];
  for (const [where, words] of cases) {
    const { result, text } = await run(place, "plasmite_read", { pool: "p", where });
    assert.equal(result["field"], "where", where);
    assert.match(text[0] ?? "", words, where);
  }
  const read = await run(place, "plasmite_read", { pool: "p", where: '.level == "error"' });
  assert.match(read.text[0] ?? "", /did you mean \.data\.level\?/);
});

test("latest_by follows any path into the data", async (kind) => {
  await using place = new StorePlace(kind);
  {
    using pool = place.client.createPool("p");
    pool.append({ "odd name": "a", list: [{ k: 1 }, { k: 2 }] });
    pool.append({ "odd name": "b", list: [{ k: 1 }] });
    pool.append({ "odd name": "a", list: [] });
    pool.append({ list: "none" });
  }
  const groups = async (latest_by: string): Promise<unknown> =>
    (await run(place, "plasmite_read", { pool: "p", latest_by })).result["latest"];
  assert.deepEqual(await groups('.data["odd name"]'), [{ key: "b", seq: 2 }, { key: "a", seq: 3 }]);
  assert.deepEqual(await groups(".data.list[0].k"), [{ key: "1", seq: 2 }]);
  assert.deepEqual(await groups(".data.list[-1].k"), [{ key: "2", seq: 1 }, { key: "1", seq: 2 }]);
});
