/**
 * A filter with a slip is refused with what was meant, over HTTP, to agents and on the command line.
 * Lost otherwise: the right form, which the one who asks has to find alone.
 *
 * @module
 */

import assert from "node:assert/strict";
import { LocalBackend } from "../../lib/backend/local.ts";
import { Hubs } from "../../lib/backend/local/hub.ts";
import { accessGrant } from "../../lib/grant.ts";
import { wrapped } from "../../mcp/json.ts";
import { GrantedPools } from "../../mcp/pools.ts";
import { runTool } from "../../mcp/run.ts";
import { cli } from "../cli/cli_util.ts";
import { bench, lines } from "./server_util.ts";

const MEANT = '.data.level == "error"';
const SLIPS = [
  '.data.level = "error"',
  'level == "error"',
  '.level == "error"',
  ".data.level == error",
  ".data.level == 'error'",
  ".data.level == “error”",
];

Deno.test("a slip in a filter gets the right expression, wherever it is asked", async () => {
  const { client, dir, get, post, end } = await bench();
  {
    using pool = client.createPool("p");
    pool.append({ level: "error" });
  }
  const backend = new LocalBackend(dir, { serving: new Hubs() });
  const pools = new GrantedPools(backend, { grant: accessGrant("test", "read-write") });
  const { signal } = new AbortController();
  for (const where of SLIPS) {
    const query = `where=${encodeURIComponent(where)}`;
    const answers = [
      await get(`/v0/pools/p/tail?max=0&${query}`),
      await get(`/v0/ui/pools/p/events?${query}`),
      await get(`/v0/pools/p/latest?by=&${query}`),
      await post("/v0/pools/p/groups/g", { action: "take", where }),
    ];
    for (const { status, json: { error } } of answers) {
      assert.deepEqual([status, error.kind], [400, "Usage"], where);
      assert.ok(error.hint.includes(MEANT), error.hint);
      assert.equal(error.suggestion.expression, MEANT, where);
      assert.equal(typeof error.suggestion.why, "string");
    }
    const told = await runTool("plasmite_read", { pool: "p", where }, { pools, signal });
    assert.equal(told?.isError, true, where);
    const result = JSON.parse(wrapped(told?.structuredContent) ?? "");
    assert.equal(result.field, "where");
    assert.ok(result.detail.includes(MEANT), result.detail);
  }
  // On a command line a filter that matches nothing is not refused.
  for (const where of SLIPS.filter((slip) => !/^\.level|== error$/.test(slip))) {
    const args = ["--dir", dir, "follow", "p", "--no-follow", "--jsonl", "--where", where];
    const { code, stderr } = await cli(args);
    assert.equal(code, 2, where);
    const { error } = JSON.parse(stderr);
    assert.ok(error.hint.includes(MEANT), error.hint);
    assert.equal(error.suggestion.expression, MEANT);
  }
  // What is suggested works.
  const right = await get(`/v0/pools/p/tail?no_follow=1&where=${encodeURIComponent(MEANT)}`);
  assert.equal(lines(right.text).length, 1);
  await end();
});

Deno.test("agents: a filter that loops in jq ends with an error, and the next one works", async () => {
  const { client, dir, end } = await bench();
  {
    using pool = client.createPool("p");
    for (let n = 1; n <= 3; n++) pool.append({ n });
  }
  const backend = new LocalBackend(dir, { serving: new Hubs() });
  const pools = new GrantedPools(backend, { grant: accessGrant("test", "read-write") });
  const { signal } = new AbortController();
  const call = async (tool: string, where: string) => {
    const args = { pool: "p", where, after_seq: 0 };
    const answer = await runTool(tool, args, { pools, signal });
    const text = wrapped(answer?.structuredContent) ?? "";
    return { isError: answer?.isError === true, text };
  };
  for (const tool of ["plasmite_read", "plasmite_wait"]) {
    const looped = await call(tool, "def f: f; f");
    assert.ok(looped.isError, looped.text);
    assert.match(looped.text, /time budget/);
    const { text } = await call(tool, '.data.n | tostring == "2"');
    assert.deepEqual(
      JSON.parse(text).messages.map(({ seq }: { seq: number }) => seq),
      [2],
      text,
    );
  }
  await end();
});
