/**
 * Who works with a pool: cursors with their lag, work groups with what is pending, and the keys that
 * are claimed now.
 *
 * @module
 */

import { ApiError, json, poolPath } from "./api.js";
import { count, fill, h, moment, span } from "./dom.js";
import { styled } from "./later.js";
import { serverNow } from "./times.js";

await styled("coordination");

/** How often to ask, in milliseconds. */
const EVERY = 4000;
/** Looking for claims reads the pool: at most this share of the time is spent on it. */
const SHARE = 0.05;
/** The longest lease, as `max_age`: older claims are over. */
const LONGEST = "24h";
/** How many rows of a table are shown. */
const MOST_ROWS = 200;

/**
 * @typedef {object} Cursor
 * @property {string} name
 * @property {"cursor" | "group"} kind
 * @property {number | bigint} seq
 * @property {number | bigint} lag
 * @property {number | bigint} lost
 * @property {string} acked
 * @property {{pid: number, host: string} | null} [in_use]
 * @property {number} [pending]
 * @property {number | bigint} [headroom]
 * @property {{message: string}} [error]
 *
 * @typedef {{key: string, holder: string, until: number}} Claim
 */

/** The claims in an answer of `latest?by=key:&tag=claim` that hold at `now`. @param {any} answer @param {number} now @returns {Claim[]} */
export function liveClaims(answer, now) {
  /** @type {Map<string, any>} */
  const messages = new Map(answer.messages.map((/** @type {any} */ m) => [String(m.seq), m]));
  const claims = [];
  for (const { key, seq } of answer.latest) {
    const message = messages.get(String(seq));
    const { by, state, ttl_ms: ttl } = message?.data ?? {};
    const until = Date.parse(message?.time) + Number(ttl);
    if (state !== "held" || typeof by !== "string" || !(until > now)) continue;
    claims.push({ key: String(key).slice("key:".length), holder: by, until });
  }
  return claims.sort((a, b) => a.key < b.key ? -1 : 1);
}

/** @param {number} n @param {string} one @param {string} [many] */
const counted = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** What is said while the tables are folded. @param {Cursor[]} cursors @param {Claim[]} claims */
export function summary(cursors, claims) {
  const readers = cursors.filter(({ kind }) => kind === "cursor");
  const groups = cursors.filter(({ kind }) => kind === "group");
  const most = readers.reduce((lag, one) => Math.max(lag, Number(one.lag)), 0);
  const pending = groups.reduce((sum, one) => sum + (one.pending ?? 0), 0);
  return [
    readers.length > 0 && `${counted(readers.length, "cursor")}, ${count(most)} behind`,
    groups.length > 0 && `${counted(groups.length, "work group")}, ${count(pending)} pending`,
    claims.length > 0 && counted(claims.length, "claimed key"),
  ].filter(Boolean).join(" · ");
}

/** @param {string} caption @param {string[]} heads @param {import("./dom.js").Child[][]} rows */
function table(caption, heads, rows) {
  return h(
    "table",
    null,
    h("caption", null, caption),
    h("thead", null, h("tr", null, heads.map((head) => h("th", { scope: "col" }, head)))),
    h(
      "tbody",
      null,
      rows.slice(0, MOST_ROWS).map((cells) =>
        h("tr", null, cells.map((cell) => h("td", null, cell)))
      ),
      rows.length > MOST_ROWS &&
        h(
          "tr",
          null,
          h("td", { colspan: heads.length }, `and ${count(rows.length - MOST_ROWS)} more`),
        ),
    ),
  );
}

/** A section of the pool's page, hidden while nobody coordinates. */
export class Coordination {
  #words = h("summary", null);
  #tables = h("div", { class: "tables" });
  element = h("details", { class: "coordination", hidden: true }, this.#words, this.#tables);
  /** @type {Cursor[]} */
  #cursors = [];
  /** @type {Claim[]} */
  #claims = [];
  #cursorsAt = 0;
  #claimsAt = 0;

  /** @param {string} name */
  constructor(name) {
    this.path = poolPath(name);
  }

  /** Asks the server if it is time, and draws. @param {AbortSignal} signal */
  async refresh(signal) {
    const now = performance.now();
    if (now >= this.#cursorsAt) {
      this.#cursorsAt = now + EVERY;
      const answer = await this.#ask("/cursors", signal);
      this.#cursors = answer?.cursors ?? [];
    }
    if (now >= this.#claimsAt) {
      // Not again before this is answered, however long that takes.
      this.#claimsAt = Infinity;
      const began = performance.now();
      const query = new URLSearchParams({ by: "key:", tag: "claim", max_age: LONGEST });
      try {
        const answer = await this.#ask(`/latest?${query}`, signal);
        this.#claims = answer ? liveClaims(answer, serverNow()) : [];
      } finally {
        const took = performance.now() - began;
        this.#claimsAt = began + Math.max(EVERY, took / SHARE);
      }
    }
    this.#draw();
  }

  /** Older servers and narrower rights answer otherwise: then there is nothing to show. @param {string} path @param {AbortSignal} signal */
  async #ask(path, signal) {
    try {
      return await json(this.path + path, { signal, quiet: true });
    } catch (error) {
      if (error instanceof ApiError || signal.aborted) return null;
      throw error;
    }
  }

  #draw() {
    const now = serverNow();
    const claims = this.#claims.filter(({ until }) => until > now);
    const words = summary(this.#cursors, claims);
    this.element.hidden = words === "";
    if (this.#words.textContent !== words) fill(this.#words, words);
    if (!this.element.open) return;
    const readers = this.#cursors.filter(({ kind }) => kind === "cursor");
    const groups = this.#cursors.filter(({ kind }) => kind === "group");
    fill(
      this.#tables,
      readers.length > 0 && table(
        "Cursors",
        ["Name", "At", "Behind", "Lost", "Last read", "In use by"],
        readers.map((one) =>
          one.error ? [one.name, one.error.message] : [
            one.name,
            `#${one.seq}`,
            count(one.lag),
            count(one.lost),
            one.acked ? moment(Date.parse(one.acked)) : "–",
            one.in_use
              ? `pid ${one.in_use.pid}${one.in_use.host ? ` on ${one.in_use.host}` : ""}`
              : "–",
          ]
        ),
      ),
      groups.length > 0 && table(
        "Work groups",
        ["Name", "Done up to", "Behind", "Pending", "Lost", "Room"],
        groups.map((one) =>
          one.error ? [one.name, one.error.message] : [
            one.name,
            `#${one.seq}`,
            count(one.lag),
            count(one.pending ?? 0),
            count(one.lost),
            one.headroom === undefined ? "–" : count(one.headroom),
          ]
        ),
      ),
      claims.length > 0 && table(
        "Claimed keys",
        ["Key", "Holder", "For another"],
        claims.map(({ key, holder, until }) => [key, holder, span(until - now)]),
      ),
    );
  }
}
