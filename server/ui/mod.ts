/**
 * The web page: static files, embedded as text.
 *
 * What a page needs for its first paint is what the static imports of its view reach: it is preloaded,
 * in a few files (packs.ts). The rest is loaded when it is used (later.js).
 *
 * @module
 */

import accessCss from "./access.css" with { type: "text" };
import access from "./access.js" with { type: "text" };
import address from "./address.js" with { type: "text" };
import alerts from "./alerts.js" with { type: "text" };
import api from "./api.js" with { type: "text" };
import app from "./app.js" with { type: "text" };
import appendCss from "./append.css" with { type: "text" };
import append from "./append.js" with { type: "text" };
import around from "./around.js" with { type: "text" };
import chartCss from "./chart.css" with { type: "text" };
import chart from "./chart.js" with { type: "text" };
import chartData from "./chart_data.js" with { type: "text" };
import chartDrawing from "./chart_drawing.js" with { type: "text" };
import asked from "./asked.js" with { type: "text" };
import chooseColumns from "./choose_columns.js" with { type: "text" };
import clauses from "./clauses.js" with { type: "text" };
import columns from "./columns.js" with { type: "text" };
import completeCss from "./complete.css" with { type: "text" };
import complete from "./complete.js" with { type: "text" };
import controls from "./controls.js" with { type: "text" };
import coordinationCss from "./coordination.css" with { type: "text" };
import coordination from "./coordination.js" with { type: "text" };
import counting from "./counting.js" with { type: "text" };
import csv from "./csv.js" with { type: "text" };
import diff from "./diff.js" with { type: "text" };
import deletePool from "./delete_pool.js" with { type: "text" };
import dom from "./dom.js" with { type: "text" };
import early from "./early.js" with { type: "text" };
import events from "./events.js" with { type: "text" };
import facetsCss from "./facets.css" with { type: "text" };
import facets from "./facets.js" with { type: "text" };
import facts from "./facts.js" with { type: "text" };
import fields from "./fields.js" with { type: "text" };
import filter from "./filter.js" with { type: "text" };
import finderCss from "./finder.css" with { type: "text" };
import finder from "./finder.js" with { type: "text" };
import goTo from "./goto.js" with { type: "text" };
import handout from "./handout.js" with { type: "text" };
import head from "./head.js" with { type: "text" };
import help from "./help.js" with { type: "text" };
import icon from "./icon.svg" with { type: "text" };
import page from "./index.html" with { type: "text" };
import inspectCss from "./inspect.css" with { type: "text" };
import inspect from "./inspect.js" with { type: "text" };
import json from "./json.js" with { type: "text" };
import later from "./later.js" with { type: "text" };
import line from "./line.js" with { type: "text" };
import list from "./list.js" with { type: "text" };
import look from "./look.js" with { type: "text" };
import paletteCss from "./palette.css" with { type: "text" };
import palette from "./palette.js" with { type: "text" };
import merge from "./merge.js" with { type: "text" };
import past from "./past.js" with { type: "text" };
import places from "./places.js" with { type: "text" };
import pool from "./pool.js" with { type: "text" };
import poolsCss from "./pools.css" with { type: "text" };
import pools from "./pools.js" with { type: "text" };
import poolsColumns from "./pools_columns.js" with { type: "text" };
import poolsOrder from "./pools_order.js" with { type: "text" };
import poolsTable from "./pools_table.js" with { type: "text" };
import poolsWatch from "./pools_watch.js" with { type: "text" };
import press from "./press.js" with { type: "text" };
import prefs from "./prefs.js" with { type: "text" };
import qr from "./qr.js" with { type: "text" };
import ranges from "./ranges.js" with { type: "text" };
import rate from "./rate.js" with { type: "text" };
import reading from "./reading.js" with { type: "text" };
import replay from "./replay.js" with { type: "text" };
import row from "./row.js" with { type: "text" };
import rowsCss from "./rows.css" with { type: "text" };
import rows from "./rows.js" with { type: "text" };
import save from "./save.js" with { type: "text" };
import say from "./say.js" with { type: "text" };
import scroller from "./scroller.js" with { type: "text" };
import session from "./session.js" with { type: "text" };
import severalCss from "./several.css" with { type: "text" };
import several from "./several.js" with { type: "text" };
import shell from "./shell.js" with { type: "text" };
import shared from "./shared.js" with { type: "text" };
import sharedWorker from "./shared_worker.js" with { type: "text" };
import settings from "./settings.js" with { type: "text" };
import signin from "./signin.js" with { type: "text" };
import start from "./start.js" with { type: "text" };
import stream from "./stream.js" with { type: "text" };
import streamPlace from "./stream_place.js" with { type: "text" };
import styleCss from "./style.css" with { type: "text" };
import tags from "./tags.js" with { type: "text" };
import times from "./times.js" with { type: "text" };
import timeline from "./timeline.js" with { type: "text" };
import words from "./words.js" with { type: "text" };
import wordsOrJq from "./words_or_jq.js" with { type: "text" };

import { createHash } from "node:crypto";
import { importsOf, lean, packed, withSecondTry } from "./packs.ts";

