/**
 * Asks the server how many messages there are by time and tag, for the timeline.
 *
 * @module
 */

import { ApiError, json, pagePath } from "./api.js";
import { narrow } from "./stream.js";

/** The least time between two questions, in milliseconds. */
const EVERY_MS = 1900;

export class Counting {
  #asking = false;
  #askedAt = -Infinity;
  #asked = "";

  /** @param {import("./pool.js").PoolView} view */
  constructor(view) {
    this.view = view;
  }

  /** Asks for what is shown now, unless it was asked for just now. */
  async ask() {
    const { view } = this;
    const { timeline, name } = view;
    const query = narrow(
      new URLSearchParams({ buckets: String(timeline.room) }),
      view.filter.filter,
    );
    this.#zoom(query);
    const now = performance.now();
    const isNew = this.#asked !== String(query);
    if (this.#asking || (!isNew && now < this.#askedAt + EVERY_MS)) {
      view.dirty = true;
      return;
    }
    this.#asking = true;
    this.#asked = String(query);
    const path = `${pagePath(name)}/histogram?${query}`;
    try {
      const counted = await json(path, { quiet: true });
      if (!view.disposed && this.#asked === String(query)) timeline.show(counted);
      // A filter that has used up its time goes on with the next question.
      if (!counted.exact) view.dirty = true;
    } catch (error) {
      // Whatever is wrong is told by the stream.
      if (!(error instanceof ApiError)) throw error;
    } finally {
      this.#asking = false;
      this.#askedAt = performance.now();
    }
  }

  /** A range of the past is shown with what is around it. @param {URLSearchParams} query */
  #zoom(query) {
    const { reading: { range }, info } = this.view;
    if (!range) return;
    const around = (range[1] - range[0]) / 8;
    const oldest = Date.parse(info?.metrics?.age.oldest_time ?? "");
    const from = Math.max(Math.min(oldest || 0, range[0]), range[0] - around);
    query.set("from", new Date(from).toISOString());
    query.set("to", new Date(range[1] + around).toISOString());
  }
}
