/**
 * The page of access keys, on the machine of the server: invite, list, revoke.
 *
 * @module
 */

import { ApiError, json, wordsOf } from "./api.js";
import { ago, button, complain, count, dialog, fill, h, moment, toast } from "./dom.js";
import { handout } from "./handout.js";
import { visible } from "./json.js";
import { styled } from "./later.js";
import { unlessPressed } from "./press.js";
import { accessStatus } from "./session.js";
import { serverNow } from "./times.js";

await styled("access");

/**
 * @typedef {object} Key
 * @property {string} id
 * @property {string} name
 * @property {boolean} revoked
 * @property {number | null} created_at
 * @property {number | null} last_used_at
 * @property {string[]} [pools]
 * @property {string} [rights]
 * @property {number | null} [expires_at]
 */

const EVERY_MS = 5000;

/** @type {Record<string, string>} */
const RIGHTS = {
  admin: "everything",
  "read-append": "read and append",
  read: "read",
  append: "append",
};

/** @param {Key} key */
const isOver = ({ revoked, expires_at }) =>
  revoked || (typeof expires_at === "number" && expires_at * 1000 <= serverNow());

/** What a key may do, where, and for how long. @param {Key} key */
function facts(key) {
  const { created_at, last_used_at, pools, rights, expires_at } = key;
  const at = (/** @type {number} */ seconds) => moment(seconds * 1000);
  const end = key.revoked
    ? "revoked"
    : typeof expires_at === "number"
    ? `${isOver(key) ? "expired" : "expires"} ${at(expires_at)}`
    : "never expires";
  return [
    ["May", RIGHTS[rights ?? "admin"] ?? rights],
    ["Pools", pools && !pools.includes("*") ? pools.map((p) => visible(p)).join(", ") : "all"],
    ["Ends", end],
    ["Made", created_at === null ? "–" : at(created_at)],
    ["Last used", last_used_at ? ago(last_used_at * 1000) : "not since the server started"],
  ];
}

export class AccessView {
  kind = /** @type {const} */ ("access");
  /** @type {import("./session.js").Status | null} */
  status = null;
  /** @type {Key[]} */
  keys = [];
  #drawn = "";
  #stopped = false;
  #showsEnded = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {{crumbs: (...children: import("./dom.js").Child[]) => void, state: (state: string, words: string) => void}} shell */
  constructor(shell) {
    this.shell = shell;
    shell.crumbs("Access");
    document.title = "Access · Plasmite UI";
    this.summary = h("p", { class: "summary" });
    this.notice = h("div", { class: "notice" });
    this.form = this.#form();
    this.made = h("section", { class: "panel handout", "aria-label": "New key", hidden: true });
    this.list = h("div", { class: "keyring" });
    this.element = h(
      "main",
      { class: "overview access" },
      h("div", { class: "bar" }, h("h1", null, "Access keys"), this.summary),
      this.notice,
      this.made,
      this.form,
      this.list,
    );
    // A page that the browser keeps for its Back button must not keep the key.
    this.forget = () => this.#forget();
    addEventListener("pagehide", this.forget);
    this.visible = () => document.hidden || this.#load();
    document.addEventListener("visibilitychange", this.visible);
    this.#load();
  }

