/**
 * The page's files without a browser: the JSON reader, the type annotations, the size.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { get, type IncomingMessage } from "node:http";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import {
  JsonError,
  Num,
  parse,
  parseAnswer,
  pick,
  pretty,
  readMessage,
  skip,
  visible,
} from "../../server/ui/json.js";
import { fieldsOf, piecesOf } from "../../server/ui/line.js";
import { page } from "../../server/page.ts";
import { uiAssets } from "../../server/ui/mod.ts";
import { lean, underOtherAddress } from "../../server/ui/packs.ts";

const UI = new URL("../../server/ui/", import.meta.url);

/** The tree as plain values, numbers by JSON.parse. */
function plain(value: unknown): unknown {
  if (value instanceof Num) return JSON.parse(value.text);
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) {
    return Object.fromEntries([...value].map(([key, v]) => [key, plain(v)]));
  }
  return value;
}

Deno.test("the page's JSON reader agrees with JSON.parse", () => {
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 6 }), fc.boolean(), (value, spaced) => {
    const text = JSON.stringify(value, null, spaced ? 2 : 0);
    assert.deepEqual(plain(parse(text)), JSON.parse(text));
    assert.equal(skip(text, 0), text.length);
    assert.deepEqual(plain(parse(pretty(parse(text)))), JSON.parse(text));
  }));
});

Deno.test("the page's JSON reader refuses what JSON.parse refuses, saying where", () => {
  const seeds = ['{"a":[1,2.5e3,"x\\n"],"b":{"c":null}}', '[true,{"k":"v"},-0.5]'];
  fc.assert(fc.property(
    fc.constantFrom(...seeds),
    fc.nat(40),
    fc.constantFrom("", '"', "{", "}", ",", "]", "0", "\\", "\n", "e"),
    (seed, at, put) => {
      const text = seed.slice(0, at) + put + seed.slice(at + 1);
      let good = true;
      try {
        JSON.parse(text);
      } catch {
        good = false;
      }
      if (good) return void parse(text);
      assert.throws(() => parse(text), (error) => error instanceof JsonError && error.at >= 0);
    },
  ));
  assert.throws(
    () => parse('{"a": 1,\n "b" 2}'),
    /Expected `:` behind the key at line 2, column 6/,
  );
  assert.throws(() => parse("[".repeat(5000)), JsonError);
});

Deno.test("numbers keep their digits", () => {
  const text = '{"a":18446744073709551615,"b":1.50,"c":-0,"d":1e400}';
  assert.equal(pretty(parse(text)).replace(/\s/g, ""), text);
  assert.deepEqual({ ...parseAnswer('{"seq":9007199254740993,"n":3}') }, {
    seq: 9007199254740993n,
    n: 3,
  });
});

Deno.test("an envelope is read without its data, in any order of members", () => {
  const tags = ['"},"seq":7', "]", "ü"];
  const data = '{"text":"\\"},\\"meta\\":{\\"tags\\":[","n":[1,{"x":"]}"}]}';
  const usual = `{"data":${data},"meta":{"tags":${
    JSON.stringify(tags)
  }},"seq":18446744073709551615,"time":"2026-02-01T10:00:00.123456789Z"}`;
  const other =
    `{"time":"2026-02-01T10:00:00.123456789Z","seq":18446744073709551615,"meta":{"x":1,` +
    `"tags":${JSON.stringify(tags)}}, "data": ${data}}`;
  for (const text of [usual, other]) {
    const message = readMessage(text);
    assert.equal(message.seq, 18446744073709551615n);
    assert.equal(message.t, Date.UTC(2026, 1, 1, 10, 0, 0, 123));
    assert.deepEqual(message.tags, tags);
    assert.equal(text.slice(message.from, message.to), data);
    assert.equal(pick(text, message.from, message.to, ["n"]), '[1,{"x":"]}"}]');
    assert.equal(pick(text, message.from, message.to, ["n", "x"]), undefined);
  }
});

