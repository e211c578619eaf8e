/**
 * Requests to the server: the token and errors.
 *
 * @module
 */

import { asking, earlyAnswer, pagePath, STORE } from "./early.js";
import { parseAnswer } from "./json.js";
import { noteServerDate, noteServerTime } from "./times.js";

/** An error response of the server, or no response at all. */
export class ApiError extends Error {
  /**
   * @param {number} status the HTTP status; 0 without a response
   * @param {{kind?: string, message?: string, hint?: string, seq?: number | bigint,
   *   suggestion?: {expression: string, why: string}}} [error]
   */
  constructor(status, error = {}) {
    super(
      error.message ?? (status ? `The server answered ${status}` : "The server does not answer"),
    );
    this.status = status;
    this.kind = error.kind ?? "Io";
    this.hint = error.hint ?? "";
    this.seq = error.seq;
    /** What may have been meant by a filter. */
    this.suggestion = error.suggestion;
    /** After how many seconds to try again; 0 if the server does not say. */
    this.retryAfter = 0;
  }

  /** What happened and what to do, in one or two sentences. */
  get words() {
    const words = `${this.message[0]?.toUpperCase()}${this.message.slice(1)}`;
    return this.hint ? `${words}. ${this.hint}` : words;
  }
}

/** What happened and what to do, whatever was thrown. @param {unknown} error */
export const wordsOf = (error) => error instanceof ApiError ? error.words : String(error);

// The token is kept in this variable and, if requested, in the tab's session storage; never in a URL.
let token = "";
/** Marks a token that is kept only until the page has been loaded again. */
const ONCE = `${STORE}-once`;
try {
  token = sessionStorage.getItem(STORE) ?? "";
  if (sessionStorage.getItem(ONCE)) {
    sessionStorage.removeItem(STORE);
    sessionStorage.removeItem(ONCE);
  }
} catch { /* storage is switched off */ }

/** Before the page loads itself again: nobody has to sign in for that. */
export function keepForReload() {
  try {
    if (!token || sessionStorage.getItem(STORE)) return;
    sessionStorage.setItem(STORE, token);
    sessionStorage.setItem(ONCE, "1");
  } catch { /* storage is switched off */ }
}

/**
 * What the server allows this page to do: read, append (`write`), create and delete (`admin`); they
 * are assumed until the server refuses them. And with what: a token, or the session of a key.
 */
export const rights = {
  read: true,
  write: true,
  admin: true,
  token: token !== "",
  session: false,
};

/** @param {Headers} headers of an answer that says what its caller may do */
function noteRights(headers) {
  const access = headers.get("plasmite-access");
  if (access === null) return;
  rights.read = access.startsWith("read");
  rights.write = access.endsWith("write") || access === "write-only";
  // A key can allow to append only.
  const needs = headers.get("plasmite-rights")?.split(" ");
  rights.admin = needs ? needs.includes("admin") : rights.write;
  if (needs) rights.write = needs.includes("append");
}

/** @param {string} value @param {boolean} keep whether to keep it when this tab is reloaded */
export function signIn(value, keep) {
  token = value;
  rights.token = value !== "";
  try {
    if (keep && value) sessionStorage.setItem(STORE, value);
    else sessionStorage.removeItem(STORE);
  } catch { /* storage is switched off */ }
}

/** The token, for the worker that holds the streams of all tabs. */
export const ownToken = () => token;

/** @type {(error: ApiError) => void} */
let unauthorized = () => {};

/** @param {(error: ApiError) => void} listener called when credentials are missing or wrong */
export function onUnauthorized(listener) {
  unauthorized = listener;
}

/**
 * Sends one request; throws ApiError for any response other than 2xx.
 * @param {string} path
 * @param {{method?: string, body?: string, signal?: AbortSignal, quiet?: boolean, bare?: boolean,
 *   headers?: Record<string, string>}} [options] `quiet`: a 401 is for the caller alone; `bare`:
 *   without the token
 * @returns {Promise<Response>}
 */
