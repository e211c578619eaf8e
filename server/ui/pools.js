/**
 * The overview of all pools: rate, use and age.
 *
 * @module
 */

import { json, listPools, poolPath, rights } from "./api.js";
import {
  ago,
  askTwice,
  button,
  bytes,
  count,
  dialog,
  fill,
  h,
  icon,
  moment,
  short,
  span,
  svg,
  toast,
} from "./dom.js";
import { meter } from "./facts.js";
import { styled } from "./later.js";
import { BARS, rateOf, rates, recall, remember } from "./rate.js";

await styled("pools");

/** @typedef {import("./api.js").Pool} Pool */
const EVERY_MS = 2000;

/** @param {number[]} values @param {number} top */
function sparkline(values, top) {
  const root = svg("svg", {
    viewBox: `0 0 ${BARS * 4} 24`,
    class: values.some((v) => v > 0) ? "spark" : "spark idle",
    "aria-hidden": "true",
    preserveAspectRatio: "none",
  });
  const y = (/** @type {number} */ v) => (23 - v / top * 21).toFixed(1);
  const line = values.map((v, i) => `${i ? "L" : "M"}${i * 4 + 2} ${y(v)}`).join("");
  root.append(
    svg("path", { d: `${line}L${BARS * 4 - 2} 24L2 24Z`, class: "area" }),
    svg("path", { d: line, class: "line" }),
  );
  return root;
}