Deno.test("a text cut anywhere can be drawn, and nothing invisible stays so", () => {
  const text = '{"k\\"ey":"v\\\\","n":-1.5e9,"o":{"a":[true,null]}}';
  for (let end = 0; end <= text.length; end++) piecesOf(fieldsOf(text.slice(0, end)), 0);
  const cut = piecesOf(fieldsOf('{"k":"v","n":1,"o":{"a":[tr'), 0);
  assert.deepEqual(cut.map(({ text }) => text), ["k", "v", "n", "1", "o", '{"a":[tr']);
  assert.equal(visible("a\u202eb\u200b\u0007\nc"), "a\\u202eb\\u200b\\u0007\\u000ac");
  assert.equal(visible("a\n\tb", true), "a\n\tb");
  assert.equal(visible("👩‍👩‍👧 é"), "👩‍👩‍👧 é");
});

/** The modules as they are in the repository, by name. */
const SOURCES = new Map(
  [...Deno.readDirSync(UI)].filter(({ name }) => name.endsWith(".js")).map(({ name }) => [
    name,
    Deno.readTextFileSync(new URL(name, UI)),
  ]),
);

// Lost: code that looks like a comment, in the browser only.
Deno.test("scripts lose comments on lines of their own, and nothing else", () => {
  let gone = 0;
  for (const [path, text] of SOURCES) {
    const source = text.split("\n");
    const lines = lean(text).split("\n");
    assert.equal(lines.length, source.length, path);
    for (const [i, line] of lines.entries()) {
      if (line === source[i]) continue;
      gone++;
      assert.equal(line, "", path);
      assert.match(source[i] ?? "", /^\s*\*\/?(?:\s|$)|^\s*\/\*\*(?!.*\*\/.)|^\s*\/\/ /, path);
    }
  }
  assert.ok(gone > 100);
});

/** How many bytes the server sends a browser for a file. */
async function sent(assets: Awaited<ReturnType<typeof uiAssets>>, path: string): Promise<number> {
  const request = new Request(`http://localhost${path}`, {
    headers: { "accept-encoding": "gzip, deflate, br, zstd" },
  });
  return (await (await page(request, assets, path)).arrayBuffer()).byteLength;
}

/** The files that a page names: what its first paint loads, which tests/ui/loading_test.ts compares. */
function named(html: string): string[] {
  const files = html.matchAll(/(?:href|src)="(\/ui\/assets\/[^"]+)"/g);
  return [...new Set([...files].map(([, file = ""]) => file))];
}

/** The one script in a page. */
const START = /<script>[^<]*<\/script>/;

const PAGES = ["/ui", "/ui/pools/:name", "/access"];

// Lost: seconds on a telephone, for parts that nobody has opened yet.
Deno.test("the first paint of every page is at most 60 kB over the wire", async () => {
  const assets = await uiAssets();
  for (const path of PAGES) {
    let total = await sent(assets, path);
    for (const file of named(assets.get(path)?.body ?? "")) total += await sent(assets, file);
    assert.ok(total > 10_000 && total <= 60_000, `${path}: ${total} bytes`);
  }
});

