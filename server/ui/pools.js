/**
 * The overview of all pools: what moves, what is full, what is damaged, who is behind.
 *
 * @module
 */

import { address } from "./address.js";
import { json, rights, wordsOf } from "./api.js";
import { button, complain, count, dialog, fill, h, icon, refill, short, toast } from "./dom.js";
import { say } from "./say.js";
import { Later, styled } from "./later.js";
import { FROM_TOP, fuzzy, linesOf, sortItems } from "./pools_order.js";
import { COLUMNS } from "./pools_columns.js";
import { PoolsTable } from "./pools_table.js";
import { PoolsWatch } from "./pools_watch.js";
import { keep, kept } from "./prefs.js";

/** @typedef {import("./api.js").Pool} Pool */
/** @typedef {import("./pools_order.js").Column} Column */
/** @typedef {import("./pools_order.js").Item} Item */

await styled("pools");

const EVERY_MS = 2000;
/** Where it is kept that groups are not wanted. */
const FLAT = "ungrouped";
/** As long as a list is on the screen anyway, its groups are open. */
const SHORT = 60;

export class PoolsView {
  kind = /** @type {const} */ ("pools");
  /** @type {string} */
  problem = "";
  /** @type {Item[]} */
  #items = [];
  #loaded = false;
  #said = "";
  #search = "";
  /** @type {Column} */
  #column = "name";
  #down = false;
  #grouped = true;
  /** Groups that were opened or closed by hand. @type {Map<string, boolean>} */
  #folded = new Map();
  #stopped = false;
  #whole = true;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {{crumbs: (...children: import("./dom.js").Child[]) => void, state: (state: string, words: string) => void}} shell */
  constructor(shell) {
    this.shell = shell;
    shell.crumbs();
    document.title = "Pools · Plasmite UI";
    this.#readAddress();
    this.input = h("input", {
      type: "search",
      placeholder: "Search pools",
      "aria-label": "Search pools",
      value: this.#search,
      oninput: () => {
        this.#search = this.input.value.trim();
        this.#writeAddress();
        this.element.scrollTop = 0;
        this.#draw();
      },
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        if (event.key === "ArrowDown" || event.key === "Enter") {
          event.preventDefault();
          this.table.focus(0);
        }
      },
    });
    this.summary = h("p", { class: "summary" });
    this.create = button("New pool", () => this.#create(), {
      icon: "plus",
      text: "New pool",
      class: "primary",
      key: "n",
      hidden: true,
    });
    this.group = button("Group", () => this.#regroup(), {
      text: "Group",
      title: "Group pools whose names begin alike",
      class: "tool group",
    });
    this.watch = new PoolsWatch(() => this.#draw());
    this.blank = h("div", { class: "pools-blank", hidden: true });
    this.element = h(
      "main",
      { class: "overview pools-page" },
      h(
        "div",
        { class: "bar" },
        h("h1", null, "Pools"),
        this.summary,
        h("span", { class: "fill" }),
        h("label", { class: "search" }, icon("search"), this.input),
        this.group,
        this.create,
      ),
    );
    this.table = new PoolsTable(this.element, {
      sort: (column) => this.#sort(column),
      fold: (group) => this.#fold(group),
      remove: (pool) => this.#delete(pool),
      seen: () => this.#loaded && this.watch.look(this.table.names),
    });
    this.element.append(this.table.element, this.blank);
    this.visible = () => document.hidden || this.#load();
    document.addEventListener("visibilitychange", this.visible);
    this.#load();
  }

  dispose() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.watch.stop();
    this.table.dispose();
    document.removeEventListener("visibilitychange", this.visible);
  }

  // ---- The address --------------------------------------------------------------------------

  #readAddress() {
    const { search, sort } = address.shown;
    this.#search = search;
    const [, minus, name] = /^(-?)(\w+)$/.exec(sort) ?? [];
    const column = COLUMNS.find(({ id }) => id === name)?.id;
    if (column) [this.#column, this.#down] = [column, minus === "-"];
    this.#grouped = kept(FLAT) === null;
  }

  #writeAddress() {
    const isUsual = this.#column === "name" && !this.#down;
    const sort = isUsual ? "" : `${this.#down ? "-" : ""}${this.#column}`;
    address.set({ search: this.#search, sort });
  }

  // ---- Reading ------------------------------------------------------------------------------

  async #load() {
    clearTimeout(this.#timer);
    if (document.querySelector("dialog.sign-in")) return;
    try {
      await this.watch.load(this.table.names, this.#whole);
      if (this.#stopped) return;
      this.#whole = false;
      this.problem = "";
      this.#loaded = true;
      this.shell.state("live", "Live");
    } catch (error) {
      if (this.#stopped || /** @type {{status?: number}} */ (error).status === 401) return;
      this.problem = error instanceof Error ? error.message : String(error);
      this.shell.state(rights.read ? "reconnecting" : "stopped", this.problem);
    }
    if (this.#stopped) return;
    this.element.classList.toggle("stale", this.problem !== "");
    this.#draw();
    if (!document.hidden) this.#timer = setTimeout(() => this.#load(), EVERY_MS);
  }

  #reload() {
    this.#whole = true;
    this.#load();
  }

  // ---- What is shown ------------------------------------------------------------------------

  /** @param {Column} column */
  #sort(column) {
    this.#down = column === this.#column ? !this.#down : FROM_TOP.has(column);
    this.#column = column;
    this.#writeAddress();
    this.#draw();
  }

  #regroup() {
    this.#grouped = !this.#grouped;
    keep(FLAT, this.#grouped ? "" : "1");
    this.#draw();
  }

  /** @param {string} group */
  #isOpen(group) {
    return this.#search !== "" || (this.#folded.get(group) ?? this.#items.length <= SHORT);
  }

  /** @param {string} group */
  #fold(group) {
    this.#folded.set(group, !this.#isOpen(group));
    this.#draw();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const { table } = this;
    const { key } = event;
    const at = table.focused;
    if (key === "/") this.input.focus();
    else if (key === "n" && rights.admin) this.#create();
    else if (key === "j" || key === "ArrowDown") table.focus(at < 0 ? table.at + 1 : at + 1);
    else if (key === "k" || key === "ArrowUp") table.focus(at < 0 ? Math.max(0, table.at) : at - 1);
    else if (key === "g" || key === "Home") table.focus(0);
    else if (key === "G" || key === "End") table.focus(Infinity);
    else return false;
    return true;
  }

  #draw() {
    if (this.#stopped) return;
    this.create.hidden = !rights.admin || !this.#loaded;
    const { pools } = this.watch;
    this.#items = this.#loaded && rights.read ? this.watch.items() : [];
    const shown = this.#search
      ? this.#items.filter(({ pool }) => fuzzy(pool.name, this.#search) !== null)
      : this.#items;
    const blank = this.#why(shown.length);
    this.table.element.hidden = blank !== null;
    this.blank.hidden = blank === null;
    if (blank) refill(this.blank, h("div", { class: "empty" }, blank));
    this.group.setAttribute("aria-pressed", String(this.#grouped));
    this.group.classList.toggle("on", this.#grouped);
    const rate = this.#items.reduce((sum, { known }) => sum + (known.rate ?? 0), 0);
    const bad = this.#items.filter(({ pool, known }) => pool.error || known.damage).length;
    const found = this.#search && shown.length ? `${count(shown.length)} of ` : "";
    const counted = `${found}${count(pools.size)} ${pools.size === 1 ? "pool" : "pools"}`;
    this.#say(bad ? `${counted}, ${count(bad)} damaged` : counted);
    fill(
      this.summary,
      this.#loaded && `${counted}, ${short(rate)} messages/s`,
      bad > 0 && h("strong", { class: "problem" }, `, ${count(bad)} damaged`),
    );
    this.table.sorted(this.#column, this.#down);
    const items = sortItems(shown, this.#column, this.#down);
    this.table.show(linesOf(items, {
      grouped: this.#grouped,
      isOpen: (group) => this.#isOpen(group),
    }));
  }

  /** Tells screen readers how many there are, when that changes. @param {string} counted */
  #say(counted) {
    if (!this.#loaded || counted === this.#said) return;
    this.#said = counted;
    say(counted, "pools");
  }

  /** What is shown instead of the table. @param {number} shown @returns {import("./dom.js").Child[] | null} */
  #why(shown) {
    const what = (/** @type {string} */ title, /** @type {string} */ words) => [
      h("h2", null, title),
      h("p", null, words),
    ];
    if (!rights.read) {
      return rights.session
        ? what(
          "This access key appends but does not read",
          "Send messages with plasmite feed, or on the page of a pool: its address is /ui/pools/ and the pool's name.",
        )
        : what(
          "This server accepts messages but shows none",
          "It runs with --access write-only. Append with plasmite feed, or start it with read access to see pools here.",
        );
    }
    if (!this.#loaded) {
      return this.problem
        ? what("Pools cannot be listed", this.problem)
        : [h("p", null, "Loading…")];
    }
    const { size } = this.watch.pools;
    if (!size) {
      return [
        ...what(
          "No pools yet",
          rights.admin
            ? "Create one here, or on the command line:"
            : "Create one on the command line:",
        ),
        h("code", null, "plasmite pool create chat"),
      ];
    }
    if (shown) return null;
    return what(
      `No pool is called “${this.#search}”`,
      `${count(size)} other pools exist. Clear the search to see them.`,
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
    const problem = h("p", { class: "problem" });
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
              this.#reload();
            } catch (error) {
              complain(problem, wordsOf(error));
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

  /** @param {Pool} pool */
  #delete(pool) {
    new Later(() => import("./delete_pool.js")).use(({ deletePool }) =>
      deletePool(pool, () => this.#reload())
    );
  }
}