/** One file of the page. */
export interface UiAsset {
  /** Its content type. */
  readonly type: string;
  /** Its text. */
  readonly body: string;
  /** What the security policy allows as the one script in the text. */
  readonly script?: string;
}

const SCRIPTS: Readonly<Record<string, string>> = {
  access,
  address,
  alerts,
  api,
  app,
  append,
  asked,
  around,
  chart,
  chart_data: chartData,
  chart_drawing: chartDrawing,
  choose_columns: chooseColumns,
  clauses,
  columns,
  complete,
  controls,
  coordination,
  counting,
  csv,
  diff,
  delete_pool: deletePool,
  dom,
  early,
  events,
  facets,
  facts,
  fields,
  filter,
  finder,
  goto: goTo,
  handout,
  head,
  help,
  inspect,
  json,
  later,
  line,
  list,
  look,
  merge,
  palette,
  past,
  places,
  pool,
  pools,
  pools_columns: poolsColumns,
  pools_order: poolsOrder,
  pools_table: poolsTable,
  pools_watch: poolsWatch,
  prefs,
  press,
  qr,
  ranges,
  rate,
  reading,
  replay,
  row,
  rows,
  save,
  say,
  scroller,
  session,
  several,
  shared,
  shared_worker: sharedWorker,
  shell,
  settings,
  signin,
  stream,
  stream_place: streamPlace,
  tags,
  timeline,
  times,
  words,
  words_or_jq: wordsOrJq,
};

const SHEETS: Readonly<Record<string, string>> = {
  access: accessCss,
  append: appendCss,
  chart: chartCss,
  complete: completeCss,
  coordination: coordinationCss,
  facets: facetsCss,
  finder: finderCss,
  inspect: inspectCss,
  palette: paletteCss,
  pools: poolsCss,
  rows: rowsCss,
  several: severalCss,
  style: styleCss,
};

/** Every page with the module of its view, which `app.js` imports for that address. */
const VIEWS: Readonly<Record<string, string>> = {
  "/ui": "pools",
  "/ui/pools/:name": "pool",
  "/access": "access",
};

/** The modules that are loaded with these, by their static imports. */
function reached(modules: readonly string[]): Set<string> {
  const found = new Set(modules);
  for (const module of found) for (const next of importsOf(SCRIPTS[module] ?? "")) found.add(next);
  return found;
}

/** What each view loads; the frame of the page, which starts everything, comes last. */
const REACHED: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  Object.values(VIEWS).map((view) => [view, new Set([...reached([view]), ...reached(["app"])])]),
);

const { files: FILES, packs: PACKS } = packed(SCRIPTS, REACHED, ["early"]);

/** The script in each page, and what its policy names it. */
const START = lean(start).replaceAll(/^\s*\n/gm, "");
const START_NAME = `'sha256-${createHash("sha256").update(START).digest("base64")}'`;

/** The page that preloads what the first paint of a view needs. */
function pageOf(view: string): UiAsset {
  const modules = [...REACHED.get(view) ?? []].sort();
  const packs = new Set(modules.map((module) => PACKS.get(module) ?? module));
  const sheets = modules.flatMap((module) =>
    [...(SCRIPTS[module] ?? "").matchAll(/^await styled\("(\w+)"\);$/gm)].map(([, name]) => name)
  );
  const links = [
    // Not one of the scripts that wait for each other and for the style sheets.
    `<script type="module" async fetchpriority="high" src="/ui/assets/early.js"></script>`,
    ...sheets.map((name) => `<link rel="stylesheet" href="/ui/assets/${name}.css">`),
    // With the module that app.js imports by its name.
    ...[...packs, view].filter((name) => name !== "early").map((name) =>
      `<link rel="modulepreload" href="/ui/assets/${name}.js">`
    ),
  ];
  const body = page.replace("<!-- preloads -->", links.join("\n    "))
    .replace("assets/app.js", `assets/${PACKS.get("app")}.js`)
    .replace("<!-- start -->", () => `<script>${START}</script>`);
  return { type: "text/html; charset=utf-8", body, script: START_NAME };
}

function all(files: Readonly<Record<string, string>>, end: string, type: string) {
  return Object.entries(files).map(([name, body]): [string, UiAsset] => [
    `/ui/assets/${name}.${end}`,
    { type: `${type}; charset=utf-8`, body: end === "js" ? withSecondTry(lean(body)) : body },
  ]);
}

// Made once: this module is loaded with the first request for the page, and asked with each.
const ASSETS: ReadonlyMap<string, UiAsset> = new Map([
  ...Object.entries(VIEWS).map(([path, view]): [string, UiAsset] => [path, pageOf(view)]),
  ["/ui/assets/icon.svg", { type: "image/svg+xml", body: icon }],
  ...all(FILES, "js", "text/javascript"),
  ...all(SHEETS, "css", "text/css"),
]);

/**
 * The files by path; the page of every pool is at `/ui/pools/:name`. Its content security policy
 * (docs/spec/http-api.md 7) allows only its own files and server, and the script in the page by its
 * digest: no other inline scripts, no inline styles, no eval, no frames.
 */
export function uiAssets(): Promise<ReadonlyMap<string, UiAsset>> {
  return Promise.resolve(ASSETS);
}
