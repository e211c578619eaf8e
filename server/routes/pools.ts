/**
 * Routes for pools: list, create, open, describe, delete.
 *
 * @module
 */

import { LARGEST_POOL } from "../../lib/client/names.ts";
import { poolName } from "../../lib/backend/refs.ts";
import { accessOf } from "../../lib/grant.ts";
import { requireRight, rightsHeaders } from "../auth.ts";
import { bad, saturated, SLOT_WAIT } from "../errors.ts";
import { checked, plain, readFields, schemas } from "../fields.ts";
import { json } from "../headers.ts";
import { briefJson, infoJson } from "../infos.ts";
import { poolsJson, readable } from "../lists.ts";
import { checkPoolName } from "../names.ts";
import { squeezePieces } from "../page.ts";
import { type Call, jsonContent, type Route, type RouteHost } from "./route.ts";

async function list({ request, grant, search }: Call, host: RouteHost): Promise<Response> {
  const names = new URLSearchParams(search).getAll("name");
  const only = names.length > 0 ? new Set(names) : undefined;
  const pieces = await host.directory.run(
    SLOT_WAIT,
    () => Array.fromAsync(poolsJson(host, grant, only)),
    saturated,
  );
  return squeezePieces(request, pieces, "application/json", rightsHeaders(grant));
}

async function names({ grant }: Call, { backend, directory }: RouteHost): Promise<Response> {
  const all = await directory.run(
    SLOT_WAIT,
    async () => readable(await backend.names(), grant),
    saturated,
  );
  return json(JSON.stringify({ names: all }), rightsHeaders(grant));
}

async function create({ request, grant }: Call, { backend, bodies }: RouteHost): Promise<Response> {
  const fields = await readFields(request, bodies, ["pool", "size_bytes", "max_age_ms"]);
  const size = fields["size_bytes"];
  const { CreateBody } = await schemas();
  const { pool, size_bytes, max_age_ms } = checked(CreateBody, plain(fields));
  checkPoolName(pool);
  requireRight(grant, "admin", pool);
  if (typeof size === "bigint" && size > LARGEST_POOL) {
    throw bad("pool size is too large", `Use at most ${LARGEST_POOL} bytes.`);
  }
  if (size_bytes === 0) throw bad("file_size must exceed header and index size", "Use 65536.");
  const info = await backend.create(pool, {
    ...(typeof size_bytes === "number" ? { sizeBytes: size_bytes } : {}),
    ...(typeof max_age_ms === "number" ? { maxAgeMs: max_age_ms } : {}),
  });
  return json(`{"pool":${infoJson(info, pool)}}`);
}

async function open({ request, grant }: Call, { backend, bodies }: RouteHost): Promise<Response> {
  const fields = await readFields(request, bodies, ["pool"]);
  const { pool } = checked((await schemas()).OpenBody, fields);
  checkPoolName(pool);
  const access = accessOf(grant, poolName(pool));
  if (access === null) requireRight(grant, "read", pool);
  const info = await backend.info(pool);
  // Callers with only write access can also open a pool, but learn nothing about its content.
  const text = access === "write-only" ? briefJson(info, pool) : infoJson(info, pool);
  return json(`{"pool":${text}}`);
}

async function info({ grant, pool }: Call, host: RouteHost): Promise<Response> {
  const found = await host.backend.info(pool);
  const text = infoJson(found, pool, host.followers(pool), host.histograms.unreadable(found));
  return json(`{"pool":${text}}`, rightsHeaders(grant, pool));
}

async function remove({ pool }: Call, { backend }: RouteHost): Promise<Response> {
  await backend.remove(pool);
  return json('{"ok":true}');
}

/** The routes. */
export const POOL_ROUTES: readonly Route[] = [
  {
    method: "GET",
    paths: ["/v0/pools", "/v0/ui/pools"],
    summary: "All pools that the caller may read",
    access: "read",
    query: [{
      name: "name",
      schema: ({ z }) => z.array(z.string()),
      description: "Only the pools of these names; may be given again",
    }],
    answer: jsonContent((of) => of.PoolsAnswer),
    errors: [423, 500],
    remote: "list",
    handler: list,
  },
  {
    method: "GET",
    paths: ["/v0/ui/names"],
    summary: "The names of all pools that the caller may read",
    access: "read",
    answer: jsonContent((of) => of.NamesAnswer),
    errors: [423, 500],
    handler: names,
  },
  {
    method: "POST",
    paths: ["/v0/pools"],
    summary: "Make a pool",
    access: "admin",
    body: jsonContent((of) => of.CreateBody),
    answer: jsonContent((of) => of.PoolAnswer),
    errors: [409, 423, 500],
    remote: "create",
    handler: create,
  },
  {
    method: "POST",
    paths: ["/v0/pools/open"],
    summary: "Whether a pool can be opened",
    access: "any",
    body: jsonContent((of) => of.OpenBody),
    answer: jsonContent((of) => of.PoolAnswer),
    errors: [404, 423, 500],
    remote: "open",
    handler: open,
  },
  {
    method: "GET",
    paths: ["/v0/pools/{pool}/info", "/v0/ui/pools/{pool}/info"],
    summary: "Sizes, bounds and use of a pool",
    access: "read",
    answer: jsonContent((of) => of.PoolAnswer),
    remote: "info",
    handler: info,
  },
  {
    method: "DELETE",
    paths: ["/v0/pools/{pool}"],
    summary: "Delete a pool",
    access: "admin",
    answer: jsonContent((of) => of.OkAnswer),
    remote: "remove",
    handler: remove,
  },
];
