/**
 * What a route is: one object from which the router, the OpenAPI document and the tests are made.
 *
 * @module
 */

import type { z } from "zod";
import type { Slots } from "../../lib/backend/local/slots.ts";
import type { Coordination } from "../../lib/backend/coordination.ts";
import type { Backend, PoolHandle } from "../../lib/backend/types.ts";
import type { Grant, Need } from "../../lib/types.ts";
import type { Appends, MessagePrinter } from "../append.ts";
import type { AttemptLimit } from "../access/limit.ts";
import type { BrowserSessions } from "../access/sessions.ts";
import type { Administration } from "../access/administration.ts";
import type { Authenticator } from "../auth.ts";
import type { BodyReader } from "../body.ts";
import type { Metrics } from "../metrics.ts";
import type { Asset } from "../page.ts";
import type { TailHost, TailStream } from "../tail.ts";

/** Handles requests of the Model Context Protocol. */
export interface McpFetch {
  /** Answers one request of a caller who may do what `grant` says. */
  (request: Request, grant: Grant): Promise<Response>;
  /** Ends waits and streams. */
  close?(): Promise<void>;
}

/** What the handler of the Model Context Protocol must keep to. */
export interface McpLimits {
  /** The largest request body in bytes. */
  readonly maxBodyBytes: number;
  /** Takes a place among the streams, or null when all are taken; the result gives it back. */
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
  /** Who has signed in. */
  readonly sessions: BrowserSessions;
  /** Slows down those who try keys. */
  readonly limit: AttemptLimit;
}

/** What the routes of one server share. */
export interface RouteHost extends TailHost {
  /** Where the pools are. */
  readonly backend: Backend;
  /** Stores what requests bring. */
  readonly appends: Appends;
  /** Prints messages. */
  readonly printer: MessagePrinter;
  /** Request bodies. */
  readonly bodies: BodyReader;
  /** Calls on the directory as a whole (counter B of docs/spec/http-api.md 6). */
  readonly directory: Slots;
  /** Streams at once (counter A of docs/spec/http-api.md 6). */
  readonly tails: Slots;
  /** Counters. */
  readonly metrics: Metrics;
  /** Who calls and what they may do. */
  readonly auth: Authenticator;
  /** The longest tail in milliseconds. */
  readonly maxTailTimeoutMs: number;
  /** The largest request body in bytes. */
  readonly maxBodyBytes: number;
  /** What the registry shows; null where it may not be asked. */
  readonly status: (() => unknown) | null;
  /** Administers access keys; `elsewhere` on a listener for others, null where it is not offered. */
  readonly administration: Administration | "elsewhere" | null;
  /** Signing in; `local` where nobody needs to, null where it is not offered. */
  readonly browser: Browser | "local" | null;
  /** Loads the page. */
  readonly ui: () => Promise<ReadonlyMap<string, Asset>>;
  /** The handler of the Model Context Protocol, loaded when it is first asked for; null without one. */
  readonly mcp: (() => Promise<McpFetch>) | null;
  /** The OpenAPI document of this server as JSON text. */
  readonly openApi: () => Promise<string>;
  /** How many streams follow a pool. */
  followers(pool: string): number;
  /** Aborted when the server stops. */
  readonly stopping: AbortSignal;
  /** Calls on pools that are under way. */
  calls(): number;
  /** Told of bugs and of nothing else. */
  fault(error: unknown): void;
  /** Takes a stream of a caller into account, or refuses it because the server stops. */
  begun(tail: TailStream, grant: Grant): void;
}

/** One request on its way to a handler. */
export interface Call {
  /** The request. */
  readonly request: Request;
  /** What its caller may do; nothing on an open route. */
  readonly grant: Grant;
  /** The query with its question mark, or nothing. */
  readonly search: string;
  /** The pool of the path: its name is checked, and the caller has the right that the route needs. */
  readonly pool: string;
  /** A part of the path by its name, decoded. */
  part(name: string): string;
}

/** A parameter of the query, or a header that is as good as one. */
export interface Parameter {
  /** Its name. */
  readonly name: string;
  /** Its shape; a function where it depends on the server. */
  readonly schema: z.ZodType | ((limits: Limits) => z.ZodType);
  /** What it says. */
  readonly description: string;
  /** Whether it is a header; default a parameter of the query. */
  readonly header?: true;
}

/** Limits of a server that its documentation tells. */
export type Limits = Pick<RouteHost, "maxTailTimeoutMs" | "maxBodyBytes">;

/** A type of content and its shape, where it is JSON. */
export interface Content {
  /** The media type. */
  readonly type: string;
  /** The shape; null for what JSON Schema cannot describe. */
  readonly schema: z.ZodType | null;
}

/** One route. */
export interface Route {
  /** The method; GET answers HEAD too. */
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /**
   * Its paths, the best first; the others are older or other names of it. `{pool}` is a pool's name,
   * any other part in braces one segment.
   */
  readonly paths: readonly [string, ...string[]];
  /** Whether only this machine may use it; on a listener for others it is refused to everybody. */
  readonly local?: true;
  /** What it does, in a line. */
  readonly summary: string;
  /**
   * The right that a caller needs; `work` is to read and to append, `any` is for whoever has
   * credentials, `open` for everybody.
   */
  readonly access: Need | "work" | "any" | "open";
  /** Parameters of the query. */
  readonly query?: readonly Parameter[];
  /** What the request brings. */
  readonly body?: Content;
  /** What it answers when all is well. */
  readonly answer: Content;
  /** Statuses of failures, besides those that access, path and body bring with them. */
  readonly errors?: readonly number[];
  /** The method of our client that calls it. */
  readonly remote?: keyof Backend | keyof PoolHandle | keyof Coordination;
  /** Whether this server has it; default yes. */
  readonly served?: (host: RouteHost) => boolean;
  /** Answers a request. */
  readonly handler: (call: Call, host: RouteHost) => Response | Promise<Response>;
}

/** Content in JSON. */
export function jsonContent(schema: z.ZodType): Content {
  return { type: "application/json", schema };
}
