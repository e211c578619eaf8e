/**
 * Routes that administer access keys; only on a loopback HTTP listener (docs/spec/sharing.md 1.3).
 *
 * @module
 */

import { checked, readFields, schemas } from "../fields.ts";
import { json } from "../headers.ts";
import { localRefusal } from "../guard.ts";
import type { Administration } from "../access/administration.ts";
import { type Call, jsonContent, type Route, type RouteHost } from "./route.ts";

/** The administration, if the request is from this machine and uses a local host name. */
async function administrationOf(
  { request }: Call,
  { administration }: RouteHost,
): Promise<Administration> {
  const refused = localRefusal(request);
  if (refused !== null) throw refused;
  if (administration === null || administration === "elsewhere") {
    throw new Error("a route that is not served");
  }
  return await administration();
}

const served = ({ administration }: RouteHost): boolean => administration !== null;

async function invite(call: Call, host: RouteHost): Promise<Response> {
  const administration = await administrationOf(call, host);
  const { InviteBody } = await schemas();
  const names = Object.keys(InviteBody.shape);
  const fields = checked(InviteBody, await readFields(call.request, host.bodies, names));
  const { server_fingerprint, name, pools, rights, expires } = fields;
  const invitation = {
    name,
    pools: pools ?? undefined,
    rights: rights ?? undefined,
    expires: expires ?? undefined,
  };
  return json(JSON.stringify(await administration.invite(invitation, server_fingerprint)));
}

async function revoke(call: Call, host: RouteHost): Promise<Response> {
  const administration = await administrationOf(call, host);
  const { RevokeBody } = await schemas();
  const names = Object.keys(RevokeBody.shape);
  const { id, server_fingerprint } = checked(
    RevokeBody,
    await readFields(call.request, host.bodies, names),
  );
  return json(JSON.stringify(await administration.revoke(id, server_fingerprint)));
}

/** The routes. */
export const ACCESS_ROUTES: readonly Route[] = [
  {
    method: "GET",
    paths: ["/v0/access/status"],
    summary: "Whether and as what these pools are shared",
    access: "any",
    local: true,
    answer: jsonContent((of) => of.AccessStatusAnswer),
    errors: [500],
    served,
    handler: async (call, host) =>
      json(JSON.stringify(await (await administrationOf(call, host)).status())),
  },
  {
    method: "POST",
    paths: ["/v0/access/invite"],
    summary: "Make an access key",
    access: "admin",
    local: true,
    body: jsonContent((of) => of.InviteBody),
    answer: jsonContent((of) => of.InviteAnswer),
    errors: [423, 500],
    served,
    handler: invite,
  },
  {
    method: "GET",
    paths: ["/v0/access/keys"],
    summary: "All access keys",
    access: "admin",
    local: true,
    query: [{
      name: "x-plasmite-server-fingerprint",
      schema: (of) => of.InviteBody.shape.server_fingerprint,
      description: "Of the server that is meant",
      header: true,
    }],
    answer: jsonContent((of) => of.KeysAnswer),
    errors: [500],
    served,
    handler: async (call, host) => {
      const fingerprint = call.request.headers.get("x-plasmite-server-fingerprint");
      const administration = await administrationOf(call, host);
      return json(JSON.stringify(await administration.keys(fingerprint)));
    },
  },
  {
    method: "POST",
    paths: ["/v0/access/revoke"],
    summary: "Revoke an access key",
    access: "admin",
    local: true,
    body: jsonContent((of) => of.RevokeBody),
    answer: jsonContent((of) => of.RevokeAnswer),
    errors: [404, 423, 500],
    served,
    handler: revoke,
  },
];
