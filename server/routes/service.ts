/**
 * Routes for the server itself: health, documentation, credentials, counters, page, agents.
 *
 * @module
 */

import { saturated, SLOT_WAIT } from "../errors.ts";
import { BASE_HEADERS, json } from "../headers.ts";
import { page, squeeze } from "../page.ts";
import { pathOf } from "../url.ts";
import { type Call, jsonContent, type Route, type RouteHost } from "./route.ts";

async function metrics({ request, grant }: Call, host: RouteHost): Promise<Response> {
  const type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
  const text = await host.directory.run(
    SLOT_WAIT,
    () => host.metrics.text(host, grant),
    saturated,
  );
  return squeeze(request, text, type);
}

async function agents({ request, grant }: Call, { bodies, mcp }: RouteHost): Promise<Response> {
  const body = await bodies.read(request);
  try {
    const { method, headers, url } = request;
    const answer = await (await mcp?.())?.(new Request(url, { method, headers, body }), grant) ??
      new Response(null, { status: 404 });
    const full = new Headers(answer.headers);
    for (const [key, value] of BASE_HEADERS) if (!full.has(key)) full.set(key, value);
    return new Response(answer.body, { status: answer.status, headers: full });
  } finally {
    bodies.done(body);
  }
}

/** The routes. */
export const SERVICE_ROUTES: readonly Route[] = [
  {
    method: "GET",
    paths: ["/healthz"],
    summary: "Whether the server runs",
    access: "open",
    answer: jsonContent((of) => of.OkAnswer),
    remote: "features",
    handler: () => json('{"ok":true}'),
  },
  {
    method: "GET",
    paths: ["/v0/openapi.json"],
    summary: "This document",
    access: "open",
    answer: jsonContent(({ z }) => z.object({})),
    handler: async ({ request }, { openApi }) =>
      squeeze(request, await openApi(), "application/json"),
  },
  {
    method: "GET",
    paths: ["/v0/serve/status"],
    summary: "Who serves this; on a loopback HTTP listener only",
    access: "open",
    answer: jsonContent((of) => of.StatusAnswer),
    served: ({ status }) => status !== null,
    handler: (_call, { status }) => json(JSON.stringify(status?.())),
  },
  {
    method: "GET",
    paths: ["/v0/access/check"],
    summary: "Whether the credentials are good",
    access: "any",
    answer: jsonContent((of) => of.AcceptedAnswer),
    handler: () => json('{"accepted":true}'),
  },
  {
    method: "GET",
    paths: ["/metrics"],
    summary: "Counters in OpenMetrics text",
    access: "read",
    answer: { type: "application/openmetrics-text", schema: null },
    errors: [423, 500],
    handler: metrics,
  },
  {
    method: "GET",
    paths: ["/ui", "/ui/pools/{name}", "/ui/assets/{file}"],
    summary: "The page",
    access: "open",
    answer: { type: "text/html", schema: null },
    errors: [404],
    handler: async ({ request }, { ui }) => page(request, await ui(), pathOf(request.url)),
  },
  {
    method: "GET",
    paths: ["/access"],
    summary: "The page of access keys; on a loopback HTTP listener only",
    access: "open",
    answer: { type: "text/html", schema: null },
    served: ({ administration }) => administration !== null && administration !== "elsewhere",
    handler: async ({ request }, { ui }) => page(request, await ui(), pathOf(request.url)),
  },
  {
    method: "POST",
    paths: ["/mcp"],
    summary: "Model Context Protocol, streamable HTTP without sessions",
    access: "any",
    body: jsonContent((of) => of.RpcMessage),
    answer: jsonContent((of) => of.RpcMessage),
    served: ({ mcp }) => mcp !== null,
    handler: agents,
  },
];
