/**
 * What the MCP tests share: places for pools, raw connections, and the official clients of both
 * eras behind one shape.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { Client as NewClient, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { Client as OldClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as OldStdio } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport as OldHttp } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { Client } from "../../lib/client/client.ts";
import { createMcpFetch, type McpOptions } from "../../mcp/http.ts";
import { createApp } from "../../server/app.ts";
import { CLI } from "../cli/cli_util.ts";

/** JSON of any shape, for looking into answers. */
export type Any = { readonly [key: string]: unknown };

/** A directory for pools that goes away. */
export class Place implements Disposable {
  readonly dir: string = Deno.makeTempDirSync({ prefix: "plasmite-mcp-" });
  readonly client: Client = new Client({ poolDir: this.dir });

  [Symbol.dispose](): void {
    Deno.removeSync(this.dir, { recursive: true });
  }
}

/** The words of the command that a harness would start. */
export function command(dir: string, ...more: string[]): { command: string; args: string[] } {
  return {
    command: Deno.execPath(),
    args: ["run", "-A", CLI, "mcp", "--dir", dir, ...more],
  };
}

/** The result of a tool call. */
export interface Called {
  readonly text: string[];
  readonly result: Any;
  readonly isError: boolean;
}

/** How a long call is watched. */
export interface LongOptions {
  readonly onprogress?: () => void;
  readonly signal?: AbortSignal;
}

/** A connected client. */
export interface Peer extends AsyncDisposable {
  call(name: string, args?: Any): Promise<Called>;
  tools(): Promise<string[]>;
  read(uri: string): Promise<string>;
  prompts(): Promise<string[]>;
  /** A call that is told of its progress and may be cancelled. */
  long(name: string, args: Any, options: LongOptions): Promise<Called>;
  /** Asks to be told about a resource; `told` gets the URI each time. */
  subscribe(uri: string, told: (uri: string) => void): Promise<void>;
}

/** A way to connect. */
export interface Way {
  readonly name: string;
  /** Whether the connection can carry subscriptions. */
  readonly subscribes: boolean;
  connect(target: Target): Promise<Peer>;
}

/** Where to connect to. */
export interface Target {
  readonly dir: string;
  readonly url: URL;
}

const INFO = { name: "plasmite-tests", version: "1" };

function called(raw: unknown): Called {
  const { content, structuredContent, isError } = raw as {
    content: { type: string; text: string }[];
    structuredContent: Any;
    isError?: boolean;
  };
  assert.ok(content.every((block) => block.type === "text"));
  const text = content.map((block) => block.text);
  if (isError !== true) {
    // Older clients see nothing but the content; what a feed was given is not told again there.
    const shown = JSON.parse(text[1] ?? "") as Any;
    if (!/^(Already s|S)tored as message/.test(text[0] ?? "")) {
      assert.deepEqual(shown, structuredContent);
    } else {
      const message = withoutData(structuredContent["message"] as Any);
      assert.deepEqual(shown, { ...structuredContent, message });
    }
  }
  return { text, result: structuredContent, isError: isError ?? false };
}

function withoutData({ data: _data, ...rest }: Any): Any {
  return rest;
}

function oldPeer(client: OldClient): Peer {
  return {
    call: async (name, args = {}) => called(await client.callTool({ name, arguments: args })),
    long: async (name, args, options) =>
      called(await client.callTool({ name, arguments: args }, undefined, options)),
    tools: async () => (await client.listTools()).tools.map((tool: { name: string }) => tool.name),
    read: async (uri) => textOf((await client.readResource({ uri })).contents),
    prompts: async () =>
      (await client.listPrompts()).prompts.map((prompt: { name: string }) => prompt.name),
    subscribe: async (uri, told) => {
      client.fallbackNotificationHandler = (
        { method, params }: { method: string; params?: Any },
      ) => {
        if (method === "notifications/resources/updated") told(String(params?.["uri"]));
        return Promise.resolve();
      };
      await client.subscribeResource({ uri });
    },
    [Symbol.asyncDispose]: () => client.close(),
  };
}

