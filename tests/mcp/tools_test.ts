/**
 * The tools one by one: cursors, filters, limits, arguments, errors and their hints
 * (docs/spec/agents.md 5, 6).
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { LocalBackend } from "../../lib/backend/local.ts";
import { GrantedPools } from "../../mcp/pools.ts";
import { TOOLS } from "../../mcp/tools.ts";
import { filled, type Outcome, run, seqs, StorePlace, test, waitsBegun } from "./mcp_tools_util.ts";
import { type Any, Place } from "./mcp_util.ts";

/** The cursor fields: next, last, oldest, newest, fell_behind. */
function cursor({ result }: Outcome): unknown[] {
  return [
    "next_after_seq",
    "last_returned_seq",
    "oldest_available_seq",
    "newest_available_seq",
    "fell_behind",
  ].map((key) => result[key]);
}

test("read and its cursor on an empty and a small pool", async (kind) => {
  await using empty = filled(kind, 0);
  assert.deepEqual(cursor(await run(empty, "plasmite_read", { pool: "p" })), [
    null,
    null,
    null,
    null,
    false,
  ]);
  const ahead = await run(empty, "plasmite_read", { pool: "p", after_seq: 5 });
  assert.deepEqual(cursor(ahead), [5, null, null, null, false]);
  assert.equal(ahead.result["cursor_ahead"], true);

  await using place = filled(kind, 8);
  const cases: [Any, number[], unknown[]][] = [
    [{}, [1, 2, 3, 4, 5, 6, 7, 8], [8, 8, 1, 8, false]],
    [{ count: 3 }, [6, 7, 8], [8, 8, 1, 8, false]],
    [{ count: 2, tags: ["odd"] }, [5, 7], [8, 7, 1, 8, false]],
    [{ tags: ["odd", "even"] }, [], [8, null, 1, 8, false]],
    [{ after_seq: 0, count: 2 }, [1, 2], [2, 2, 1, 8, false]],
    [{ after_seq: 1, count: 2, tags: [" odd "] }, [3, 5], [5, 5, 1, 8, false]],
    [{ after_seq: 6, tags: ["odd"] }, [7], [8, 7, 1, 8, false]],
    [{ after_seq: 8 }, [], [8, null, 1, 8, false]],
    [{ after_seq: 18446744073709551615n }, [], [18446744073709552000, null, 1, 8, false]],
    [{ since: "1h", count: 1 }, [8], [8, 8, 1, 8, false]],
    [{ since: "2999-01-01T00:00:00Z" }, [], [8, null, 1, 8, false]],
    [{ since: "2026-01-01T00:00:00Z", after_seq: 2, count: 1 }, [3], [3, 3, 1, 8, false]],
    [{ where: ".data.n > 2 and .data.n < 5" }, [3, 4], [8, 4, 1, 8, false]],
    [{ where: ".data.missing == 1" }, [], [8, null, 1, 8, false]],
    [{ count: null, tags: null, since: null, after_seq: null, where: null }, [
      1,
      2,
      3,
      4,
      5,
      6,
      7,
      8,
    ], [8, 8, 1, 8, false]],
    [{ after_seq: 3.0, count: 1.0 }, [4], [4, 4, 1, 8, false]],
  ];
  for (const [args, messages, fields] of cases) {
    const outcome = await run(place, "plasmite_read", { pool: "p", ...args });
    assert.deepEqual(seqs(outcome), messages, outcome.json);
    assert.deepEqual(cursor(outcome), fields, outcome.json);
    // Right at the end is not ahead of it.
    const ahead = Number(args["after_seq"] ?? 0) > 8 ? true : undefined;
    assert.equal(outcome.result["cursor_ahead"], ahead, outcome.json);
  }
  const exact = await run(place, "plasmite_read", { pool: "p", after_seq: 2n ** 64n - 1n });
  assert.match(exact.json, /"next_after_seq":18446744073709551615,/);
});

