/**
 * One connection to NATS servers, shared by a backend's pools and walks, and the JetStream API
 * requests sent over it.
 *
 * The API consists of JSON requests (docs/spec/jetstream.md 1). Using it directly preserves the
 * server's own errors and avoids loading another package at startup.
 *
 * @module
 */

import type { Msg, NatsConnection } from "@nats-io/transport-node";
import { PlasmiteError } from "../../errors.ts";
import type { AccessOptions } from "../resolve.ts";
import { NatsAccess, type Transport } from "./access.ts";
import { connectError, forbidden, NatsError, silent, type WireError, wireError } from "./errors.ts";
import { LateErrors } from "./late_errors.ts";
import type { NatsAddress } from "./ref.ts";

const utf8 = new TextDecoder();

/** How long to wait for a response, in milliseconds. */
export const REQUEST_MS = 5_000;

/** After how many milliseconds without a response a question is asked again. */
const SOON_MS = 1_000;

/** Requests that change nothing, so that they can be sent twice. */
const QUESTION = /^(?:STREAM|CONSUMER)\.(?:INFO|LIST|NAMES|MSG\.GET)\b/;

/** A version number. */
export type Version = readonly [major: number, minor: number];

/** Whether `version` is at least `major.minor`. */
export function atLeast([major, minor]: Version, wantMajor: number, wantMinor: number): boolean {
  return major > wantMajor || (major === wantMajor && minor >= wantMinor);
}

/** An open connection. */
export class Link {
  /** The connection of the client library. */
  readonly nc: NatsConnection;
  /** The client library. */
  readonly library: Transport;
  /** The name of the servers, for errors. */
  readonly place: string;
  /** Whether the connection is currently lost. */
  lost = false;
  /** How many times the connection was restored. */
  reconnects = 0;
  /** Called with each permission violation and each change of the connection. */
  readonly listeners: Set<(event: LinkEvent) => void> = new Set();
  readonly #prefix: string;

  /** Wraps a connection. */
  constructor(nc: NatsConnection, library: Transport, place: string, domain?: string) {
    this.nc = nc;
    this.library = library;
    this.place = place;
    this.#prefix = domain === undefined ? "$JS.API." : `$JS.${domain}.API.`;
    void this.#listen();
  }

  async #listen(): Promise<void> {
    for await (const status of this.nc.status()) {
      if (status.type === "disconnect" || status.type === "reconnect") {
        this.lost = status.type === "disconnect";
        if (!this.lost) this.reconnects++;
        this.#tell({ type: status.type });
      } else if (status.type === "error") {
        const { error } = status;
        if (error instanceof this.library.PermissionViolationError) {
          this.#tell({ type: "forbidden", subject: error.subject });
        }
      } else if (status.type === "close") this.#tell({ type: "close" });
    }
  }

  #tell(event: LinkEvent): void {
    for (const listener of this.listeners) listener(event);
  }

  /** The version of the server. */
  get version(): Version {
    const [, major = "0", minor = "0"] = /^(\d+)\.(\d+)/.exec(this.nc.info?.version ?? "") ?? [];
    return [Number(major), Number(minor)];
  }

  /** The full subject of an API request. */
  subject(name: string): string {
    return this.#prefix + name;
  }

  /**
   * Sends an API request and returns its response as an object.
   *
   * @param name the subject without its prefix
   * @param path the pool, for errors
   * @throws {PlasmiteError} as {@linkcode wireError}, and if the server is unreachable or too slow
   */
  async api<T>(name: string, body: object | null, path: string): Promise<T> {
    const subject = this.subject(name);
    const text = body === null ? "" : JSON.stringify(body);
    const message = QUESTION.test(name)
      ? await this.#ask(subject, text, path)
      : await this.request(subject, text, path);
    const answer = parseAnswer(message, path);
    if (answer.error !== undefined) throw wireError(answer.error, path);
    return answer as T;
  }

  /** All entries of a list that the API returns in pages. Throws the errors of {@linkcode Link.api}. */
  async list<T>(name: string, member: "streams" | "consumers", path: string): Promise<T[]> {
    const all: T[] = [];
    for (;;) {
      const { total, [member]: page } = await this.api<Page<T>>(name, { offset: all.length }, path);
      all.push(...page ?? []);
      if (all.length >= total || (page?.length ?? 0) === 0) return all;
    }
  }

  /**
   * Sends a question, once more if no answer comes soon: while leaders change, a question or its answer
   * may be lost.
   */
  async #ask(subject: string, body: string, path: string): Promise<Msg> {
    if (this.lost) throw this.unreachable(path);
    try {
      return await this.nc.request(subject, body, { timeout: SOON_MS });
    } catch (error) {
      if (this.#isLate(error)) return await this.request(subject, body, path);
      throw this.failure(error, subject, path);
    }
  }

  /** Sends a request. Converts errors of the client library to errors of this program. */
  async request(subject: string, body: Uint8Array | string, path: string): Promise<Msg> {
    if (this.lost) throw this.unreachable(path);
    try {
      return await this.nc.request(subject, body, { timeout: REQUEST_MS });
    } catch (error) {
      throw this.failure(error, subject, path);
    }
  }

  /** The error for a connection that is currently lost. */
  unreachable(path: string): PlasmiteError {
    return new PlasmiteError("Io", "cannot reach the NATS server", {
      hint: "The connection was lost, and is being restored. Try again in a moment.",
      path,
    });
  }

  /** Converts an error of the client library. */
  failure(error: unknown, subject: string, path: string): unknown {
    const { library } = this;
    const cause = error instanceof Error ? error.cause : undefined;
    for (const one of [error, cause]) {
      if (one instanceof library.PermissionViolationError) return forbidden(one.subject, path, one);
    }
    if (PlasmiteError.is(error) || !(error instanceof Error)) return error;
    if (isNoResponders(error, library)) return this.#noResponders(subject, path, error);
    const gone = error instanceof library.ClosedConnectionError ||
      error instanceof library.DrainingConnectionError;
    if (this.lost || gone) return connectError(error, this.place);
    return this.#isLate(error) ? silent(path, error) : connectError(error, this.place);
  }

  /** Whether the client library waited in vain. */
  #isLate(error: unknown): boolean {
    const { TimeoutError } = this.library;
    return error instanceof TimeoutError ||
      (error instanceof Error && error.cause instanceof TimeoutError);
  }

  #noResponders(subject: string, path: string, cause: Error): PlasmiteError {
    if (!subject.startsWith(this.#prefix)) {
      return new NatsError(503, "Busy", "No server takes the messages at the moment", {
        hint: "Try again in a moment; a cluster may be choosing a leader.",
        path,
        cause,
      });
    }
    const domain = this.#prefix === "$JS.API." ? "" : ` of domain ${this.#prefix.split(".")[1]}`;
    return new NatsError(503, "Usage", `JetStream${domain} is off, or not reachable from here`, {
      hint: "Turn on JetStream in the server, or check the name of the domain.",
      path,
      cause,
    });
  }
}

