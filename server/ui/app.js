/**
 * The frame of the page: routing, keyboard shortcuts, sign-in.
 *
 * @module
 */

import { address } from "./address.js";
import { ApiError, keepForReload, onUnauthorized, rights, signIn } from "./api.js";
import { button, fill, h, icon, svg, toast } from "./dom.js";
import { Later } from "./later.js";
import { say } from "./say.js";
import { accessStatus, entrance, giveKey, leaveSession, refusal } from "./session.js";
import { ASKED, keep, visited } from "./prefs.js";

/**
 * @typedef {import("./pool.js").PoolView | import("./pools.js").PoolsView |
 *   import("./several.js").SeveralView | import("./access.js").AccessView} View
 */

// Before anything else, so that it is in the address for no longer than it has to be.
const linked = address.takeKey();

/** @type {View | null} */
let view = null;
/** The view and its pools, as the address named them. */
let about = "";
/** Counts what was opened: a view that was loaded too late is not shown. */
let opened = 0;
const root = /** @type {HTMLElement} */ (document.getElementById("app"));

const crumbs = h("nav", { class: "crumbs", "aria-label": "Where you are" });
const lamp = h("span", { class: "lamp" });
const share = h(
  "a",
  { href: "/access", class: "share", title: "Access keys", hidden: true },
  icon("key"),
  h("span", null, "Access"),
);
const leave = button("Sign out", () => signOut(), { icon: "out", hidden: true });

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
    // Whatever is asked besides comes behind the first rows.
    if (!greeted && state !== "connecting" && state !== "reconnecting") greet();
    if (lamp.textContent === words && lamp.className === `lamp ${state}`) return;
    lamp.className = `lamp ${state}`;
    fill(lamp, h("span", null, words));
    if (state !== "connecting") say(words, "state");
    offer();
  },
};

/** Shows the buttons that do something here. */
function offer() {
  leave.hidden = !rights.token && !rights.session;
}

/** Draws the frame around a view. @param {HTMLElement} main */
function draw(main) {
  offer();
  fill(
    root,
    h(
      "header",
      { class: "top" },
      crumbs,
      lamp,
      h("span", { class: "fill" }),
      share,
      leave,
      button("Go to", jump, { icon: "search", key: "Ctrl K" }),
      button("Settings", settings, { icon: "gear" }),
      button("Help", help, { icon: "help", key: "?" }),
    ),
    main,
  );
}

/** Ends the view there is, with its dialogs. */
function end() {
  opened++;
  view?.dispose();
  view = null;
  document.querySelectorAll("dialog").forEach((box) => box.remove());
}

/** Loads the view of the current URL; each page preloads its own (mod.ts). @returns {Promise<() => View>} */
async function load() {
  const { kind, name, names } = address.view;
  if (kind === "access") {
    const { AccessView } = await import("./access.js");
    return () => new AccessView(shell);
  }
  if (kind === "pools") {
    const { PoolsView } = await import("./pools.js");
    return () => new PoolsView(shell);
  }
  if (kind === "several") {
    const { SeveralView } = await import("./several.js");
    return () => new SeveralView(names, { ...shell, jump });
  }
  visited(name);
  const { PoolView } = await import("./pool.js");
  return () => new PoolView(name, shell);
}

/** Shows the view of the current URL. */
async function open() {
  end();
  const mine = opened;
  about = JSON.stringify(address.view);
  let make;
  try {
    make = await load();
  } catch (error) {
    // A TypeError says that a module was not delivered; not every browser asks for it again.
    if (!(error instanceof TypeError)) throw error;
    if (mine !== opened) return;
    shell.crumbs();
    draw(h("main", null));
    shell.state("reconnecting", "Reconnecting: the server does not answer");
    keepForReload();
    dispatchEvent(new Event("missing")); // start.js loads the page again.
    return;
  }
  if (mine !== opened) return;
  view = make();
  draw(view.element);
}

/** Empties the page: what was read with credentials that are over is not left on the screen. */
function clear() {
  end();
  shell.crumbs();
  draw(h("main", null));
}

const signingIn = () => document.querySelector("dialog.sign-in") !== null;
let asking = false;

/**
 * Shows the form that the server needs. @param {string} [problem] why, if something went wrong
 */
