/**
 * Sessions of browsers: an access key is sent once and answered with a cookie that no script sees,
 * so there is nothing to keep here.
 *
 * @module
 */

import { ApiError, json, rights, signIn, wordsOf } from "./api.js";

const SESSION = "/v0/browser/session";

/**
 * @typedef {object} Status
 * @property {string} pool_dir
 * @property {string} [server_fingerprint]
 * @property {string | null} [shared_address]
 * @property {string | null} next_action
 */

/** Whether this listener administers access keys, and what is to be done first. @returns {Promise<Status>} */
export const accessStatus = () => json("/v0/access/status", { quiet: true, bare: true });

/**
 * How this browser is let in, as the server says it: `local` where everyone of this machine is,
 * `session` with a key that was given, `key` if one is to be given, `token` on servers without
 * sessions.
 * @returns {Promise<"local" | "session" | "key" | "token">}
 */
export async function entrance() {
  rights.session = false;
  try {
    const { local } = await json(SESSION, { quiet: true, bare: true });
    // A token of the server that was at this address before would hide the cookie.
    signIn("", false);
    rights.session = !local;
    return local ? "local" : "session";
  } catch (error) {
    const status = error instanceof ApiError ? error.status : 0;
    if (status === 0 || status >= 500) throw error;
    if (status !== 401) return "token";
    signIn("", false);
    return "key";
  }
}

/** Exchanges a key for a cookie. @param {string} key */
export async function giveKey(key) {
  const body = JSON.stringify({ access_key: key });
  await json(SESSION, { method: "POST", body, quiet: true, bare: true });
  await entrance();
}

/** Ends the session: the server forgets it, and the browser the cookie. */
export async function leaveSession() {
  await json(SESSION, { method: "DELETE", quiet: true, bare: true });
  rights.session = false;
}

/** What to say of a refused key. @param {unknown} error */
export function refusal(error) {
  if (!(error instanceof ApiError && error.status === 429)) return wordsOf(error);
  return `Too many wrong keys. Try again in ${error.retryAfter || 60} seconds.`;
}
