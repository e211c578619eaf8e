/**
 * The HTTP response to a call that may take long. It starts before the answer is known, so that
 * proxies keep the connection open and a client that disconnects is noticed.
 *
 * It is an event stream if the client accepts one: a client that cancels a call then only ends this
 * stream, whereas some clients end their session when a JSON response is cut off. Otherwise it is
 * JSON after white space, which has no meaning.
 *
 * @module
 */

import { startTimer } from "../lib/timers.ts";

/** How long to wait for the answer before starting a response, in milliseconds. */
const SOON = 50;
/** How often a started response sends something, in milliseconds. */
const BEAT = 5_000;

const EVENTS = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
};

/** Whether an `Accept` header names event streams; `*` is not enough, because of curl. */
export function acceptsEvents(accept: string | null): boolean {
  return (accept ?? "").split(",").some((range) => {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    const refused = parameters.some((part) => /^q\s*=\s*0(?:\.0*)?$/.test(part));
    return type === "text/event-stream" && !refused;
  });
}

/** The response to one call. */
export class LateReply {
  readonly #events: boolean;
  readonly #leave: () => void;
  readonly #encoder = new TextEncoder();
  readonly #first = Promise.withResolvers<undefined>();
  #waiting: string[] = [];
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #source: ReadableStreamDefaultReader<Uint8Array> | undefined;

  /**
   * @param events whether the caller accepts an event stream
   * @param leave called when the client has disconnected
   */
  constructor(events: boolean, leave: () => void) {
    this.#events = events;
    this.#leave = leave;
  }

  /** Sends a notification before the answer; not possible in JSON. */
  notify(text: string): void {
    if (!this.#events) return;
    this.#first.resolve(undefined);
    if (this.#controller === undefined) this.#waiting.push(text);
    else this.#write(event(text));
  }

  /** The response: the answer itself if it is ready soon, otherwise a body that waits for it. */
  async respond(answer: Promise<Response>): Promise<Response> {
    const timer = startTimer(() => this.#first.resolve(undefined), SOON);
    const soon = await Promise.race([answer, this.#first.promise]);
    clearTimeout(timer);
    if (soon !== undefined) return soon;
    let beat: ReturnType<typeof setInterval> | undefined;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
        const sign = this.#events ? ":\n\n" : " ";
        this.#write(sign);
        for (const text of this.#waiting.splice(0)) this.#write(event(text));
        beat = setInterval(() => this.#write(sign), BEAT);
        this.#complete(answer).finally(() => clearInterval(beat));
      },
      cancel: () => {
        clearInterval(beat);
        this.#controller = undefined;
        this.#leave();
        void this.#source?.cancel().catch(() => {}); // The client has disconnected.
      },
    });
    const headers = this.#events ? EVENTS : { "content-type": "application/json" };
    return new Response(body, { headers });
  }

  #write(text: string): void {
    this.#controller?.enqueue(this.#encoder.encode(text));
  }

  async #complete(answer: Promise<Response>): Promise<void> {
    try {
      const response = await answer;
      const type = response.headers.get("content-type") ?? "";
      if (response.body !== null && type.startsWith("text/event-stream")) {
        await this.#pass(response.body);
      } else {
        const text = await response.text();
        if (text === "") throw new Error("the call was given up without an answer");
        this.#write(this.#events ? event(text) : text);
      }
      this.#controller?.close();
    } catch (error) {
      this.#controller?.error(error);
    }
  }

  async #pass(body: ReadableStream<Uint8Array>): Promise<void> {
    const reader = this.#source = body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.#controller?.enqueue(value);
    }
  }
}

function event(json: string): string {
  return `event: message\ndata: ${json}\n\n`;
}
