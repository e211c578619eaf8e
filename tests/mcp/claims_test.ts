/**
 * Agents that know nothing but the prompts work together: whatever the order of their steps, no file
 * is ever held by two, mail is neither lost nor read twice, and each task is done once.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { promptText } from "../../mcp/prompts.ts";
import { run, StorePlace } from "./mcp_tools_util.ts";
import { type Any, type Called, Place, serveMcp, WAYS } from "./mcp_util.ts";

type Call = (name: string, args: Any) => Promise<Pick<Called, "result" | "isError">>;

/** What a prompt tells an agent to call, with values in place of <what it says>. */
function calls(
  name: string,
  given: { readonly [name: string]: string },
): ((...values: unknown[]) => { tool: string; args: Any })[] {
  const prompt = promptText(name, given);
  assert.ok("text" in prompt, name);
  const found = [...prompt.text.matchAll(/call (plasmite_\w+) with (\{.*?\})[., :]/gi)];
  return found.map(([, tool = "", text = ""]) => (...values) => {
    let i = 0;
    const args = text.replace(/<[^>]*>/g, () => JSON.stringify(values[i++]));
    return { tool, args: JSON.parse(args) as Any };
  });
}

/** An agent that does what the prompt `claim_files` says, one step at a time. */
class Agent {
  readonly held = new Map<string, { readonly files: readonly string[]; readonly token: number }>();
  readonly #name: string;
  readonly #call: Call;
  readonly #lease: string;

  constructor(name: string, call: Call, lease = "10m") {
    this.#name = name;
    this.#call = call;
    this.#lease = lease;
  }

  get files(): string[] {
    return [...this.held.values()].flatMap(({ files }) => [...files]);
  }

  #steps(files: readonly string[]) {
    const given = { agent: this.#name, files: files.join(", "), lease: this.#lease };
    const [claim, renew, release] = calls("claim_files", given);
    assert.ok(claim !== undefined && renew !== undefined && release !== undefined);
    return { claim, renew, release };
  }

