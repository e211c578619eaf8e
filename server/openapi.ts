/**
 * The OpenAPI 3.1 document, made from the schemas and one list of routes.
 *
 * @module
 */

import { z } from "zod";
import {
  AcceptedAnswer,
  AppendBody,
  BatchAnswer,
  CreateBody,
  ErrorShape,
  MessageAnswer,
  OkAnswer,
  OpenBody,
  POOL_NAME,
  PoolAnswer,
  PoolsAnswer,
  StatusAnswer,
} from "./schemas.ts";

type Schema = z.ZodType;
type Json = { [key: string]: unknown };

interface Operation {
  readonly method: "get" | "post" | "delete";
  readonly path: string;
  readonly summary: string;
  readonly body?: { readonly type: string; readonly schema: Schema | null };
  readonly type: string;
  readonly answer: Schema | null;
  readonly query?: readonly Parameter[];
  readonly errors: readonly number[];
  readonly open?: true;
}

interface Parameter {
  readonly name: string;
  readonly schema: Json;
  readonly description: string;
}

const U64: Json = { type: "integer", format: "uint64", minimum: 0, maximum: 2 ** 53 - 1 };
const DURABILITY: Parameter = {
  name: "durability",
  schema: { type: "string", enum: ["fast", "flush"] },
  description: "flush: on disk before the answer",
};

const TAIL: readonly Parameter[] = [
  { name: "since_seq", schema: U64, description: "First sequence number; default the oldest" },
  { name: "max", schema: U64, description: "End after so many messages" },
  {
    name: "timeout_ms",
    schema: { ...U64, maximum: 30000 },
    description: "Total time; default and limit are the server's",
  },
  {
    name: "gap_policy",
    schema: { type: "string", enum: ["continue", "error"] },
    description: "What to do when messages were lost",
  },
  {
    name: "tag",
    schema: { type: "array", items: { type: "string" } },
    description: "Only messages with all of these tags",
  },
  { name: "since", schema: { type: "string" }, description: "RFC 3339 time, or such as 10m" },
  { name: "where", schema: { type: "string" }, description: "jq expression on the envelope" },
  {
    name: "no_follow",
    schema: { type: "string", enum: ["0", "1"] },
    description: "End at the newest message as of the start",
  },
  { name: "until", schema: U64, description: "End behind this sequence number" },
  {
    name: "last",
    schema: U64,
    description: "Of what is there at the start, only the last so many that match",
  },
];

const READ = [401, 403, 404, 423, 500];

function json(schema: Schema): { type: string; schema: Schema } {
  return { type: "application/json", schema };
}

const APPEND: Omit<Operation, "path"> = {
  method: "post",
  summary: "Append one message",
  body: json(AppendBody),
  type: "application/json",
  answer: MessageAnswer,
  errors: [400, 401, 403, 404, 408, 413, 415, 423, 500],
};