/** A part of a list. */
interface Page<T> {
  readonly total: number;
  readonly streams?: readonly T[] | null;
  readonly consumers?: readonly T[] | null;
}

/** An event on a connection. */
export type LinkEvent =
  | { readonly type: "disconnect" | "reconnect" | "close" }
  | { readonly type: "forbidden"; readonly subject: string };

/** Whether the subject of a request has no subscribers. */
export function isNoResponders(error: unknown, library: Transport): boolean {
  if (error instanceof library.NoRespondersError) return true;
  return error instanceof library.RequestError && error.isNoResponders();
}

/** The JSON object of a response. */
export function parseAnswer(message: Msg, path: string): { error?: WireError } {
  let answer: unknown;
  try {
    answer = JSON.parse(utf8.decode(message.data));
  } catch (cause) {
    throw unreadable(path, cause);
  }
  if (answer === null || typeof answer !== "object") throw unreadable(path);
  return answer;
}

function unreadable(path: string, cause?: unknown): PlasmiteError {
  return new PlasmiteError("Internal", "The answer of the NATS server cannot be read", {
    hint: "Is it a NATS server with JetStream?",
    path,
    cause,
  });
}

/** The connection of a backend: opened when it is needed, closed when it has no users. */
export class Connector {
  readonly address: NatsAddress;
  readonly #access: NatsAccess;
  readonly #domain: string | undefined;
  #users = 1;
  #link: Promise<Link> | null = null;

  /**
   * Prepares a connection.
   *
   * @throws {PlasmiteError} Usage for options that cannot be used
   */
  constructor(address: NatsAddress, options: AccessOptions) {
    this.address = address;
    this.#access = new NatsAccess(address, options);
    this.#domain = checkDomain(options.domain);
  }

  /** Increments the number of users. */
  retain(): this {
    this.#users++;
    return this;
  }

  /** Decrements the number of users; closes the connection when none are left. */
  async release(): Promise<void> {
    if (--this.#users > 0) return;
    const connecting = this.#link;
    this.#link = null;
    const link = await connecting?.catch(() => null); // There may have been no connection.
    await link?.nc.close();
  }

  /** The connection. */
  link(): Promise<Link> {
    const link = this.#link ??= this.#connect();
    // After a failure, the next call tries again.
    link.catch(() => {
      if (this.#link === link) this.#link = null;
    });
    return link;
  }

  async #connect(): Promise<Link> {
    const library = await loadLibrary();
    const { place } = this.address;
    const late = new LateErrors();
    try {
      const nc = await library.connect(this.#access.options(library));
      void nc.closed().then(() => late.end());
      return new Link(nc, library, place, this.#domain);
    } catch (error) {
      late.end();
      throw await this.#explain(late.alert ?? error);
    }
  }

  /** The error for a failed attempt to connect; asks the server if the library gives no reason. */
  async #explain(error: unknown): Promise<PlasmiteError> {
    const { place, servers: [server] } = this.address;
    const told = connectError(error, place);
    const isSilent = told.topic === "nats timeout" || /undefined error/.test(String(error));
    if (!isSilent || server === undefined) return told;
    const { greetingOf } = await import("./diagnose.ts");
    const greeting = await greetingOf(server);
    if (greeting?.tls_verify === true && !this.#access.hasCertificate) {
      return connectError(new Error("certificate required", { cause: error }), place);
    }
    return greeting === null ? connectError(new Error("timeout", { cause: error }), place) : told;
  }
}

/** Loads the client library; bundlers expose a CommonJS package only as the default export. */
async function loadLibrary(): Promise<Transport> {
  const module: Transport & { readonly default?: Transport } = await import(
    "@nats-io/transport-node"
  );
  return typeof module.connect === "function" ? module : module.default ?? module;
}

function checkDomain(domain: string | undefined): string | undefined {
  if (domain === undefined || /^[^\s.*>]+$/.test(domain)) return domain;
  throw new PlasmiteError("Usage", "Invalid JetStream domain", {
    hint: "Use the name in the server's configuration, without blanks, '.', '*' and '>'.",
  });
}
