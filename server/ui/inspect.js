/**
 * The view of one message: as a tree built on demand, or as indented text.
 *
 * @module
 */

import { address } from "./address.js";
import { jqPath } from "./clauses.js";
import { ago, button, bytes, copy, count, fill, h, moment, pill, toast } from "./dom.js";
import { Num, parse, pretty, visible } from "./json.js";
import { canCurl, curlMessage, fetchCommand, followCommand } from "./shell.js";
import { Later, styled } from "./later.js";

await styled("inspect");

/** @typedef {import("./json.js").Message} Message */
/** @typedef {import("./json.js").Json} Json */

/** The number of members drawn at first; more on demand. */
const PIECE = 200;
/** The number of characters of a long string drawn at first. */
const LONG = 2000;
/** Characters of a block of text. */
const PIECE_CHARS = 8000;
const RAW = 200_000;

/**
 * Splits a long text into blocks, of which the browser lays out only those on screen.
 * @param {string} text
 */
function pieces(text) {
  const out = [];
  for (let i = 0; i < text.length;) {
    let end = Math.min(text.length, i + PIECE_CHARS);
    if (end < text.length) {
      const line = text.lastIndexOf("\n", end);
      if (line > i) end = line + 1;
      else if (text.charCodeAt(end - 1) >> 10 === 0x36) end--; // Do not split surrogate pairs.
    }
    out.push(h("div", { class: "piece" }, visible(text.slice(i, end).replace(/\n$/, ""), true)));
    i = end;
  }
  return out;
}

export class Inspector {
  #raw = false;
  /** @type {Message | null} */
  message = null;
  /** The one that others are compared with. @type {Message | null} */
  #marked = null;

  /**
   * @param {string} pool
   * @param {{close: () => void, step: (by: number) => void, pin: (path: string[]) => void, pinned: (path: string[]) => boolean, filter: () => import("./filter.js").Asked, where: (expression: string) => void, tag: (tag: string) => void}} on
   */
  constructor(pool, on) {
    this.pool = pool;
    this.on = on;
    this.element = h("aside", { class: "inspector", "aria-label": "Message", hidden: true });
  }

  hide() {
    this.message = null;
    this.element.hidden = true;
  }