test("a cursor that fell behind, and searching a long pool from its end", async (kind) => {
  await using place = filled(kind, 20_000, 1 << 20);
  const { result } = await run(place, "plasmite_pool_info", { pool: "p" });
  const { oldest = 0 } = (result["pool"] as Any)["bounds"] as { oldest?: number };
  assert.ok(oldest > 1);
  const behind = await run(place, "plasmite_read", { pool: "p", after_seq: 1, count: 1 });
  assert.deepEqual(seqs(behind), [oldest]);
  assert.equal(behind.result["fell_behind"], true);
  const fits = await run(place, "plasmite_read", { pool: "p", after_seq: oldest - 1, count: 1 });
  assert.equal(fits.result["fell_behind"], false);
  // The only match is the oldest message, so the whole ring is searched, piece by piece.
  const far = await run(place, "plasmite_read", { pool: "p", where: `.seq == ${oldest}` });
  assert.deepEqual(seqs(far), [oldest]);
  const near = await run(place, "plasmite_read", { pool: "p", tags: ["odd"], count: 3 });
  assert.deepEqual(seqs(near), [19_995, 19_997, 19_999]);
});

test("paging with next_after_seq gives every message once", async (kind) => {
  await using place = filled(kind, 57);
  for (const filter of [{}, { tags: ["odd"] }, { max_bytes: 1024 }]) {
    const seen: number[] = [];
    let after = 0;
    for (let page = 0; page < 100; page++) {
      const outcome = await run(place, "plasmite_read", {
        pool: "p",
        after_seq: after,
        count: 7,
        ...filter,
      });
      seen.push(...seqs(outcome));
      after = outcome.result["next_after_seq"] as number;
      if (outcome.result["has_more"] !== true) break;
    }
    const all = [...Array(57).keys()].map((n) => n + 1);
    assert.deepEqual(seen, "tags" in filter ? all.filter((n) => n % 2 === 1) : all);
    assert.equal(after, 57);
  }
});

