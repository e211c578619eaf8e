/**
 * Streams by way of a worker that all tabs of this browser share, so that together they need one
 * connection (server/ui/shared_worker.js).
 *
 * @module
 */

import { ApiError, ownToken, refused } from "./api.js";
import { parseAnswer } from "./json.js";

/** Another version of what tab and worker say to each other needs another name. */
const NAME = "plasmite-streams-1";
/** How long a worker may take to start before this tab does without, in milliseconds. */
const START_MS = 20_000;

/** The worker asks every few seconds whether a tab is there: silent for so long, it is gone. */
const GONE_MS = 20_000;

/** Whether a worker can be had, as far as this tab knows, and whether there was one. */
let usable = typeof SharedWorker === "function";
let used = false;

/** Waits for the end of whoever holds a lock. @param {string} lock @param {() => void} gone */
function whenGone(lock, gone) {
  if (lock) navigator.locks.request(lock, gone).catch(() => {}); // Its silence tells, later.
}

/** What comes of a stream: a piece of it, a line about it, or that its connection is lost.
 * @typedef {{bytes?: Uint8Array<ArrayBuffer>, line?: string, status?: number, text?: string}} Item */

/** A stream that is open or about to be. */
class Stream {
  /** @type {Item[]} */
  items = [];
  /** Called when there is one more. */
  wake = () => {};

  /** @param {Item} item */
  put(item) {
    this.items.push(item);
    this.wake();
  }

  /** The next item. @returns {Promise<Item>} */
  async take() {
    let item;
    while (!(item = this.items.shift())) await new Promise((done) => this.wake = () => done(null));
    return item;
  }
}

/** This tab's end of the worker. */
class Tab {
  /** @type {Map<number, Stream>} */
  #streams = new Map();
  #last = 0;
  #heard = Date.now();
  #worker = new SharedWorker("/ui/assets/shared_worker.js", { name: NAME });
  /** Whether it has started. @type {Promise<boolean>} */
  ready;

  constructor() {
    const { port } = this.#worker;
    this.ready = new Promise((done) => {
      const late = setTimeout(() => done(false), START_MS);
      this.#worker.addEventListener("error", () => done(false));
      port.addEventListener("message", ({ data }) => {
        this.#heard = Date.now();
        if (data.lock === undefined) return this.#hear(data);
        clearTimeout(late);
        whenGone(data.lock, () => this.#lost());
        done(true);
      });
    });
    port.addEventListener("close", () => this.#lost());
    port.start();
    const look = setInterval(() => {
      if (tab !== this) clearInterval(look);
      else if (Date.now() - this.#heard > GONE_MS) this.#lost();
    }, GONE_MS / 4);
    // Whoever holds a lock is alive: the worker notices when this tab is not, and the reverse.
    if (!("locks" in navigator)) return;
    const lock = `plasmite-tab-${crypto.randomUUID()}`;
    const held = navigator.locks.request(lock, () => {
      this.#say({ lock });
      return new Promise(() => {});
    });
    held.catch(() => {}); // Without locks it is asked whether it is there.
  }

  /** @param {object} message */
  #say(message) {
    this.#worker.port.postMessage(message);
  }

  /** @param {Item & {key: number, ping?: true}} message */
  #hear({ key, ping, ...item }) {
    if (ping) this.#say({ pong: true });
    else this.#streams.get(key)?.put(item);
  }

  /** Tells the worker that this tab is closed. */
  leave() {
    this.#say({ bye: true });
  }

  /** The worker is gone, or does not answer: a new one will have to do, or a new way to it. */
  #lost() {
    if (tab !== this) return;
    tab = null;
    this.leave();
    for (const stream of this.#streams.values()) stream.put({ status: 0 });
  }

  /** @type {import("./events.js").Opener} */
  async open(pool, query, signal) {
    const key = ++this.#last;
    const stream = new Stream();
    this.#streams.set(key, stream);
    this.#say({ open: key, pool, query: String(query), token: ownToken() });
    const close = () => {
      if (this.#streams.delete(key)) this.#say({ close: key });
      stream.put({ status: 0 });
    };
    signal.addEventListener("abort", close, { once: true });
    const first = await stream.take();
    const line = first.line ? parseAnswer(first.line) : {};
    if (line.status === 200) return this.#pieces(key, stream);
    close();
    const { status = line.status, text = first.line ?? "" } = first;
    throw status ? refused(status, text) : new ApiError(0);
  }

  /** @param {number} key @param {Stream} stream */
  async *#pieces(key, stream) {
    for (;;) {
      const { bytes, line } = await stream.take();
      if (!bytes) {
        this.#streams.delete(key);
        if (line) return;
        throw new ApiError(0);
      }
      yield bytes;
      this.#say({ took: key, n: bytes.length });
    }
  }
}

/** @type {Tab | null} */
let tab = null;

/**
 * How to open streams by way of the worker; null if there is none.
 * @returns {Promise<import("./events.js").Opener | null>}
 */
export async function sharedStreams() {
  if (!usable) return null;
  try {
    const mine = tab ??= new Tab();
    if (await mine.ready) {
      used = true;
      return mine.open.bind(mine);
    }
    if (tab === mine) tab = null;
  } catch { /* where storage is switched off, there are no such workers either */ }
  usable = used;
  return null;
}

if (usable) {
  addEventListener("pagehide", () => tab?.leave());
  void sharedStreams();
}