  /**
   * What can be copied: its name, the text, and what it is. @param {Message} message
   * @returns {Array<[string, () => string, string]>}
   */
  #copies({ text, seq }) {
    const { pool, on } = this;
    /** @type {Array<[string, () => string, string]>} */
    const copies = [["JSON", () => text, "Copy the message as JSON"]];
    if (canCurl()) {
      copies.push(["curl", () => curlMessage(pool, seq), "Copy a curl command that gets it"]);
    }
    copies.push(
      ["fetch", () => fetchCommand(pool, seq), "Copy the plasmite fetch command"],
      [
        "follow",
        () => followCommand(pool, on.filter()),
        "Copy the plasmite follow command of this filter",
      ],
      ["link", () => address.link(seq), "Copy a link to this message"],
    );
    return copies;
  }

  /** @param {Message} message */
  show(message) {
    this.message = message;
    this.element.hidden = false;
    const { on } = this;
    const copies = this.#copies(message);
    const body = h("div", {
      class: "body",
      id: "content",
      tabindex: 0,
      role: "tabpanel",
      "aria-label": "Content",
    });
    const focused = this.#focused();
    fill(
      this.element,
      h(
        "header",
        null,
        h("h2", null, `#${message.seq}`),
        h("span", { class: "fill" }),
        button("20 messages around this one", () => this.around(), {
          text: "Around",
          class: "small",
          key: "o",
        }),
        this.#compareButton(message),
        button("Previous message", () => on.step(-1), { icon: "up", key: "k" }),
        button("Next message", () => on.step(1), { icon: "next", key: "j" }),
        button("Close", on.close, { icon: "close", key: "Esc" }),
      ),
      h(
        "dl",
        null,
        h("dt", null, "Time"),
        h(
          "dd",
          null,
          h("span", null, moment(message.t)),
          h("small", null, ` ${ago(message.t)}`),
          h("br", null),
          h("code", null, message.time),
        ),
        h("dt", null, "Tags"),
        h(
          "dd",
          null,
          message.tags.length
            ? message.tags.map((t) =>
              h("button", {
                type: "button",
                class: "bare",
                title: `Show only ${t}`,
                onclick: () => on.tag(t),
              }, pill(t))
            )
            : h("small", null, "none"),
        ),
        h("dt", null, "Size"),
        h("dd", null, bytes(message.to - message.from), h("small", null, " of JSON data")),
      ),
      h(
        "div",
        { class: "copies" },
        h("span", null, "Copy"),
        copies.map(([name, text, label]) =>
          button(String(label), () => {
            copy(/** @type {() => string} */ (text)());
            toast(
              `Copied ${
                name === "JSON"
                  ? "the message"
                  : name === "link"
                  ? "the link"
                  : `the ${name} command`
              }`,
            );
          }, { text: String(name), class: "small" })
        ),
        h("span", { class: "fill" }),
        h(
          "div",
          { role: "tablist", "aria-label": "View", class: "tabs" },
          this.#tab("Tree", false),
          this.#tab("Raw", true),
        ),
      ),
      body,
    );
    this.#focus(focused);
    try {
      const data = parse(message.text.slice(message.from, message.to));
      if (this.#raw) this.#drawRaw(body, data);
      else fill(body, this.#branch(data, []));
    } catch (error) {
      fill(
        body,
        h("p", { class: "problem" }, error instanceof Error ? error.message : String(error)),
        h("pre", null, visible(message.text.slice(0, RAW), true)),
      );
    }
  }

  /** @param {string} name @param {boolean} raw */
  #tab(name, raw) {
    const view = (/** @type {boolean} */ now) => {
      this.#raw = now;
      if (this.message) this.show(this.message);
    };
    return h("button", {
      type: "button",
      role: "tab",
      "aria-selected": String(this.#raw === raw),
      "aria-controls": "content",
      tabindex: this.#raw === raw ? 0 : -1,
      onclick: () => view(raw),
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
        event.preventDefault();
        view(!this.#raw);
        const chosen = this.element.querySelector("[role=tab][aria-selected=true]");
        if (chosen instanceof HTMLElement) chosen.focus();
      },
    }, name);
  }

  /** Which of the buttons has the focus, in the order of all; -1 for none. */
  #focused() {
    return [...this.element.querySelectorAll("header button, .copies button, .body")]
      .findIndex((one) => one === document.activeElement);
  }

  /** The elements are new for each message, the focus stays. @param {number} index */
  #focus(index) {
    const all = this.element.querySelectorAll("header button, .copies button, .body");
    const one = index < 0 ? undefined : all[index];
    if (one instanceof HTMLElement) one.focus();
  }

  /** @param {Message} message */
  #compareButton(message) {
    const marked = this.#marked;
    const other = marked !== null && marked.seq !== message.seq;
    const label = other
      ? `Compare with #${marked.seq}`
      : marked
      ? "Compare with no other message"
      : "Compare with another message";
    return button(label, () => this.compare(), {
      text: other ? `Compare with #${marked.seq}` : "Compare",
      class: "small",
      key: "x",
      "aria-pressed": String(marked?.seq === message.seq),
    });
  }

  /** Marks this message, or shows what differs from the one that was marked. */
  compare() {
    const { message } = this;
    const marked = this.#marked;
    if (!message) return;
    this.#marked = marked ? null : message;
    if (marked && marked.seq !== message.seq) {
      const differences = new Later(() => import("./diff.js"));
      differences.use(({ showDifferences }) => showDifferences(marked, message));
    } else if (!marked) {
      toast(`Open another message and press x to compare it with #${message.seq}`);
    }
    if (this.message) this.show(this.message);
  }

  /** Shows the messages before and after this one, without the filter. */
  around() {
    const { message } = this;
    if (!message) return;
    new Later(() => import("./around.js")).use(({ showAround }) => showAround(this.pool, message));
  }

  /** @param {HTMLElement} body @param {Json} data */
  #drawRaw(body, data) {
    const text = pretty(data);
    const pre = h("pre", null, pieces(text.slice(0, RAW)));
    fill(body, pre);
    const left = text.length - RAW;
    if (left > 0) body.append(this.#more(left, () => pre.append(...pieces(text.slice(RAW)))));
  }

  /** @param {number} n @param {() => void} show */
  #more(n, show) {
    const more = h("button", {
      type: "button",
      class: "small more",
      onclick: () => (more.remove(), show()),
    }, `Show ${count(n)} more`);
    return more;
  }

  /** Draws the members of a container. @param {Json} value @param {Array<string | number>} path */
  #branch(value, path) {
    /** @type {Array<[string | number, any]>} */
    const entries = value instanceof Map
      ? [...value]
      : Array.isArray(value)
      ? value.map((v, i) => [i, v])
      : [];
    const list = h("ul", { class: "tree" });
    const draw = (/** @type {number} */ from) => {
      for (const [key, v] of entries.slice(from, from + PIECE)) {
        list.append(this.#node(key, v, [...path, key]));
      }
      const left = entries.length - from - PIECE;
      if (left > 0) list.append(h("li", null, this.#more(left, () => draw(from + PIECE))));
    };
    draw(0);
    if (!entries.length) list.append(h("li", null, h("small", null, "empty")));
    return list;
  }

  /** @param {string | number} key @param {Json} value @param {Array<string | number>} path */
  #node(key, value, path) {
    const name = h("span", { class: typeof key === "number" ? "k i" : "k" }, visible(String(key)));
    if (value instanceof Map || Array.isArray(value)) {
      const size = value instanceof Map ? value.size : value.length;
      const words = value instanceof Map ? `{${count(size)}}` : `[${count(size)}]`;
      const open = path.length < 3 && size <= 30;
      const item = h("li", null);
      const toggle = h(
        "button",
        {
          type: "button",
          class: "toggle",
          "aria-expanded": String(open),
          onclick: () => {
            const now = toggle.getAttribute("aria-expanded") !== "true";
            toggle.setAttribute("aria-expanded", String(now));
            if (now) item.append(this.#branch(value, path));
            else item.lastElementChild?.remove();
          },
        },
        name,
        h("small", null, words),
      );
      item.append(toggle);
      if (open) item.append(this.#branch(value, path));
      return item;
    }
    const [style, text] = typeof value === "string"
      ? ["s", visible(value.slice(0, LONG), true)]
      : value instanceof Num
      ? ["n", value.text]
      : ["b", String(value)];
    const shown = h("span", { class: `v ${style}` }, text);
    const item = h(
      "li",
      null,
      h(
        "div",
        { class: "leaf" },
        name,
        shown,
        h("span", { class: "acts" }, this.#acts(value, path)),
      ),
    );
    if (typeof value === "string" && value.length > LONG) {
      item.append(
        this.#more(value.length - LONG, () => shown.append(...pieces(value.slice(LONG)))),
      );
    }
    return item;
  }

  /** @param {Json} value @param {Array<string | number>} path */
  #acts(value, path) {
    const words = pretty(value);
    const jq = jqPath(path);
    const keys = /** @type {string[]} */ (path.every((p) => typeof p === "string") ? path : []);
    return [
      words.length < 200 &&
      button(
        `Show only messages with this ${path.at(-1)}`,
        () => this.on.where(`${jq} == ${words}`),
        { icon: "filter" },
      ),
      keys.length > 0 &&
      button(
        this.on.pinned(keys) ? `Unpin ${keys.join(".")}` : `Pin ${keys.join(".")} as a column`,
        () => {
          this.on.pin(keys);
          if (this.message) this.show(this.message);
        },
        { icon: "pin", "aria-pressed": String(this.on.pinned(keys)) },
      ),
    ];
  }
}
