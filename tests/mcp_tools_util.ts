/**
 * Tool calls without a protocol around them, on pools of a directory and on those of a server.
 *
 * @module
 */

import assert from "node:assert/strict";
import { RemoteClient } from "../lib/remote/client.ts";
import type { Access } from "../mcp/catalog.ts";
import { unwrap, wrapped } from "../mcp/json.ts";
import { LocalStore } from "../mcp/local.ts";
import { RemoteStore } from "../mcp/remote.ts";
import type { PoolStore } from "../mcp/store.ts";
import type { ToolContext } from "../mcp/actions.ts";
import { runTool } from "../mcp/tools.ts";
import { createApp } from "../server/app.ts";
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

/** Pools and the store that the tools reach them by. */
export class StorePlace extends Place implements AsyncDisposable {
  readonly store: PoolStore;
  readonly #end: () => Promise<void>;

  constructor(kind: Kind) {
    super();
    if (kind === "directory") {
      this.store = new LocalStore(this.client);
      this.#end = () => Promise.resolve();
      return;
    }
    const app = createApp(this.client);
    const client = new RemoteClient("http://localhost:9700", {
      fetch: (input, init) => app.fetch(new Request(input, init)),
    });
    this.store = new RemoteStore(client);
    this.#end = async () => {
      await client.close();
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
  access: Access = "read-write",
  more: Partial<ToolContext> = {},
): Promise<Outcome> {
  const { store } = place;
  const raw = await runTool(name, args, { store, access, signal: never, ...more });
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
