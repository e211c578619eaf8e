/**
 * The OpenAPI 3.1 document, made from the routes.
 *
 * @module
 */

import { z } from "zod";
import { ROUTES } from "./routes/mod.ts";
import type { Content, Limits, Parameter, Route, RouteHost, Schema } from "./routes/route.ts";
import * as defined from "./schemas.ts";

type Json = { [key: string]: unknown };

const REASONS: Readonly<Record<number, string>> = {
  400: "The request is wrong",
  401: "Credentials are missing or wrong",
  403: "Forbidden by rights, access mode, host or origin",
  404: "No such pool, message or page",
  408: "The body did not arrive in time",
  409: "The pool exists, or a condition does not hold",
  413: "The body is too large",
  415: "The content type is wrong",
  423: "Too much at once; try again",
  429: "Too many wrong keys; wait",
  500: "Damage or failure",
  503: "No memory for the body, or the server stops; try again",
};

/** The parameters of paths. */
const PARTS: Readonly<Record<string, z.ZodType>> = {
  pool: z.string().meta({ pattern: defined.POOL_NAME }),
  seq: defined.U64,
  name: z.string().meta({ pattern: "^[a-z0-9][a-z0-9._-]{0,63}$" }),
};

/** The error statuses of a route. */
function errorsOf({ access, paths, query, body, errors = [] }: Route): number[] {
  const ofPool = paths[0].includes("{pool}");
  const found = [
    403, // For a foreign host or origin.
    ...access === "open" ? [] : [401],
    ...ofPool ? [400, 404, 423, 500] : [],
    ...query === undefined ? [] : [400],
    ...body === undefined ? [] : [400, 408, 413, 415, 503],
    ...errors,
  ];
  return [...new Set(found)].sort((a, b) => a - b);
}

/** Converts schemas to JSON Schema and collects those with a name. */
class Schemas {
  readonly named: Json = {};

  constructor(readonly limits: Limits) {}

  of(schema: Schema): Json {
    return this.refer(schema(defined, this.limits));
  }

  refer(schema: z.ZodType): Json {
    const { $defs, $schema: _, id, ...plain } = z.toJSONSchema(schema, { io: "input" }) as {
      readonly $defs?: { readonly [name: string]: Json };
      readonly $schema?: string;
      readonly id?: string;
    };
    for (const [name, { id: _id, ...part }] of Object.entries($defs ?? {})) this.named[name] = part;
    if ("$ref" in plain || id === undefined) return plain;
    this.named[id] = plain;
    return { $ref: `#/components/schemas/${id}` };
  }

  content({ type, schema }: Content): Json {
    return { [type]: { schema: schema === null ? {} : this.of(schema) } };
  }
}

/** The document of one server. */
export function openApi(host: RouteHost): Json {
  const schemas = new Schemas(host);
  const paths: { [path: string]: Json } = {};
  for (const route of ROUTES) {
    if (route.served?.(host) === false) continue;
    for (const path of route.paths) {
      (paths[path] ??= {})[route.method.toLowerCase()] = describe(route, path, schemas);
    }
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
      schemas: schemas.named,
      securitySchemes: { bearer: { type: "http", scheme: "bearer" } },
    },
    security: [{ bearer: [] }, {}],
  });
  return JSON.parse(text.replaceAll("#/$defs/", "#/components/schemas/"));
}

function describe(route: Route, path: string, schemas: Schemas): Json {
  const parts = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => ({
    name,
    in: "path",
    required: true,
    schema: schemas.refer(PARTS[name] ?? z.string()),
  }));
  const parameters = [
    ...parts,
    ...(route.query ?? []).map((parameter) => describeParameter(parameter, schemas)),
  ];
  const responses: Json = {
    200: { description: "Done", content: schemas.content(route.answer) },
  };
  for (const status of errorsOf(route)) {
    responses[status] = {
      description: REASONS[status],
      content: schemas.content({ type: "application/json", schema: (of) => of.ErrorShape }),
    };
  }
  return {
    summary: route.summary,
    ...(route.access === "open" ? { security: [{}] } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body === undefined
      ? {}
      : { requestBody: { required: true, content: schemas.content(route.body) } }),
    responses,
  };
}

function describeParameter(
  { name, schema, description, header }: Parameter,
  schemas: Schemas,
): Json {
  return {
    name,
    in: header === true ? "header" : "query",
    schema: schemas.of(schema),
    description,
  };
}
