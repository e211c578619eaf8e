/**
 * The filters that people write every day: each finds its message and leaves the other, wherever it
 * is asked. Lost otherwise: an answer, and the evening in which somebody rewrites the filter.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Client } from "../../mod.ts";
import { LocalBackend } from "../../lib/backend/local.ts";
import { Hubs } from "../../lib/backend/local/hub.ts";
import { accessGrant } from "../../lib/grant.ts";
import { wrapped } from "../../mcp/json.ts";
import { GrantedPools } from "../../mcp/pools.ts";
import { runTool } from "../../mcp/run.ts";
import { cli } from "../cli/cli_util.ts";
import { bench, lines } from "../server/server_util.ts";

/** What a message holds. */
interface Content {
  readonly data?: Record<string, unknown>;
  readonly tags?: readonly string[];
  /** Stored long ago. */
  readonly old?: boolean;
}

function data(fields: Record<string, unknown>): Content {
  return { data: fields };
}

/** A filter, a message that it matches, and one that it does not. */
const ROWS: readonly (readonly [string, Content, Content])[] = [
  [
    '.data|tostring|test("refused")',
    data({ msg: "connection refused" }),
    data({ msg: "accepted" }),
  ],
  [".data.n|tonumber > 3", data({ n: "5" }), data({ n: "2" })],
  ['.data.path|split("/")|length > 2', data({ path: "/a/b" }), data({ path: "/a" })],
  [
    '.data.path|ltrimstr("/api")|startswith("/v1")',
    data({ path: "/api/v1/x" }),
    data({ path: "/web/v1" }),
  ],
  ['.data.msg|sub("a";"b") == "bbc"', data({ msg: "abc" }), data({ msg: "cba" })],
  ['.data.msg|index("time") != null', data({ msg: "out of time" }), data({ msg: "out of luck" })],
  ['.data.list|join(",") == "a,b"', data({ list: ["a", "b"] }), data({ list: ["b", "a"] })],
  ['.data|tojson|contains("42")', data({ n: 42 }), data({ n: 41 })],
  ['[..|strings]|any(test("oops"))', data({ a: { b: ["oops!"] } }), data({ a: "fine", oops: 1 })],
  ['any(.data.list[]; . == "b")', data({ list: ["a", "b"] }), data({ list: ["c"] })],
  [".data|to_entries|length > 2", data({ a: 1, b: 2, c: 3 }), data({ a: 1, b: 2 })],
  ['.data.level|IN("warn","error")', data({ level: "warn" }), data({ level: "info" })],
  ['.data.msg|match("[0-9]+").string == "42"', data({ msg: "n 42 x" }), data({ msg: "n 41" })],
  ['.data.msg|capture("(?<n>[0-9]+)").n == "42"', data({ msg: "n 42" }), data({ msg: "n 41" })],
  [
    String.raw`now - (.time|sub("\\.[0-9]+";"")|fromdate) < 60`,
    data({ when: "now" }),
    { ...data({ when: "long ago" }), old: true },
  ],
  [
    ".data.ts|fromdate > 0",
    data({ ts: "2026-01-02T03:04:05Z" }),
    data({ ts: "1960-01-02T03:04:05Z" }),
  ],
  [".data.tags|unique|length == 2", data({ tags: ["a", "b", "a"] }), data({ tags: ["a", "a"] })],
  ['.data.a.b.c? // "none" == "none"', data({ a: { b: {} } }), data({ a: {} })],
  [
    '.meta.tags|map(ascii_upcase)|index("ERROR") != null',
    { tags: ["error"] },
    { tags: ["errors"] },
  ],
  ['.data|keys|contains(["level"])', data({ level: 1 }), data({ x: 1 })],
  [".data.list|map(select(. > 1))|length > 0", data({ list: [1, 2] }), data({ list: [1] })],
  ['.data.msg|test("REFUSED";"i")', data({ msg: "Refused" }), data({ msg: "accepted" })],
];

/** Two messages for each row, tagged with it: 1 matches the first row, 2 does not, and so on. */
function fill(client: Client): void {
  using pool = client.createPool("p", 1 << 20);
  for (const [row, [, ...pair]] of ROWS.entries()) {
    for (const { data = {}, tags = [], old = false } of pair) {
      const timestampNs = old ? { timestampNs: 1_000_000_000_000_000_000n } : {};
      pool.append(data, { tags: [`row:${row}`, ...tags], ...timestampNs });
    }
  }
}

