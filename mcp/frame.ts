/**
 * Parses a JSON-RPC message for the SDK, or returns the error response for it.
 *
 * The SDK drops or misreads some messages of real clients (batches, `arguments: null`, `initialize`
 * without parameters), so they are checked and corrected here first (docs/spec/agents.md 1, 8).
 *
 * @module
 */

import { messageOf } from "../lib/errors.ts";
import { members, strictProblem, wrap } from "./json.ts";
import { isObject, paramsProblem } from "./params.ts";
import { parseJsonExact } from "../lib/text/json_exact.ts";

/** A request identifier. */
export type Id = string | number;

/** A JSON-RPC message with a method. */
export interface Call {
  /** Always 2.0. */
  readonly jsonrpc: "2.0";
  /** The request identifier; absent in a notification. */
  readonly id?: Id;
  /** The method. */
  readonly method: string;
  /** The parameters. */
  params?: { [key: string]: unknown };
}

/** The error response to a message. */
export interface Refusal {
  /** Always 2.0. */
  readonly jsonrpc: "2.0";
  /** The id of the request, if it could be read; printed exactly. */
  readonly id: unknown;
  /** The error. */
  readonly error: { readonly code: number; readonly message: string };
}

/** The result of parsing a text. */
export type Framed =
  | { readonly kind: "call"; readonly call: Call }
  /** A response; ignored, because we send no requests. */
  | { readonly kind: "answer" }
  | { readonly kind: "refused"; readonly refusal: Refusal };

/** The supported methods; the parameters of others are not checked. */
export const METHODS: ReadonlySet<string> = new Set([
  "initialize",
  "ping",
  "tools/list",
  "tools/call",
  "resources/list",
  "resources/read",
  "resources/templates/list",
  "resources/subscribe",
  "resources/unsubscribe",
  "prompts/list",
  "prompts/get",
  "completion/complete",
  "server/discover",
  "subscriptions/listen",
]);

/** An error response with a code of JSON-RPC. */
export function refuse(code: number, message: string, id: unknown = null): Framed {
  return { kind: "refused", refusal: { jsonrpc: "2.0", id, error: { code, message } } };
}

/** Parses, checks and corrects one message. */
export function frame(text: string): Framed {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const detail = messageOf(error);
    return refuse(-32700, `Parse error: ${detail}`);
  }
  const lax = strictProblem(text);
  if (lax !== undefined) {
    // The id tells the client which of its calls failed.
    return refuse(
      -32700,
      `Parse error: ${lax}`,
      isObject(value) ? readableId(value, text) : null,
    );
  }
  if (!isObject(value)) {
    return refuse(
      -32600,
      "Invalid request: send one JSON object; batches are not part of this protocol",
    );
  }
  const spans = members(text, 0);
  const id = idOf(value["id"], spans.get("id"), text);
  if (id === null) {
    const message = "Invalid request: id must be a string or a whole number below 2^53";
    return refuse(-32600, message, readableId(value, text));
  }
  if (value["jsonrpc"] !== "2.0") {
    return refuse(-32600, 'Invalid request: jsonrpc must be "2.0"', id ?? null);
  }
  const { method } = value;
  if (method === undefined && ("result" in value || "error" in value)) return { kind: "answer" };
  if (typeof method !== "string") {
    return refuse(-32600, "Invalid request: method must be a string", id ?? null);
  }
  const call: Call = { jsonrpc: "2.0", ...(id === undefined ? {} : { id }), method };
  const { params } = value;
  if (isObject(params)) call.params = params;
  else if (METHODS.has(method)) {
    if (params !== undefined && params !== null) {
      return refuse(-32602, "Invalid params: params must be an object", id ?? null);
    }
    if (method === "tools/call") {
      return refuse(-32602, `Invalid params: ${method} needs params`, id ?? null);
    }
  }
  // A request with invalid metadata is handled without it.
  if (call.params !== undefined && !isObject(call.params["_meta"])) delete call.params["_meta"];
  const at = spans.get("params")?.start ?? 0;
  if (method === "initialize") call.params = handshake(call.params);
  if (method === "tools/call" && call.params !== undefined) {
    const wrong = toolCall(call.params, text, at);
    if (wrong !== undefined) return refuse(-32602, `Invalid params: ${wrong}`, id ?? null);
  }
  const problem = paramsProblem(method, call.params);
  if (problem !== undefined) return refuse(-32602, `Invalid params: ${problem}`, id ?? null);
  return { kind: "call", call };
}

/** The id; undefined for a notification, null if it is invalid. */
function idOf(
  id: unknown,
  span: { readonly start: number; readonly end: number } | undefined,
  text: string,
): Id | null | undefined {
  if (span === undefined) return undefined;
  if (typeof id === "string") return id;
  if (typeof id !== "number" || !Number.isSafeInteger(id)) return null;
  return /^(?:0|-?[1-9]\d*)$/.test(text.slice(span.start, span.end)) ? id : null;
}

/**
 * The id of a refused message, exactly as it was written; null if it is neither a string nor an
 * integer.
 */
function readableId(value: { readonly [key: string]: unknown }, text: string): unknown {
  const { id } = value;
  if (typeof id === "string") return id;
  const span = members(text, 0).get("id");
  const source = span === undefined ? "" : text.slice(span.start, span.end);
  if (!/^(?:0|-?[1-9]\d*)$/.test(source)) return null;
  const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };
  return rawJSON(source);
}

/** Fills in missing parameters of `initialize` (docs/spec/agents.md 1). */
function handshake(params: Call["params"]): { [key: string]: unknown } {
  const given = params ?? {};
  const info = isObject(given["clientInfo"]) ? given["clientInfo"] : {};
  const text = (value: unknown, other: string): string => typeof value === "string" ? value : other;
  return {
    ...given,
    protocolVersion: text(given["protocolVersion"], "2025-11-25"),
    capabilities: isObject(given["capabilities"]) ? given["capabilities"] : {},
    clientInfo: {
      ...info,
      name: text(info["name"], "unknown"),
      version: text(info["version"], "0"),
    },
  };
}

/** Corrects the parameters of a tool call; returns the problem if that is not possible. */
function toolCall(
  params: { [key: string]: unknown },
  text: string,
  at: number,
): string | undefined {
  if (typeof params["name"] !== "string") return "name must be a string";
  const given = params["arguments"];
  if (given === null || given === undefined) {
    params["arguments"] = {};
    return undefined;
  }
  if (!isObject(given)) return "arguments must be an object";
  const span = members(text, at).get("arguments");
  if (span === undefined) return undefined;
  const spans = members(text, span.start);
  const args: { [key: string]: unknown } = {};
  for (const [name, value] of Object.entries(given)) {
    const place = spans.get(name);
    if (place === undefined) continue;
    const source = text.slice(place.start, place.end);
    // The data of a message stays text; other integers beyond 2^53 become bigints.
    if (name === "data") args[name] = wrap(source);
    else if (typeof value === "number") args[name] = parseJsonExact(source);
    else args[name] = value;
  }
  params["arguments"] = args;
  return undefined;
}
