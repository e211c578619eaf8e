/**
 * "Go to": a message by its number, or the first one at a time.
 *
 * @module
 */

import { poolInfo, wordsOf } from "./api.js";
import { button, complain, dialog, h, moment, toast } from "./dom.js";
import { placeOf } from "./places.js";
import { prefs } from "./prefs.js";
import { readPast } from "./stream.js";
import { serverNow } from "./times.js";

/** The first message at or after a time that is listed; null if there is none. @param {import("./pool.js").PoolView} view @param {number} time */
async function firstAt(view, time) {
  /** @type {import("./json.js").Message | null} */
  let found = null;
  const range = { since: new Date(time).toISOString(), max: "1" };
  await readPast(view.name, range, view.filter.filter, view.signal, (message) => {
    found = message;
    return false;
  });
  return /** @type {import("./json.js").Message | null} */ (found);
}

/**
 * Goes to a place. What is wrong with it is returned.
 * @param {import("./pool.js").PoolView} view
 * @param {string} text
 * @param {() => boolean} isOver whether nobody waits for it any more
 * @returns {Promise<string>} empty if it was found
 */
async function goTo(view, text, isOver) {
  // Its times are those of the server: the clock of this machine may be wrong.
  const info = await poolInfo(view.name, view.signal);
  if (isOver()) return "";
  const now = serverNow();
  const place = placeOf(text, now, prefs.times === "utc");
  if (place === null) return "Write a number, a time such as 14:05, a date, or 15m for so long ago";
  if ("end" in place) place.end === "oldest" ? await view.toOldest() : view.toNewest();
  else if ("seq" in place) {
    const { oldest, newest } = info.bounds ?? {};
    if (oldest === undefined || newest === undefined) return "The pool is empty";
    if (place.seq < BigInt(oldest) || place.seq > BigInt(newest)) {
      return `Message ${place.seq} is not retained: the pool holds ${oldest} to ${newest}`;
    }
    await view.reading.openSeq(place.seq, false);
  } else {
    const time = "ago" in place ? now - place.ago : place.time;
    const message = await firstAt(view, time);
    if (isOver()) return "";
    if (!message) return `There is no message at ${moment(time)} or later`;
    await view.reading.openSeq(message.seq, false);
    if (message.t - time > 60_000) {
      toast(`The first message since then is from ${moment(message.t)}`);
    }
  }
  return "";
}

/** Asks where to go. @param {import("./pool.js").PoolView} view */
export function askPlace(view) {
  const problem = h("p", { class: "problem" });
  dialog("Go to", (close) => {
    const go = async () => {
      try {
        const wrong = await goTo(view, input.value, () => !input.isConnected);
        complain(problem, wrong);
        if (!wrong) close();
      } catch (error) {
        if (!view.signal.aborted) complain(problem, wordsOf(error));
      }
    };
    const input = h("input", {
      type: "text",
      "aria-label": "Number or time",
      placeholder: "1234, 14:05, 2026-11-27, 15m",
      autocomplete: "off",
      autofocus: true,
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        if (event.key !== "Enter") return;
        event.preventDefault();
        void go();
      },
    });
    return [
      h("p", null, "The number of a message, or a time: the first message from then on."),
      input,
      problem,
      h(
        "div",
        { class: "row-end" },
        button("Go", () => void go(), { text: "Go", class: "primary" }),
      ),
    ];
  });
}
