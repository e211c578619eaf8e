/**
 * The order of the list of pools, without a browser.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { fillsIn, fuzzy, linesOf, prefixOf, sortItems } from "../../server/ui/pools_order.js";

interface Made {
  readonly used?: number;
  readonly count?: number;
  readonly rate?: number;
  readonly lag?: number;
  readonly damage?: string;
  readonly limit?: number;
}

function item(name: string, made: Made = {}) {
  const { used = 100_000, count = 1000, rate = 0, lag, damage = "", limit = null } = made;
  const pool = {
    name,
    file_size: 1 << 20,
    ring_size: 1_000_000,
    metrics: {
      message_count: count,
      utilization: { used_bytes: used, used_percent: used / 10_000 },
      age: { oldest_time: null, newest_time: null },
    },
    retention: { max_age_ms: limit },
  };
  const readers = lag === undefined ? undefined : { count: 1, lag, pending: 0 };
  return { pool, known: { rate, minute: rate, readers, damage }, group: prefixOf(name) };
}

const names = (items: { pool: { name: string } }[]): string[] => items.map(({ pool }) => pool.name);

// Lost: messages that were overwritten an hour after the list had said "in a day".
Deno.test("when a pool is full follows from its rate and the size of its messages", () => {
  // 900,000 bytes are free, a message has 100: 9000 messages at 1 a second.
  assert.equal(fillsIn(item("a", { rate: 1 }).pool, 1), 9_000_000);
  assert.equal(fillsIn(item("a").pool, 0), Infinity);
  assert.equal(fillsIn(item("a", { used: 0, count: 0 }).pool, 5), Infinity);
  assert.equal(fillsIn(item("a", { used: 990_000 }).pool, 1), 0);
  // In a minute 6000 bytes come, and those of the minute before expire.
  assert.equal(fillsIn(item("a", { limit: 60_000 }).pool, 1), Infinity);
});

Deno.test("columns sort both ways, equals by name, and numbers in names as numbers", () => {
  const items = [
    item("p10", { lag: 5 }),
    item("p9", { lag: 5 }),
    item("b", { lag: 70 }),
    item("a"),
  ];
  assert.deepEqual(names(sortItems([...items], "name", false)), ["a", "b", "p9", "p10"]);
  assert.deepEqual(names(sortItems([...items], "readers", true)), ["b", "p9", "p10", "a"]);
  const damaged = [item("fine"), item("torn", { damage: "28 to 30 unreadable" })];
  assert.deepEqual(names(sortItems(damaged, "state", false)), ["torn", "fine"]);
});

Deno.test("groups stand where their first pool would stand, and only where there are two", () => {
  const items = sortItems(
    [
      item("logs-a", { rate: 1 }),
      item("logs-b", { rate: 9 }),
      item("shop", { rate: 5 }),
      item("x-1"),
    ],
    "rate",
    true,
  );
  const told = (isOpen: boolean): string[] =>
    linesOf(items, { grouped: true, isOpen: () => isOpen }).map((line) =>
      "group" in line ? `${line.group.name}: ${line.group.items.length}` : line.item.pool.name
    );
  assert.deepEqual(told(true), ["logs: 2", "logs-b", "logs-a", "shop", "x-1"]);
  assert.deepEqual(told(false), ["logs: 2", "shop", "x-1"]);
  assert.equal(linesOf(items, { grouped: false, isOpen: () => true }).length, 4);
  assert.deepEqual(["-a", "plain", "a.b-c", ".hidden"].map(prefixOf), ["", "", "a", ""]);
});

Deno.test("a few letters find a pool, and the best match comes first", () => {
  const pools = ["production.eu.payments", "payments", "logs-payments-eu", "mail"];
  const found = (typed: string): string[] =>
    pools.map((name) => ({ name, score: fuzzy(name, typed) }))
      .filter(({ score }) => score !== null)
      .sort((a, b) => Number(b.score) - Number(a.score)).map(({ name }) => name);
  assert.equal(found("paym")[0], "payments");
  assert.equal(found("peu")[0], "production.eu.payments");
  assert.deepEqual(found("xyz"), []);
  assert.equal(found("").length, 4);
});