function operations(): readonly Operation[] {
  const tail = (path: string, type: string, summary: string): Operation => ({
    method: "get",
    path,
    summary,
    type,
    answer: null,
    query: TAIL,
    errors: [400, ...READ],
  });
  const read = (path: string, summary: string, answer: Schema): Operation => ({
    method: "get",
    path,
    summary,
    type: "application/json",
    answer,
    errors: path.includes("{") ? [400, ...READ] : [401, 403, 423, 500],
  });
  return [
    { ...read("/healthz", "Whether the server runs", OkAnswer), errors: [], open: true },
    read("/v0/access/check", "Whether the credentials are good", AcceptedAnswer),
    read("/v0/pools", "All pools", PoolsAnswer),
    {
      method: "post",
      path: "/v0/pools",
      summary: "Make a pool",
      body: json(CreateBody),
      type: "application/json",
      answer: PoolAnswer,
      errors: [400, 401, 403, 408, 409, 413, 415, 423, 500],
    },
    {
      method: "post",
      path: "/v0/pools/open",
      summary: "Whether a pool can be opened",
      body: json(OpenBody),
      type: "application/json",
      answer: PoolAnswer,
      errors: APPEND.errors,
    },
    read("/v0/pools/{pool}/info", "Sizes, bounds and use of a pool", PoolAnswer),
    {
      method: "delete",
      path: "/v0/pools/{pool}",
      summary: "Delete a pool",
      type: "application/json",
      answer: OkAnswer,
      errors: [400, ...READ],
    },
    { ...APPEND, path: "/v0/pools/{pool}/append" },
    { ...APPEND, path: "/v0/pools/{pool}/messages" },
    {
      ...APPEND,
      path: "/v0/pools/{pool}/append_batch",
      summary: "Append many messages under one lock; a line is an append body",
      body: { type: "application/jsonl", schema: null },
      answer: BatchAnswer,
      query: [DURABILITY],
    },
    {
      ...APPEND,
      path: "/v0/pools/{pool}/append_lite3",
      summary: "Append one encoded message",
      body: { type: "application/x-plasmite-lite3", schema: null },
      query: [DURABILITY],
    },
    read("/v0/pools/{pool}/messages/{seq}", "One message", MessageAnswer),
    {
      method: "get",
      path: "/v0/pools/{pool}/messages/{seq}/lite3",
      summary: "One message as stored",
      type: "application/x-plasmite-lite3",
      answer: null,
      errors: [400, ...READ],
    },
    tail("/v0/pools/{pool}/tail", "application/jsonl", "Follow a pool, one message a line"),
    tail(
      "/v0/pools/{pool}/tail_lite3",
      "application/x-plasmite-lite3-stream",
      "Follow a pool, frames as stored",
    ),
    read("/v0/ui/pools", "All pools, for the page", PoolsAnswer),
    read("/v0/ui/pools/{pool}/info", "One pool, for the page", PoolAnswer),
    tail("/v0/ui/pools/{pool}/events", "text/event-stream", "Follow a pool as events"),
    {
      method: "get",
      path: "/metrics",
      summary: "Counters in OpenMetrics text",
      type: "application/openmetrics-text",
      answer: null,
      errors: [401, 403],
    },
    {
      ...read("/v0/serve/status", "Who serves this; loopback HTTP only", StatusAnswer),
      errors: [404],
      open: true,
    },
  ];
}

const REASONS: Readonly<Record<number, string>> = {
  400: "The request is wrong",
  401: "Credentials are missing or wrong",
  403: "Forbidden by access mode, host or origin",
  404: "No such pool or message",
  408: "The body did not arrive in time",
  409: "The pool exists",
  413: "The body is too large",
  415: "The content type is wrong",
  423: "Too much at once; try again",
  500: "Damage or failure",
};

/** Makes the document. */
export function openApi(): Json {
  const schemas: Json = {};
  const refer = (schema: Schema): Json => {
    const { $defs, $schema: _, id, ...plain } = z.toJSONSchema(schema, { io: "input" }) as {
      readonly $defs?: { readonly [name: string]: Json };
      readonly $schema?: string;
      readonly id?: string;
    };
    for (const [name, { id: _id, ...part }] of Object.entries($defs ?? {})) schemas[name] = part;
    if ("$ref" in plain || id === undefined) return plain;
    schemas[id] = plain;
    return { $ref: `#/components/schemas/${id}` };
  };
  const paths: { [path: string]: Json } = {};
  for (const operation of operations()) {
    (paths[operation.path] ??= {})[operation.method] = describe(operation, refer);
  }
  const text = JSON.stringify({
    openapi: "3.1.0",
    info: {
      title: "Plasmite",
      version: "0",
      description: "Pools of JSON messages over HTTP. Within v0 only additions are made.",
    },
    paths,
    components: {
      schemas,
      securitySchemes: { bearer: { type: "http", scheme: "bearer" } },
    },
    security: [{ bearer: [] }, {}],
  });
  return JSON.parse(text.replaceAll("#/$defs/", "#/components/schemas/"));
}

function describe(operation: Operation, refer: (schema: Schema) => Json): Json {
  const error = refer(ErrorShape);
  const names = [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? "");
  const parameters = [
    ...names.map((name) => ({
      name,
      in: "path",
      required: true,
      schema: name === "seq" ? U64 : { type: "string", pattern: POOL_NAME },
    })),
    ...(operation.query ?? []).map((parameter) => ({ ...parameter, in: "query" })),
  ];
  const { body } = operation;
  const responses: Json = {
    200: {
      description: "Done",
      content: {
        [operation.type]: {
          schema: operation.answer === null ? {} : refer(operation.answer),
        },
      },
    },
  };
  for (const status of operation.errors) {
    responses[status] = {
      description: REASONS[status],
      content: { "application/json": { schema: error } },
    };
  }
  return {
    summary: operation.summary,
    ...(operation.open === true ? { security: [{}] } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : {
      requestBody: {
        required: true,
        content: { [body.type]: { schema: body.schema === null ? {} : refer(body.schema) } },
      },
    }),
    responses,
  };
}
