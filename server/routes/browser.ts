/**
 * Signing in and out with a browser (docs/spec/sharing.md 4).
 *
 * @module
 */

import { CLEARED, sessionToken } from "../access/sessions.ts";
import { HttpError } from "../errors.ts";
import { checked, readFields, schemas } from "../fields.ts";
import { requireOwnOrigin } from "../guard.ts";
import { type HeaderPairs, json } from "../headers.ts";
import { peerOf } from "../peer.ts";
import { granted, rightsHeaders } from "../auth.ts";
import { type Call, jsonContent, type Route, type RouteHost } from "./route.ts";

function answer(value: object, more: HeaderPairs = []): Response {
  return json(JSON.stringify(value), more);
}

async function signIn({ request }: Call, { browser, bodies }: RouteHost): Promise<Response> {
  if (browser === null || browser === "local") {
    throw new HttpError(401, "Permission", "this listener needs no sign-in", {
      hint: "It is for this machine alone and takes no keys.",
    });
  }
  requireOwnOrigin(request);
  const fields = await readFields(request, bodies, ["access_key"]);
  const { access_key } = checked((await schemas()).SessionBody, fields);
  const { sessions, limit } = browser;
  const address = peerOf(request);
  limit.check(address);
  try {
    const cookie = sessions.signIn(access_key);
    // The browser keeps one cookie, so nobody could end its previous session otherwise.
    const before = sessionToken(request);
    if (before !== null) sessions.signOut(before);
    return answer({ authenticated: true }, [["set-cookie", cookie]]);
  } catch (error) {
    if (error instanceof HttpError && error.status === 401) limit.failed(address);
    throw error;
  }
}

async function look({ request }: Call, { browser, auth }: RouteHost): Promise<Response> {
  if (browser === "local") return answer({ authenticated: true, local: true });
  const grant = granted(await auth.authenticate(request), request, auth);
  return answer({ authenticated: true, local: false }, rightsHeaders(grant));
}

function signOut({ request }: Call, { browser }: RouteHost): Response {
  requireOwnOrigin(request);
  const token = sessionToken(request);
  if (browser !== null && browser !== "local" && token !== null) browser.sessions.signOut(token);
  return answer({ authenticated: false }, [["set-cookie", CLEARED]]);
}

const PATH = "/v0/browser/session";
const served = ({ browser }: RouteHost): boolean => browser !== null;

/** The routes. */
export const BROWSER_ROUTES: readonly Route[] = [
  {
    method: "POST",
    paths: [PATH],
    summary: "Sign a browser in with an access key",
    access: "open",
    body: jsonContent((of) => of.SessionBody),
    answer: jsonContent((of) => of.SessionAnswer),
    errors: [401, 423, 429, 500],
    served,
    handler: signIn,
  },
  {
    method: "GET",
    paths: [PATH],
    summary: "Whether the browser is signed in",
    access: "open",
    answer: jsonContent((of) => of.SessionAnswer),
    errors: [401],
    served,
    handler: look,
  },
  {
    method: "DELETE",
    paths: [PATH],
    summary: "Sign a browser out",
    access: "open",
    answer: jsonContent((of) => of.SessionAnswer),
    errors: [500],
    served,
    handler: signOut,
  },
];
