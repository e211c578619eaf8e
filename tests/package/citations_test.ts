/**
 * Comments and documents cite documents that are in this repository, and sections that exist there.
 * Without this a successor looks up `docs/spec/format.md 5.2` and finds nothing, or a page that only
 * its author had.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { ROOT } from "../support/paths.ts";

/** Every text file of the repository that can cite something, by its path from the root. */
type Files = ReadonlyMap<string, string>;

const SKIPPED = new Set(["node_modules", "dist", "coverage", "data", "assets"]);
const DOCUMENT = /\.md$/;
const SOURCE = /\.(?:ts|js|mjs|css|html|sh|py|yml|service)$/;
/** A folder's README is always named with its folder, so several may share the name. */
const SHARED_NAME = "README.md";
/** Files of the reader's project that harnesses for agents read. */
const OF_THE_READER = new Set(["AGENTS.md", "CLAUDE.md", "GEMINI.md"]);

function readAll(dir = ""): Map<string, string> {
  const files = new Map<string, string>();
  for (const { name, isDirectory, isFile } of Deno.readDirSync(ROOT + dir)) {
    const path = dir + name;
    if (isDirectory && name !== ".git" && !SKIPPED.has(name)) {
      for (const [inner, text] of readAll(`${path}/`)) files.set(inner, text);
    } else if (isFile && (DOCUMENT.test(name) || SOURCE.test(name) || path === ".ci/run")) {
      files.set(path, Deno.readTextFileSync(ROOT + path));
    }
  }
  return files;
}

