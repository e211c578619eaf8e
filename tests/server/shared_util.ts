/**
 * What the tests of two listeners share: a server in this process, keys, requests to both sides.
 *
 * @module
 */

import { pause } from "../../lib/timers.ts";
import { Client } from "../../mod.ts";
import { createMcpFetch } from "../../mcp/http.ts";
import { DEFAULT_FLAGS, type ServeFlags } from "../../server/config.ts";
import { resolveShared } from "../../server/shared_config.ts";
import { type RunningShared, startSharing } from "../../server/sharing.ts";
import { KeyClient } from "../support/key_client.ts";
import { type Answer, read } from "./server_util.ts";

/** The limits of a key. */
export interface Limits {
  readonly pools?: readonly string[];
  readonly rights?: string;
  readonly expires?: string;
}

/** A server with two listeners. */
export interface Shared extends AsyncDisposable {
  readonly dir: string;
  readonly client: Client;
  readonly running: RunningShared;
  /** The port of the listener for others. */
  readonly port: number;
  /** Calls the listener for this machine. */
  local(path: string, init?: RequestInit): Promise<Answer>;
  /** Makes a key and returns it. */
  invite(name: string, limits?: Limits): Promise<string>;
  /** Calls the listener for others with a key; the empty text for none. */
  remote(key: string): KeyClient;
  /** The id of the last key of a name. */
  idOf(name: string): Promise<string>;
  revoke(name: string): Promise<void>;
  stop(): Promise<void>;
}

/** The flags of a start on free ports. */
export function sharedFlags(flags: Partial<ServeFlags> = {}): ServeFlags {
  return {
    ...DEFAULT_FLAGS,
    bind: "127.0.0.1:0",
    remoteBind: "127.0.0.1:0",
    sharedAddress: "https://localhost:9743",
    ...flags,
  };
}

/** Starts a server; the directory stays when one is given. */
export async function sharing(
  flags: Partial<ServeFlags> = {},
  given?: string,
): Promise<Shared> {
  const dir = given ?? await Deno.makeTempDir();
  const client = new Client(dir);
  const config = await resolveShared(sharedFlags(flags), dir);
  if (config === null) throw new Error("one listener only");
  const running = await startSharing(client, config, {
    registry: false,
    mcp: (limits) => createMcpFetch(client, limits),
  });
  const { fingerprint } = running.identity;
  const local = (path: string, init?: RequestInit): Promise<Answer> =>
    read(fetch(`http://${running.local}${path}`, init));
  const post = async (path: string, body: object): Promise<Answer> => {
    const answer = await local(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...body, server_fingerprint: fingerprint }),
    });
    if (answer.status !== 200) throw new Error(answer.text);
    return answer;
  };
  const port = Number(running.remote.slice(running.remote.lastIndexOf(":") + 1));
  const shared: Shared = {
    dir,
    client,
    running,
    port,
    local,
    invite: async (name, limits = {}) =>
      (await post("/v0/access/invite", { name, ...limits })).json.access_key,
    remote: (key) => new KeyClient(port, key === "" ? `pk1.${fingerprint}.` : key),
    idOf: async (name) => {
      const headers = { "x-plasmite-server-fingerprint": fingerprint };
      const { keys } = (await local("/v0/access/keys", { headers })).json;
      return keys.findLast((key: { name: string }) => key.name === name)?.id ?? "";
    },
    revoke: async (name) => {
      await post("/v0/access/revoke", { id: await shared.idOf(name) });
    },
    stop: () => running.shutdown(),
    [Symbol.asyncDispose]: async () => {
      await running.shutdown();
      if (given === undefined) await Deno.remove(dir, { recursive: true });
    },
  };
  return shared;
}

/** What must come long before a stream's own time is over; without that the test would hang. */
export async function soon<T>(promise: Promise<T>): Promise<T> {
  const stop = new AbortController();
  const late = pause(30_000, stop.signal).then(() => {
    throw new Error("it did not end");
  });
  late.catch(() => {});
  try {
    return await Promise.race([promise, late]);
  } finally {
    stop.abort();
  }
}
