/**
 * What was asked for before: the last filters and searches in this browser, for this origin. What
 * could be a secret is not kept, and signing out forgets all.
 *
 * @module
 */

import { ASKED, keepText, keptTexts } from "./prefs.js";

const MOST = 50;
const LONGEST = 300;
const SECRET = /pk1|bearer|token|passw|secret|authori[sz]ation|api.?key|cookie|[\w+/=-]{32}/i;

/** The newest first. */
export const askedBefore = () => keptTexts(ASKED);

/** @param {string} text */
export function rememberAsked(text) {
  if (text.length > LONGEST || SECRET.test(text)) return;
  keepText(ASKED, text, MOST);
}
