/**
 * The elements around the list of a pool's page: its tools, the head of the columns, and what is said
 * where there are no rows.
 *
 * @module
 */

import { rights } from "./api.js";
import { button, count, h, icon, refill } from "./dom.js";
import { drawEmpty } from "./facts.js";
import { RangeChoice } from "./ranges.js";
import { OLDER } from "./reading.js";
import { MAX_ROWS } from "./rows.js";

export class Controls {
  facts = h("dl", { class: "facts" });
  blank = h("div", { class: "empty" });
  split = h("div", { class: "split" });

  /** @param {import("./pool.js").PoolView} view */
  constructor(view) {
    this.view = view;
    this.pause = button("Pause", () => view.togglePause(), {
      icon: "pause",
      text: "Pause",
      class: "tool pause",
      key: "space",
    });
    this.facets = button("Facets: tags and values to choose from", () => view.toggleFacets(), {
      icon: "filter",
      text: "Facets",
      class: "tool facets-tool",
      key: "f",
    });
    this.ranges = new RangeChoice(view);
    this.goTo = button("Go to a number or a time", () => view.goTo(), {
      icon: "next",
      text: "Go to",
      class: "tool goto-tool",
      key: ":",
    });
    this.columns = button("Columns", () => view.chooseColumns(), {
      icon: "columns",
      text: "Columns",
      class: "tool",
      key: "c",
    });
    this.alerts = button("Tell me when something comes, or nothing", () => view.askAlerts(), {
      icon: "bell",
      class: "tool bell",
    });
    this.chart = button("Chart", () => view.toggleChart(), {
      icon: "chart",
      text: "Chart",
      title: "Draw a number (v)",
      class: "tool",
    });
    this.save = button("Export what is listed", () => view.exportRows(), {
      icon: "save",
      text: "Export",
      class: "tool",
      key: "e",
    });
    this.append = button("Append a message", () => view.toggleAppend(), {
      icon: "send",
      text: "Append",
      class: "tool",
      key: "a",
    });
    this.older = h("button", {
      type: "button",
      class: "older",
      hidden: true,
      onclick: () => view.reading.loadOlder(),
    });
    // The end of a range is what is newest in it.
    const toNewest = () => view.reading.range ? view.toEnd() : view.toNewest();
    this.newest = button("Newest", toNewest, {
      icon: "down",
      text: "Newest",
      class: "newest",
      key: "G",
      hidden: true,
    });
  }

  /** The page of the pool. */
  build() {
    const { view } = this;
    this.split.append(
      h(
        "section",
        { class: "stream", "aria-label": "Stream" },
        view.head.element,
        this.older,
        h("div", { class: "hold" }, view.list.element, this.blank, this.newest),
      ),
    );
    view.head.draw();
    return h(
      "main",
      { class: "one" },
      h("h1", { class: "offscreen" }, `Pool ${view.name}`),
      this.facts,
      view.timeline.element,
      h(
        "div",
        { class: "tools" },
        view.filter.element,
        this.facets,
        this.ranges.element,
        this.goTo,
        this.pause,
        this.columns,
        this.chart,
        this.save,
        this.append,
        this.alerts,
      ),
      view.filter.chips,
      view.past.element,
      this.split,
    );
  }

  /** Draws what depends on the state. */
  draw() {
    const { view, newest } = this;
    const { list, rows } = view;
    this.#drawPause();
    this.ranges.draw();
    const below = list.length - list.window[1];
    newest.hidden = list.follow || list.length === 0 || (rows.paused && below <= 0);
    refill(newest, icon("down"), h("span", null, below > 0 ? `${count(below)} newer` : "Newest"));
    const told = view.alerts.now?.active ?? false;
    this.alerts.classList.toggle("on", told);
    this.alerts.setAttribute("aria-pressed", String(told));
    this.append.hidden = !rights.write;
    // Of a pool that is not there, or not any more, nothing can be had and nothing goes into it.
    const { usable } = view;
    for (const one of [this.append, this.save, this.pause]) one.disabled = !usable;
    const box = view.append.now;
    if (box && (!rights.write || !usable)) box.element.hidden = true;
    view.element?.classList.toggle("stale", view.isStale);
    this.#offerOlder();
    this.blank.hidden = list.length > 0;
    if (list.length > 0) return;
    drawEmpty(this.blank, {
      name: view.name,
      past: view.reading.mode === "past",
      reading: view.reading.busy,
      filtered: view.filter.active,
      state: view.reading.live?.state,
      problem: view.reading.live?.problem,
      create: () => view.create(),
    });
  }

  #drawPause() {
    const { pause, view } = this;
    const { paused, waiting: n } = view.rows;
    pause.hidden = view.reading.mode === "past";
    const words = paused ? (n ? `Resume, ${count(n)} waiting` : "Resume") : "Pause";
    refill(
      pause,
      icon(paused ? "play" : "pause"),
      h("span", { class: paused && n ? "wide" : null }, paused ? "Resume" : "Pause"),
      paused && n > 0 && h("span", null, `${count(n)} waiting`),
    );
    pause.setAttribute("aria-label", words);
    pause.title = `${words} (space)`;
    pause.classList.toggle("on", paused);
  }

  #offerOlder() {
    const { older, view } = this;
    const { list, rows, reading } = view;
    const { oldest } = view.bounds;
    const first = rows.first;
    const whole = reading.mode === "live" && !reading.live?.filtered;
    const left = whole && first && oldest !== null ? first.seq - oldest : 0n;
    older.hidden = left <= 0n || list.window[0] > 0 || list.rows.length > MAX_ROWS - OLDER;
    const next = count(left < OLDER ? left : OLDER);
    if (left > 0n) refill(older, `${count(left)} older messages are retained. Load ${next}`);
  }
}
