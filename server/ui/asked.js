/**
 * What was asked for before: the last filters and searches in this browser, for this origin. What
 * could be a secret is not kept, and signing out forgets all.
 *
 * @module
 */

const PLACE = "plasmite-asked";
const MOST = 50;
const LONGEST = 300;
const SECRET = /pk1|bearer|token|passw|secret|authori[sz]ation|api.?key|cookie|[\w+/=-]{32}/i;

/** The newest first. @returns {string[]} */
export function askedBefore() {
  try {
    const texts = JSON.parse(localStorage.getItem(PLACE) ?? "[]");
    return Array.isArray(texts) ? texts.filter((one) => typeof one === "string") : [];
  } catch {
    return []; // Storage is switched off, or holds something else.
  }
}

/** @param {string} text */
export function rememberAsked(text) {
  if (text.length > LONGEST || SECRET.test(text)) return;
  const texts = [text, ...askedBefore().filter((one) => one !== text)].slice(0, MOST);
  try {
    localStorage.setItem(PLACE, JSON.stringify(texts));
  } catch { /* storage is switched off */ }
}

export function forgetAsked() {
  try {
    localStorage.removeItem(PLACE);
  } catch { /* storage is switched off */ }
}