test("an answer has no more bytes than asked for, and says what is missing", async (kind) => {
  await using place = new StorePlace(kind);
  using pool = place.client.createPool("p");
  const big = "ü".repeat(100_000);
  for (let n = 1; n <= 30; n++) pool.append({ n, text: "x".repeat(5_000) });
  pool.append({ n: 31, text: big });
  pool.append({ n: 32 });

  const last = await run(place, "plasmite_read", { pool: "p" });
  assert.ok(last.json.length < 70_000);
  const got = seqs(last);
  assert.equal(got.at(-1), 32);
  assert.equal(last.result["omitted"], 20 - got.length);
  const cuts = last.result["cut"] as { seq: number; bytes: number }[];
  assert.deepEqual(cuts.map(({ seq }) => seq), [31]);
  assert.ok((cuts[0]?.bytes ?? 0) > 200_000);
  const note = String(last.result["note"]);
  assert.match(note, /plasmite_fetch/);
  const [, after] = /after_seq (\d+)/.exec(note) ?? [];
  assert.equal(Number(after), 32 - 20);
  assert.ok(last.text[0]?.includes(note), "the summary says it too");
  const messages = last.result["messages"] as { seq: number; data: Any }[];
  const cut = messages.find(({ seq }) => seq === 31)?.data ?? {};
  assert.equal(cut["plasmite_cut"], true);
  assert.match(String(cut["starts_with"]), /^\{"n":31,"text":"ü+$/);

  // Following the note gets the rest, and a fetch gets the whole message.
  const rest = await run(place, "plasmite_read", { pool: "p", after_seq: Number(after) });
  assert.equal(seqs(rest)[0], 13);
  assert.equal(rest.result["has_more"], true);
  const whole = await run(place, "plasmite_fetch", { pool: "p", seq: 31 });
  assert.equal(((whole.result["message"] as Any)["data"] as Any)["text"], big);
  const more = await run(place, "plasmite_read", { pool: "p", max_bytes: 1_000_000 });
  assert.equal(seqs(more).length, 20);
  assert.equal(more.result["cut"], undefined);

  const waited = await run(place, "plasmite_wait", { pool: "p", after_seq: 30, max_bytes: 2_048 });
  assert.deepEqual(seqs(waited), [31, 32]);
  assert.equal((waited.result["cut"] as unknown[]).length, 1);
});

test("latest_by keeps the newest message of each tag or value", async (kind) => {
  await using place = new StorePlace(kind);
  using pool = place.client.createPool("claims");
  const claim = (agent: string, ...files: string[]): void => {
    pool.append({ agent, files }, ["claim", `agent:${agent}`, ...files.map((f) => `file:${f}`)]);
  };
  claim("a", "x.ts"); // 1
  claim("b", "y.ts", "z.ts"); // 2
  pool.append({ note: "no claim" }); // 3
  claim("a"); // 4
  claim("c", "x.ts"); // 5

  const agents = await run(place, "plasmite_read", { pool: "claims", latest_by: "agent:" });
  assert.deepEqual(seqs(agents), [2, 4, 5]);
  assert.deepEqual(agents.result["latest"], [
    { key: "agent:b", seq: 2 },
    { key: "agent:a", seq: 4 },
    { key: "agent:c", seq: 5 },
  ]);
  assert.equal(agents.result["next_after_seq"], 5);
  const files = await run(place, "plasmite_read", { pool: "claims", latest_by: "file:" });
  assert.deepEqual(files.result["latest"], [
    { key: "file:y.ts", seq: 2 },
    { key: "file:z.ts", seq: 2 },
    { key: "file:x.ts", seq: 5 },
  ]);
  assert.deepEqual(seqs(files), [2, 5]);
  const byData = await run(place, "plasmite_read", { pool: "claims", latest_by: ".data.agent" });
  assert.deepEqual(seqs(byData), [2, 4, 5]);
  const few = await run(place, "plasmite_read", {
    pool: "claims",
    latest_by: "agent:",
    count: 1,
    tags: ["claim"],
  });
  assert.deepEqual(seqs(few), [5]);
  assert.equal(few.result["omitted"], 2);
  const bad = await run(place, "plasmite_read", { pool: "claims", latest_by: ".agent" });
  assert.equal(bad.result["field"], "latest_by");
});

test("waiting", async (kind) => {
  await using place = filled(kind, 3);
  const past = await run(place, "plasmite_wait", { pool: "p", after_seq: 1, timeout_ms: 0 });
  assert.deepEqual(seqs(past), [2, 3]);
  assert.equal(past.result["timed_out"], false);
  assert.deepEqual(cursor(past), [3, 3, 1, 3, false]);
  const nothing = await run(place, "plasmite_wait", { pool: "p", timeout_ms: 0 });
  assert.deepEqual(cursor(nothing), [3, null, 1, 3, false]);
  assert.equal(nothing.result["timed_out"], true);
  // Messages that do not match move the cursor.
  const none = await run(place, "plasmite_wait", {
    pool: "p",
    after_seq: 0,
    where: ".data.n == 9",
    timeout_ms: 0,
  });
  assert.equal(none.result["next_after_seq"], 3);

  const begun = waitsBegun(place.backend);
  const waiting = run(place, "plasmite_wait", { pool: "p", timeout_ms: 30_000, where: ".data.go" });
  await begun;
  using pool = place.client.openPool("p");
  pool.append({ go: false });
  pool.append({ go: true });
  assert.deepEqual(seqs(await waiting), [5]);

  // A pool deleted meanwhile does not leave the wait hanging.
  const orphanBegun = waitsBegun(place.backend);
  const orphan = run(place, "plasmite_wait", { pool: "p", timeout_ms: 30_000 });
  await orphanBegun;
  place.client.deletePool("p");
  assert.equal((await orphan).result["error_kind"], "NotFound");
});

test("bad arguments are named and explained", async (kind) => {
  await using place = filled(kind, 1);
  const cases: [string, Any, string, RegExp][] = [
    ["plasmite_read", { pool: "p", zeta: 1, alpha: 2 }, "alpha", /pool, count/],
    ["plasmite_pool_list", { pool: "p" }, "pool", /takes count, cursor/],
    ["plasmite_read", {}, "pool", /missing/],
    ["plasmite_read", { pool: null }, "pool", /missing/],
    ["plasmite_read", { pool: 7 }, "pool", /a string, got 7/],
    ["plasmite_read", { pool: "p", count: 0 }, "count", /1 to 200/],
    ["plasmite_read", { pool: "p", count: 201 }, "count", /1 to 200/],
    ["plasmite_read", { pool: "p", count: "3" }, "count", /got "3"/],
    ["plasmite_read", { pool: "p", after_seq: -1 }, "after_seq", /0 or greater/],
    ["plasmite_read", { pool: "p", after_seq: 1.5 }, "after_seq", /whole/],
    ["plasmite_read", { pool: "p", since: "yesterday" }, "since", /10m/],
    ["plasmite_read", { pool: "p", since: "5m…" }, "since", /10m/],
    ["plasmite_read", { pool: "p", since: "99999999999999999999s" }, "since", /10m/],
    ["plasmite_read", { pool: "p", tags: "x" }, "tags", /array/],
    ["plasmite_read", { pool: "p", tags: ["a", " \u3000"] }, "tags", /entry 2 is empty/],
    ["plasmite_read", { pool: "p", tags: [1] }, "tags", /strings/],
    ["plasmite_read", { pool: "p", where: ".data.n ==" }, "where", /invalid filter/],
    ["plasmite_read", { pool: "p", where: "input" }, "where", /filter/],
    ["plasmite_wait", { pool: "p", timeout_ms: 60_001 }, "timeout_ms", /60000/],
    ["plasmite_wait", { pool: "p", where: "((" }, "where", /invalid filter/],
    ["plasmite_feed", { pool: "p" }, "data", /missing/],
    ["plasmite_feed", { pool: "p", data: {}, create: "yes" }, "create", /true or false/],
    ["plasmite_fetch", { pool: "p" }, "seq", /missing/],
    ["plasmite_pool_create", { name: "q", size: "1M" }, "size", /whole/],
    ["plasmite_pool_create", { name: "q", size: 0 }, "size", /bytes/],
  ];
  for (const [name, args, field, words] of cases) {
    const { result, isError, text } = await run(place, name, args);
    assert.equal(isError, true, `${name} ${Object.keys(args)}`);
    assert.equal(result["error_kind"], "Usage");
    assert.equal(result["field"], field);
    assert.match(String(result["detail"]), words);
    assert.ok(text[0]?.includes(field) && text[0].includes(name));
  }
  const wrong = await run(place, "plasmite_read", { pool: "p", where: ".data.n" });
  assert.equal(wrong.result["error_kind"], "Usage");
  assert.match(wrong.text[0] ?? "", /boolean/);
});

test("a filter that runs away is stopped", async (kind) => {
  await using place = filled(kind, 1);
  const { result } = await run(place, "plasmite_read", {
    pool: "p",
    where: "[range(100000000)] | length > 3",
  });
  assert.equal(result["error_kind"], "Usage");
});

test("errors say how to go on, and nothing is left behind", async (kind) => {
  await using place = filled(kind, 2);
  const kinds: [string, Any, string, RegExp][] = [
    ["plasmite_read", { pool: "q" }, "NotFound", /plasmite_pool_list/],
    ["plasmite_pool_info", { pool: "q" }, "NotFound", /plasmite_pool_list/],
    ["plasmite_pool_delete", { pool: "q" }, "NotFound", /plasmite_pool_list/],
    ["plasmite_feed", { pool: "q", data: {} }, "NotFound", /create: true/],
    ["plasmite_fetch", { pool: "p", seq: 3 }, "NotFound", /1 to 2.*plasmite_read/],
    ["plasmite_fetch", { pool: "p", seq: 0 }, "NotFound", /plasmite_read/],
    ["plasmite_pool_create", { name: "p" }, "AlreadyExists", /use it as-is/],
    ["plasmite_pool_create", { name: "q", size: 100 }, "Usage", /size greater/],
    ["plasmite_pool_create", { name: "a/b" }, "Usage", /plain pool name/],
    ["plasmite_read", { pool: "../p" }, "Usage", /plain pool name/],
    ["plasmite_read", { pool: "" }, "Usage", /name/],
    ["plasmite_feed", { pool: "q", data: [1], create: true }, "Usage", /Wrap it/],
    ["plasmite_feed", { pool: "p", data: null, create: true }, "Usage", /missing|object/],
    ["plasmite_feed", { pool: "q", data: "text" }, "NotFound", /create/],
    [
      "plasmite_feed",
      {
        pool: "q",
        create: true,
        data: JSON.parse(`{"a":${"[".repeat(40)}${"]".repeat(40)}}`),
      },
      "Usage",
      /level/,
    ],
    [
      "plasmite_feed",
      { pool: "q", create: true, data: { a: "x".repeat(1 << 20) } },
      "Usage",
      /size|large/,
    ],
  ];
  for (const [name, args, kind, words] of kinds) {
    const { result, text, isError } = await run(place, name, args);
    assert.equal(isError, true);
    assert.equal(result["error_kind"], kind, `${name} ${text[0]}`);
    assert.match(text[0] ?? "", words);
  }
  assert.deepEqual(place.client.listPools().map(({ name }) => name), ["p"]);
});

test("access modes hide tools and refuse them before looking at arguments", async (kind) => {
  await using place = filled(kind, 1);
  for (const { name } of TOOLS) {
    if (/take|done/.test(name)) {
      for (const half of ["read-only", "write-only"] as const) {
        const { result } = await run(place, name, { nonsense: 1 }, half);
        assert.equal(result["error_kind"], "Permission");
      }
      const { result } = await run(place, name, { nonsense: 1 });
      assert.equal(result["error_kind"], "Usage");
      continue;
    }
    const write = /create|delete|feed|claim/.test(name);
    const refused = await run(place, name, { nonsense: 1 }, write ? "read-only" : "write-only");
    assert.equal(refused.result["error_kind"], "Permission");
    const admitted = await run(place, name, { nonsense: 1 }, write ? "write-only" : "read-only");
    assert.equal(admitted.result["error_kind"], "Usage");
  }
  const busy = await run(place, "plasmite_wait", { nonsense: 1 }, "read-only", {
    takePlace: () => null,
  });
  assert.equal(busy.result["error_kind"], "Busy");
  let given = 0;
  await run(place, "plasmite_wait", { pool: "p", timeout_ms: 0 }, "read-only", {
    takePlace: () => {
      given++;
      return () => given--;
    },
  });
  assert.equal(given, 0);
});

test("a damaged pool is listed with its error, the others stay usable", async (kind) => {
  await using place = filled(kind, 1);
  Deno.writeTextFileSync(`${place.dir}/broken.plasmite`, "this is no pool");
  const { result } = await run(place, "plasmite_pool_list");
  const pools = result["pools"] as Any[];
  assert.deepEqual(pools.map((pool) => pool["name"]), ["broken", "p"]);
  assert.equal((pools[0]?.["error"] as Any)["kind"], "Corrupt");
  const read = await run(place, "plasmite_read", { pool: "broken" });
  assert.equal(read.result["error_kind"], "Corrupt");
});

Deno.test("mcp tools: reading agrees with a model, whatever is stored and asked for", async () => {
  const sizes = fc.array(fc.oneof({ weight: 5, arbitrary: fc.nat(300) }, fc.nat(5_000)), {
    maxLength: 60,
  });
  const asked = fc.record({
    count: fc.integer({ min: 1, max: 200 }),
    max_bytes: fc.integer({ min: 1_024, max: 8_000 }),
    after_seq: fc.nat(70),
    tags: fc.constantFrom(["t0"], ["t1"], ["t0", "all"], ["all"]),
    latest_by: fc.constantFrom("t", "", ".data.group"),
    where: fc.constantFrom(".data.group == 1", ".data.n > 10"),
  }, { requiredKeys: ["max_bytes"] });
  await fc.assert(
    fc.asyncProperty(sizes, asked, async (lengths, args) => {
      await using place = new StorePlace("directory");
      using pool = place.client.createPool("p");
      const stored = lengths.map((length, i) => {
        const data = { n: i + 1, group: i % 3, text: "é".repeat(length) };
        const tags = ["all", `t${i % 2}`];
        pool.append(data, tags);
        return { seq: i + 1, data, tags };
      });
      const outcome = await run(place, "plasmite_read", { pool: "p", ...args });
      const { result } = outcome;
      const count = args.count ?? 20;
      let matching = stored.filter(({ seq, data, tags }) =>
        seq > (args.after_seq ?? 0) && (args.tags ?? []).every((tag) => tags.includes(tag)) &&
        (args.where === undefined ||
          (args.where.includes("group") ? data.group === 1 : data.n > 10))
      );
      const newest = stored.length;
      const forward = args.after_seq !== undefined && args.latest_by === undefined;
      if (args.latest_by !== undefined) {
        const keys = (one: typeof stored[number]): string[] =>
          args.latest_by === ".data.group"
            ? [String(one.data.group)]
            : one.tags.filter((tag) => tag.startsWith(args.latest_by ?? ""));
        const last = new Map(matching.flatMap((one) => keys(one).map((key) => [key, one.seq])));
        matching = matching.filter(({ seq }) => [...last.values()].includes(seq));
      }
      const got = seqs(outcome);
      const all = matching.map(({ seq }) => seq);
      const most = forward ? all.slice(0, count) : all.slice(-count);
      // As many as fit, but always one, from the end that was asked for.
      assert.deepEqual(
        got,
        forward ? most.slice(0, got.length) : most.slice(-got.length || most.length),
      );
      assert.equal(got.length > 0, most.length > 0);
      const messages = result["messages"] as unknown[];
      const bytes = (value: unknown): number =>
        new TextEncoder().encode(JSON.stringify(value)).length;
      assert.ok(
        messages.reduce<number>((sum, one) => sum + bytes(one), 0) <= args.max_bytes,
      );
      if (got.length < most.length) {
        assert.equal(forward ? result["has_more"] : (result["omitted"] as number) > 0, true);
      }
      const cut = (result["cut"] ?? []) as { seq: number }[];
      for (const message of messages as { seq: number; data: Any }[]) {
        const whole = stored[message.seq - 1]?.data;
        if (cut.some(({ seq }) => seq === message.seq)) {
          assert.equal(message.data["plasmite_cut"], true);
        } else assert.deepEqual(message.data, whole);
      }
      const next = result["next_after_seq"];
      if (!forward) {
        assert.equal(
          next,
          newest === 0 ? args.after_seq ?? null : Math.max(newest, args.after_seq ?? 0),
        );
      } else if (result["has_more"] === true) {
        // What follows is exactly what was not seen.
        const rest = all.filter((seq) => seq > Number(next));
        assert.deepEqual([...got, ...rest], all);
      }
    }),
    { numRuns: 60 * Number(Deno.env.get("PLASMITE_TEST_SCALE") ?? 1) },
  );
});

// Whoever may only append would make pools of any number and size.
Deno.test("mcp pools: opening creates a pool only for those who may create it", async () => {
  using place = new Place();
  const backend = new LocalBackend(place.dir);
  const grant = { subject: "writer", can: (need: string) => need !== "admin" };
  const pools = new GrantedPools(backend, { grant });
  await assert.rejects(pools.open("p", { write: true, create: {} }), { kindName: "Permission" });
  assert.deepEqual(await backend.names(), []);
});
