/**
 * Routes of bundles: many streams in one answer (docs/spec/http-api.md 3).
 *
 * @module
 */

import { requireRight } from "../auth.ts";
import type { Wanted } from "../bundle.ts";
import { BUNDLE_FIELDS, bundleChange } from "../bundle_body.ts";
import { EVENTS } from "../encodings.ts";
import { readFields } from "../fields.ts";
import { json } from "../headers.ts";
import { checkPoolName } from "../names.ts";
import { type Call, jsonContent, type Route, type RouteHost } from "./route.ts";
import { openTail } from "./streams.ts";

const BUNDLES = "/v0/ui/streams";
const TYPE = "application/x-plasmite-streams";
const HEADERS = EVENTS.headers.map(([name, value]): [string, string] =>
  name === "content-type" ? [name, TYPE] : [name, value]
);

/** What a request asks for. */
interface Change {
  readonly close: readonly string[];
  readonly open: readonly Wanted[];
}

/** Each stream is checked and opened as if it was asked for alone, with the rights of this request. */
async function changeOf({ request, grant }: Call, host: RouteHost): Promise<Change> {
  const { open, close } = bundleChange(await readFields(request, host.bodies, BUNDLE_FIELDS));
  return {
    close,
    open: open.map(({ key, pool, query = "" }) => ({
      key,
      open: async () => {
        checkPoolName(pool);
        requireRight(grant, "read", pool);
        return await openTail({ request, grant, pool, search: query }, host, EVENTS);
      },
    })),
  };
}

async function open(call: Call, host: RouteHost): Promise<Response> {
  const { close, open } = await changeOf(call, host);
  const bundle = host.bundles.open(host, call.grant);
  try {
    bundle.change(close, open);
  } catch (error) {
    bundle.end();
    throw error;
  }
  return new Response(bundle.body(), { headers: HEADERS });
}

async function change(call: Call, host: RouteHost): Promise<Response> {
  const { close, open } = await changeOf(call, host);
  // Looked for only now: it may end while the body comes.
  host.bundles.find(call.part("bundle"), call.grant).change(close, open);
  return json('{"ok":true}');
}

/** The routes. */
export const BUNDLE_ROUTES: readonly Route[] = [
  {
    method: "POST",
    paths: [BUNDLES],
    summary: "Follow pools in one answer",
    access: "read",
    body: jsonContent((of) => of.BundleBody),
    answer: { type: TYPE, schema: null },
    errors: [423],
    handler: open,
  },
  {
    method: "POST",
    paths: [`${BUNDLES}/{bundle}`],
    summary: "Follow more or fewer pools in an answer that was opened before",
    access: "read",
    body: jsonContent((of) => of.BundleBody),
    answer: jsonContent((of) => of.OkAnswer),
    errors: [404, 423],
    handler: change,
  },
];