export async function request(path, options = {}) {
  const { method = "GET", body, signal, quiet, bare } = options;
  const who = bare ? "" : token;
  const init = { ...asking(who), method };
  Object.assign(init.headers, options.headers);
  if (body !== undefined) {
    init.headers["content-type"] = "application/json";
    init.body = body;
  }
  if (signal) init.signal = signal;
  let response;
  try {
    const early = method === "GET" ? earlyAnswer(path, who, signal) : undefined;
    response = await (early ?? fetch(path, init));
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0);
  }
  noteRights(response.headers);
  noteServerDate(response.headers);
  if (response.ok) return response;
  const failure = refused(response.status, await response.text(), quiet);
  failure.retryAfter = Number(response.headers.get("retry-after")) || 0;
  throw failure;
}

/**
 * The error of a refused request, after the page has taken note of it.
 * @param {number} status @param {string} text the answer @param {boolean} [quiet]
 */
export function refused(status, text, quiet) {
  let error = {};
  try {
    error = parseAnswer(text).error ?? {};
  } catch { /* not a JSON error: only the status is known */ }
  const failure = new ApiError(status, error);
  if (status === 401 && !quiet) unauthorized(failure);
  if (status === 403 && /write operations/.test(failure.message)) {
    rights.write = rights.admin = false;
  }
  if (status === 403 && /read operations/.test(failure.message)) rights.read = false;
  return failure;
}

/** @param {string} path @param {Parameters<typeof request>[1]} [options] @returns {Promise<any>} */
export async function json(path, options) {
  return parseAnswer(await (await request(path, options)).text());
}

/**
 * @typedef {object} Pool
 * @property {string} name
 * @property {number} file_size
 * @property {number} ring_size
 * @property {{oldest?: number | bigint, newest?: number | bigint}} [bounds]
 * @property {{message_count: number, utilization: {used_bytes: number, used_percent: number}, age: {oldest_time: string | null, newest_time: string | null, oldest_age_ms?: number | null, newest_age_ms?: number | null}}} [metrics]
 * @property {{max_age_ms: number | null}} [retention]
 * @property {number} [followers]
 * @property {{kind: string, message: string}} [error]
 * @property {Array<{from: number | bigint, to: number | bigint}>} [unreadable]
 */

/** @param {string} name */
export const poolPath = (name) => `/v0/pools/${encodeURIComponent(name)}`;

export { pagePath };

/** An integer of so many digits in a JSON text may not fit into a number. */
const LONG = /[:,[]\s*-?\d{16}/;

/** @param {readonly string[]} [names] only these; default all @returns {Promise<Pool[]>} */
export async function listPools(names) {
  const query = names ? `?${new URLSearchParams(names.map((name) => ["name", name]))}` : "";
  const text = await (await request(`/v0/ui/pools${query}`)).text();
  // Tens of thousands of pools are read ten times as fast by the browser's own parser.
  const { pools } = LONG.test(text) ? parseAnswer(text) : JSON.parse(text);
  for (const pool of pools.slice(0, 50)) noteServerTime(pool);
  return pools;
}

/** @param {string} name @param {AbortSignal} [signal] @returns {Promise<Pool>} */
export async function poolInfo(name, signal) {
  const answer = await json(`${pagePath(name)}/info`, signal ? { signal } : {});
  noteServerTime(answer.pool);
  return answer.pool;
}

/**
 * The time and tags of one message; null if it is no longer retained. @param {string} name @param
 * {bigint} seq @param {AbortSignal} [signal]
 */
export async function messageAt(name, seq, signal) {
  try {
    const { message } = await json(`${poolPath(name)}/messages/${seq}`, signal ? { signal } : {});
    return { seq, t: Date.parse(message.time), tags: /** @type {string[]} */ (message.meta.tags) };
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}
