/**
 * The two forms for signing in: with the token of `serve --token`, or with an access key.
 *
 * @module
 */

import { json, rights, signIn } from "./api.js";
import { complain, dialog, h } from "./dom.js";
import { giveKey, refusal } from "./session.js";

/**
 * @param {{words: import("./dom.js").Child[], label: string, name: string, problem: string,
 *   more?: HTMLElement, enter: (value: string) => Promise<string>, done: () => void, left: () =>
 *   void}} form `enter` returns the problem, or nothing; `left` is called if it was closed without
 */
function form({ words, label, name, problem: given, more, enter, done, left }) {
  const secret = h("input", {
    type: "password",
    name,
    required: true,
    autocomplete: "current-password",
    spellcheck: "false",
    "aria-describedby": "sign-in-problem",
  });
  const problem = h("p", { class: "problem", id: "sign-in-problem" }, given);
  const send = h("button", { class: "primary" }, "Sign in");
  let entered = false;
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (send.disabled) return;
    send.disabled = true;
    const refused = await enter(secret.value.trim());
    send.disabled = false;
    if (refused) {
      complain(problem, refused);
      secret.select();
      return;
    }
    entered = true;
    secret.value = "";
    box.close();
    done();
  };
  const box = dialog("Sign in", () => [
    h(
      "form",
      { method: "dialog", onsubmit: submit },
      h("p", null, words),
      h("label", null, label, secret),
      more,
      problem,
      h("div", { class: "row-end" }, send),
    ),
  ]);
  box.classList.add("sign-in");
  box.querySelector("header button")?.remove();
  box.addEventListener("cancel", (event) => event.preventDefault());
  // Browsers close a dialog at the second Escape, whatever the page says.
  box.addEventListener("close", () => entered || left());
  secret.focus();
}

/** Asks for the token, which is sent only in the Authorization header. @param {() => void} done @param {() => void} left */
export function askToken(done, left) {
  const had = rights.token;
  signIn("", false);
  const keep = h("input", { type: "checkbox" });
  form({
    words: [
      "This server requires a token. It was set with ",
      h("code", null, "--token-file"),
      " or ",
      h("code", null, "--token"),
      ".",
    ],
    label: "Token",
    name: "token",
    problem: had ? "The token was not accepted." : "",
    more: h("label", { class: "check" }, keep, "Stay signed in until this tab is closed"),
    enter: async (value) => {
      signIn(value, keep.checked);
      try {
        await json("/v0/ui/pools", { quiet: true });
      } catch (error) {
        const { status, message } = /** @type {import("./api.js").ApiError} */ (error);
        if (status === 401) {
          signIn("", false);
          return "The token was not accepted.";
        }
        if (status === 0) return message;
      }
      return "";
    },
    done,
    left,
  });
}

/** Asks for an access key. @param {string} problem @param {() => void} done @param {() => void} left */
export function askKey(problem, done, left) {
  form({
    words: [
      "Paste an access key for this server. Its owner makes one with ",
      h("code", null, "plasmite access invite NAME"),
      ".",
    ],
    label: "Access key",
    name: "access-key",
    problem,
    enter: async (value) => {
      try {
        await giveKey(value);
      } catch (error) {
        return refusal(error);
      }
      return "";
    },
    done,
    left,
  });
}
