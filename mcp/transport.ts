/**
 * A stdio transport for the SDK. It answers requests that the SDK would drop, keeps the order of
 * calls, and answers all requests before it stops at the end of input.
 *
 * Calls run one at a time, so that a script can send create, feed and read without waiting; waits
 * run concurrently, and `ping` and cancellations are never queued (docs/spec/agents.md 2).
 *
 * @module
 */

import {
  isJSONRPCNotification,
  isJSONRPCRequest,
  type JSONRPCMessage,
  type Transport,
} from "@modelcontextprotocol/server";
import { startTimer } from "../lib/timers.ts";
import { type Call, frame, type Id, type Refusal } from "./frame.ts";
import { unwrap } from "./json.ts";
import { type Line, LineSplitter } from "./lines.ts";

/**
 * The longest input line, in bytes: nearly always enough for the largest message, escaped.
 */
const LONGEST_LINE = 512 * 1024 * 1024;
/** The amount of unread output at which reading input pauses, in bytes. */
const BACKLOG = 4 * 1024 * 1024;
/** How long the last answers may take after the end of input, in milliseconds. */
const LAST_ANSWERS = 30_000;

/** How long calls wait for one that does not answer, in milliseconds. */
const STALLED = 60_000;

/** How many turns of the event loop the SDK gets to refuse a subscription after the last line. */
const REFUSAL_TURNS = 10;

/** The source of lines. */
export interface Input {
  /** Reads some bytes; null at the end. */
  read(into: Uint8Array): Promise<number | null>;
}

/** The destination of lines. */
export interface Output {
  /** Writes some of the bytes and returns how many. */
  write(bytes: Uint8Array): Promise<number>;
}

/** Whether a request may run concurrently with others. */
function runsBeside({ method, params }: Call): boolean {
  return method === "ping" || method === "subscriptions/listen" ||
    (method === "tools/call" && params?.["name"] === "plasmite_wait");
}

/** JSON-RPC in lines over a pair of streams. */
export class LineTransport implements Transport {
  /** Set by the SDK. */
  onmessage?: NonNullable<Transport["onmessage"]>;
  /** Set by the SDK. */
  onclose?: () => void;
  /** Set by the SDK. */
  onerror?: (error: Error) => void;
  /** Aborted at the end of input. */
  readonly ending: AbortController = new AbortController();
  /** Called with every request, before the SDK, which gets a subscription after the promise. */
  oncall?: (call: Call) => Promise<unknown> | undefined;

  readonly #input: Input;
  readonly #output: Output;
  readonly #longest: number;
  readonly #done = Promise.withResolvers<void>();
  /** The arrival of each unanswered request. */
  readonly #pending = new Map<Id, number>();
  /** Subscriptions that are not answered. */
  readonly #listening = new Map<Id, Call>();
  /** The subscription that is about to begin; calls behind it wait. */
  #beginning: Promise<void> | undefined;
  #queue: Call[] = [];
  #running: Id | undefined;
  #stalled: ReturnType<typeof setTimeout> | undefined;
  #outgoing: string[] = [];
  #backlog = 0;
  #writing: Promise<void> | undefined;
  #closed = false;
  #broken = false;
  #idle: (() => void) | undefined;

  /** @param longest the longest input line, in bytes */
  constructor(input: Input, output: Output, longest = LONGEST_LINE) {
    this.#input = input;
    this.#output = output;
    this.#longest = longest;
  }

  /** Resolves when the input has ended and all is answered, or when the output is closed. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  /** The arrival of an unanswered request, in `performance.now()` time. */
  arrivedAt(id: Id): number | undefined {
    return this.#pending.get(id);
  }

  /** Starts reading; called by the SDK. */
  start(): Promise<void> {
    void this.#read();
    return Promise.resolve();
  }

  /** Sends a message; called by the SDK. */
  send(message: JSONRPCMessage): Promise<void> {
    this.#print(unwrap(JSON.stringify(message)));
    if (!("method" in message) && message.id !== undefined) this.#settle(message.id);
    return Promise.resolve();
  }

