/**
 * Agents that know nothing but the `claim_files` prompt share the files of a project: whatever the
 * order of their steps, no file is ever held by two, and a second task loses nothing of the first.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { promptText } from "../../mcp/prompts.ts";
import { run, StorePlace } from "./mcp_tools_util.ts";
import { type Any, type Called, Place, serveMcp, WAYS } from "./mcp_util.ts";

type Call = (name: string, args: Any) => Promise<Pick<Called, "result" | "isError">>;

interface Claim {
  readonly seq: number;
  readonly agent: string;
  readonly files: readonly string[];
  readonly at: number;
}

/** What the prompt tells an agent to call, read off its text. */
function calls(agent: string, files: readonly string[], lease: string) {
  const prompt = promptText("claim_files", { agent, files: files.join(", "), lease });
  assert.ok("text" in prompt);
  const found = [...prompt.text.matchAll(/call (plasmite_\w+) with (\{[^<]*?\})[. ]/gi)];
  assert.deepEqual(found.map(([, tool]) => tool), [
    "plasmite_read",
    "plasmite_feed",
    "plasmite_read",
    "plasmite_feed",
  ]);
  const [look, claim, check, free] = found.map(([, , args = ""]) => JSON.parse(args) as Any);
  assert.ok(look !== undefined && claim !== undefined && check !== undefined);
  assert.ok(free !== undefined);
  return { look, claim, check, free };
}

function claimsOf({ result, isError }: { result: Any; isError: boolean }): Claim[] {
  if (isError) {
    assert.equal(result["error_kind"], "NotFound");
    return [];
  }
  assert.equal(result["omitted"], undefined);
  return (result["messages"] as Any[]).map((message) => {
    const { agent, files } = message["data"] as { agent: string; files: string[] };
    const at = Date.parse(String(message["time"]));
    return { seq: message["seq"] as number, agent, files, at };
  });
}

/** An agent that does what the prompt says, one step at a time. */
class Agent {
  readonly held = new Set<string>();
  readonly #name: string;
  readonly #call: Call;
  readonly #lease: string;

  constructor(name: string, call: Call, lease = "10m") {
    this.#name = name;
    this.#call = call;
    this.#lease = lease;
  }

