/**
 * The worker that all tabs of this browser share: it holds one connection to the server for each
 * credential, and hands the streams in it to the tabs that asked for them (docs/spec/http-api.md 3,
 * bundles). It knows no more of them than their bytes: what is missing after an interruption, the tab
 * asks for again.
 *
 * @module
 */

/** Without any byte, even a heartbeat, for this long the connection counts as dead. */
const SILENCE_MS = 45_000;
/** How long a connection without streams is kept, in milliseconds. */
const LINGER_MS = 1000;
/** How much a tab may leave unread of a stream, in bytes; then it has to ask for the rest again. */
const UNREAD = 8 << 20;
/** How often tabs are asked whether they are there, and how long they may be silent. */
const PING_MS = 5_000;
const GONE_MS = 20_000;

/** The name of a lock that this worker holds while it is alive; empty where there are no locks. */
const alive = new Promise((done) => {
  if (!("locks" in navigator)) return done("");
  const name = `plasmite-worker-${crypto.randomUUID()}`;
  const held = navigator.locks.request(name, () => {
    done(name);
    return new Promise(() => {});
  });
  held.catch(() => done(""));
});

/** Connections by credential. @type {Map<string, Connection>} */
const connections = new Map();
/** @type {Set<Tab>} */
const tabs = new Set();
let lastId = 0;

/** A stream of a tab. */
class Stream {
  id = String(++lastId);
  /** Bytes that the tab has not taken yet. */
  unread = 0;

  /**
   * @param {Tab} tab @param {number} key @param {string} pool @param {string} query
   * @param {Connection} connection
   */
  constructor(tab, key, pool, query, connection) {
    this.tab = tab;
    this.key = key;
    this.pool = pool;
    this.query = query;
    this.connection = connection;
  }

  /** Tells the tab how it ended. @param {{line?: string, status?: number, text?: string}} how */
  end(how) {
    this.tab.streams.delete(this.key);
    this.tab.say({ key: this.key, ...how });
  }
}

/** One connection, with the streams of one credential. */
class Connection {
  /** @type {Map<string, Stream>} */
  #streams = new Map();
  /** @type {Stream[]} */
  #opening = [];
  /** @type {string[]} */
  #closing = [];
  /** Where to ask for changes; null before it is known. @type {string | null} */
  #path = null;
  #running = false;
  #changing = false;
  #stop = new AbortController();

  /** @param {string} token */
  constructor(token) {
    this.token = token;
  }

