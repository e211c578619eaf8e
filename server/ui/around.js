/**
 * The messages around one, whatever the filter lets through.
 *
 * @module
 */

import { poolInfo, wordsOf } from "./api.js";
import { button, clock, complain, dialog, fill, h } from "./dom.js";
import { styled } from "./later.js";
import { fieldsOf, lineText, piecesOf, troubleOf } from "./line.js";
import { readPast } from "./stream.js";
import { tagPills } from "./tags.js";

await styled("inspect");

/** @typedef {import("./json.js").Message} Message */

/** Messages on either side at first, and how many more at a time. */
const SIDE = 10;
/** Messages that are shown at most. */
const MOST = 1000;
const SHOWN = 600;
const TAG_ROOM = 160;

class Around {
  /** @type {Message[]} */
  #messages = [];
  #stop = new AbortController();
  #list = h("ol", { class: "around" });
  #problem = h("p", { class: "problem" });
  #before = button("10 earlier", () => this.#more(-1), { text: "10 earlier", class: "tool" });
  #after = button("10 later", () => this.#more(1), { text: "10 later", class: "tool" });

  /** The number of the oldest message that is retained. */
  #oldest = 0n;

  /** @param {string} pool @param {Message} message */
  constructor(pool, message) {
    this.pool = pool;
    this.message = message;
    const box = dialog(`Around #${message.seq}`, () => [
      h("p", null, "All messages, whatever the filter is. Click one to see it among the others."),
      this.#problem,
      this.#before,
      this.#list,
      this.#after,
    ]);
    box.classList.add("broad");
    box.addEventListener("close", () => this.#stop.abort());
    const side = BigInt(SIDE);
    this.#read(message.seq - side, message.seq + side);
  }

  /** @param {-1 | 1} way */
  #more(way) {
    const edge = (way < 0 ? this.#messages[0] : this.#messages.at(-1))?.seq ?? this.message.seq;
    const far = edge + BigInt(way * SIDE);
    if (way < 0) this.#read(far, edge - 1n);
    else this.#read(edge + 1n, far);
  }

  /** Reads the messages from … to. @param {bigint} from @param {bigint} to */
  async #read(from, to) {
    /** @type {Message[]} */
    const found = [];
    fill(this.#problem);
    try {
      const { bounds } = await poolInfo(this.pool, this.#stop.signal);
      this.#oldest = BigInt(bounds?.oldest ?? 0);
      const start = from > this.#oldest ? from : this.#oldest;
      const range = { since_seq: String(start) };
      const all = { tags: [], where: "", q: "" };
      if (to >= start) {
        await readPast(this.pool, range, all, this.#stop.signal, (message) => {
          if (message.seq <= to) found.push(message);
          return message.seq < to;
        });
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) complain(this.#problem, wordsOf(error));
      return;
    }
    const known = new Set(this.#messages.map(({ seq }) => seq));
    this.#messages.push(...found.filter(({ seq }) => !known.has(seq)));
    this.#messages.sort((a, b) => (a.seq < b.seq ? -1 : 1));
    this.#draw();
  }

  #draw() {
    const messages = this.#messages;
    this.#before.disabled = messages.length >= MOST || (messages[0]?.seq ?? 0n) <= this.#oldest;
    this.#after.disabled = messages.length >= MOST;
    const had = this.#list.childElementCount > 0;
    fill(this.#list, messages.map((message) => this.#item(message)));
    if (!had) this.#list.querySelector("[aria-current]")?.scrollIntoView({ block: "center" });
  }

  /** @param {Message} message */
  #item(message) {
    const { seq, text, from, to, tags } = message;
    const fields = fieldsOf(text.slice(from, Math.min(to, from + 4 * SHOWN)));
    const trouble = troubleOf(fields, tags);
    const here = seq === this.message.seq;
    const href = `/ui/pools/${encodeURIComponent(this.pool)}?seq=${seq}`;
    return h(
      "li",
      { class: here ? "here" : null },
      h(
        "a",
        { href, class: `t${trouble}`, "aria-current": here ? "true" : null },
        h("span", { class: "seq" }, `${seq} `),
        h("time", { title: message.time }, `${clock(message.t)} `),
        h("span", { class: "tags" }, tagPills(tags, TAG_ROOM)),
        h("span", { class: "words" }, ` ${lineText(piecesOf(fields, trouble)).slice(0, SHOWN)}`),
      ),
    );
  }
}

/** Shows the messages around one. @param {string} pool @param {Message} message */
export function showAround(pool, message) {
  new Around(pool, message);
}
