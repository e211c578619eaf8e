/**
 * Replays a range of messages at their original pace, faster or slower.
 *
 * @module
 */

import { button, clock, count, fill, h, icon } from "./dom.js";

const SPEEDS = [0.25, 0.5, 1, 2, 5, 10, 50, 100, 1000];

export class Replay {
  playing = false;
  #speed = 1;
  #frame = 0;
  /** Time within the messages. */
  #at = 0;
  #last = 0;
  #active = false;

  /** @param {import("./list.js").MessageList} list @param {{moved: (t: number | null) => void}} on */
  constructor(list, on) {
    this.list = list;
    this.on = on;
    this.play = button("Replay", () => this.toggle(), {
      icon: "play",
      text: "Replay",
      class: "tool",
      key: "space",
    });
    const speed = h("select", {
      "aria-label": "Speed of the replay",
      onchange: () => this.#speed = Number(speed.value),
    }, SPEEDS.map((s) => h("option", { value: s, selected: s === 1 }, `${s}×`)));
    this.where = h("small", { class: "at" });
    this.element = h("span", { class: "replay" }, this.play, speed, this.where);
  }

  toggle() {
    const { list } = this;
    if (this.playing) this.playing = false;
    else {
      const first = list.rows[0];
      if (!first) return;
      if (!this.#active || list.length >= list.rows.length) {
        this.#active = true;
        this.#at = first.t;
        list.length = 0;
        list.selected = -1;
      }
      list.follow = true;
      this.playing = true;
      this.#last = performance.now();
      this.#frame = requestAnimationFrame((now) => this.#step(now));
    }
    this.#draw();
  }

  stop() {
    cancelAnimationFrame(this.#frame);
    this.playing = this.#active = false;
    this.on.moved(null);
    this.#draw();
  }

  /** @param {number} now */
  #step(now) {
    if (!this.playing) return;
    const { list } = this;
    this.#at += (now - this.#last) * this.#speed;
    this.#last = now;
    while (list.length < list.rows.length && (list.rows[list.length]?.t ?? 0) <= this.#at) {
      list.length++;
    }
    list.draw();
    if (list.length >= list.rows.length) return this.stop();
    this.on.moved(this.#at);
    this.#draw();
    this.#frame = requestAnimationFrame((t) => this.#step(t));
  }

  #draw() {
    const name = this.playing ? "Pause" : this.#active ? "Continue" : "Replay";
    if (this.play.getAttribute("data-name") !== name) {
      this.play.setAttribute("data-name", name);
      this.play.title = `${name} (space)`;
      fill(this.play, icon(this.playing ? "pause" : "play"), h("span", null, name));
    }
    fill(
      this.where,
      this.#active
        ? `${clock(this.#at)}  ${count(this.list.length)} of ${count(this.list.rows.length)}`
        : "",
    );
  }
}
