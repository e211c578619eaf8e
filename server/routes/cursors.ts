/**
 * Cursors: list, read, set and delete (docs/spec/http-api.md 12.4).
 *
 * @module
 */

import type { CursorInfo } from "../../lib/backend/coordination.ts";
import { missing } from "../../lib/coordination/cursor_file.ts";
import { coordinated } from "../coordinated.ts";
import { errorJson } from "../errors.ts";
import { checked, plain, readFields, schemas, wholeOf } from "../fields.ts";
import { json } from "../headers.ts";
import { type Call, jsonContent, type Route, type RouteHost } from "./route.ts";

const PATH = "/v0/pools/{pool}/cursors/{name}";

/** A cursor or group as JSON text. */
function cursorJson(info: CursorInfo): string {
  const { name, kind, seq, lag, lost, acked, inUse, next, pending, headroom, error } = info;
  const parts = [
    `"name":${JSON.stringify(name)}`,
    `"kind":"${kind}"`,
    `"seq":${seq}`,
    `"lag":${lag}`,
    `"lost":${lost}`,
    `"acked":${JSON.stringify(acked)}`,
    `"in_use":${JSON.stringify(inUse)}`,
  ];
  if (next !== undefined) parts.push(`"next":${next}`);
  if (pending !== undefined) parts.push(`"pending":${pending}`);
  if (headroom !== undefined) parts.push(`"headroom":${headroom}`);
  if (error !== undefined) parts.push(errorJson(error).slice(1, -1));
  return `{${parts.join(",")}}`;
}

async function list(call: Call, host: RouteHost): Promise<Response> {
  const infos = await coordinated(call, host, (coordination) => coordination.cursors());
  return json(`{"cursors":[${infos.map(cursorJson).join(",")}]}`);
}

async function get(call: Call, host: RouteHost): Promise<Response> {
  const name = call.part("name");
  const infos = await coordinated(call, host, (coordination) => coordination.cursors());
  const info = infos.find((one) => one.name === name);
  if (info === undefined) throw missing(name, call.pool);
  return json(`{"cursor":${cursorJson(info)}}`);
}

async function put(call: Call, host: RouteHost): Promise<Response> {
  const { CursorBody } = await schemas();
  const names = Object.keys(CursorBody.shape);
  const fields = await readFields(call.request, host.bodies, names, ["if_seq"]);
  const { durability } = checked(CursorBody, plain(fields));
  const info = await coordinated(
    call,
    host,
    (coordination) =>
      coordination.setCursor(call.part("name"), {
        to: wholeOf(fields, "seq") ?? 0n,
        ifSeq: fields["if_seq"] === null ? null : wholeOf(fields, "if_seq"),
        flush: durability === "flush",
      }),
  );
  return json(`{"cursor":${cursorJson(info)}}`);
}

async function remove(call: Call, host: RouteHost): Promise<Response> {
  await coordinated(
    call,
    host,
    (coordination) => coordination.deleteCursor(call.part("name")),
  );
  return json('{"ok":true}');
}

/** The routes. */
export const CURSOR_ROUTES: readonly Route[] = [
  {
    method: "GET",
    paths: ["/v0/pools/{pool}/cursors"],
    summary: "All cursors and work groups of a pool",
    access: "read",
    answer: jsonContent((of) => of.CursorsAnswer),
    remote: "cursors",
    handler: list,
  },
  {
    method: "GET",
    paths: [PATH],
    summary: "One cursor or work group",
    access: "read",
    answer: jsonContent((of) => of.CursorAnswer),
    remote: "cursor",
    handler: get,
  },
  {
    method: "PUT",
    paths: [PATH],
    summary: "Set a cursor, if it is where it should be",
    access: "work",
    body: jsonContent((of) => of.CursorBody),
    answer: jsonContent((of) => of.CursorAnswer),
    errors: [409],
    remote: "setCursor",
    handler: put,
  },
  {
    method: "DELETE",
    paths: [PATH],
    summary: "Delete a cursor or a work group",
    access: "work",
    answer: jsonContent((of) => of.OkAnswer),
    remote: "deleteCursor",
    handler: remove,
  },
];
