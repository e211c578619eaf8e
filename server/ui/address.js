/**
 * The address says what the page shows, so that it can be reloaded and shared, and so that Back goes
 * to the former query. Only this module reads and writes it; others change a part of it with
 * `address.set`, and are told with `address.subscribe` when the reader goes back or forward.
 *
 * @module
 */

/**
 * What a page shows. Every member is a parameter of the address by that name (`tags`: `tag`).
 * @typedef {object} Shown
 * @property {string} where a jq filter
 * @property {string[]} tags
 * @property {string} q words that are searched for
 * @property {boolean} hits whether only messages with the words are listed
 * @property {string} from the start of a range, RFC 3339
 * @property {string} to its end
 * @property {bigint | null} seq the message that is open
 * @property {string[][] | null} columns paths below `data`; null for those that were chosen last
 * @property {string} n how many messages to start with
 * @property {string} search the search in the list of pools
 * @property {string} chart the path of the field that is drawn, `1` for the first; empty for none
 * @property {string} layout of several pools: `side` by side, or empty for one list
 * @property {string} sort a column of that list, with a hyphen for the other direction
 */

/** How many pools are shown together at most. */
export const TOGETHER = 8;

/** A change of these is a query: it gets an entry of its own in the history. */
const QUERY = /** @type {const} */ (["where", "tag", "q", "from", "to"]);

/** `a.b` for the path a, b; separators in names have a backslash. @param {readonly string[]} path */
const pathText = (path) => path.map((name) => name.replace(/[\\.,]/g, "\\$&")).join(".");

/** The paths in a text such as `level,user.id`. @param {string} text @returns {string[][]} */
function pathsOf(text) {
  if (!text) return [];
  return [...text.matchAll(/((?:[^\\,]|\\.)+)(?:,|$)/g)].map(([, path = ""]) =>
    [...path.matchAll(/((?:[^\\.]|\\.)+)(?:\.|$)/g)].map(([, name = ""]) =>
      name.replace(/\\(.)/g, "$1")
    )
  );
}

/** @param {URLSearchParams} query @returns {Shown} */
export function readQuery(query) {
  const text = (/** @type {string} */ name) => query.get(name) ?? "";
  const seq = text("seq");
  const columns = query.get("columns");
  return {
    where: text("where"),
    tags: query.getAll("tag"),
    q: text("q"),
    hits: text("hits") === "1",
    from: text("from"),
    to: text("to"),
    seq: /^\d{1,20}$/.test(seq) ? BigInt(seq) : null,
    columns: columns === null ? null : pathsOf(columns),
    n: text("n"),
    chart: text("chart"),
    layout: text("layout"),
    search: text("search"),
    sort: text("sort"),
  };
}

/** @param {Shown} shown */
export function writeQuery(shown) {
  const query = new URLSearchParams();
  for (const tag of shown.tags) query.append("tag", tag);
  const put = (/** @type {string} */ name, /** @type {string} */ value) => {
    if (value) query.set(name, value);
  };
  put("where", shown.where);
  put("q", shown.q);
  put("hits", shown.hits && shown.q ? "1" : "");
  put("from", shown.from);
  put("to", shown.to);
  if (shown.columns) query.set("columns", shown.columns.map(pathText).join(","));
  put("n", shown.n);
  put("chart", shown.chart);
  put("layout", shown.layout);
  put("search", shown.search);
  put("sort", shown.sort);
  if (shown.seq !== null) query.set("seq", String(shown.seq));
  return query;
}

/** The part that makes a query. @param {URLSearchParams} query */
const queryOf = (query) => JSON.stringify(QUERY.map((name) => query.getAll(name)));

class Address {
  /** @type {Set<(shown: Shown) => void>} */
  #listeners = new Set();

  /** What the page shows. @returns {Shown} */
  get shown() {
    return readQuery(new URLSearchParams(location.search));
  }

  /**
   * The view, and the pool it is about, or several. @returns {{kind: "pools" | "pool" | "several" |
   * "access", name: string, names: string[]}}
   */
  get view() {
    if (location.pathname === "/access") return { kind: "access", name: "", names: [] };
    const path = /^\/ui\/pools\/([^/]+)$/.exec(location.pathname)?.[1];
    try {
      // A comma in a name is encoded.
      const names = (path ?? "").split(",").filter(Boolean).map(decodeURIComponent);
      const [name] = names;
      if (name) return { kind: names.length > 1 ? "several" : "pool", name, names };
    } catch { /* not a name: as if there were none */ }
    return { kind: "pools", name: "", names: [] };
  }

  /** The range of time that is shown, in milliseconds; null for all. @returns {[number, number] | null} */
  get range() {
    const { from, to } = this.shown;
    const [start, end] = [Date.parse(from), Date.parse(to)];
    return start < end ? [start, end] : null;
  }

  /** The path of a pool, or of several together. @param {readonly string[]} names */
  pathOf(names) {
    return `/ui/pools/${names.map(encodeURIComponent).join(",")}`;
  }

  /** `http://127.0.0.1:9700`, for what is copied. */
  get origin() {
    return location.origin;
  }

  /** The address of what is shown, with this message open. @param {bigint} seq */
  link(seq) {
    return `${location.origin}${location.pathname}?${writeQuery({ ...this.shown, seq })}`;
  }

  /**
   * Changes what the page says it shows.
   * @param {Partial<Shown>} change @param {boolean} [undo] takes the place of what was asked for last
   */
  set(change, undo = false) {
    const before = new URLSearchParams(location.search);
    const query = writeQuery({ ...this.shown, ...change });
    if (String(query) === String(before)) return;
    const text = location.pathname + (query.size ? `?${query}` : "");
    if (undo || queryOf(query) === queryOf(before)) history.replaceState(null, "", text);
    else history.pushState(null, "", text);
  }

  /** Goes to another page. @param {string} href */
  go(href) {
    history.pushState(null, "", href);
  }

  /** Whether a link is one of this page's own. @param {HTMLAnchorElement} link */
  owns(link) {
    return link.origin === location.origin && /^\/(?:ui|access)(?:\/|$)/.test(link.pathname);
  }

  /** The access key in the fragment, which is removed from the address; null for none. */
  takeKey() {
    const key = /^#key=(.*)$/.exec(location.hash)?.[1];
    if (key === undefined) return null;
    history.replaceState(history.state, "", location.pathname + location.search);
    return key;
  }

  /**
   * Tells when the reader has gone back or forward. Returns what ends it.
   * @param {(shown: Shown) => void} listener
   */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Tells everyone. */
  moved() {
    for (const listener of [...this.#listeners]) listener(this.shown);
  }
}

export const address = new Address();

// Tests import what needs no page.
if (typeof addEventListener === "function" && typeof location === "object") {
  addEventListener("popstate", () => address.moved());
}
