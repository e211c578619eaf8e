/**
 * What the page of a pool needs first, asked for while its other scripts come: how large the pool is,
 * then the first rows. Whoever needs an answer asks for it as always, by `request` of api.js, which
 * finds it here. This module is loaded before all others, so it imports none.
 *
 * @module
 */

/** How much backlog is read at the start, in bytes, and its limits in messages. */
const BACKLOG_BYTES = 4e6;
const BACKLOG = [200, 20_000];
/** More than fit on a screen; the others come with the stream. */
const FIRST = "200";
/** What nobody has taken after so long is too old, in milliseconds. */
const KEEP_MS = 10_000;
/** An address with one of these starts with other rows. */
const OTHERS = ["where", "tag", "q", "from", "to", "seq", "n"];

/** Where the token of this tab is kept. */
export const STORE = "plasmite-token";

/** Answers by path. @type {Map<string, {token: string, answer: Promise<Response>, stop: AbortController}>} */
const answers = new Map();

/** What only the page asks of a pool. @param {string} name */
export const pagePath = (name) => `/v0/ui/pools/${encodeURIComponent(name)}`;

/** @param {string} name @param {URLSearchParams} query */
export const eventsPath = (name, query) => `${pagePath(name)}/events?${query}`;

/**
 * How a fetch is made here.
 * @param {string} token @returns {RequestInit & {headers: Record<string, string>}}
 */
export function asking(token) {
  /** @type {Record<string, string>} */
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  return { headers, cache: "no-store", credentials: "same-origin" };
}

/** @param {string} path @param {string} token */
function ask(path, token) {
  const stop = new AbortController();
  const answer = fetch(path, { ...asking(token), signal: stop.signal });
  answers.set(path, { token, answer, stop });
  return answer;
}

/**
 * The answer to what was asked for early, once. @param {string} path @param {string} token
 * @param {AbortSignal} [signal]
 */
export function earlyAnswer(path, token, signal) {
  const found = answers.get(path);
  if (found?.token !== token || signal?.aborted) return undefined;
  answers.delete(path);
  signal?.addEventListener("abort", () => found.stop.abort());
  return found.answer;
}

/** The number of messages that are listed at the start. @param {import("./api.js").Pool} info */
export function backlogOf({ metrics }) {
  const { utilization, message_count } = metrics ?? {};
  const size = (utilization?.used_bytes ?? 0) / Math.max(1, message_count ?? 0);
  return Math.min(Math.max(BACKLOG_BYTES / size, BACKLOG[0] ?? 0), BACKLOG[1] ?? 0);
}

/**
 * The first message of so many; null in an empty pool.
 * @param {import("./api.js").Pool | null} info @param {(info: import("./api.js").Pool) => number} [many]
 */
export function backlogStart(info, many = backlogOf) {
  const { oldest, newest } = info?.bounds ?? {};
  if (!info?.metrics || oldest === undefined || newest === undefined) return null;
  const from = BigInt(newest) - BigInt(Math.round(many(info))) + 1n;
  return from > BigInt(oldest) ? from : BigInt(oldest);
}

/** Asks for the first rows from a message on. @param {bigint} from */
const firstRows = (from) =>
  new URLSearchParams({ no_follow: "1", max: FIRST, since_seq: String(from) });

/** @param {string} name @param {string} token @param {boolean} rows whether they are the usual ones */
async function start(name, token, rows) {
  const answer = await ask(`${pagePath(name)}/info`, token);
  if (!rows || !answer.ok) return;
  const from = backlogStart((await answer.clone().json()).pool);
  if (from !== null) ask(eventsPath(name, firstRows(from)), token).catch(() => {});
}

/** Starts if this is the page of one pool, and nobody has to sign in first. */
async function begin() {
  const [, path = ""] = /^\/ui\/pools\/([^/,]+)$/.exec(location.pathname) ?? [];
  if (!path || location.hash.startsWith("#key=")) return;
  setTimeout(() => answers.clear(), KEEP_MS);
  const query = new URLSearchParams(location.search);
  let token = "";
  try {
    token = sessionStorage.getItem(STORE) ?? "";
  } catch { /* storage is switched off */ }
  await start(decodeURIComponent(path), token, OTHERS.every((other) => !query.has(other)));
}

// What went wrong is told to whoever takes the answer. Tests import what needs no page.
const begun = (typeof location === "object" ? begin() : Promise.resolve()).catch(() => {});

/**
 * How the first rows from a message on were asked for early; null if they were not.
 * @param {string} name @param {bigint} from
 */
export async function earlyRows(name, from) {
  await begun;
  const query = firstRows(from);
  return answers.has(eventsPath(name, query)) ? query : null;
}
