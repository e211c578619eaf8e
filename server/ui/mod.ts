/**
 * The web page: static files, embedded as text.
 *
 * @module
 */

import access from "./access.js" with { type: "text" };
import api from "./api.js" with { type: "text" };
import app from "./app.js" with { type: "text" };
import append from "./append.js" with { type: "text" };
import columns from "./columns.js" with { type: "text" };
import coordination from "./coordination.js" with { type: "text" };
import dom from "./dom.js" with { type: "text" };
import facts from "./facts.js" with { type: "text" };
import filter from "./filter.js" with { type: "text" };
import handout from "./handout.js" with { type: "text" };
import icon from "./icon.svg" with { type: "text" };
import page from "./index.html" with { type: "text" };
import inspect from "./inspect.js" with { type: "text" };
import json from "./json.js" with { type: "text" };
import list from "./list.js" with { type: "text" };
import past from "./past.js" with { type: "text" };
import pool from "./pool.js" with { type: "text" };
import pools from "./pools.js" with { type: "text" };
import qr from "./qr.js" with { type: "text" };
import rate from "./rate.js" with { type: "text" };
import replay from "./replay.js" with { type: "text" };
import rows from "./rows.js" with { type: "text" };
import session from "./session.js" with { type: "text" };
import signin from "./signin.js" with { type: "text" };
import stream from "./stream.js" with { type: "text" };
import style from "./style.css" with { type: "text" };
import timeline from "./timeline.js" with { type: "text" };

/** One file of the page. */
export interface UiAsset {
  /** Its content type. */
  readonly type: string;
  /** Its text. */
  readonly body: string;
}

/**
 * A script without the comments that have lines of their own, a sixth of the page. The lines stay, so
 * that positions in errors are those of the source.
 */
function lean(script: string): string {
  const comments = /^ *\/\*\*(?:(?!\*\/)[^])*\*\/$/gm;
  return script.replaceAll(comments, (comment) => comment.replaceAll(/[^\n]+/g, ""));
}

const SCRIPTS = {
  access,
  api,
  app,
  append,
  columns,
  coordination,
  dom,
  facts,
  filter,
  handout,
  inspect,
  json,
  list,
  past,
  pool,
  pools,
  qr,
  rate,
  replay,
  rows,
  session,
  signin,
  stream,
  timeline,
};

// Made once: this module is loaded with the first request for the page, and asked with each.
const ASSETS: ReadonlyMap<string, UiAsset> = new Map([
  ["/ui", { type: "text/html; charset=utf-8", body: page }],
  ["/ui/assets/style.css", { type: "text/css; charset=utf-8", body: style }],
  ["/ui/assets/icon.svg", { type: "image/svg+xml", body: icon }],
  ...Object.entries(SCRIPTS).map(([name, body]): [string, UiAsset] => [
    `/ui/assets/${name}.js`,
    { type: "text/javascript; charset=utf-8", body: lean(body) },
  ]),
]);

/**
 * The files by path; the page is the same at `/ui` and at `/ui/pools/NAME`. Its content security
 * policy (docs/spec/http-api.md 7) allows only its own files and server: no inline scripts or
 * styles, no eval, no frames.
 */
export function uiAssets(): Promise<ReadonlyMap<string, UiAsset>> {
  return Promise.resolve(ASSETS);
}