  /** Steps 1 and 2, once; whether it holds the files now. */
  async claim(files: readonly string[], wait?: number): Promise<boolean> {
    const { tool, args } = this.#steps(files).claim();
    const more = wait === undefined ? {} : { timeout_ms: wait };
    const { result, isError } = await this.#call(tool, { ...args, ...more });
    if (isError) {
      assert.equal(result["error_kind"], "Busy");
      assert.ok(files.includes(result["key"] as string));
      assert.notEqual(result["holder"], this.#name);
      return false;
    }
    const { token } = result["claim"] as { token: number };
    this.held.set(files.join(), { files, token });
    return true;
  }

  /** Step 3. */
  async renew(): Promise<void> {
    for (const { files, token } of this.held.values()) {
      const { tool, args } = this.#steps(files).renew(token);
      assert.equal((await this.#call(tool, args)).isError, false);
    }
  }

  /** Step 4. */
  async release(): Promise<void> {
    for (const [name, { files, token }] of this.held) {
      this.held.delete(name);
      const { tool, args } = this.#steps(files).release(token);
      assert.equal((await this.#call(tool, args)).isError, false);
    }
  }
}

function heldOnce(agents: readonly Agent[]): void {
  const together = agents.flatMap(({ files }) => files);
  assert.equal(new Set(together).size, together.length, "a file is held twice");
}

function inDirectory(place: StorePlace): Call {
  return (name, args) => run(place, name, args);
}

// The second run released the files of the first, and somebody else took them.
Deno.test("mcp claims: a second task keeps the files of the first", async () => {
  await using place = new StorePlace("directory");
  const c = new Agent("c", inDirectory(place));
  const d = new Agent("d", inDirectory(place));
  assert.ok(await c.claim(["one.ts"]));
  assert.ok(await c.claim(["two.ts"]));
  await c.renew();
  for (const file of ["one.ts", "two.ts"]) assert.ok(!await d.claim([file]), file);
  await c.release();
  assert.ok(await d.claim(["one.ts", "two.ts"]));
});

// The late agent went on editing what another had taken.
Deno.test("mcp claims: a lease that is over is another's; its old holder is told", async () => {
  await using place = new StorePlace("directory");
  const late = new Agent("late", inDirectory(place), "1s");
  assert.ok(await late.claim(["f"]));
  const next = new Agent("next", inDirectory(place), "1m");
  assert.ok(await next.claim(["f"], 20_000));
  await assert.rejects(late.renew());
});

Deno.test("mcp claims: whatever the order of their steps, agents never hold a file together", async () => {
  const files = ["f", "g", "h"];
  const order = fc.array(
    fc.tuple(fc.nat(2), fc.nat(9), fc.subarray(files, { minLength: 1 })),
    { minLength: 20, maxLength: 80 },
  );
  let acquired = 0;
  await fc.assert(
    fc.asyncProperty(order, async (turns) => {
      await using place = new StorePlace("directory");
      const agents = [0, 1, 2].map((n) => new Agent(`agent-${n}`, inDirectory(place)));
      for (const [who, what, wanted] of turns) {
        const agent = agents[who];
        if (agent === undefined) continue;
        if (what < 2) await agent.renew();
        else if (what < 4) await agent.release();
        else {
          const more = wanted.filter((file) => !agent.files.includes(file));
          if (more.length > 0 && await agent.claim(more)) acquired++;
        }
        heldOnce(agents);
      }
    }),
    { numRuns: 30 * Number(Deno.env.get("PLASMITE_TEST_SCALE") ?? 1) },
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
        while (!await agent.claim(files, 20_000));
        heldOnce(agents);
        await agent.renew();
        heldOnce(agents);
        await agent.release();
      }
    }));
    const { result } = await first.call("plasmite_read", { pool: "claims", latest_by: "key:" });
    const last = (result["messages"] as { data: { state: string } }[]).map(({ data }) =>
      data.state
    );
    assert.ok(last.every((state) => state === "released"));
  },
});

Deno.test("mcp claims: a lease that is no time, or too long, is refused", () => {
  for (const lease of ["soon", "10", "0m", "1.5h", "-1m", "10 minutes", "25h"]) {
    const prompt = promptText("claim_files", { agent: "a", files: "f", lease });
    assert.ok("problem" in prompt, lease);
    assert.match(prompt.problem, /such as 10m/);
  }
});

// A restarted agent had lost its place, and with it its mail.
Deno.test("mcp mailbox: an agent that follows the prompt reads each letter once, also restarted", async () => {
  await using place = new StorePlace("directory");
  const call = inDirectory(place);
  const agent = "Bob 7";
  const [read, ack, write] = calls("mailbox", { agent });
  assert.ok(read !== undefined && ack !== undefined && write !== undefined);
  const send = async (n: number): Promise<boolean> => {
    const { tool, args } = write(`n-${n}`, `letter ${n}`);
    const tags = [`to:${agent}`, ...args["tags"] as string[]];
    const { result } = await call(tool, { ...args, tags });
    return result["duplicate"] === true;
  };
  assert.equal(await send(1), false);
  assert.equal(await send(1), true);
  await send(2);
  const texts = ({ result }: { result: Any }): string[] =>
    (result["messages"] as { data: { text: string } }[]).map(({ data }) => data.text);
  const first = await call(read().tool, read().args);
  assert.deepEqual(texts(first), ["letter 1", "letter 2"]);
  // It died before it had dealt with them.
  assert.deepEqual(texts(await call(read().tool, read().args)), ["letter 1", "letter 2"]);
  await send(3);
  const next = ack(first.result["next_after_seq"]);
  assert.deepEqual(texts(await call(next.tool, next.args)), ["letter 3"]);
});

Deno.test("mcp work queue: agents that follow the prompt do each task once", async () => {
  await using place = new StorePlace("directory");
  const call = inDirectory(place);
  const [take, extend, ack, add] = calls("work_queue", {});
  assert.ok(take !== undefined && extend !== undefined && ack !== undefined && add !== undefined);
  const act = async ({ tool, args }: { tool: string; args: Any }): Promise<Any> => {
    const { result, isError } = await call(tool, args);
    assert.equal(isError, false, JSON.stringify(result));
    return result;
  };
  for (let n = 0; n < 12; n++) await act(add(`t-${n}`, `task ${n}`));
  const did: string[] = [];
  await Promise.all([1, 2, 3].map(async () => {
    for (;;) {
      const { tool, args } = take();
      const { tasks, timed_out } = await act({ tool, args: { ...args, timeout_ms: 0 } });
      if (timed_out === true) return;
      for (const { message, token } of tasks as { message: Any; token: number }[]) {
        await act(extend(message["seq"], token));
        did.push((message["data"] as { task: string }).task);
        await act(ack(message["seq"], token));
      }
    }
  }));
  assert.deepEqual(did.toSorted(), Array.from({ length: 12 }, (_, n) => `task ${n}`).toSorted());
});
