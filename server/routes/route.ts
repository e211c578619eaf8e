/**
 * The definition of a route, used by the router, the OpenAPI document and the tests.
 *
 * @module
 */

import type { z } from "zod";
import type * as Schemas from "../schemas.ts";
import type { Slots } from "../../lib/backend/local/slots.ts";
import type { Coordination } from "../../lib/backend/coordination.ts";
import type { Backend, PoolHandle } from "../../lib/backend/types.ts";
import type { Grant, Need } from "../../lib/types.ts";
import type { Appends, MessagePrinter } from "../append.ts";
import type { AttemptLimit } from "../access/limit.ts";
import type { BrowserSessions } from "../access/sessions.ts";
import type { Administration } from "../access/administration.ts";
import type { Authenticator } from "../auth.ts";
import type { Bundles } from "../bundle.ts";
import type { BodyReader } from "../body.ts";
import type { Histograms } from "../histogram.ts";
import type { Metrics } from "../metrics.ts";
import type { Asset } from "../page.ts";
import type { TailHost, TailStream } from "../tail.ts";

/** Handles requests of the Model Context Protocol. */
export interface McpFetch {
  /** Handles one request of a caller with these rights. */
  (request: Request, grant: Grant): Promise<Response>;
  /** Ends pending waits and streams. */
  close?(): Promise<void>;
}

/** What a server shares with the handler of the Model Context Protocol. */
export interface McpLimits {
  /** The largest request body in bytes. */
  readonly maxBodyBytes: number;
  /** Takes a slot for a stream and returns a function that releases it; null if none is free. */
  readonly takePlace: () => (() => void) | null;
  /**
   * The pools of the server, so that both share open files, grouped appends and change notices.
   *
   * @internal
   */
  readonly backend: Backend;
}

/** Signing in with a browser. */
export interface Browser {
  /** The signed-in browsers. */
  readonly sessions: BrowserSessions;
  /** Slows down guessing of keys. */
  readonly limit: AttemptLimit;
}

/** What the routes of one server share. */
export interface RouteHost extends TailHost {
  /** Where the pools are. */
  readonly backend: Backend;
  /** Stores the messages in requests. */
  readonly appends: Appends;
  /** Formats messages. */
  readonly printer: MessagePrinter;
  /** Request bodies. */
  readonly bodies: BodyReader;
  /** Calls on the directory as a whole (counter B of docs/spec/http-api.md 6). */
  readonly directory: Slots;
  /** Concurrent streams (counter A of docs/spec/http-api.md 6). */
  readonly tails: Slots;
  /** Streams of one caller in one answer. */
  readonly bundles: Bundles;
  /** Counters. */
  readonly metrics: Metrics;
  /** Checks credentials. */
  readonly auth: Authenticator;
  /** The longest tail in milliseconds. */
  readonly maxTailTimeoutMs: number;
  /** The largest request body in bytes. */
  readonly maxBodyBytes: number;
  /** What the server reports about itself; null if the route does not exist. */
  readonly status: (() => unknown) | null;
  /**
   * Loads what administers access keys; `elsewhere` on a remote listener, null if it is not offered.
   */
  readonly administration: (() => Promise<Administration>) | "elsewhere" | null;
  /** Signing in; `local` where it is not needed, null if it is not offered. */
  readonly browser: Browser | "local" | null;
  /** Loads the page. */
  readonly ui: () => Promise<ReadonlyMap<string, Asset>>;
  /** The handler of the Model Context Protocol, loaded on first use; null without one. */
  readonly mcp: (() => Promise<McpFetch>) | null;
  /** The OpenAPI document of this server as JSON text. */
  readonly openApi: () => Promise<string>;
  /** When messages were appended. */
  readonly histograms: Histograms;
  /** The number of readers that follow a pool. */
  followers(pool: string): number;
  /** The names of the pools that have readers, and perhaps others. */
  followed(): Iterable<string>;
  /** Aborted when the server stops. */
  readonly stopping: AbortSignal;
  /** The number of calls on pools in progress. */
  calls(): number;
  /** Called only for bugs. */
  fault(error: unknown): void;
  /** Registers a stream of a caller; refuses it if the server is stopping. */
  begun(tail: TailStream, grant: Grant): void;
}

/** A request for a handler. */
export interface Call {
  /** The request. */
  readonly request: Request;
  /** The rights of its caller; none on an open route. */
  readonly grant: Grant;
  /** The query with its question mark; empty if there is none. */
  readonly search: string;
  /** The pool in the path; its name is valid, and the caller has the rights of the route. */
  readonly pool: string;
  /** A parameter of the path, decoded. */
  part(name: string): string;
}

/**
 * Takes a schema of the OpenAPI document from the module of all schemas. Nothing but that document
 * needs them, so they are loaded with it: they take 3 MB in a server that is never asked for it.
 */
export type Schema = (of: typeof Schemas, limits: Limits) => z.ZodType;

/** A parameter of the query, or a header that can replace one. */
export interface Parameter {
  /** Its name. */
  readonly name: string;
  /** Its schema. */
  readonly schema: Schema;
  /** Its description. */
  readonly description: string;
  /** Whether it is a header; default a parameter of the query. */
  readonly header?: true;
}

/** Limits of a server that are documented. */
export type Limits = Pick<RouteHost, "maxTailTimeoutMs" | "maxBodyBytes">;

/** A type of content, and its schema for JSON. */
export interface Content {
  /** The media type. */
  readonly type: string;
  /** The schema; null if JSON Schema cannot describe it. */
  readonly schema: Schema | null;
}

/** One route. */
export interface Route {
  /** The method; GET handles HEAD too. */
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /**
   * Its paths, the preferred one first. `{pool}` is the name of a pool; other parameters in braces
   * are one segment each.
   */
  readonly paths: readonly [string, ...string[]];
  /** Whether it is local: on a listener for other machines it is refused. */
  readonly local?: true;
  /** A summary in one line. */
  readonly summary: string;
  /**
   * The right that a caller needs; `work` means to read and to append, `any` any valid credentials,
   * `open` no credentials.
   */
  readonly access: Need | "work" | "any" | "open";
  /** Parameters of the query. */
  readonly query?: readonly Parameter[];
  /** The body of the request. */
  readonly body?: Content;
  /** The response on success. */
  readonly answer: Content;
  /** Error statuses, in addition to those that follow from access, path and body. */
  readonly errors?: readonly number[];
  /** The method of our client that calls it. */
  readonly remote?: keyof Backend | keyof PoolHandle | keyof Coordination;
  /** Whether a server offers it; default yes. */
  readonly served?: (host: RouteHost) => boolean;
  /** Handles a request. */
  readonly handler: (call: Call, host: RouteHost) => Response | Promise<Response>;
}

/** JSON content. */
export function jsonContent(schema: Schema): Content {
  return { type: "application/json", schema };
}
