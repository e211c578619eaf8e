/**
 * Leases: two agents must never both believe that they hold a key, and one that repeats its claim
 * after a lost answer must not lose it.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import {
  claim,
  type ClaimAppend,
  type ClaimMessage,
  FirstSights,
  forceRelease,
  holdsUntil,
  parseClaim,
  release,
  renew,
} from "../../lib/coordination/lease.ts";
import { failsNow } from "../support/fails.ts";

const S = 1_000_000_000n;

/** A pool of claims: appends what is decided, answers with the newest of each key. */
class Claims {
  readonly messages: ClaimMessage[] = [];
  now = 1000n * S;

  newest(keys: readonly string[]): Map<string, ClaimMessage | null> {
    return new Map(keys.map((key) => [
      key,
      this.messages.findLast((message) => message.keys.includes(key)) ?? null,
    ]));
  }

  append({ data, tags }: ClaimAppend): ClaimMessage {
    assert.equal(tags[0], "claim");
    for (const key of data.claim) assert(tags.includes(`key:${key}`));
    const seq = BigInt(this.messages.length + 1);
    const message = parseClaim(seq, this.now, { ...data });
    assert(message !== null);
    this.messages.push(message);
    return message;
  }

  claim(keys: string[], by: string, ttlMs = 60_000): bigint {
    return this.append(claim(keys, by, ttlMs, this.newest(keys), this.now).append).token;
  }

  renew(keys: string[], by: string, token: bigint, ttlMs?: number): ClaimMessage {
    return this.append(renew(keys, by, token, ttlMs, this.newest(keys), this.now).append);
  }

  release(keys: string[], by: string, token: bigint): number {
    const appends = release(keys, by, token, this.newest(keys), this.now);
    appends.forEach((one) => this.append(one));
    return appends.length;
  }
}

Deno.test("lease: one holder at a time, the refusal names it", () => {
  const pool = new Claims();
  assert.equal(pool.claim(["deploy"], "ann"), 1n);
  failsNow("Busy", () => pool.claim(["deploy"], "bob"), {
    key: "deploy",
    holder: "ann",
    token: 1n,
    until: "1970-01-01T00:17:40.000Z",
  });
  pool.now += 59n * S;
  failsNow("Busy", () => pool.claim(["deploy"], "bob"));
  pool.now += 1n * S;
  assert.equal(pool.claim(["deploy"], "bob"), 2n);
  failsNow("Conflict", () => pool.renew(["deploy"], "ann", 1n), { key: "deploy", holder: "bob" });
  failsNow("Conflict", () => pool.release(["deploy"], "ann", 1n), { holder: "bob" });
});

Deno.test("lease: all keys or none", () => {
  const pool = new Claims();
  pool.claim(["b"], "bob");
  failsNow("Busy", () => pool.claim(["a", "b"], "ann"), { key: "b" });
  assert.equal(pool.claim(["a"], "cid"), 2n, "a was not taken by the failed claim");
});

Deno.test("lease: repeating a claim renews it under the same token", () => {
  const pool = new Claims();
  const token = pool.claim(["a", "b"], "ann");
  pool.now += 50n * S;
  assert.equal(pool.claim(["b", "a"], "ann"), token);
  pool.now += 50n * S;
  failsNow("Busy", () => pool.claim(["a"], "bob"));
  assert.equal(pool.renew(["a", "b"], "ann", token).token, token);
});

Deno.test("lease: another set of keys is a new lease for them, the rest keeps its token", () => {
  const pool = new Claims();
  const both = pool.claim(["a", "b"], "ann");
  const one = pool.claim(["a"], "ann");
  assert.notEqual(one, both);
  failsNow("Conflict", () => pool.renew(["a"], "ann", both));
  assert.equal(pool.renew(["b"], "ann", both).token, both);
  assert.equal(pool.renew(["a"], "ann", one).token, one);
});

Deno.test("lease: expired and not taken it can be renewed, released it cannot", () => {
  const pool = new Claims();
  const token = pool.claim(["a"], "ann", 1000);
  pool.now += 100n * S;
  assert.equal(pool.renew(["a"], "ann", token).ttlMs, 1000, "as long as before");
  assert.equal(pool.renew(["a"], "ann", token, 5000).ttlMs, 5000);
  assert.equal(pool.release(["a"], "ann", token), 1);
  assert.equal(pool.claim(["a"], "bob"), 5n, "free at once");
  const other = new Claims();
  const mine = other.claim(["a"], "ann");
  other.release(["a"], "ann", mine);
  assert.match(failsNow("Conflict", () => other.renew(["a"], "ann", mine)).message, /released/);
});

Deno.test("lease: releasing twice, or what is not retained, is success and appends nothing", () => {
  const pool = new Claims();
  const token = pool.claim(["a"], "ann");
  assert.equal(pool.release(["a"], "ann", token), 1);
  assert.equal(pool.release(["a"], "ann", token), 0);
  assert.equal(pool.release(["never"], "ann", 9n), 0);
  failsNow("Conflict", () => new Claims().renew(["a"], "ann", 1n));
});

Deno.test("lease: force ends anybody's, one release for each token", () => {
  const pool = new Claims();
  pool.claim(["a", "b"], "ann");
  pool.claim(["c"], "bob");
  const appends = forceRelease(["a", "b", "c", "d"], "root", pool.newest(["a", "b", "c", "d"]));
  assert.deepEqual(appends.map(({ data }) => [data.claim, data.token]), [[["a", "b"], 1n], [
    ["c"],
    2n,
  ]]);
  for (const { tags } of appends) assert(tags.includes("forced"));
  appends.forEach((one) => pool.append(one));
  pool.claim(["a", "b", "c"], "cid");
});

Deno.test("lease: a claim from the future holds no longer than its ttl from first sight", () => {
  const pool = new Claims();
  const ahead: ClaimMessage = {
    seq: 1n,
    timeNs: pool.now + 10_000n * S,
    keys: ["a"],
    by: "pi",
    state: "held",
    ttlMs: 60_000,
    token: 1n,
  };
  assert.equal(holdsUntil(ahead, pool.now), ahead.timeNs + 60n * S, "for one look it is held");
  const sights = new FirstSights();
  assert.equal(holdsUntil(ahead, pool.now, sights), pool.now + 60n * S);
  assert.equal(holdsUntil(ahead, pool.now + 30n * S, sights), pool.now + 60n * S);
  const soon = { ...ahead, timeNs: pool.now + 4n * S };
  assert.equal(holdsUntil(soon, pool.now, sights), soon.timeNs + 60n * S, "clocks differ a little");
});

Deno.test("lease: what is no claim is not taken for one", () => {
  for (
    const data of [
      {},
      { claim: "a", by: "x", state: "held" },
      { claim: ["a"], by: 1, state: "held" },
      { claim: ["a"], by: "x", state: "kept" },
      { claim: ["a", 1], by: "x", state: "held" },
      { claim: ["a"], by: "x", state: "held", ttl_ms: -1 },
    ]
  ) assert.equal(parseClaim(1n, 0n, data), null);
  assert.equal(parseClaim(4n, 0n, { claim: ["a"], by: "x", state: "held" })?.token, 4n);
});
