/**
 * The methods of the protocol for tools, resources and prompts. There is one SDK server per
 * connection (stdio) or request (HTTP), for both revisions of the protocol (docs/spec/agents.md 8).
 *
 * @module
 */

import { refusedByDeno } from "../lib/environment.ts";
import { messageOf, PlasmiteError } from "../lib/errors.ts";
import { ProtocolError, Server, type ServerContext } from "@modelcontextprotocol/server";
import { agentHint } from "./hints.ts";
import { INSTRUCTIONS } from "./instructions.ts";
import type { GrantedPools } from "./pools.ts";
import { listPrompts, promptText } from "./prompts.ts";
import { listResources, poolOfUri, readResource, ResourceProblem, TEMPLATE } from "./resources.ts";
import { runTool } from "./run.ts";
import { offered, TOOLS } from "./tools.ts";
import type { Watcher } from "./watch.ts";

/** How often a call reports progress, in milliseconds. */
const PROGRESS_EVERY = 5_000;
/** The number of entries on a page of a list. */
const PAGE = 500;
/** The largest number of values of a completion, as the protocol demands. */
const COMPLETIONS = 100;

/** Options of a server. */
export interface Serving {
  /** The pools for the client. */
  readonly pools: GrantedPools;
  /** The version of the program. */
  readonly version: string;
  /** Whether the client can be notified of changed resources. */
  readonly subscriptions: boolean;
  /** Handles `resources/subscribe`, if the connection lasts. */
  readonly watcher?: Watcher;
  /** Ends waits early, with an answer. */
  readonly ending?: AbortSignal;
  /** The longest wait, in milliseconds; default 50000. */
  readonly maxWaitMs?: number | undefined;
  /** The arrival of a request in `performance.now()` time; default the start of the tool. */
  readonly arrivedAt?: (id: string | number) => number | undefined;
  /** How often a call reports progress, in milliseconds; default 5000. */
  readonly progressMs?: number | undefined;
  /** Takes a slot for a wait; null if none is free. */
  readonly takePlace?: () => (() => void) | null;
}

/** Runs a method and converts its errors to JSON-RPC. */
async function answered<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
    if (error instanceof ResourceProblem) {
      throw new ProtocolError(error.code, error.message, error.data);
    }
    const known = error instanceof PlasmiteError ? error : refusedByDeno(error);
    if (known === undefined) {
      throw new ProtocolError(-32603, `Internal error: ${messageOf(error)}`);
    }
    const { kindName, message } = known;
    const hint = agentHint(known);
    throw new ProtocolError(-32000, message, {
      error_kind: kindName,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

/** Builds a server. */
export function buildServer(serving: Serving): Server {
  const { pools, subscriptions } = serving;
  const server = new Server(
    { name: "plasmite", version: serving.version },
    {
      instructions: INSTRUCTIONS,
      capabilities: {
        tools: { listChanged: false },
        resources: { subscribe: subscriptions, listChanged: subscriptions },
        prompts: { listChanged: false },
        completions: {},
      },
    },
  );

  server.setRequestHandler("tools/list", () => ({
    tools: offered(pools.grant).map(({ entry }) => entry),
  }));

  server.setRequestHandler("tools/call", (request, context) => {
    const { name, arguments: given = {} } = request.params;
    return answered(async () => {
      const stop = reportProgress(
        request.params._meta?.progressToken,
        context,
        serving.progressMs ?? PROGRESS_EVERY,
        TOOLS.some((tool) => tool.name === name && tool.waits) ? "waiting for messages" : "working",
      );
      try {
        const result = await runTool(name, given, {
          pools,
          signal: context.mcpReq.signal,
          ending: serving.ending,
          takePlace: serving.takePlace,
          arrivedAt: serving.arrivedAt?.(context.mcpReq.id),
          maxWaitMs: serving.maxWaitMs,
        });
        if (result !== undefined) return result;
      } finally {
        stop?.();
      }
      const names = offered(pools.grant).map((tool) => tool.name).join(", ");
      throw new ProtocolError(-32602, `Unknown tool ${name}; there are ${names}`);
    });
  });

  server.setRequestHandler("resources/list", (request) =>
    answered(async () => {
      const from = Number(request.params?.cursor ?? 0);
      if (!Number.isSafeInteger(from) || from < 0) {
        throw new ProtocolError(-32602, "Invalid cursor; pass the nextCursor of the page before");
      }
      const { resources, next } = await listResources(pools, from, PAGE);
      return next === undefined ? { resources } : { resources, nextCursor: String(next) };
    }));

  server.setRequestHandler("resources/templates/list", () => ({
    resourceTemplates: [{
      uriTemplate: TEMPLATE,
      name: "pool",
      title: "Pool",
      description: "The latest messages of a pool, up to 20 per read.",
      mimeType: "application/json",
    }],
  }));

  server.setRequestHandler("resources/read", (request, context) =>
    answered(async () => {
      const { uri } = request.params;
      const text = await readResource(pools, uri, context.mcpReq.signal);
      return { contents: [{ uri, mimeType: "application/json", text }] };
    }));

  const { watcher } = serving;
  if (subscriptions && watcher !== undefined) {
    const subscribed = new Map<string, Promise<void>>();
    server.setRequestHandler("resources/subscribe", (request) =>
      answered(async () => {
        const { uri } = request.params;
        pools.check("read", poolOfUri(uri));
        const begun = subscribed.get(uri) ?? watcher.add(uri);
        subscribed.set(uri, begun);
        await begun;
        return {};
      }));
    server.setRequestHandler("resources/unsubscribe", (request) =>
      answered(() => {
        const { uri } = request.params;
        if (subscribed.delete(uri)) watcher.remove(uri);
        return {};
      }));
  }

  server.setRequestHandler("prompts/list", () => ({ prompts: listPrompts() }));

  server.setRequestHandler("prompts/get", (request) =>
    answered(() => {
      const found = promptText(request.params.name, request.params.arguments ?? {});
      if ("problem" in found) throw new ProtocolError(-32602, found.problem);
      const { description, text } = found;
      return {
        description,
        messages: [{ role: "user" as const, content: { type: "text" as const, text } }],
      };
    }));

  server.setRequestHandler("completion/complete", (request) =>
    answered(async () => {
      const { argument } = request.params;
      const isPool = argument.name === "pool" || argument.name === "name";
      if (!isPool || !pools.grant.can("read")) return { completion: { values: [] } };
      const names = (await pools.names()).filter((name) => name.startsWith(argument.value));
      return {
        completion: {
          values: names.slice(0, COMPLETIONS),
          total: names.length,
          hasMore: names.length > COMPLETIONS,
        },
      };
    }));
  return server;
}

/** Reports progress of a call every few seconds, if the client requested it. */
function reportProgress(
  token: string | number | undefined,
  context: ServerContext,
  every: number,
  message: string,
): (() => void) | undefined {
  if (token === undefined) return undefined;
  let progress = 0;
  const timer = setInterval(() => {
    progress += every / 1000;
    context.mcpReq.notify({
      method: "notifications/progress",
      params: { progressToken: token, progress, message },
    }).catch(() => {}); // The client has disconnected; its signal ends the call.
  }, every);
  return () => clearInterval(timer);
}