function textOf(contents: readonly unknown[]): string {
  const [first] = contents as { text: string }[];
  return first?.text ?? "";
}

function newPeer(client: NewClient, era: "legacy" | "modern"): Peer {
  return {
    call: async (name, args = {}) => called(await client.callTool({ name, arguments: args })),
    long: async (name, args, options) =>
      called(await client.callTool({ name, arguments: args }, options)),
    tools: async () => (await client.listTools()).tools.map((tool) => tool.name),
    read: async (uri) => textOf((await client.readResource({ uri })).contents),
    prompts: async () => (await client.listPrompts()).prompts.map((prompt) => prompt.name),
    subscribe: async (uri, told) => {
      client.setNotificationHandler("notifications/resources/updated", ({ params }) => {
        told(params.uri);
      });
      if (era === "legacy") await client.subscribeResource({ uri });
      else await client.listen({ resourceSubscriptions: [uri] });
    },
    [Symbol.asyncDispose]: () => client.close(),
  };
}

async function connectOld(transport: unknown): Promise<Peer> {
  const client = new OldClient(INFO);
  await client.connect(transport as Parameters<OldClient["connect"]>[0]);
  return oldPeer(client);
}

async function connectNew(
  transport: StdioClientTransport | StreamableHTTPClientTransport,
  era: "legacy" | "modern",
): Promise<Peer> {
  const options = era === "modern"
    ? { versionNegotiation: { mode: { pin: "2026-07-28" } as const } }
    : {};
  const client = new NewClient(INFO, options);
  await client.connect(transport);
  return newPeer(client, era);
}

function env(): Record<string, string> {
  return Deno.env.toObject();
}

/** Every combination of client, era and transport. */
export const WAYS: readonly Way[] = [
  {
    name: "stdio, client of 2025",
    subscribes: true,
    connect: ({ dir }) => connectOld(new OldStdio({ ...command(dir), env: env() })),
  },
  {
    name: "stdio, new client, old era",
    subscribes: true,
    connect: ({ dir }) =>
      connectNew(new StdioClientTransport({ ...command(dir), env: env() }), "legacy"),
  },
  {
    name: "stdio, new era",
    subscribes: true,
    connect: ({ dir }) =>
      connectNew(new StdioClientTransport({ ...command(dir), env: env() }), "modern"),
  },
  {
    name: "stdio to a remote server, new era",
    subscribes: true,
    connect: ({ dir, url }) =>
      connectNew(
        new StdioClientTransport({ ...command(dir, "--remote", url.origin), env: env() }),
        "modern",
      ),
  },
  {
    name: "stdio to a remote server, client of 2025",
    subscribes: true,
    connect: ({ dir, url }) =>
      connectOld(new OldStdio({ ...command(dir, "--remote", url.href), env: env() })),
  },
  {
    name: "http, client of 2025",
    subscribes: false,
    connect: ({ url }) => connectOld(new OldHttp(url)),
  },
  {
    name: "http, new client, old era",
    subscribes: false,
    connect: ({ url }) => connectNew(new StreamableHTTPClientTransport(url), "legacy"),
  },
  {
    name: "http, new era",
    subscribes: true,
    connect: ({ url }) => connectNew(new StreamableHTTPClientTransport(url), "modern"),
  },
];

/** Serves the pools of a client on a free port, `/mcp` among the rest. */
export async function serveMcp(
  client: Client,
  options: McpOptions = {},
): Promise<{ readonly url: URL } & AsyncDisposable> {
  const mcp = await createMcpFetch(client, options);
  const app = createApp(client, { mcp: () => Promise.resolve(mcp) });
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request) => app.fetch(request),
  );
  return {
    url: new URL(`http://127.0.0.1:${server.addr.port}/mcp`),
    [Symbol.asyncDispose]: async () => {
      await mcp.close();
      await app.shutdown();
      await server.shutdown();
    },
  };
}

export { until } from "../support/patience.ts";
