/**
 * The frame of the page: routing, keyboard shortcuts, sign-in.
 *
 * @module
 */

import { json, onUnauthorized, rights, signIn } from "./api.js";
import { button, dialog, fill, h, svg } from "./dom.js";
import { PoolView } from "./pool.js";
import { PoolsView } from "./pools.js";

/** @type {PoolView | PoolsView | null} */
let view = null;
const root = /** @type {HTMLElement} */ (document.getElementById("app"));

const crumbs = h("nav", { class: "crumbs", "aria-label": "Where you are" });
const lamp = h("span", { class: "lamp", role: "status" });
const leave = button("Sign out", () => {
  signIn("", false);
  open();
}, { icon: "out", hidden: true });

/** The logo: a ring with a head. */
function logo() {
  const mark = svg("svg", { viewBox: "0 0 24 24", class: "logo", "aria-hidden": "true" });
  mark.append(
    svg("path", { d: "M12 3.5a8.5 8.5 0 1 1-8 5.6", class: "ring" }),
    svg("circle", { cx: "6", cy: "5.8", r: "2.2", class: "dot" }),
    svg("circle", { cx: "12", cy: "12", r: "2.6", class: "dot" }),
  );
  return mark;
}

const shell = {
  /** @param {...import("./dom.js").Child} names */
  crumbs: (...names) => {
    fill(
      crumbs,
      h(
        "a",
        { href: "/ui", class: "brand", "aria-label": "Plasmite, all pools" },
        logo(),
        h("span", null, "Plasmite"),
      ),
      names.length > 0 && h("span", { class: "sep", "aria-hidden": "true" }, "/"),
      names.map((name) => h("span", { class: "here", "aria-current": "page" }, name)),
    );
  },
  /** @param {string} state @param {string} words */
  state: (state, words) => {
    if (lamp.textContent === words && lamp.className === `lamp ${state}`) return;
    lamp.className = `lamp ${state}`;
    fill(lamp, h("span", null, words));
    leave.hidden = !rights.token;
  },
};

/** The pool named in the URL. */
function poolName() {
  const match = /^\/ui\/pools\/([^/]+)$/.exec(location.pathname);
  try {
    return match?.[1] ? decodeURIComponent(match[1]) : null;
  } catch {
    return null;
  }
}

/** Shows the view of the current URL. */
function open() {
  view?.dispose();
  document.querySelectorAll("dialog").forEach((box) => box.remove());
  leave.hidden = !rights.token;
  const name = poolName();
  view = name === null
    ? new PoolsView(shell)
    : new PoolView(name, new URLSearchParams(location.search), shell);
  fill(
    root,
    h(
      "header",
      { class: "top" },
      crumbs,
      lamp,
      h("span", { class: "fill" }),
      leave,
      button("Help", help, { icon: "help", key: "?" }),
    ),
    view.element,
  );
}

/** Asks for the token, which is sent only in the Authorization header. */
function askToken() {
  if (document.querySelector("dialog.sign-in")) return;
  const had = rights.token;
  signIn("", false);
  shell.state("stopped", "Signed out");
  const token = h("input", {
    type: "password",
    name: "token",
    required: true,
    autocomplete: "current-password",
    spellcheck: "false",
  });
  const keep = h("input", { type: "checkbox" });
  const problem = h(
    "p",
    { class: "problem", role: "alert" },
    had && "The token was not accepted.",
  );
  const box = dialog("Sign in", (close) => [
    h(
      "form",
      {
        method: "dialog",
        onsubmit: async (/** @type {Event} */ event) => {
          event.preventDefault();
          signIn(token.value.trim(), keep.checked);
          try {
            await json("/v0/ui/pools", { quiet: true });
          } catch (error) {
            const { status, message } = /** @type {import("./api.js").ApiError} */ (error);
            if (status === 401 || status === 0) {
              if (status === 401) signIn("", false);
              fill(problem, status ? "The token was not accepted." : message);
              token.select();
              return;
            }
          }
          close();
          open();
        },
      },
      h(
        "p",
        null,
        "This server requires a token. It was set with ",
        h("code", null, "--token-file"),
        " or ",
        h("code", null, "--token"),
        ".",
      ),
      h("label", null, "Token", token),
      h("label", { class: "check" }, keep, "Stay signed in until this tab is closed"),
      problem,
      h("div", { class: "row-end" }, h("button", { class: "primary" }, "Sign in")),
    ),
  ]);
  box.classList.add("sign-in");
  box.querySelector("header button")?.remove();
  box.addEventListener("cancel", (event) => event.preventDefault());
  token.focus();
}

/** Shows the keyboard shortcuts. */
function help() {
  if (document.querySelector("dialog[open]")) return;
  const inPool = view instanceof PoolView;
  /** @type {Array<[string, string]>} */
  const keys = [
    ["/", inPool ? "Write a filter" : "Search"],
    ["j  k", "Next, previous"],
    ["g  G", inPool ? "Oldest, newest" : "First, last"],
  ];
  if (inPool) {
    keys.push(
      ["space", "Pause, resume; in the past: replay"],
      ["Enter", "Open a message"],
      ["Esc", "Close; back to live"],
      ["t", "Timeline: arrows, Shift, Enter"],
      ["c", "Columns"],
      ["e", "Export as JSON lines"],
    );
    if (rights.write) keys.push(["a", "Append a message"]);
    keys.push(["u", "All pools"]);
  } else if (rights.write) keys.push(["n", "New pool"]);
  keys.push(["?", "This help"]);
  dialog("Keys", () => [
    h(
      "dl",
      { class: "keys" },
      keys.map(([key, words]) =>
        h(
          "div",
          null,
          h("dt", null, key.split("  ").map((k) => h("kbd", null, k))),
          h("dd", null, words),
        )
      ),
    ),
    inPool &&
    h("p", null, "Drag over the timeline to see past messages. Click a tag to filter by it."),
  ]);
}

/** @param {string} href */
function go(href) {
  history.pushState(null, "", href);
  open();
}

document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button || link.download) {
    return;
  }
  if (link.origin !== location.origin || !link.pathname.startsWith("/ui")) return;
  event.preventDefault();
  go(link.pathname + link.search);
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) {
    return;
  }
  const at = /** @type {HTMLElement} */ (event.target);
  if (/^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName)) {
    if (event.key === "Escape") at.blur();
    return;
  }
  const pressable = at.closest("button, a, summary") !== null;
  if (pressable && (event.key === " " || event.key === "Enter")) return;
  if (at.closest(".inspector .body") && /^(Arrow|Page|Home|End)/.test(event.key)) return;
  if (event.key === "?") help();
  else if (event.key === "u" && view instanceof PoolView) go("/ui");
  else if (!view?.key(event)) return;
  event.preventDefault();
});

addEventListener("popstate", open);
onUnauthorized(askToken);
open();