export class PoolsView {
  kind = /** @type {const} */ ("pools");
  /** @type {Pool[]} */
  pools = [];
  /** @type {string} */
  problem = "";
  #loaded = false;
  #search = "";
  #selected = -1;
  #stopped = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {{crumbs: (...children: import("./dom.js").Child[]) => void, state: (state: string, words: string) => void}} shell */
  constructor(shell) {
    this.shell = shell;
    shell.crumbs();
    document.title = "Pools · Plasmite UI";
    this.input = h("input", {
      type: "search",
      placeholder: "Search pools",
      "aria-label": "Search pools",
      oninput: () => {
        this.#search = this.input.value;
        this.#draw();
      },
    });
    this.summary = h("p", { class: "summary", role: "status" });
    this.create = button("New pool", () => this.#create(), {
      icon: "plus",
      text: "New pool",
      class: "primary",
      key: "n",
      hidden: true,
    });
    this.table = h("div", { class: "pools" });
    this.element = h(
      "main",
      { class: "overview" },
      h(
        "div",
        { class: "bar" },
        h("h1", null, "Pools"),
        this.summary,
        h("span", { class: "fill" }),
        h("label", { class: "search" }, icon("search"), this.input),
        this.create,
      ),
      this.table,
    );
    this.visible = () => document.hidden || this.#load();
    document.addEventListener("visibilitychange", this.visible);
    this.#load();
  }

  dispose() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.visible);
  }

  async #load() {
    clearTimeout(this.#timer);
    if (document.querySelector("dialog.sign-in")) return;
    try {
      const first = !this.#loaded;
      const pools = await listPools();
      if (this.#stopped) return;
      this.pools = pools;
      const now = Date.now();
      for (const pool of this.pools) remember(pool, now);
      this.problem = "";
      this.#loaded = true;
      this.shell.state("live", "Live");
      if (first) {
        const busy = this.pools.filter((p) => !p.error).slice(0, 24);
        Promise.allSettled(busy.map(recall)).then(() => this.#draw());
      }
    } catch (error) {
      if (this.#stopped || /** @type {{status?: number}} */ (error).status === 401) return;
      this.problem = error instanceof Error ? error.message : String(error);
      this.shell.state(rights.read ? "reconnecting" : "stopped", this.problem);
    }
    if (this.#stopped) return;
    this.#draw();
    if (!document.hidden) this.#timer = setTimeout(() => this.#load(), EVERY_MS);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const links = /** @type {NodeListOf<HTMLElement>} */ (this.table.querySelectorAll("a.pool"));
    if (event.key === "/") this.input.focus();
    else if (event.key === "n" && rights.admin) this.#create();
    else if (event.key === "j" || event.key === "k") {
      this.#selected = Math.max(
        0,
        Math.min(links.length - 1, this.#selected + (event.key === "j" ? 1 : -1)),
      );
      links[this.#selected]?.focus();
    } else if (event.key === "g") links[this.#selected = 0]?.focus();
    else if (event.key === "G") links[this.#selected = links.length - 1]?.focus();
    else return false;
    return true;
  }

  #draw() {
    if (this.#stopped) return;
    this.create.hidden = !rights.admin || !this.#loaded;
    const now = Date.now();
    const shown = this.pools.filter((p) =>
      p.name.toLowerCase().includes(this.#search.toLowerCase())
    );
    const total = this.pools.reduce((sum, p) => sum + (rateOf(p.name) ?? 0), 0);
    fill(
      this.summary,
      this.#loaded &&
        `${count(this.pools.length)} ${this.pools.length === 1 ? "pool" : "pools"}, ${
          short(total)
        } messages/s`,
    );
    if (!rights.read) {
      return rights.session
        ? this.#empty(
          "This access key appends but does not read",
          "Send messages with plasmite feed, or on the page of a pool: its address is /ui/pools/ and the pool's name.",
        )
        : this.#empty(
          "This server accepts messages but shows none",
          "It runs with --access write-only. Append with plasmite feed, or start it with read access to see pools here.",
        );
    }
    if (!this.#loaded) {
      return this.problem
        ? this.#empty("Pools cannot be listed", this.problem)
        : fill(this.table, h("p", { class: "empty", role: "status" }, "Loading…"));
    }
    if (!this.pools.length) {
      const make = h("code", null, "plasmite pool create chat");
      this.#empty(
        "No pools yet",
        rights.admin
          ? "Create one here, or on the command line:"
          : "Create one on the command line:",
      );
      this.table.firstElementChild?.append(make);
      return;
    }
    if (!shown.length) {
      return this.#empty(
        `No pool is called “${this.#search}”`,
        `${count(this.pools.length)} other pools exist. Clear the search to see them.`,
      );
    }
    const focus = document.activeElement?.closest("[data-pool]")?.getAttribute("data-pool");
    const on = document.activeElement?.tagName;
    const head = [
      "Pool",
      "Last minute",
      "Rate",
      "Fill",
      "Messages",
      "Retained",
      "Newest",
      shown.some((p) => p.followers !== undefined) && "Followers",
    ];
    const list = h(
      "div",
      { class: "rows", role: "list", "aria-label": "Pools" },
      shown.map((pool) => this.#row(pool, now, head.length - (head.at(-1) ? 0 : 1))),
    );
    fill(
      this.table,
      h(
        "div",
        { class: `head ${head.at(-1) ? "" : "few"}`, "aria-hidden": "true" },
        head.map((x) => x && h("span", null, x)),
      ),
      list,
    );
    if (focus && on) {
      const again = this.table.querySelector(
        `[data-pool="${CSS.escape(focus)}"] ${on === "A" ? "a" : "button"}`,
      );
      if (again instanceof HTMLElement) again.focus({ preventScroll: true });
    }
  }

  /** @param {string} title @param {string} words */
  #empty(title, words) {
    fill(this.table, h("div", { class: "empty" }, h("h2", null, title), h("p", null, words)));
  }

  /** @param {Pool} pool @param {number} now @param {number} columns */
  #row(pool, now, columns) {
    const { metrics, bounds } = pool;
    const href = `/ui/pools/${encodeURIComponent(pool.name)}`;
    const trash = rights.admin &&
      button(`Delete ${pool.name}`, () => this.#delete(pool), { icon: "trash" });
    if (pool.error || !metrics) {
      return h(
        "div",
        { class: "card bad", role: "listitem", "data-pool": pool.name },
        h("span", { class: "name" }, pool.name),
        h(
          "span",
          { class: "problem" },
          pool.error
            ? `${pool.error.kind}: ${pool.error.message}`
            : "Its details are not available",
        ),
        trash,
      );
    }
    const { oldest_time: a, newest_time: b } = metrics.age;
    const [t0, t1] = [Date.parse(a ?? ""), Date.parse(b ?? "")];
    const values = rates(pool.name, now);
    const rate = rateOf(pool.name);
    const used = metrics.utilization.used_percent;
    const cell = (
      /** @type {string} */ label,
      /** @type {import("./dom.js").Child[]} */ ...children
    ) =>
      h(
        "span",
        { class: `cell ${label.toLowerCase()}` },
        h("small", null, label),
        h("span", { class: "value" }, children),
      );
    return h(
      "div",
      { class: `card ${columns === 8 ? "" : "few"}`, role: "listitem", "data-pool": pool.name },
      h("a", { class: "pool name", href }, pool.name),
      h("span", { class: "cell sparkcell" }, sparkline(values, Math.max(1, ...values))),
      cell("Rate", rate === null ? "–" : `${short(rate)}/s`),
      h(
        "span",
        {
          class: "cell filled",
          title: `${bytes(metrics.utilization.used_bytes)} of ${bytes(pool.ring_size)}`,
        },
        h("small", null, "Fill"),
        h(
          "span",
          { class: "value" },
          meter(used),
          ` ${Math.round(used)}% `,
          h("small", { class: "of" }, `of ${bytes(pool.ring_size)}`),
        ),
      ),
      h(
        "span",
        {
          class: "cell",
          title: bounds?.oldest === undefined ? "empty" : `${bounds.oldest} to ${bounds.newest}`,
        },
        h("small", null, "Messages"),
        h("span", { class: "value" }, count(metrics.message_count)),
      ),
      h(
        "span",
        { class: "cell" },
        h("small", null, "Retained"),
        h(
          "span",
          { class: "value" },
          a ? span(t1 - t0) : "–",
          a && h("small", { class: "of" }, ` since ${moment(t0)}`),
        ),
      ),
      h(
        "span",
        { class: "cell", title: b ? moment(t1) : "" },
        h("small", null, "Newest"),
        h("span", { class: "value" }, b ? ago(t1, now) : "never"),
      ),
      columns === 8 && cell("Followers", String(pool.followers ?? "–")),
      trash,
    );
  }

  #create() {
    const name = h("input", {
      name: "name",
      required: true,
      autocomplete: "off",
      spellcheck: "false",
      maxlength: 200,
    });
    const size = h(
      "select",
      { name: "size" },
      [["256 KiB", 2 ** 18], ["1 MiB", 2 ** 20], ["16 MiB", 2 ** 24], ["64 MiB", 2 ** 26], [
        "256 MiB",
        2 ** 28,
      ], ["1 GiB", 2 ** 30]].map(([text, value]) =>
        h("option", { value, selected: value === 2 ** 20 }, text)
      ),
    );
    const problem = h("p", { class: "problem", role: "alert" });
    dialog("New pool", (close) => [
      h(
        "form",
        {
          onsubmit: async (/** @type {Event} */ event) => {
            event.preventDefault();
            try {
              await json("/v0/pools", {
                method: "POST",
                body: JSON.stringify({ pool: name.value.trim(), size_bytes: Number(size.value) }),
              });
              close();
              toast(`Created ${name.value.trim()}`);
              this.#load();
            } catch (error) {
              fill(problem, error instanceof Error ? error.message : String(error));
            }
          },
        },
        h("label", null, "Name", name),
        h(
          "label",
          null,
          "Size",
          size,
          h(
            "small",
            null,
            "When it is full, the oldest messages are overwritten. The size cannot be changed later.",
          ),
        ),
        problem,
        h(
          "div",
          { class: "row-end" },
          button("Cancel", close, { text: "Cancel" }),
          h("button", { class: "primary" }, "Create"),
        ),
      ),
    ]);
    name.focus();
  }

  /** Deletes a pool after two confirmations. @param {Pool} pool */
  #delete(pool) {
    const messages = pool.metrics?.message_count ?? 0;
    askTwice({
      title: `Delete ${pool.name}?`,
      warning: messages
        ? `Its ${count(messages)} retained messages are lost. This cannot be undone.`
        : "It holds no messages.",
      go: "Delete",
      again: `Yes, delete ${pool.name} permanently`,
      act: async () => {
        await json(poolPath(pool.name), { method: "DELETE" });
        toast(`Deleted ${pool.name}`);
        this.#load();
      },
      wordsOf: (error) => error instanceof Error ? error.message : String(error),
    });
  }
}