/** Runs `find` for every row, a few at a time; each must find the matching message and no other. */
async function eachRow(
  find: (where: string, tag: string) => Promise<readonly unknown[]>,
): Promise<void> {
  const rows = ROWS.map(([where], row) => ({ where, row }));
  const work = async (): Promise<void> => {
    for (let next = rows.shift(); next !== undefined; next = rows.shift()) {
      const { where, row } = next;
      assert.deepEqual((await find(where, `row:${row}`)).map(Number), [2 * row + 1], where);
    }
  };
  await Promise.all([work(), work(), work(), work()]);
}

Deno.test("everyday filters: on the command line, in the library, over HTTP and for agents", async (t) => {
  const { client, dir, get, end } = await bench();
  fill(client);
  const newest = BigInt(2 * ROWS.length);
  assert.equal(ROWS.length, 22);

  await t.step("command line", () =>
    eachRow(async (where, tag) => {
      const args = ["--dir", dir, "follow", "p", "--no-follow", "--jsonl", "--tag", tag];
      const { code, stdout, stderr } = await cli([...args, "--where", where]);
      assert.equal(code, 0, `${where}: ${stderr}`);
      return lines(stdout).map(({ seq }) => seq);
    }));

  await t.step("library", () =>
    eachRow(async (where, tags) => {
      const seqs: bigint[] = [];
      using pool = client.pool("p");
      for await (const { seq } of pool.tail({ where, tags, untilSeq: newest })) seqs.push(seq);
      return seqs;
    }));

  await t.step("HTTP: tail", () =>
    eachRow(async (where, tag) => {
      const query = new URLSearchParams({ where, tag, no_follow: "1" });
      const { status, text } = await get(`/v0/pools/p/tail?${query}`);
      assert.equal(status, 200, `${where}: ${text}`);
      return lines(text).map(({ seq }) => seq);
    }));

  await t.step(
    "HTTP: events, the last one, the newest of each group",
    () =>
      eachRow(async (where, tag) => {
        const query = new URLSearchParams({ where, tag, no_follow: "1" });
        const events = await get(`/v0/ui/pools/p/events?${query}&last=5`);
        const found = [...events.text.matchAll(/^data: .*"seq":(\d+)/gm)].map(([, seq]) => seq);
        const latest = await get(`/v0/pools/p/latest?${query}&by=row:`);
        const having = query.toString().replace("where=", "having=");
        const newest = await get(`/v0/pools/p/latest?${having}&by=`);
        const seqs = (json: string): number[] =>
          JSON.parse(json).messages.map(({ seq }: { seq: number }) => seq);
        assert.deepEqual(seqs(latest.text), found.map(Number), where);
        // The message that does not match is the newest with the tag of the row.
        assert.ok(!seqs(newest.text).includes(Number(found[0]) + 1), where);
        return found;
      }),
  );

  await t.step("MCP", async () => {
    const backend = new LocalBackend(dir, { serving: new Hubs() });
    const pools = new GrantedPools(backend, { grant: accessGrant("test", "read-write") });
    const { signal } = new AbortController();
    await eachRow(async (where, tag) => {
      const args = { pool: "p", where, tags: [tag] };
      const answer = await runTool("plasmite_read", args, { pools, signal });
      const { messages } = JSON.parse(wrapped(answer?.structuredContent) ?? "");
      return messages.map(({ seq }: { seq: number }) => seq);
    });
  });

  await t.step("work groups over HTTP", () =>
    eachRow(async (where, tag) => {
      const body = JSON.stringify({ action: "take", count: 9, where, tags: [tag] });
      const name = encodeURIComponent(tag.replace(":", "-"));
      const answer = await get(`/v0/pools/p/groups/${name}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      });
      assert.equal(answer.status, 200, `${where}: ${answer.text}`);
      assert.equal(answer.json.idle, false);
      return answer.json.tasks.map(({ message }: { message: { seq: number } }) => message.seq);
    }));
  await end();
});
