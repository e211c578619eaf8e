/**
 * The fields of a pool and their most frequent values, as the server counts them.
 *
 * @module
 */

import { pagePath, request } from "./api.js";
import { parse, pretty } from "./json.js";

/** @typedef {import("./clauses.js").Field} Field */
/**
 * @typedef {{field: Field, name: string, count: number, exact: boolean,
 *   values: Array<{text: string, count: number}>}} Facet `text` is JSON text
 */

/** A member of an answer that was parsed with exact numbers. @param {any} map @param {string} name */
const get = (map, name) => map.get(name);

/** @param {any} map @param {Field} field @param {string} name @returns {Facet} */
const facetOf = (map, field, name) => ({
  field,
  name,
  count: Number(get(map, "count").text),
  exact: get(map, "exact"),
  values: get(map, "values").map((/** @type {any} */ one) => ({
    text: pretty(get(one, "value")),
    count: Number(get(one, "count").text),
  })),
});

/**
 * Asks the server. @param {string} pool @param {URLSearchParams} query @param {AbortSignal} signal
 * @returns {Promise<{part: number, counted: number, tags: Facet, fields: Facet[]}>}
 */
export async function readFacets(pool, query, signal) {
  const path = `${pagePath(pool)}/facets?${query}`;
  const answer = /** @type {any} */ (parse(await (await request(path, { signal })).text()));
  const fields = get(answer, "fields").map((/** @type {any} */ one) => {
    const names = get(one, "path");
    return facetOf(one, names, names.join("."));
  });
  return {
    part: Number(get(answer, "part").text),
    counted: Number(get(answer, "counted").text),
    tags: facetOf(get(answer, "tags"), "tags", "Tags"),
    fields,
  };
}
