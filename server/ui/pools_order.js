/**
 * The order of the pools in the list: what each column sorts by, when a pool is full, and the groups
 * of pools whose names begin alike. Without elements, so that it is tested without a browser.
 *
 * @module
 */

/** @typedef {import("./api.js").Pool} Pool */
/** @typedef {{count: number, lag: number, pending: number}} Readers cursors and work groups of a pool */
/** @typedef {{rate: number | null, minute: number, readers: Readers | undefined, damage: string}} Known what the page knows besides the list */
/** @typedef {{pool: Pool, known: Known, group: string}} Item */
/** @typedef {{name: string, items: Item[]}} Group */
/** @typedef {{group: Group, open: boolean} | {item: Item, inside: boolean}} Line */
/** @typedef {"name" | "state" | "minute" | "rate" | "fill" | "full" | "messages" | "retained" | "newest" | "followers" | "readers"} Column */

/** A ring counts as full from this percentage: the oldest messages make room for the next. */
const FULL = 98;

/** Whether something is wrong with a pool: 0 for nothing. @param {Pool} pool @param {Known} known */
export const trouble = (pool, known) => pool.error ? 2 : known.damage ? 1 : 0;

/**
 * In how many milliseconds a pool is about full, at the rate of the last minute and the mean size of
 * its messages: 0 if it is, Infinity if it does not fill.
 * @param {Pool} pool @param {number} rate messages a second
 */
export function fillsIn({ metrics, ring_size, retention }, rate) {
  if (!metrics) return Infinity;
  const { used_bytes, used_percent } = metrics.utilization;
  if (used_percent >= FULL) return 0;
  if (!(rate > 0) || !metrics.message_count) return Infinity;
  const bytesPerMs = rate * used_bytes / metrics.message_count / 1000;
  const limit = retention?.max_age_ms;
  // What expires before the ring is full makes room.
  if (limit && bytesPerMs * limit < ring_size) return Infinity;
  return (ring_size - used_bytes) / bytesPerMs;
}

/** What a column sorts by; a greater number is further down. @type {Record<Exclude<Column, "name">, (item: Item) => number>} */
const VALUE = {
  state: ({ pool, known }) => -trouble(pool, known),
  minute: ({ known }) => known.minute,
  rate: ({ known }) => known.rate ?? -1,
  fill: ({ pool }) => pool.metrics?.utilization.used_percent ?? -1,
  full: ({ pool, known }) => fillsIn(pool, known.minute),
  messages: ({ pool }) => pool.metrics?.message_count ?? -1,
  retained: ({ pool }) => {
    const { oldest_time: a, newest_time: b } = pool.metrics?.age ?? {};
    return a && b ? Date.parse(b) - Date.parse(a) : -1;
  },
  newest: ({ pool }) => pool.metrics?.age.newest_age_ms ?? Infinity,
  followers: ({ pool }) => pool.followers ?? -1,
  readers: ({ known: { readers } }) =>
    readers ? Math.max(readers.lag, readers.pending) + (readers.count ? 0.5 : 0) : -1,
};

/** The columns that say most when their greatest value is at the top. */
export const FROM_TOP = new Set([
  "minute",
  "rate",
  "fill",
  "messages",
  "retained",
  "followers",
  "readers",
]);

const byName = new Intl.Collator("en", { numeric: true });

/** @param {Item[]} items sorted in place @param {Column} column @param {boolean} down */
export function sortItems(items, column, down) {
  const names = (/** @type {Item} */ a, /** @type {Item} */ b) =>
    byName.compare(a.pool.name, b.pool.name);
  if (column === "name") return items.sort((a, b) => down ? names(b, a) : names(a, b));
  const value = VALUE[column];
  const keys = new Map(items.map((item) => [item, value(item)]));
  return items.sort((a, b) => {
    const [x, y] = [keys.get(a) ?? 0, keys.get(b) ?? 0];
    if (x === y) return names(a, b);
    return (x < y ? -1 : 1) * (down ? -1 : 1);
  });
}

/** What a name has in common with its group: what stands before the first `-`, `.`, `_`, `:`. @param {string} name */
export const prefixOf = (name) => /^([^-._:\s]+)[-._:\s]./.exec(name)?.[1] ?? "";

/**
 * The lines of the table: a group, where at least two pools begin alike, stands where its first
 * pool would stand.
 * @param {Item[]} items sorted
 * @param {{grouped: boolean, isOpen: (group: string) => boolean}} how
 * @returns {Line[]}
 */
export function linesOf(items, { grouped, isOpen }) {
  if (!grouped) return items.map((item) => ({ item, inside: false }));
  /** @type {Map<string, Item[]>} */
  const groups = new Map();
  for (const item of items) {
    const list = groups.get(item.group);
    if (list) list.push(item);
    else groups.set(item.group, [item]);
  }
  /** @type {Line[]} */
  const lines = [];
  for (const item of items) {
    const list = item.group ? groups.get(item.group) ?? [] : [];
    if (list.length < 2) lines.push({ item, inside: false });
    else if (list[0] === item) {
      const open = isOpen(item.group);
      lines.push({ group: { name: item.group, items: list }, open });
      if (open) { for (const one of list) lines.push({ item: one, inside: true }); }
    }
  }
  return lines;
}

/**
 * How well a name fits what was typed: null if it does not. The letters have to come in this order;
 * those that stand together, or at the beginning of a word, count more.
 * @param {string} name @param {string} typed
 */
export function fuzzy(name, typed) {
  const text = name.toLowerCase(), want = typed.toLowerCase().replaceAll(/\s+/g, "");
  if (!want) return 0;
  const whole = text.indexOf(want);
  if (whole >= 0) return 1000 - whole - name.length / 100 + (whole === 0 ? 500 : 0);
  let score = 0, at = -1;
  for (const letter of want) {
    const next = text.indexOf(letter, at + 1);
    if (next < 0) return null;
    if (next === at + 1) score += 5;
    else if (next === 0 || /[-._:\s]/.test(text[next - 1] ?? "")) score += 4;
    else score -= Math.min(3, next - at - 1);
    at = next;
  }
  return score - name.length / 100;
}