  get #ms(): number {
    const { length } = this.#lease;
    return Number(this.#lease.slice(0, length - 1)) *
      (this.#lease.endsWith("m") ? 60_000 : 1_000);
  }

  /** Feeds a claim that names these files. */
  async #feed(message: Any, files: readonly string[]): Promise<void> {
    const tags = ["claim", `agent:${this.#name}`, ...files.map((file) => `file:${file}`)];
    const args = { ...message, tags, data: { agent: this.#name, files } };
    assert.equal((await this.#call("plasmite_feed", args)).isError, false);
  }

  /** The place of an agent's lease on a file: step 4. */
  #place(claims: readonly Claim[], agent: string, file: string): number {
    const mine = claims.filter((claim) => claim.agent === agent).reverse();
    const own = claims.findLast((claim) => claim.agent === this.#name);
    assert.ok(own !== undefined);
    let [newest] = mine;
    if (!newest?.files.includes(file) || own.at - newest.at >= this.#ms) return Infinity;
    for (const claim of mine.slice(1)) {
      if (!claim.files.includes(file) || newest.at - claim.at >= this.#ms) break;
      newest = claim;
    }
    return newest.seq;
  }

  /** Steps 1 to 4 for some files; each `yield` is a moment in which others may act. */
  async *acquire(files: readonly string[]): AsyncGenerator<"waiting" | "going on", void> {
    const { look, claim, check, free } = calls(this.#name, files, this.#lease);
    for (;;) {
      const claims = claimsOf(await this.#call("plasmite_read", look));
      yield "going on";
      const taken = claims.some(({ agent, files: theirs }) =>
        agent !== this.#name && files.some((file) => theirs.includes(file))
      );
      if (taken) {
        yield "waiting";
        continue;
      }
      const before = claims.find(({ agent }) => agent === this.#name)?.files ?? [];
      const all = [...new Set([...files, ...before])];
      if (before.length === 0) {
        assert.equal((await this.#call("plasmite_feed", claim)).isError, false);
      } else await this.#feed(claim, all);
      yield "going on";
      const now = claimsOf(await this.#call("plasmite_read", check));
      yield "going on";
      const others = new Set(now.map(({ agent }) => agent).filter((one) => one !== this.#name));
      const lost = files.some((file) => {
        const mine = this.#place(now, this.#name, file);
        return [...others].some((agent) => this.#place(now, agent, file) < mine);
      });
      if (!lost) break;
      if (before.length === 0) {
        assert.equal((await this.#call("plasmite_feed", free)).isError, false);
      } else await this.#feed(free, before);
      yield "waiting";
    }
    for (const file of files) this.held.add(file);
  }

  /** Step 5. */
  async renew(): Promise<void> {
    const { claim } = calls(this.#name, [...this.held], this.#lease);
    await this.#feed(claim, [...this.held]);
  }

  /** Step 6. */
  async release(files: readonly string[]): Promise<void> {
    for (const file of files) this.held.delete(file);
    const { free } = calls(this.#name, files, this.#lease);
    await this.#feed(free, [...this.held]);
  }
}

async function finish(steps: AsyncGenerator<unknown, void>): Promise<void> {
  while (!(await steps.next()).done);
}

function heldOnce(agents: readonly Agent[]): void {
  const together = agents.flatMap(({ held }) => [...held]);
  assert.equal(new Set(together).size, together.length, "a file is held twice");
}

function inDirectory(place: StorePlace): Call {
  return (name, args) => run(place, name, args);
}

// Both agents edited the file: the renewal of the first had the higher number.
Deno.test("mcp claims: a renewal keeps its place before a claim that came in between", async () => {
  await using place = new StorePlace("directory");
  const a = new Agent("a", inDirectory(place));
  const b = new Agent("b", inDirectory(place));
  const slow = b.acquire(["src/auth.ts"]);
  await slow.next(); // b looks: nobody is there.
  await finish(a.acquire(["src/auth.ts"]));
  await slow.next(); // b claims.
  await a.renew();
  assert.deepEqual((await slow.next()).value, "going on"); // b checks,
  assert.deepEqual((await slow.next()).value, "waiting"); // and gives up.
  heldOnce([a, b]);
  await a.release(["src/auth.ts"]);
  await finish(slow);
  assert.deepEqual([...b.held], ["src/auth.ts"]);
});

// The second run released the files of the first, and somebody else took them.
Deno.test("mcp claims: a second task keeps the files of the first", async () => {
  await using place = new StorePlace("directory");
  const c = new Agent("c", inDirectory(place));
  const d = new Agent("d", inDirectory(place));
  await finish(c.acquire(["one.ts"]));
  await finish(c.acquire(["two.ts"]));
  await c.renew();
  for (const file of ["one.ts", "two.ts"]) {
    const tries = d.acquire([file]);
    assert.equal((await tries.next()).value, "going on");
    assert.equal((await tries.next()).value, "waiting", file);
  }
  await c.release(["two.ts"]);
  const first = d.acquire(["one.ts"]);
  await first.next();
  assert.equal((await first.next()).value, "waiting");
  await finish(d.acquire(["two.ts"]));
  heldOnce([c, d]);
});

// A lease that ran out gives its place up, however its holder goes on.
Deno.test("mcp claims: a lease that was renewed too late is a new one", async () => {
  await using place = new StorePlace("directory");
  const late = new Agent("late", inDirectory(place), "1s");
  await finish(late.acquire(["f"]));
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  const next = new Agent("next", inDirectory(place), "1s");
  await finish(next.acquire(["f"]));
  late.held.clear();
  const again = late.acquire(["f"]);
  await again.next();
  assert.equal((await again.next()).value, "waiting");
});

Deno.test("mcp claims: whatever the order of their steps, agents never hold a file together", async () => {
  const files = ["f", "g", "h"];
  const tasks = fc.array(fc.subarray(files, { minLength: 1 }), { minLength: 1, maxLength: 3 });
  const turns = fc.array(fc.tuple(fc.nat(2), fc.nat(9)), { minLength: 20, maxLength: 120 });
  let acquired = 0;
  await fc.assert(
    fc.asyncProperty(fc.tuple(tasks, tasks, tasks), turns, async (plans, order) => {
      await using place = new StorePlace("directory");
      const agents = plans.map((plan, n) => ({
        agent: new Agent(`agent-${n}`, inDirectory(place)),
        plan: [...plan],
        steps: undefined as ReturnType<Agent["acquire"]> | undefined,
      }));
      for (const [who, what] of order) {
        const one = agents[who];
        if (one === undefined) continue;
        const { agent, plan } = one;
        if (one.steps !== undefined) {
          if ((await one.steps.next()).done === true) {
            one.steps = undefined;
            acquired++;
          }
        } else if (agent.held.size > 0 && what < 4) await agent.renew();
        else if (agent.held.size > 0 && what < 6) await agent.release([...agent.held].slice(0, 1));
        else {
          const next = plan.shift();
          if (next !== undefined) one.steps = agent.acquire(next);
        }
        heldOnce(agents.map((each) => each.agent));
      }
    }),
    { numRuns: 60 * Number(Deno.env.get("PLASMITE_TEST_SCALE") ?? 1) },
  );
  assert.ok(acquired > 60, `only ${acquired} leases were taken`);
});

Deno.test({
  name: "mcp claims: two agents over different transports take turns",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    using place = new Place();
    await using served = await serveMcp(place.client);
    const target = { dir: place.dir, url: served.url };
    const way = (name: string) => {
      const found = WAYS.find((one) => one.name === name);
      assert.ok(found !== undefined);
      return found.connect(target);
    };
    // One started us over stdio, the other came over HTTP; one is of 2025, one of 2026.
    await using first = await way("stdio, client of 2025");
    await using second = await way("http, new era");
    const jobs = [
      { agent: new Agent("amp-1", (...args) => first.call(...args)), files: ["auth.rs", "lib.rs"] },
      { agent: new Agent("amp-2", (...args) => second.call(...args)), files: ["lib.rs", "x.rs"] },
    ];
    const agents = jobs.map(({ agent }) => agent);
    await Promise.all(jobs.map(async ({ agent, files }) => {
      for (let round = 0; round < 5; round++) {
        for await (const step of agent.acquire(files)) {
          if (step === "waiting") await new Promise((resolve) => setTimeout(resolve, 2));
        }
        heldOnce(agents);
        await agent.renew();
        await new Promise((resolve) => setTimeout(resolve, 5));
        heldOnce(agents);
        await agent.release(files);
      }
    }));
    const { result } = await first.call("plasmite_read", { pool: "claims", latest_by: "agent:" });
    const last = (result["messages"] as { data: { files: string[] } }[]).map(({ data }) =>
      data.files
    );
    assert.deepEqual(last, [[], []]);
  },
});

Deno.test("mcp claims: a lease that is no time is refused", () => {
  for (const lease of ["soon", "10", "0m", "1.5h", "-1m", "10 minutes"]) {
    const prompt = promptText("claim_files", { agent: "a", files: "f", lease });
    assert.ok("problem" in prompt, lease);
    assert.match(prompt.problem, /such as 10m/);
  }
});