/** The text of the comments of a source file, without their stars and slashes, one line each. */
function commentsOf(path: string, text: string): string {
  if (!/\.(?:ts|js|mjs|css)$/.test(path)) {
    return (text.match(/^\s*#.*$/gm) ?? []).map((line) => line.replace(/^\s*#+\s*/, "")).join(" ");
  }
  const comments = text.match(/\/\*[^]*?\*\/|(?<=^|\s)\/\/.*(?:\n\s*\/\/.*)*/gm) ?? [];
  return comments.map((comment) => comment.replaceAll(/\n\s*(?:\*(?!\/)|\/\/)?\s*/g, " ")).join(
    "\n",
  );
}

/** The section numbers of a document's headings: `## 5. …` and `### 5.2 …`. */
function sectionsOf(text: string): string[] {
  return [...text.matchAll(/^#{2,} (\d+(?:\.\d+)*)\.? /gm)].map(([, number = ""]) => number);
}

const NUMBER = String.raw`\d+(?:\.\d+)*`;
const CITATION = new RegExp(
  String.raw`((?:[\w.-]+\/)*[\w-]+\.md)(?:\s+(${NUMBER}(?: D\d)?` +
    String.raw`(?:(?:,\s+|\s+to\s+|\s+and\s+)${NUMBER}(?: D\d)?(?![\w.]*\d))*)(?![\w-]))?`,
  "g",
);

/** What is wrong with the documents that one text names, and with the sections it cites. */
function* wrongCitations(path: string, text: string, files: Files): Generator<string> {
  for (const [, name = "", numbers] of text.matchAll(CITATION)) {
    if (OF_THE_READER.has(name)) continue;
    if (!name.includes("/") && numbers !== undefined) {
      yield `${path}: cites "${name} ${numbers}" without the folder of the document`;
      continue;
    }
    const folder = path.slice(0, path.lastIndexOf("/") + 1);
    const document = files.get(name) ?? files.get(folder + name);
    if (document === undefined) {
      yield `${path}: names ${name}, which is not in the repository`;
      continue;
    }
    const sections = sectionsOf(document);
    for (const [number] of numbers?.matchAll(new RegExp(NUMBER, "g")) ?? []) {
      if (!sections.includes(number)) yield `${path}: ${name} has no section ${number}`;
    }
  }
}

/** Relative links that lead nowhere. */
function* wrongLinks(path: string, text: string, files: Files): Generator<string> {
  for (const [, target = ""] of text.matchAll(/\]\(([^)#\s]+\.md)[^)]*\)/g)) {
    if (/^[a-z]+:/.test(target)) continue;
    const { pathname } = new URL(target, `file:///${path}`);
    if (!files.has(decodeURIComponent(pathname.slice(1)))) yield `${path}: no such page: ${target}`;
  }
}

/** Headings of a specification that cannot be cited, and references to sections it does not have. */
function* wrongSections(path: string, text: string): Generator<string> {
  const numbers = sectionsOf(text);
  const headings = [...text.matchAll(/^#{2,} .*/gm)];
  if (headings.length !== numbers.length) yield `${path}: a heading without a number`;
  const twice = numbers.find((number, i) => numbers.indexOf(number) !== i);
  if (twice !== undefined) yield `${path}: two sections ${twice}`;
  const own = text.replaceAll(/\s+/g, " ");
  for (const [, number = ""] of own.matchAll(/\bsections? (\d+(?:\.\d+)*)/g)) {
    if (!numbers.includes(number)) yield `${path}: has no section ${number} of its own`;
  }
}

/** All that is wrong, one line each. */
function problemsOf(files: Files): string[] {
  const problems: string[] = [];
  const named = new Map<string, string>();
  for (const [path, text] of files) {
    if (!DOCUMENT.test(path)) {
      const comments = commentsOf(path, text);
      problems.push(...wrongCitations(path, comments, files));
      // Names of tests and messages too, where a number follows.
      const quoted = text.match(/(["`']).*?\1/g)?.filter((word) => /\.md \d/.test(word)) ?? [];
      problems.push(...wrongCitations(path, quoted.join("\n"), files));
      for (const [bare] of comments.matchAll(/\([1-9]\d?\.\d{1,2}(?: D\d)?\)/g)) {
        problems.push(`${path}: ${bare} names a section without its document`);
      }
      continue;
    }
    const name = path.slice(path.lastIndexOf("/") + 1);
    const other = named.get(name);
    if (name !== SHARED_NAME && other !== undefined) {
      problems.push(`${path}: shares a name with ${other}`);
    }
    named.set(name, path);
    problems.push(...wrongLinks(path, text, files));
    const cited = text.replaceAll(/^```[^]*?^```/gm, "").match(/`[^`]*`/g)?.join("\n") ?? "";
    problems.push(...wrongCitations(path, cited, files));
    if (path.startsWith("docs/spec/")) problems.push(...wrongSections(path, text));
  }
  return problems;
}

/** This file is full of wrong citations, on purpose. */
const SELF = fileURLToPath(import.meta.url).slice(ROOT.length);

Deno.test("every document and section that a comment or a page cites is in the repository", () => {
  const files = readAll();
  assert.ok(files.has(SELF) && files.has("docs/spec/format.md"), "the repository was found");
  assert.ok(files.delete(SELF));
  assert.deepEqual(problemsOf(files), []);
  let citations = 0;
  for (const [path, text] of files) {
    if (DOCUMENT.test(path)) continue;
    const found = [...commentsOf(path, text).matchAll(CITATION)];
    citations += found.filter(([, , numbers]) => numbers !== undefined).length;
  }
  assert.ok(citations > 150, `only ${citations} citations found`);
});

Deno.test("an invalid citation is noticed, whatever is wrong with it", () => {
  const page = "# Format\n\n## 1. Layout\n\n### 1.1 Header\n\nSee section 1.1.\n";
  const good: [string, string][] = [
    ["docs/spec/format.md", page],
    ["docs/guide.md", "[format](spec/format.md#layout), `docs/spec/format.md 1.1`\n"],
    ["README.md", "See [the guide](docs/guide.md).\n"],
    ["docs/pi/README.md", "[up](../../README.md)\n"],
    ["lib/a.ts", "/**\n * Writes the header (docs/spec/format.md 1.1,\n * 1).\n */\n"],
    [
      "lib/b.ts",
      "const a = 1; // docs/spec/format.md 1 to 1.1, RFC 9110 15.5, jq 1.8 (see README.md)\n",
    ],
  ];
  assert.deepEqual(problemsOf(new Map(good)), []);
  const faults: [string, string, RegExp][] = [
    [
      "lib/a.ts",
      "// As docs/spec/other.md 1 says.\n",
      /names docs\/spec\/other.md, which is not in/,
    ],
    ["lib/a.ts", "// As docs/spec/format.md 1.7 says.\n", /has no section 1.7/],
    ["lib/a.ts", "// As docs/spec/format.md 1, 1.1\n// and 2.3 say.\n", /has no section 2.3/],
    [
      "lib/a.ts",
      "/** By pool-format.md 5.2. */\n",
      /cites "pool-format.md 5.2" without the folder/,
    ],
    ["lib/a.ts", "/** By cli.md. */\n", /names cli.md, which is not in the repository/],
    ["lib/a.ts", "/** By format.md 1.1. */\n", /without the folder/],
    ["lib/a.ts", "/** The header (1.1). */\n", /names a section without its document/],
    ["tests/a_test.ts", 'Deno.test("as cli.md 1.6 says", () => {});\n', /without the folder/],
    ["tests/run.sh", "#!/bin/sh\n# See docs/spec/format.md 9.\n", /has no section 9/],
    ["docs/guide.md", "[gone](gone.md)\n", /no such page: gone.md/],
    ["docs/guide.md", "`docs/spec/format.md\n4`\n", /has no section 4/],
    ["docs/format.md", "# Format\n", /shares a name with/],
    ["docs/spec/more.md", "# More\n\n## Layout\n", /a heading without a number/],
    ["docs/spec/more.md", "# More\n\n## 1. A\n\n## 1. B\n", /two sections 1/],
    [
      "docs/spec/more.md",
      "# More\n\n## 1. A\n\nAs in section\n1.2.\n",
      /no section 1.2 of its own/,
    ],
  ];
  for (const [path, text, expected] of faults) {
    const problems = problemsOf(new Map([...good, [path, text]]));
    assert.equal(problems.length, 1, `${JSON.stringify(text)}: ${problems.join("; ")}`);
    assert.match(problems[0] ?? "", expected);
  }
});
