/**
 * Words to search for, as the server finds them (lib/filter/words.ts): in string values, keys and
 * tags, and in the text of numbers, `true`, `false` and `null`. Here they are marked; words_or_jq.js
 * tells them from jq.
 *
 * @module
 */

/** @typedef {{text: string, exact: boolean}} Word `text` is folded unless `exact` */

const MOST_WORDS = 16;

/** Text without its case. @param {string} text */
export const foldCase = (text) => text.toLowerCase().toUpperCase();

/** The words of a text; a part in double quotes is one word. @param {string} text @returns {Word[]} */
export function wordsOf(text) {
  const words = [...text.matchAll(/"([^"]*)"?|[^\s"]+/g)]
    .map(([word, phrase]) => phrase ?? word).filter((word) => word.trim());
  return [...new Set(words)].slice(0, MOST_WORDS).map((word) => {
    const exact = /\p{Lu}|\p{Lt}/u.test(word);
    return { text: exact ? word : foldCase(word), exact };
  });
}

/** @param {string} text @param {string} folded @param {Word} word */
const has = (text, folded, word) => (word.exact ? text : folded).includes(word.text);

const TEXTS = /"((?:[^"\\]|\\.)*)"|[-\d][\d.eE+-]*|true|false|null/g;

/**
 * Whether a message has every word.
 * @param {import("./json.js").Message} message
 * @param {readonly Word[]} words
 */
export function hasWords({ text, from, to, tags }, words) {
  let left = [...words];
  const look = (/** @type {string} */ one) => {
    const folded = foldCase(one);
    left = left.filter((word) => !has(one, folded, word));
    return left.length === 0;
  };
  if (tags.some(look)) return true;
  for (const [whole, string] of text.slice(from, to).matchAll(TEXTS)) {
    const one = string === undefined ? whole : string.includes("\\") ? JSON.parse(whole) : string;
    if (look(one)) return true;
  }
  return false;
}

/**
 * Where the words are in a text: from and to of each place, in order, without overlaps.
 * @param {string} text
 * @param {readonly Word[]} words
 * @returns {Array<[number, number]>}
 */
export function placesOf(text, words) {
  const folded = foldCase(text);
  // Capitals can be longer than small letters: then each position is looked up.
  const at = folded.length === text.length ? null : positions(text);
  /** @type {Array<[number, number]>} */
  const found = [];
  for (const word of words) {
    if (!word.text) continue;
    const where = word.exact ? text : folded;
    for (let i = where.indexOf(word.text); i >= 0; i = where.indexOf(word.text, i + 1)) {
      const end = i + word.text.length;
      found.push(word.exact || !at ? [i, end] : [at.from[i] ?? i, at.to[end - 1] ?? end]);
    }
  }
  found.sort((a, b) => a[0] - b[0]);
  /** @type {Array<[number, number]>} */
  const places = [];
  for (const [from, to] of found) {
    const last = places.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else places.push([from, to]);
  }
  return places;
}

/** For each unit of the folded text, where its character begins and ends. @param {string} text */
function positions(text) {
  /** @type {number[]} */
  const from = [];
  /** @type {number[]} */
  const to = [];
  let at = 0;
  for (const character of text) {
    for (let i = foldCase(character).length; i > 0; i--) {
      from.push(at);
      to.push(at + character.length);
    }
    at += character.length;
  }
  return { from, to };
}

/**
 * Marks the words in the text below an element.
 * @param {Element} element
 * @param {readonly Word[]} words
 */
export function markWords(element, words) {
  const walk = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  /** @type {Text[]} */
  const texts = [];
  while (walk.nextNode()) texts.push(/** @type {Text} */ (walk.currentNode));
  for (const node of texts) {
    for (const [from, to] of placesOf(node.data, words).reverse()) {
      const hit = node.splitText(from);
      hit.splitText(to - from);
      const mark = document.createElement("mark");
      hit.replaceWith(mark);
      mark.append(hit);
    }
  }
}

/** Marks the words of a search in every row that is drawn; null without a search. @param {string} q */
export function marker(q) {
  const words = wordsOf(q);
  if (words.length === 0) return null;
  return (/** @type {HTMLElement} */ element) => markWords(element, words);
}