async function askToEnter(problem = "") {
  if (asking || signingIn()) return;
  asking = true;
  const again = () => askToEnter();
  try {
    const way = await entrance();
    const { askKey, askToken } = await import("./signin.js");
    if (way === "key") {
      clear();
      shell.state("stopped", "Signed out");
      askKey(problem, open, again);
    } else if (way === "token") {
      askToken(open, again);
      shell.state("stopped", "Signed out");
    } else setTimeout(open, 1000); // Another tab has signed in meanwhile.
  } catch (error) {
    shell.state("reconnecting", error instanceof Error ? error.message : String(error));
    setTimeout(() => askToEnter(problem), 1000);
  } finally {
    asking = false;
  }
}

/** @param {ApiError} error */
function refused({ message }) {
  askToEnter(
    message === "browser session ended"
      ? "The session is over: you signed out, or the access key was revoked or has expired."
      : "",
  );
}

/** Whether this listener was asked what it has besides the pools. */
let greeted = false;

/** Offers what this listener has besides the pools. */
async function greet() {
  greeted = true;
  try {
    const way = await entrance();
    offer();
    if (way !== "local") return;
    await accessStatus();
    share.hidden = false;
  } catch (error) {
    // Without an answer nothing is offered, and with the next state it is asked again.
    greeted = error instanceof ApiError && error.status > 0 && error.status < 500;
  }
}

async function signOut() {
  keep(ASKED, "");
  if (!rights.session) {
    signIn("", false);
    open();
    return;
  }
  try {
    await leaveSession();
  } catch (error) {
    toast(`Not signed out: ${refusal(error)}`, true);
    return;
  }
  clear();
  askToEnter();
}

/** Signs in with the key of a link. @param {string} key */
async function enterBy(key) {
  asking = true;
  let problem = "";
  try {
    const way = await entrance();
    if (way === "key" || way === "session") await giveKey(key);
  } catch (error) {
    problem = refusal(error);
  } finally {
    asking = false;
  }
  if (!problem || rights.session) {
    open();
    greet();
    if (problem) toast(problem, true);
    return;
  }
  clear();
  askToEnter(problem);
}

/** Shows the keyboard shortcuts. */
function help() {
  if (document.querySelector("dialog[open]")) return;
  new Later(() => import("./help.js")).use(({ showKeys }) => showKeys(view?.kind));
}

/** Shows the box that finds pools and actions, or closes it. */
function jump() {
  const box = /** @type {HTMLDialogElement | null} */ (document.querySelector("dialog.palette"));
  if (box) return box.close();
  if (document.querySelector("dialog[open]")) return;
  // What is typed until it is there is for it, and not for the view.
  let typed = "";
  const keep = (/** @type {KeyboardEvent} */ event) => {
    if (event.ctrlKey || event.metaKey || event.key.length !== 1) return;
    typed += event.key;
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  addEventListener("keydown", keep, true);
  new Later(() => import("./palette.js").finally(() => removeEventListener("keydown", keep, true)))
    .use(({ openPalette }) => openPalette({ go, help, pools: address.view.names, typed }));
}

/** Shows the settings. */
function settings() {
  if (document.querySelector("dialog[open]")) return;
  new Later(() => import("./settings.js")).use(({ showSettings }) => showSettings());
}

/** @param {string} href */
function go(href) {
  address.go(href);
  open();
}

document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button || link.download) {
    return;
  }
  if (!address.owns(link)) return;
  event.preventDefault();
  go(link.pathname + link.search);
});

document.addEventListener("keydown", (event) => {
  const { ctrlKey, metaKey, altKey, shiftKey } = event;
  if ((ctrlKey !== metaKey) && !altKey && !shiftKey && event.key.toLowerCase() === "k") {
    event.preventDefault();
    jump();
    return;
  }
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
  else if (event.key === "u" && view?.kind !== "pools") go("/ui");
  else if (!view?.key(event)) return;
  event.preventDefault();
});

address.subscribe(() => {
  // A view that stays shows by itself what the address says.
  if (!view || JSON.stringify(address.view) !== about) open();
});
// A link that is pasted into this tab changes the fragment only.
addEventListener("hashchange", () => {
  const key = address.takeKey();
  if (key !== null) enterBy(key);
});
onUnauthorized(refused);
if (linked === null) open();
else {
  clear();
  shell.state("connecting", "Signing in");
  enterBy(linked);
}
