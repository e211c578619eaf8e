/**
 * The tags of a row: as many as fit, at least three characters of each that is shown, and `+n` for
 * the others.
 *
 * @module
 */

import { h } from "./dom.js";
import { visible } from "./json.js";
import { troubleIn } from "./line.js";

/** The font of a tag in a row; rows.css has the same. */
const FONT = '550 11.5px ui-sans-serif, -apple-system, "Segoe UI", Inter, system-ui, sans-serif';
/** The padding of a tag on both sides together, and the space between two, in pixels. */
const PADDING = 12;
const GAP = 4;
/** Characters of a tag that are shown at least. */
const LEAST = 3;
/** Characters of a tag that are measured at most; no column is wider. */
const LONGEST = 200;

const context = document.createElement("canvas").getContext("2d");
/** @type {Map<string, number>} */
const widths = new Map();

/** The width of a text as a tag, in pixels. @param {string} text */
function widthOf(text) {
  let width = widths.get(text);
  if (width === undefined) {
    if (widths.size > 5000) widths.clear();
    if (context) context.font = FONT;
    // A pixel more: browsers round letters differently in elements.
    width = Math.ceil(context?.measureText(text).width ?? text.length * 8) + PADDING + 1;
    widths.set(text, width);
  }
  return width;
}

/** @param {string} tag */
const least = (tag) =>
  Math.min(
    widthOf(tag.slice(0, LONGEST)),
    widthOf(`${[...tag.slice(0, 8)].slice(0, LEAST).join("")}…`),
  );

/**
 * Which tags fit into a width: how many as they are, whether the next one cut, and how many are
 * left.
 * @param {readonly string[]} tags
 * @param {number} room in pixels
 */
export function fitting(tags, room) {
  let used = 0, whole = 0;
  for (; whole < tags.length; whole++) {
    const after = tags.length - whole - 1;
    const space = used + (whole ? GAP : 0);
    const rest = after ? GAP + widthOf(`+${after}`) : 0;
    const tag = tags[whole] ?? "";
    const wide = widthOf(tag.slice(0, LONGEST));
    if (tag.length <= LONGEST && space + wide + rest <= room) used = space + wide;
    else if (space + least(tag) + rest <= room || whole === 0) {
      return { whole, cut: true, left: after };
    } else break;
  }
  return { whole, cut: false, left: tags.length - whole };
}

/** The width that shows all of these tags, in pixels. @param {readonly string[]} tags */
export const tagsWidth = (tags) =>
  tags.reduce((sum, tag) => sum + widthOf(tag.slice(0, LONGEST)) + GAP, 0);

/** @param {string} tag */
const pill = (tag) =>
  h(
    "span",
    { class: `tag t${troubleIn(tag)}`, title: visible(tag), "data-tag": tag },
    visible(tag),
  );

/**
 * The elements of the tags of a row, those that mean trouble first. @param {readonly string[]} tags
 * @param {number} room the width in pixels
 */
export function tagPills(tags, room) {
  if (tags.length === 0) return [];
  const sorted = tags.length === 1 ? tags : [
    ...tags.filter((tag) => troubleIn(tag)),
    ...tags.filter((tag) => !troubleIn(tag)),
  ];
  const { whole, cut, left } = fitting(sorted, room);
  const shown = sorted.slice(0, whole + (cut ? 1 : 0)).map(pill);
  if (cut) shown.at(-1)?.classList.add("cut");
  if (left === 0) return shown;
  const others = sorted.slice(-left, -left + 20 || undefined).map((tag) => visible(tag)).join(", ");
  const said = h("span", { class: "offscreen" }, ` ${others.slice(0, 500)}`);
  return [...shown, h("span", { class: "tag others", title: others }, `+${left}`, said)];
}
