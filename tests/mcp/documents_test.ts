/**
 * What is served to agents is what the documents say, and back: every tool, argument, limit, default,
 * right and result field. And nothing that agents read speaks of the command line, which they do not
 * have.
 *
 * @module
 */

import assert from "node:assert/strict";
import { ErrorKind, type ErrorKindName, PlasmiteError } from "../../lib/errors.ts";
import { isForCommandLine } from "../../lib/hints.ts";
import { hintFor } from "../../mcp/hints.ts";
import { INSTRUCTIONS } from "../../mcp/instructions.ts";
import { listPrompts, promptText } from "../../mcp/prompts.ts";
import { TOOLS } from "../../mcp/tools.ts";
import { ROOT } from "../support/paths.ts";
import { run, StorePlace, test } from "./mcp_tools_util.ts";
import type { Any } from "./mcp_util.ts";

interface Documented {
  readonly name: string;
  readonly needs: string;
  readonly required: string[];
  readonly optional: string[];
}

const SPEC = Deno.readTextFileSync(`${ROOT}docs/spec/agents.md`);
const GUIDE = Deno.readTextFileSync(`${ROOT}docs/mcp.md`);

/** The rows of the table whose first cell is the name of a tool. */
function rows(document: string): string[][] {
  return document.split("\n").filter((line) => line.startsWith("| `plasmite_"))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

/** `a`, `b` 1–2 (3); `c`: what is required and what is not, without white space to differ in. */
function listed(cell: string): { required: string[]; optional: string[] } {
  const [required = "", optional = ""] = cell.split(";");
  const items = (text: string): string[] =>
    [...text.matchAll(/`(\w+)`([^`]*?)(?:,\s*(?=`)|$)/g)].map(([, name, rest = ""]) =>
      `${name} ${rest.trim()}`.trim()
    );
  return { required: items(required), optional: items(optional) };
}

function grouped(value: unknown): string {
  return typeof value === "number" ? value.toLocaleString("en-US") : String(value);
}

/** An argument as the documents have it. */
function written(name: string, schema: Any): string {
  const { minimum, maximum, default: standard } = schema;
  const range = maximum === undefined ? "" : ` ${grouped(minimum)}–${grouped(maximum)}`;
  return `${name}${range}${standard === undefined ? "" : ` (${grouped(standard)})`}`;
}

function served(): Documented[] {
  return TOOLS.map(({ entry, needs, also, name }) => {
    const { properties, required = [] } = entry.inputSchema;
    const all = Object.entries(properties as { [name: string]: Any });
    const given = (name: string): boolean => (required as string[]).includes(name);
    return {
      name,
      needs: [needs, ...(also === undefined ? [] : [also])].join(", "),
      required: all.filter(([name]) => given(name)).map(([name, one]) => written(name, one)),
      optional: all.filter(([name]) => !given(name)).map(([name, one]) => written(name, one)),
    };
  });
}

/** The fields of a result that worked. */
function fields(tool: typeof TOOLS[number]): { required: string[]; optional: string[] } {
  const [success] = tool.entry.outputSchema["oneOf"] as {
    properties: Any;
    required: string[];
    additionalProperties: boolean;
  }[];
  assert.ok(success?.additionalProperties === false);
  const names = Object.keys(success.properties);
  return {
    required: names.filter((name) => success.required.includes(name)),
    optional: names.filter((name) => !success.required.includes(name)),
  };
}

const sorted = ({ required, optional }: { required: string[]; optional: string[] }) => ({
  required: required.toSorted(),
  optional: optional.toSorted(),
});

// A prompt that was written by the document was refused: its limit was another one.
Deno.test("mcp documents: the tools, their rights, arguments, limits and results are those served", () => {
  const spec = rows(SPEC);
  assert.deepEqual(
    spec.map(([name = "", needs = "", input = ""]) => ({
      name: name.replaceAll("`", ""),
      needs,
      ...sorted(listed(input)),
    })),
    served().map((tool) => ({ name: tool.name, needs: tool.needs, ...sorted(tool) })),
  );
  assert.deepEqual(
    spec.map(([, , , result = ""]) => sorted(listed(result))),
    TOOLS.map((tool) => sorted(fields(tool))),
  );
  assert.deepEqual(
    rows(GUIDE).map(([name = "", , input = ""]) => ({
      name: name.replaceAll("`", ""),
      ...sorted(listed(input)),
    })),
    served().map((tool) => ({ name: tool.name, ...sorted(tool) })),
  );
});

// Fields that nobody explains are not used; names that do not exist are looked for in vain.
Deno.test("mcp documents: every field is explained, and every name that is used exists", () => {
  const known = new Set(TOOLS.flatMap((tool) => {
    const { required, optional } = fields(tool);
    return [tool.name, ...Object.keys(tool.input), ...required, ...optional];
  }));
  const section = SPEC.slice(SPEC.indexOf("## 6. Read and wait"), SPEC.indexOf("## 7."));
  for (const tool of TOOLS.filter(({ output }) => "messages" in output)) {
    for (const field of [...fields(tool).required, ...fields(tool).optional]) {
      assert.ok(section.includes(`\`${field}\``), `section 6 does not explain ${field}`);
    }
  }
  // Members of what the fields hold, of failures and of the protocol; prompts.
  const others = new Set([
    ...["file_size", "index_offset", "index_capacity", "index_size_bytes"],
    ...["ring_offset", "ring_size", "error_kind", "list_changed"],
    ...["holder", "until", "expected", "actual", "released", "tries"],
    ...listPrompts().map(({ name }) => name),
  ]);
  for (const [document, text] of [["docs/spec/agents.md", SPEC], ["docs/mcp.md", GUIDE]] as const) {
    for (const [, name = ""] of text.matchAll(/`([a-z]+(?:_[a-z]+)+)`/g)) {
      assert.ok(known.has(name) || others.has(name), `${document} names ${name}`);
    }
  }
});

// An agent was told to run a program that it does not have.
Deno.test("mcp texts: none speaks of options or commands of the command line", () => {
  for (const text of ["Use --size", "create --size 2M", "Run `plasmite doctor p`", "(--tls-ca)"]) {
    assert.ok(isForCommandLine(text), text);
  }
  for (const text of ["pass create: true", "a -- b", "plasmite_pool_list shows", "x--y"]) {
    assert.ok(!isForCommandLine(text), text);
  }
  const texts = [INSTRUCTIONS, JSON.stringify(TOOLS.map(({ entry }) => entry))];
  texts.push(JSON.stringify(listPrompts()));
  for (const { name, arguments: args } of listPrompts()) {
    const given = Object.fromEntries(
      args.map((one) => [one.name, one.name === "lease" ? "10m" : "x"]),
    );
    const prompt = promptText(name, given);
    assert.ok("text" in prompt);
    texts.push(prompt.text);
  }
  for (const text of texts) assert.ok(!isForCommandLine(text), text);
  // Whatever hint comes from below, of whatever kind.
  for (const kind of Object.keys(ErrorKind) as ErrorKindName[]) {
    for (const hint of ["Create it with `plasmite pool create x --size 1M`.", "Use --x."]) {
      for (const message of ["payload exceeds ring capacity", "it failed"]) {
        const error = new PlasmiteError(kind, message, { hint });
        const told = hintFor(error, "p", "call plasmite_pool_list to see what exists.");
        assert.ok(told === undefined || !isForCommandLine(told), told);
      }
    }
  }
});

test("errors that come from below are in the words of tools", async (kind) => {
  await using place = new StorePlace(kind);
  place.client.createPool("small", 16_384).close();
  Deno.writeTextFileSync(`${place.dir}/broken.plasmite`, "this is no pool, or not any more");
  const big = { a: "x".repeat(20_000) };
  // A server does not even take it.
  const huge = { pool: "new", data: { a: "x".repeat(2_000_000) }, create: true };
  const calls: [string, Any, string][] = [
    ["plasmite_feed", { pool: "small", data: big }, "plasmite_pool_create"],
    ["plasmite_feed", huge, kind === "server" ? "Split" : "pool_create"],
    ["plasmite_pool_create", { name: "tiny", size: 100 }, ""],
    ["plasmite_read", { pool: "broken" }, "damaged"],
    ["plasmite_fetch", { pool: "broken", seq: 1 }, "damaged"],
    ["plasmite_wait", { pool: "broken", timeout_ms: 0 }, "damaged"],
    ["plasmite_pool_info", { pool: "broken" }, "damaged"],
    ["plasmite_read", { pool: "none" }, "plasmite_pool_list"],
    ["plasmite_feed", { pool: "none", data: {} }, "create: true"],
    ["plasmite_read", { pool: "small", where: "input" }, ""],
    ["plasmite_read", { pool: "small", since: "yesterday" }, ""],
  ];
  for (const [name, args, words] of calls) {
    const { isError, json, text } = await run(place, name, args);
    const told = `${name} ${JSON.stringify(args).slice(0, 60)}: ${text[0]}`;
    assert.ok(isError, told);
    assert.ok(text[0]?.includes(words), told);
    for (const one of [json, ...text]) assert.ok(!isForCommandLine(one), told);
  }
});

// A key for one pool read another one through its agent.
test("a grant for some pools is kept by every tool", async (kind) => {
  await using place = new StorePlace(kind);
  for (const name of ["mine", "other"]) {
    using pool = place.client.createPool(name);
    pool.append({ secret: name });
  }
  const rights = ["read mine", "append mine", "append log", "admin mine"];
  const grant = {
    subject: "ann",
    can: (need: string, pool?: string) =>
      rights.some((right) =>
        pool === undefined ? right.startsWith(need) : right === `${need} ${pool}`
      ),
  };
  const cases: [string, Any][] = [
    ["plasmite_pool_info", {}],
    ["plasmite_read", {}],
    ["plasmite_fetch", { seq: 1 }],
    ["plasmite_wait", { after_seq: 0, timeout_ms: 0 }],
    ["plasmite_feed", { data: {} }],
    ["plasmite_feed", { data: {}, create: true }],
    ["plasmite_read", { cursor: "c" }],
    ["plasmite_claim", { action: "claim", keys: ["a"], holder: "ann" }],
    ["plasmite_claim", { action: "claim", keys: ["a"], holder: "ann", create: true }],
    ["plasmite_take", { group: "g", timeout_ms: 0 }],
    ["plasmite_done", { group: "g", seq: 1, token: 7, outcome: "ack" }],
    ["plasmite_pool_delete", {}],
  ];
  assert.deepEqual(
    [...new Set(cases.map(([name]) => name)), "plasmite_pool_list", "plasmite_pool_create"]
      .toSorted(),
    TOOLS.map(({ name }) => name).toSorted(),
    "every tool is tried",
  );
  for (const [name, args] of cases) {
    for (const pool of ["other", "other.plasmite", "nosuch"]) {
      const { result, json } = await run(place, name, { pool, ...args }, grant);
      assert.equal(result["error_kind"], "Permission", `${name} ${pool}`);
      assert.ok(!json.includes("secret"), json);
    }
  }
  for (const [name, args] of cases) {
    const { isError, text, result } = await run(place, name, { pool: "mine", ...args }, grant);
    const isAnothers = name === "plasmite_done" && result["error_kind"] === "Conflict";
    assert.equal(isError && !isAnothers, false, `${name}: ${text[0]}`);
  }
  const made = await run(place, "plasmite_pool_create", { name: "mine" }, grant);
  assert.equal(made.isError, false);
  const refused = await run(place, "plasmite_pool_create", { name: "more" }, grant);
  assert.equal(refused.result["error_kind"], "Permission");
  // Making a pool by the way is making one; appending to one that is there is not.
  const log = { pool: "log", data: {}, create: true };
  assert.equal((await run(place, "plasmite_feed", log, grant)).result["error_kind"], "Permission");
  place.client.createPool("log").close();
  assert.equal((await run(place, "plasmite_feed", log, grant)).isError, false);
  const { result, text } = await run(place, "plasmite_pool_list", {}, grant);
  assert.deepEqual((result["pools"] as Any[]).map(({ name }) => name), ["mine"]);
  assert.equal(result["total"], 1);
  assert.ok(!text.join().includes("other"));
});