  /** @param {Stream} stream */
  open(stream) {
    this.#streams.set(stream.id, stream);
    this.#opening.push(stream);
    queueMicrotask(() => this.#change());
  }

  /** @param {Stream} stream */
  close({ id }) {
    if (!this.#streams.delete(id)) return;
    const known = this.#opening.every((other) => other.id !== id);
    this.#opening = this.#opening.filter((other) => other.id !== id);
    if (known) this.#closing.push(id);
    queueMicrotask(() => this.#change());
    if (this.#streams.size === 0) setTimeout(() => this.#leave(), LINGER_MS);
  }

  /** Ends it if nobody needs it. */
  #leave() {
    if (this.#streams.size > 0) return;
    if (connections.get(this.token) === this) connections.delete(this.token);
    this.#stop.abort();
  }

  /** Tells the server what has changed, one request after the other. */
  async #change() {
    if (!this.#running && this.#opening.length > 0) return await this.#run();
    if (this.#path === null || this.#changing) return;
    const [open, close] = [this.#opening.splice(0), this.#closing.splice(0)];
    if (open.length + close.length === 0) return;
    this.#changing = true;
    try {
      const answer = await this.#post(this.#path, open, close);
      const text = await answer.text();
      // Whatever is not closed for sure, the end of the connection closes.
      if (answer.status === 404 || !answer.ok && close.length > 0) this.#stop.abort();
      else if (!answer.ok) this.#refuse(open, answer.status, text);
    } catch {
      this.#stop.abort();
    }
    this.#changing = false;
    await this.#change();
  }

  /** @param {string} path @param {Stream[]} open @param {string[]} close */
  #post(path, open, close) {
    /** @type {Record<string, string>} */
    const headers = { "content-type": "application/json" };
    if (this.token) headers["authorization"] = `Bearer ${this.token}`;
    const wanted = open.map(({ id, pool, query }) => ({ key: id, pool, query }));
    return fetch(path, {
      method: "POST",
      headers,
      body: JSON.stringify({ open: wanted, close }),
      cache: "no-store",
      credentials: "same-origin",
      signal: this.#stop.signal,
    });
  }

  /** @param {Stream[]} streams @param {number} status @param {string} text */
  #refuse(streams, status, text) {
    for (const stream of streams) if (this.#streams.delete(stream.id)) stream.end({ status, text });
  }

  /** Connects, and reads until the connection ends. */
  async #run() {
    this.#running = true;
    const open = this.#opening.splice(0);
    const abort = () => this.#stop.abort();
    let timer = setTimeout(abort, SILENCE_MS);
    let status = 0, text = "", line = "";
    try {
      const answer = await this.#post("/v0/ui/streams", open, []);
      const reader = answer.ok && answer.body?.getReader();
      if (!reader) ({ status } = answer, text = await answer.text());
      else {
        const split = this.#splitter();
        for (;;) {
          const { done, value } = await reader.read();
          if (done) break;
          clearTimeout(timer);
          timer = setTimeout(abort, SILENCE_MS);
          split(value);
        }
        line = '{"end":true}';
      }
    } catch { /* interrupted: the tabs ask again for what they miss */ }
    clearTimeout(timer);
    if (connections.get(this.token) === this) connections.delete(this.token);
    for (const stream of this.#streams.values()) stream.end(line ? { line } : { status, text });
    this.#streams.clear();
    this.#opening = [];
  }

  /** Takes the pieces of the answer as they come. @returns {(bytes: Uint8Array<ArrayBuffer>) => void} */
  #splitter() {
    const decoder = new TextDecoder();
    let head = "", left = 0;
    /** @type {Stream | undefined} */
    let stream;
    return (bytes) => {
      for (let at = 0; at < bytes.length;) {
        if (left > 0) {
          const piece = bytes.slice(at, at + left);
          at += piece.length;
          left -= piece.length;
          if (stream) this.#hand(stream, piece);
          continue;
        }
        const end = bytes.indexOf(10, at);
        head += decoder.decode(bytes.subarray(at, end < 0 ? bytes.length : end), { stream: true });
        if (end < 0) return;
        at = end + 1;
        if (head) [stream, left] = this.#read(head);
        head = "";
      }
    };
  }

  /** Reads a line; returns how many bytes of which stream follow. @param {string} line @returns {[Stream | undefined, number]} */
  #read(line) {
    const { bundle, key, bytes, status, end } = JSON.parse(line);
    if (bundle) {
      this.#path = `/v0/ui/streams/${bundle}`;
      void this.#change();
    }
    const stream = this.#streams.get(key);
    if (bytes || !stream) return [stream, bytes ?? 0];
    if (status === 200) stream.tab.say({ key: stream.key, line });
    else if (status || end) {
      this.#streams.delete(key);
      stream.end({ line });
      if (this.#streams.size === 0) setTimeout(() => this.#leave(), LINGER_MS);
    }
    return [undefined, 0];
  }

  /** @param {Stream} stream @param {Uint8Array<ArrayBuffer>} bytes */
  #hand(stream, bytes) {
    if (this.#streams.get(stream.id) !== stream) return;
    stream.unread += bytes.length;
    stream.tab.say({ key: stream.key, bytes }, [bytes.buffer]);
    if (stream.unread <= UNREAD) return;
    // The tab sleeps: when it wakes up, it reads what it has got, and asks for the rest.
    this.close(stream);
    stream.end({ line: '{"end":true}' });
  }
}

/** A tab. */
class Tab {
  /** @type {Map<number, Stream>} */
  streams = new Map();
  heard = Date.now();

  /** @param {MessagePort} port */
  constructor(port) {
    this.port = port;
    port.addEventListener("message", ({ data }) => this.#hear(data));
    port.addEventListener("close", () => this.drop());
    port.start();
    void alive.then((lock) => this.say({ lock }));
  }

  /** @param {object} message @param {Transferable[]} [move] */
  say(message, move = []) {
    this.port.postMessage(message, move);
  }

  /**
   * @param {{open?: number, close?: number, took?: number, lock?: string, bye?: true, pool: string,
   *   query: string, token: string, n: number}} message
   */
  #hear({ open, close, took, lock, bye, pool, query, token, n }) {
    this.heard = Date.now();
    tabs.add(this);
    if (open !== undefined) {
      let connection = connections.get(token);
      if (!connection) connections.set(token, connection = new Connection(token));
      const stream = new Stream(this, open, pool, query, connection);
      this.streams.set(open, stream);
      connection.open(stream);
    }
    if (close !== undefined) {
      const stream = this.streams.get(close);
      this.streams.delete(close);
      stream?.connection.close(stream);
    }
    const stream = took === undefined ? undefined : this.streams.get(took);
    if (stream) stream.unread -= n;
    if (bye) this.drop();
    // Without locks it is asked whether it is there.
    if (lock) navigator.locks.request(lock, () => this.drop()).catch(() => {});
  }

  /** Closes what a tab has open that is gone, or asleep: when it wakes up, it asks again. */
  drop() {
    tabs.delete(this);
    for (const stream of [...this.streams.values()]) {
      stream.connection.close(stream);
      stream.end({ status: 0 });
    }
  }
}

addEventListener("connect", (event) => {
  const [port] = /** @type {MessageEvent} */ (event).ports;
  if (port) tabs.add(new Tab(port));
});

setInterval(() => {
  for (const tab of tabs) {
    if (Date.now() - tab.heard > GONE_MS) tab.drop();
    else tab.say({ ping: true });
  }
}, PING_MS);
