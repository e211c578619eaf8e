/**
 * The address of a pool's page says what it shows, so that it can be shared and reloaded.
 *
 * @module
 */

/** @param {import("./pool.js").PoolView} view @param {bigint} [seq] the message that is open */
export function writeAddress({ query: asked, filter, reading, timeline }, seq) {
  const query = new URLSearchParams();
  const n = asked.get("n");
  if (n) query.set("n", n);
  for (const tag of filter.value.tags) query.append("tag", tag);
  if (filter.value.where) query.set("where", filter.value.where);
  if (reading.mode === "past" || (timeline.range && seq === undefined)) {
    for (const key of ["from", "to"]) {
      if (timeline.range && asked.has(key)) query.set(key, asked.get(key) ?? "");
    }
  }
  if (seq !== undefined) query.set("seq", String(seq));
  const text = query.toString();
  history.replaceState(null, "", location.pathname + (text ? `?${text}` : ""));
}
