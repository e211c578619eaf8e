/**
 * Tool calls without a protocol around them, on pools of a directory and on those of a server.
 *
 * @module
 */

import assert from "node:assert/strict";
import { HttpBackend } from "../../lib/backend/http.ts";
import { LocalBackend } from "../../lib/backend/local.ts";
import { Hubs } from "../../lib/backend/local/hub.ts";
import type { Backend } from "../../lib/backend/types.ts";
import { accessGrant } from "../../lib/grant.ts";
import type { Access, Grant } from "../../lib/types.ts";
import { unwrap, wrapped } from "../../mcp/json.ts";
import { GrantedPools } from "../../mcp/pools.ts";
import { runTool } from "../../mcp/run.ts";
import type { ToolContext } from "../../mcp/tool.ts";
import { createApp } from "../../server/app.ts";
import { type Any, Place } from "./mcp_util.ts";

/** What a tool said. */
export interface Outcome {
  readonly text: string[];
  readonly json: string;
  readonly result: Any;
  readonly isError: boolean;
}

const never = new AbortController().signal;

/** Where the pools are. */
export type Kind = "directory" | "server";

/** The pools of a directory, for a caller who may do what `access` says. */
export function poolsOf(dir: string, access: Access = "read-write"): GrantedPools {
  const backend = new LocalBackend(dir, { serving: new Hubs() });
  return new GrantedPools(backend, { grant: accessGrant("test", access) });
}

/** Pools and the backend that the tools reach them by. */
export class StorePlace extends Place implements AsyncDisposable {
  readonly backend: Backend;
  readonly #end: () => Promise<void>;

  constructor(kind: Kind) {
    super();
    if (kind === "directory") {
      this.backend = new LocalBackend(this.dir, { serving: new Hubs() });
      this.#end = () => Promise.resolve();
      return;
    }
    const app = createApp(this.client);
    const backend = new HttpBackend("http://localhost:9700", {
      fetch: (input, init) => app.fetch(new Request(input, init)),
    });
    this.backend = backend;
    this.#end = async () => {
      backend.close();
      await app.shutdown();
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
    this[Symbol.dispose]();
  }
}

/** The tools behave the same wherever the pools are. */
export function test(name: string, run: (kind: Kind) => Promise<void>): void {
  for (const kind of ["directory", "server"] as const) {
    Deno.test(`mcp tools on a ${kind}: ${name}`, () => run(kind));
  }
}

/** Calls a tool. */
export async function run(
  place: StorePlace,
  name: string,
  args: Any = {},
  access: Access | Grant = "read-write",
  more: Partial<ToolContext> = {},
): Promise<Outcome> {
  const grant = typeof access === "string" ? accessGrant("test", access) : access;
  const pools = new GrantedPools(place.backend, { grant });
  const raw = await runTool(name, args, { pools, signal: never, ...more });
  assert.ok(raw !== undefined, `no tool ${name}`);
  const json = wrapped(raw.structuredContent) ?? "";
  assert.equal(unwrap(JSON.stringify(raw.structuredContent)), json);
  return {
    text: raw.content.map((block) => block.text),
    json,
    result: JSON.parse(json) as Any,
    isError: raw.isError ?? false,
  };
}

/**
 * Resolves when the next calls that wait have begun: each reads behind its position, or has found
 * that there is no pool.
 */
export function waitsBegun(backend: Backend, calls = 1): Promise<void> {
  const all = Promise.withResolvers<void>();
  const open = backend.open.bind(backend);
  let [asked, begun] = [0, 0];
  const begin = (): void => {
    if (++begun === calls) all.resolve();
  };
  backend.open = async (name, options) => {
    if (asked++ >= calls) return await open(name, options);
    try {
      const pool = await open(name, options);
      const select = pool.select.bind(pool);
      pool.select = async (selection) => {
        const walk = await select(selection);
        begin();
        return walk;
      };
      return pool;
    } catch (error) {
      begin();
      throw error;
    }
  };
  return all.promise;
}

/** A pool `p` with messages `{"n": 1}` and so on. */
export function filled(kind: Kind, messages: number, size?: number): StorePlace {
  const place = new StorePlace(kind);
  using pool = place.client.createPool("p", size);
  for (let n = 1; n <= messages; n++) {
    pool.append({ n }, n % 2 === 0 ? ["even"] : ["odd"]);
  }
  return place;
}

/** The sequence numbers of the messages in an answer. */
export function seqs({ result }: Outcome): number[] {
  return (result["messages"] as { seq: number }[]).map(({ seq }) => seq);
}