  dispose() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    removeEventListener("pagehide", this.forget);
    document.removeEventListener("visibilitychange", this.visible);
    this.#forget();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.key !== "n" || this.form.hidden) return false;
    this.name?.focus();
    return true;
  }

  #form() {
    const text = (/** @type {Record<string, any>} */ more) =>
      h("input", { type: "text", autocomplete: "off", spellcheck: "false", ...more });
    this.name = text({ name: "name", required: true, placeholder: "laptop of Alex" });
    this.pools = text({ name: "pools", placeholder: "all", "aria-describedby": "pools-note" });
    this.rights = h(
      "select",
      { name: "rights" },
      Object.entries(RIGHTS).map(([value, words]) => h("option", { value }, words)),
    );
    this.expires = text({ name: "expires", placeholder: "never", list: "expiries" });
    this.problem = h("p", { class: "problem" });
    this.send = h("button", { class: "primary" }, "Make a key");
    return h(
      "form",
      {
        class: "panel invite",
        hidden: true,
        onsubmit: (/** @type {Event} */ e) => this.#invite(e),
      },
      h("h2", null, "Invite"),
      h("label", null, "Name", this.name),
      h("label", null, "May", this.rights),
      h(
        "label",
        null,
        "Pools",
        this.pools,
        h("small", { id: "pools-note" }, "As in ci,logs-*; * is any text, ? one character."),
      ),
      h(
        "label",
        null,
        "Valid for",
        this.expires,
        h("small", null, "As in 30d, 12h, 45m."),
        h(
          "datalist",
          { id: "expiries" },
          ["1h", "12h", "7d", "30d", "365d"].map((value) => h("option", { value })),
        ),
      ),
      this.problem,
      h("div", { class: "row-end" }, this.send),
    );
  }

  async #load() {
    clearTimeout(this.#timer);
    try {
      const status = await accessStatus();
      const { server_fingerprint } = status;
      const { keys } = server_fingerprint
        ? await json("/v0/access/keys", {
          headers: { "x-plasmite-server-fingerprint": server_fingerprint },
          bare: true,
        })
        : { keys: [] };
      if (this.#stopped) return;
      this.status = status;
      this.keys = keys;
      this.shell.state("live", "Live");
      this.#draw();
    } catch (error) {
      if (this.#stopped) return;
      const status = error instanceof ApiError ? error.status : 0;
      const elsewhere = status === 401 || status === 404;
      const words = elsewhere ? "Access keys are not administered here" : wordsOf(error);
      this.shell.state(status ? "stopped" : "reconnecting", words);
      if (!this.status) {
        fill(
          this.notice,
          h("h2", null, words),
          elsewhere &&
            h("p", null, "Open this page on the machine of the server, at its local address."),
        );
      }
      if (elsewhere) return;
    }
    if (!document.hidden) this.#timer = setTimeout(() => this.#load(), EVERY_MS);
  }

  #draw() {
    const { status, keys } = this;
    if (!status) return;
    // Nothing is redrawn under the hands of somebody, but for "ago" every ten seconds.
    const drawn = JSON.stringify([status, keys, Math.floor(serverNow() / 10_000)]);
    if (drawn !== this.#drawn) unlessPressed(this.list, () => this.#drawAnew(drawn));
  }

  /** @param {string} drawn what is drawn */
  #drawAnew(drawn) {
    const { status, keys } = this;
    if (!status) return;
    this.#drawn = drawn;
    const shared = status.server_fingerprint !== undefined;
    const good = keys.filter((key) => !isOver(key));
    const over = keys.filter(isOver);
    fill(
      this.summary,
      shared && `${count(good.length)} ${good.length === 1 ? "key opens" : "keys open"} `,
      shared && (status.shared_address ?? "this directory"),
    );
    const next = status.next_action?.split(/: (?=plasmite )/) ?? [];
    fill(
      this.notice,
      !shared && h("h2", null, "These pools are not shared yet"),
      next[0] && h("p", null, `${next[0]}:`),
      next[1] && h("code", null, next[1]),
      next[0] &&
        h("p", null, "HOST is the name or the address by which others reach this machine."),
    );
    this.form.hidden = !shared;
    this.list.hidden = !shared;
    const focused = document.activeElement?.closest("[data-key]")?.getAttribute("data-key");
    fill(
      this.list,
      good.length
        ? h("ul", { "aria-label": "Keys" }, good.map((key) => this.#row(key)))
        : h("p", { class: "empty" }, "No key is valid. Make one for each person and device."),
      over.length > 0 && this.#ended(over),
    );
    const again = focused && this.list.querySelector(`[data-key="${focused}"] button`);
    if (again instanceof HTMLElement) again.focus({ preventScroll: true });
  }

  /** @param {Key[]} over */
  #ended(over) {
    const box = h(
      "details",
      { open: this.#showsEnded },
      h("summary", null, `${count(over.length)} revoked or expired`),
      h("ul", { "aria-label": "Ended keys" }, over.map((key) => this.#row(key))),
    );
    box.addEventListener("toggle", () => this.#showsEnded = box.open);
    return box;
  }

  /** @param {Key} key */
  #row(key) {
    const name = visible(key.name);
    return h(
      "li",
      { "data-key": key.id, class: isOver(key) ? "over" : null },
      h("strong", null, name, h("small", { title: key.id }, ` ${key.id.slice(0, 8)}`)),
      h(
        "dl",
        null,
        facts(key).map(([term, value]) =>
          h("div", null, h("dt", null, term), h("dd", null, value))
        ),
      ),
      !key.revoked &&
        button(`Revoke ${name}`, () => this.#revoke(key), {
          text: "Revoke",
          class: "small",
          "aria-label": `Revoke ${name}`,
        }),
    );
  }

  /** @param {Event} event */
  async #invite(event) {
    event.preventDefault();
    const { name, pools, rights, expires, send, status } = this;
    if (!name || !pools || !rights || !expires || !send || !status || send.disabled) return;
    send.disabled = true;
    /** @type {Record<string, unknown>} */
    const asked = { name: name.value, server_fingerprint: status.server_fingerprint };
    // What is not limited is not named, so that a full key stays one.
    if (pools.value.trim()) asked["pools"] = pools.value.split(",");
    if (rights.value !== "admin") asked["rights"] = rights.value;
    if (expires.value.trim()) asked["expires"] = expires.value.trim();
    try {
      const { access_key } = await json("/v0/access/invite", {
        method: "POST",
        body: JSON.stringify(asked),
        bare: true,
      });
      fill(this.problem ?? this.form);
      if (this.#stopped) return;
      this.#show(name.value.trim(), access_key);
      this.form.reset();
      this.#load();
    } catch (error) {
      if (this.problem) complain(this.problem, wordsOf(error));
    } finally {
      send.disabled = false;
    }
  }

  /** @param {string} name @param {string} key */
  #show(name, key) {
    const { server_fingerprint: fingerprint = "", shared_address, next_action } = this.status ?? {};
    const origin = shared_address ?? null;
    const example = /https:\S+/.exec(next_action ?? "")?.[0] ?? "URL";
    fill(
      this.made,
      ...handout({ name, key, origin, example, fingerprint }, () => {
        this.#forget();
        this.name?.focus();
      }),
    );
    this.made.hidden = false;
    this.made.querySelector("h2")?.focus();
  }

  #forget() {
    this.made.hidden = true;
    fill(this.made);
  }

  /** Revokes a key after two confirmations. @param {Key} key */
  #revoke({ id, name: given }) {
    const name = visible(given);
    askTwice({
      title: `Revoke ${name}?`,
      warning:
        "Whatever it has open ends at once. This cannot be undone, but you can make another key.",
      go: "Revoke",
      again: `Yes, revoke ${name}`,
      act: async () => {
        await json("/v0/access/revoke", {
          method: "POST",
          body: JSON.stringify({ id, server_fingerprint: this.status?.server_fingerprint }),
          bare: true,
        });
        toast(`Revoked ${name}`);
        this.#load();
      },
    });
  }
}

/**
 * Asks twice before something that cannot be undone, and closes when `act` is done.
 * @param {{title: string, warning: string, go: string, again: string, act: () => Promise<void>}} what
 *   `go` and `again` are on the button, one after the other
 */
function askTwice({ title, warning, go, again, act }) {
  const problem = h("p", { class: "problem" });
  dialog(title, (close) => {
    let asked = false;
    const onclick = async (/** @type {MouseEvent} */ event) => {
      // The second click of a double-click is no answer to the second question.
      if (event.detail > 1) return;
      if (!asked) {
        asked = true;
        yes.textContent = again;
        return;
      }
      try {
        await act();
        close();
      } catch (error) {
        complain(problem, wordsOf(error));
      }
    };
    const yes = h("button", { type: "button", class: "danger", onclick }, go);
    return [
      h("p", null, warning),
      problem,
      h(
        "div",
        { class: "row-end" },
        button("Keep it", close, { text: "Keep it", class: "quiet", autofocus: true }),
        yes,
      ),
    ];
  });
}
