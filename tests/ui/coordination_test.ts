/**
 * Who works with a pool, without a browser: which claims are shown, and how often the page asks.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { Coordination, liveClaims, summary } from "../../server/ui/coordination.js";

const NOW = Date.parse("2026-02-01T10:00:00Z");

/** An answer of `latest?by=key:&tag=claim` with one message for each key. */
function answerOf(claims: Record<string, { age?: number; data?: unknown }>) {
  const all = Object.entries(claims).map(([key, { age = 0, data }], i) => ({
    key: `key:${key}`,
    seq: i + 1,
    time: new Date(NOW - age).toISOString(),
    data,
  }));
  return {
    latest: all.map(({ key, seq }) => ({ key, seq })),
    messages: all.map(({ seq, time, data }) => ({ seq, time, data })),
  };
}

// Lost: a key that nobody holds and everybody waits for, as the page says.
Deno.test("claims: only those that are held now are shown, by key", () => {
  const held = { by: "alice", state: "held", ttl_ms: 1000 };
  const answer = answerOf({
    late: { data: held, age: 999 },
    over: { data: held, age: 1000 },
    released: { data: { ...held, state: "released" } },
    nobody: { data: { ...held, by: 7 } },
    forever: { data: { ...held, ttl_ms: "soon" } },
    empty: { data: null },
    early: { data: held },
  });
  answer.latest.push({ key: "key:gone", seq: 99 });
  assert.deepEqual(liveClaims(answer, NOW), [
    { key: "early", holder: "alice", until: NOW + 1000 },
    { key: "late", holder: "alice", until: NOW + 1 },
  ]);
});

Deno.test("coordination: nothing is said while there is nobody", () => {
  assert.equal(summary([], []), "");
});

/** The least of a document that the section needs; every element has all children it was given. */
class Element {
  readonly children: unknown[] = [];
  hidden = false;
  open = true;
  textContent = "";
  setAttribute(): void {}
  appendChild(child: unknown): void {
    this.children.push(child);
  }
  replaceChildren(): void {
    this.children.length = 0;
  }
}

/** The section of a pool, with a clock that stands still and a server that answers when told. */
async function section(
  play: (page: {
    poll: () => Promise<void>;
    pass: (ms: number) => void;
    asked: string[];
    answers: ((answer: unknown) => void)[];
    drawn: () => number;
  }) => Promise<void>,
): Promise<void> {
  const before = { fetch: globalThis.fetch, now: performance.now };
  const asked: string[] = [];
  const answers: ((answer: unknown) => void)[] = [];
  let time = 0;
  const stop = new AbortController();
  Object.assign(globalThis, {
    Node: Element,
    document: { createElement: () => new Element(), createTextNode: () => new Element() },
    fetch: (path: string) => {
      asked.push(path.replace(/^.*\/|\?.*$/g, ""));
      return path.includes("/latest")
        ? new Promise((done) => answers.push((answer) => done(Response.json(answer))))
        : Promise.resolve(Response.json({ cursors: [] }));
    },
  });
  performance.now = () => time;
  try {
    const part = new Coordination("p");
    const tables = () => {
      const [, tables] = (part.element as unknown as Element).children;
      return JSON.stringify(tables).split('"children"').length;
    };
    await play({
      poll: () => part.refresh(stop.signal),
      pass: (ms) => time += ms,
      asked,
      answers,
      drawn: tables,
    });
  } finally {
    performance.now = before.now;
    Object.assign(globalThis, { fetch: before.fetch });
    Reflect.deleteProperty(globalThis, "document");
    Reflect.deleteProperty(globalThis, "Node");
  }
}

/** Until what is asked at once has been asked. */
const settled = () => new Promise((done) => setTimeout(done, 0));

// Lost: a server that reads a large pool for every page, several times at once.
Deno.test("coordination: claims are looked for one at a time, a small part of the time", () =>
  section(async ({ poll, pass, asked, answers }) => {
    const claims = () => asked.filter((what) => what === "latest").length;
    const open = [poll()];
    for (let i = 0; i < 5; i++) {
      await settled();
      pass(2000);
      open.push(poll());
    }
    await settled();
    assert.equal(claims(), 1, "while the first is on its way");
    assert.ok(asked.length - claims() >= 2, "cursors are asked for meanwhile");
    answers[0]?.(answerOf({}));
    await Promise.all(open);
    // It took ten seconds: the next one is due after 200.
    pass(189_000);
    await poll();
    assert.equal(claims(), 1);
    pass(1000);
    const next = poll();
    await settled();
    assert.equal(claims(), 2);
    answers[1]?.(answerOf({}));
    await next;
    // A quick answer is as good for four seconds.
    pass(3999);
    await poll();
    assert.equal(claims(), 2);
    pass(1);
    const last = poll();
    await settled();
    assert.equal(claims(), 3);
    answers[2]?.(answerOf({}));
    await last;
  }));

Deno.test("coordination: a table has 200 rows at most", () =>
  section(async ({ poll, answers, drawn }) => {
    const held = { by: "a", state: "held", ttl_ms: 60_000 };
    const many = Object.fromEntries(
      Array.from({ length: 1000 }, (_, i) => [`k${i}`, { data: held, age: NOW - Date.now() }]),
    );
    const work = poll();
    await settled();
    answers[0]?.(answerOf(many));
    await work;
    assert.ok(drawn() > 600 && drawn() < 1800, `${drawn()} elements and texts`);
  }));
