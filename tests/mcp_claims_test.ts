/**
 * Two agents that know nothing but the `claim_files` prompt share the files of a project: whatever
 * the order of their steps, no file is ever held by both.
 *
 * @module
 */

import assert from "node:assert/strict";
import { promptText } from "../mcp/prompts.ts";
import { type Any, type Peer, Place, serveMcp, WAYS } from "./mcp_util.ts";

/** An agent that does what the prompt says. */
class Agent {
  readonly held = new Set<string>();
  readonly #steps: { readonly look: Any; readonly claim: Any; readonly release: Any };
  readonly #peer: Peer;
  readonly #files: readonly string[];
  readonly #name: string;

  constructor(name: string, files: readonly string[], peer: Peer) {
    this.#name = name;
    this.#files = files;
    this.#peer = peer;
    const prompt = promptText("claim_files", { agent: name, files: files.join(", ") });
    assert.ok("text" in prompt);
    const calls = [...prompt.text.matchAll(/call (plasmite_\w+) with (\{.*\})[ .]/g)]
      .map(([, tool, args]) => ({ tool, args: args ?? "" }))
      .filter(({ args }) => !args.includes("<"));
    const [look, claim, release] = calls.map(({ args }) => JSON.parse(args) as Any);
    assert.deepEqual(calls.map(({ tool }) => tool), [
      "plasmite_read",
      "plasmite_feed",
      "plasmite_feed",
    ]);
    assert.ok(look !== undefined && claim !== undefined && release !== undefined);
    this.#steps = { look, claim, release };
  }

  /** Who holds what, by everybody else's newest claim, and up to where that was read. */
  async #others(): Promise<{ claims: Map<string, number>; next: unknown }> {
    const { result, isError } = await this.#peer.call("plasmite_read", this.#steps.look);
    const claims = new Map<string, number>();
    if (isError) {
      assert.equal(result["error_kind"], "NotFound");
      return { claims, next: 0 };
    }
    for (const message of result["messages"] as Any[]) {
      const { agent, files } = message["data"] as { agent: string; files: string[] };
      if (agent === this.#name) continue;
      for (const file of files) claims.set(file, message["seq"] as number);
    }
    return { claims, next: result["next_after_seq"] };
  }

  #conflict(claims: Map<string, number>, before = Infinity): boolean {
    return this.#files.some((file) => (claims.get(file) ?? Infinity) < before);
  }

  /** Claims the files, waiting as long as somebody else holds one. */
  async acquire(): Promise<void> {
    for (;;) {
      const { claims, next } = await this.#others();
      if (this.#conflict(claims)) {
        await this.#peer.call("plasmite_wait", {
          pool: "claims",
          tags: ["claim"],
          after_seq: next,
          timeout_ms: 2_000,
        });
        continue;
      }
      const { result, isError } = await this.#peer.call("plasmite_feed", this.#steps.claim);
      assert.equal(isError, false);
      const { seq } = result["message"] as { seq: number };
      const { claims: now } = await this.#others();
      if (!this.#conflict(now, seq)) break;
      await this.release();
    }
    for (const file of this.#files) this.held.add(file);
  }

  async release(): Promise<void> {
    this.held.clear();
    const { isError } = await this.#peer.call("plasmite_feed", this.#steps.release);
    assert.equal(isError, false);
  }
}

Deno.test({
  name: "mcp: two agents claim overlapping files over one pool",
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
    const agents = [
      new Agent("amp-1", ["src/auth.rs", "src/lib.rs"], first),
      new Agent("amp-2", ["src/lib.rs", "src/main.rs"], second),
    ];
    let turns = 0;
    await Promise.all(agents.map(async (agent) => {
      for (let round = 0; round < 5; round++) {
        await agent.acquire();
        const together = agents.flatMap(({ held }) => [...held]);
        assert.equal(new Set(together).size, together.length, "a file is held twice");
        turns++;
        await new Promise((resolve) => setTimeout(resolve, 5));
        await agent.release();
      }
    }));
    assert.equal(turns, 10);
    const { result } = await first.call("plasmite_read", {
      pool: "claims",
      latest_by: "agent:",
    });
    const last = (result["messages"] as { data: { files: string[] } }[]).map(({ data }) =>
      data.files
    );
    assert.deepEqual(last, [[], []]);
  },
});