Deno.test("the page's modules are all handed out and used, and ask for nothing else", async () => {
  const assets = await uiAssets();
  const pages = PAGES.flatMap((path) => named(assets.get(path)?.body ?? ""));
  const scripts = [...assets].filter(([, { type }]) => type.startsWith("text/javascript"));
  // The frame of the page is in what each page starts with.
  const loaded = new Set([...pages, "/ui/assets/app.js"]);
  for (const [path, source] of SOURCES) {
    const text = lean(source);
    for (const [, file = ""] of text.matchAll(/(?: from |import\()"\.\/([^"]+)"/g)) {
      loaded.add(`/ui/assets/${file}`);
      assert.ok(assets.has(`/ui/assets/${file}`), `${path} imports ${file}`);
    }
    for (const [, list = "", file] of text.matchAll(/^import \{([^}]*)\} from "\.\/([^"]+)";$/gm)) {
      const { body = "" } = assets.get(`/ui/assets/${file}`) ?? {};
      for (const part of list.split(",").filter((one) => one.trim() !== "")) {
        const [name = ""] = part.trim().split(" as ");
        const exported = new RegExp(`\\bas ${name}\\b|^export .*\\b${name}\\b`, "m");
        assert.match(body, exported, `${file} hands out ${name}`);
      }
    }
  }
  for (const [path, { body }] of scripts) {
    for (const [, file = ""] of body.matchAll(/(?: from |import\(|import )"\.\/([^"?]+)/g)) {
      assert.ok(assets.has(`/ui/assets/${file}`), `${path} imports ${file}`);
    }
    for (const [, file = ""] of body.matchAll(/new SharedWorker\("([^"]+)"/g)) {
      loaded.add(file);
      assert.ok(assets.has(file), `${path} starts ${file}`);
    }
    for (const [, name] of body.matchAll(/\bstyled\("(\w+)"\)/g)) {
      loaded.add(`/ui/assets/${name}.css`);
      assert.ok(assets.has(`/ui/assets/${name}.css`), `${path} asks for ${name}.css`);
    }
  }
  for (const entry of Deno.readDirSync(UI)) {
    // The script in the pages themselves.
    if (entry.name.endsWith(".ts") || ["index.html", "start.js"].includes(entry.name)) continue;
    assert.ok(assets.has(`/ui/assets/${entry.name}`), entry.name);
    assert.ok(loaded.has(`/ui/assets/${entry.name}`), `nothing loads ${entry.name}`);
  }
  // What a page preloads is complete: everything that its modules import statically.
  for (const path of PAGES) {
    const files = named(assets.get(path)?.body ?? "");
    for (const file of files) {
      for (
        const [, next] of (assets.get(file)?.body ?? "").matchAll(/(?: from|import) "\.\/([^"]+)"/g)
      ) {
        assert.ok(files.includes(`/ui/assets/${next}`), `${path} does not preload ${next}`);
      }
    }
  }
  for (const [path, { body }] of assets) {
    assert.doesNotMatch(body, /innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(/, path);
    assert.doesNotMatch(body.replaceAll("http://www.w3.org/2000/svg", ""), /https?:\/\//, path);
    const others = PAGES.includes(path) ? body.replace(START, "") : body;
    assert.doesNotMatch(others, /<script>|<style>| style=| on\w+="/, path);
  }
});

// Lost: a page that starts, where a server stops in the middle of a script: of a compressed answer with
// a length, Firefox takes half a script for a whole one.
Deno.test("no file of the page is sent compressed with a length", async () => {
  const assets = await uiAssets();
  // What a server makes of an answer counts: it adds the length of what has one.
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request) => page(request, assets, new URL(request.url).pathname),
  );
  const { port } = server.addr;
  for (const path of assets.keys()) {
    const headers = { "accept-encoding": "gzip" };
    const answer = await new Promise<IncomingMessage>((done, fail) =>
      get({ host: "127.0.0.1", port, path, headers, agent: false }, done).on("error", fail)
    );
    assert.equal(answer.headers["content-encoding"], "gzip", path);
    assert.equal(answer.headers["content-length"], undefined, path);
    let length = 0;
    for await (const bytes of answer) length += bytes.length;
    assert.ok(length > 0, path);
  }
});

// Lost: what the page holds, to a second page within it that starts anew.
Deno.test("what every page starts with is never asked for under another address", async () => {
  for (const [path, { body }] of await uiAssets()) {
    assert.doesNotMatch(underOtherAddress(body, "7"), /"\.\/(?:with_\w+|early)\.js\?again/, path);
  }
});

// Lost: a reader's patience, to regions that speak whenever they like.
Deno.test("one module has a live region, and all others speak through it", async () => {
  const speaking: string[] = [];
  for await (const { name } of Deno.readDir(UI)) {
    if (!name.endsWith(".js")) continue;
    const text = await Deno.readTextFile(new URL(name, UI));
    if (/"?role"?[:,] ?"(?:alert|status|log)"|aria-live/.test(text)) speaking.push(name);
  }
  assert.deepEqual(speaking, ["say.js"]);
});

Deno.test("the page's modules pass the type checker", async () => {
  const config = await Deno.makeTempFile({ suffix: ".json" });
  const compilerOptions = {
    strict: true,
    checkJs: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    noImplicitReturns: true,
    noUnusedLocals: true,
    lib: ["dom", "dom.iterable", "dom.asynciterable", "esnext"],
  };
  await Deno.writeTextFile(config, JSON.stringify({ compilerOptions }));
  const modules = [...Deno.readDirSync(UI)].filter(({ name }) => name.endsWith(".js"))
    .map(({ name }) => fileURLToPath(new URL(name, UI)));
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["check", "--no-lock", "--config", config, ...modules],
    env: { NO_COLOR: "1" },
  }).output();
  await Deno.remove(config);
  assert.ok(success, new TextDecoder().decode(stderr));
});
