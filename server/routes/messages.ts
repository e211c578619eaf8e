/**
 * Routes for messages: append one or many, read one.
 *
 * @module
 */

import { PlasmiteError } from "../../lib/errors.ts";
import type { StoredFrame } from "../../lib/backend/types.ts";
import { opened } from "../coordinated.ts";
import { BASE_HEADERS, JSON_HEADERS } from "../headers.ts";
import { parseU64 } from "../query.ts";
import { type Call, jsonContent, type Parameter, type Route, type RouteHost } from "./route.ts";

const LITE3 = "application/x-plasmite-lite3";

const QUERY: readonly Parameter[] = [
  {
    name: "durability",
    schema: (of) => of.DURABILITY,
    description: "flush: on disk before the answer",
  },
];

const CONDITIONS: readonly Parameter[] = [
  {
    name: "expect",
    schema: (of) => of.U64,
    description: "The required newest message, of the pool or with the key; 0 for none",
  },
  { name: "key", schema: ({ z }) => z.string(), description: "The key: adds the tag key:K" },
  {
    name: "id",
    schema: ({ z }) => z.string(),
    description: "The id: stored once; adds the tag id:X",
  },
  {
    name: "id_window",
    schema: ({ z }) => z.number().int().min(1).max(1_000_000),
    description: "How many messages back to search for ids; default 4096",
  },
];

/** The message that the path identifies. */
async function frameOf(call: Call, host: RouteHost): Promise<StoredFrame> {
  const seq = parseU64(call.part("seq").replace(/^\+/, ""), "seq");
  const frame = await opened(call, host, (pool) => pool.get(seq, true));
  if (frame !== null) return frame;
  throw new PlasmiteError("NotFound", "message not found", {
    seq,
    hint:
      "It was overwritten or never written; the information about the pool shows what is retained.",
  });
}

async function message(call: Call, host: RouteHost): Promise<Response> {
  return host.printer.answer(await frameOf(call, host), JSON_HEADERS);
}

async function lite3(call: Call, host: RouteHost): Promise<Response> {
  const frame = await frameOf(call, host);
  host.printer.check(frame);
  return new Response(frame.payload, {
    headers: [["content-type", LITE3], ["plasmite-seq", `${frame.seq}`], ...BASE_HEADERS],
  });
}

/** The routes. */
export const MESSAGE_ROUTES: readonly Route[] = [
  {
    method: "POST",
    paths: ["/v0/pools/{pool}/append", "/v0/pools/{pool}/messages"],
    summary: "Append one message",
    access: "append",
    body: jsonContent((of) => of.AppendBody),
    answer: jsonContent((of) => of.AppendAnswer),
    errors: [409],
    remote: "append",
    handler: ({ request, pool, grant }, { appends }) => appends.json(request, pool, grant),
  },
  {
    method: "POST",
    paths: ["/v0/pools/{pool}/append_lite3"],
    summary: "Append one encoded message",
    access: "append",
    query: [...QUERY, ...CONDITIONS],
    body: { type: LITE3, schema: null },
    answer: jsonContent((of) => of.AppendAnswer),
    errors: [409],
    remote: "append",
    handler: ({ request, pool, search, grant }, { appends }) =>
      appends.lite3(request, pool, search, grant),
  },
  {
    method: "POST",
    paths: ["/v0/pools/{pool}/append_batch"],
    summary: "Append many messages under one lock; a line is an append body",
    access: "append",
    query: [...QUERY, ...CONDITIONS.filter(({ name }) => name !== "id")],
    body: { type: "application/jsonl", schema: null },
    answer: jsonContent((of) => of.BatchAnswer),
    errors: [409],
    remote: "append",
    handler: ({ request, pool, search, grant }, { appends }) =>
      appends.batch(request, pool, search, grant),
  },
  {
    method: "GET",
    paths: ["/v0/pools/{pool}/messages/{seq}"],
    summary: "One message",
    access: "read",
    answer: jsonContent((of) => of.MessageAnswer),
    remote: "get",
    handler: message,
  },
  {
    method: "GET",
    paths: ["/v0/pools/{pool}/messages/{seq}/lite3"],
    summary: "One message as stored",
    access: "read",
    answer: { type: LITE3, schema: null },
    remote: "get",
    handler: lite3,
  },
];