  /** Ends the connection after everything is written. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.ending.abort();
    clearTimeout(this.#stalled);
    await this.#writing;
    this.onclose?.();
    this.#done.resolve();
  }

  async #read(): Promise<void> {
    const lines = new LineSplitter(this.#longest);
    const chunk = new Uint8Array(64 * 1024);
    try {
      while (!this.#closed) {
        const length = await this.#input.read(chunk);
        if (length === null) break;
        for (const line of lines.push(chunk.subarray(0, length))) this.#take(line);
        if (this.#backlog > BACKLOG) await this.#writing;
      }
      for (const line of lines.end()) this.#take(line);
    } catch (error) {
      this.onerror?.(error instanceof Error ? error : new Error(String(error)));
    }
    this.ending.abort();
    await this.#answerAll();
    this.#done.resolve();
  }

  /** Waits until every request is answered, but for subscriptions, which closing answers. */
  async #answerAll(): Promise<void> {
    if (this.#pending.size > 0 && !this.#closed) {
      await new Promise<void>((resolve) => {
        const timer = startTimer(resolve, LAST_ANSWERS);
        this.#idle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    while (this.#beginning !== undefined) await this.#beginning;
    // A subscription that the SDK refuses is answered within a turn or two of the event loop.
    for (let turn = 0; turn < REFUSAL_TURNS && this.#listening.size > 0 && !this.#closed; turn++) {
      await new Promise<void>((resolve) => startTimer(resolve, 0));
    }
  }

  #take(line: Line): void {
    if (line.kind === "invalid") return this.#refuse(-32700, "Parse error: the line is not UTF-8");
    if (line.kind === "too long") {
      return this.#refuse(-32700, `Parse error: the line is longer than ${this.#longest} bytes`);
    }
    const framed = frame(line.text);
    if (framed.kind === "answer") return;
    if (framed.kind === "refused") return this.#print(JSON.stringify(framed.refusal));
    const { call } = framed;
    // The SDK drops what it cannot read, and the client would wait forever.
    if (call.id === undefined) {
      if (isJSONRPCNotification(call)) this.#notified(call);
      return;
    }
    if (!isJSONRPCRequest(call)) {
      return this.#refuse(-32602, "Invalid params: _meta is not as the protocol has it", call.id);
    }
    if (this.#pending.has(call.id)) {
      return this.#refuse(-32600, "Invalid request: a request with this id is running", call.id);
    }
    if (call.method === "subscriptions/listen") this.#listening.set(call.id, call);
    else this.#pending.set(call.id, performance.now());
    if (call.method === "ping") return this.#deliver(call);
    this.#queue.push(call);
    this.#pump();
  }

  #refuse(code: number, message: string, id: Id | null = null): void {
    const refusal: Refusal = { jsonrpc: "2.0", id, error: { code, message } };
    this.#print(JSON.stringify(refusal));
  }

  #notified(call: Call): void {
    if (call.method !== "notifications/cancelled") return this.#deliver(call);
    const id = call.params?.["requestId"];
    if (typeof id !== "string" && typeof id !== "number") return;
    const queued = this.#queue.findIndex((one) => one.id === id);
    if (queued >= 0) this.#queue.splice(queued, 1);
    else this.#deliver(call);
    // A cancelled request gets no response.
    this.#settle(id);
  }

  #deliver(call: Call): void {
    const begun = this.oncall?.(call);
    if (begun === undefined || call.id === undefined) return this.onmessage?.(call);
    const { id } = call;
    this.#running = id;
    const beginning = begun.then(() => {
      if (this.#beginning === beginning) this.#beginning = undefined;
      // It may have been cancelled.
      if (this.#listening.get(id) !== call) return;
      this.onmessage?.(call);
      if (this.#running === id) this.#goOn();
    });
    this.#beginning = beginning;
  }

  #pump(): void {
    while (this.#running === undefined) {
      const call = this.#queue.shift();
      if (call === undefined) return;
      if (!runsBeside(call)) {
        this.#running = call.id;
        this.#stalled = startTimer(() => this.#goOn(), STALLED);
      }
      this.#deliver(call);
    }
  }

  #settle(id: Id): void {
    this.#pending.delete(id);
    this.#listening.delete(id);
    if (this.#running === id) this.#goOn();
    if (this.#pending.size === 0) this.#idle?.();
  }

  #goOn(): void {
    clearTimeout(this.#stalled);
    this.#running = undefined;
    this.#pump();
  }

  #print(line: string): void {
    if (this.#broken) return;
    this.#outgoing.push(line);
    this.#backlog += line.length;
    this.#writing ??= this.#write();
  }

  async #write(): Promise<void> {
    const encoder = new TextEncoder();
    try {
      while (this.#outgoing.length > 0) {
        const bytes = encoder.encode(`${this.#outgoing.join("\n")}\n`);
        this.#outgoing = [];
        this.#backlog = 0;
        for (let at = 0; at < bytes.length;) at += await this.#output.write(bytes.subarray(at));
      }
      this.#writing = undefined;
    } catch {
      // The output is closed: like the end of input, but without anything left to answer.
      this.#broken = true;
      this.#outgoing = [];
      this.#pending.clear();
      this.#queue = [];
      this.#idle?.();
      this.ending.abort();
      this.#done.resolve();
    }
  }
}
