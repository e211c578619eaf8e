/**
 * Checks and corrects the parameters of a message. The SDK calls wrong ones an internal error, with
 * a dump of its schema for a message, and refuses `null` where a member may be left out
 * (docs/spec/agents.md 1, 8).
 *
 * @module
 */

/** The parameters of a message. */
export type Params = { [key: string]: unknown };

/** A check that returns the problem; it may correct what it checks. */
type Check = (params: Params) => string | undefined;

/** Whether a value is an object of JSON. */
export function isObject(value: unknown): value is Params {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function needsText(params: Params, name: string): string | undefined {
  return typeof params[name] === "string" ? undefined : `${name} must be a string`;
}

/** Of the methods that work without parameters. */
function listing(params: Params): string | undefined {
  if (params["cursor"] === null) delete params["cursor"];
  return params["cursor"] === undefined ? undefined : needsText(params, "cursor");
}

const ofResource: Check = (params) => needsText(params, "uri");

function texts(params: Params, name: string): string | undefined {
  if (params[name] === null) delete params[name];
  const given = params[name];
  if (given === undefined) return undefined;
  if (!isObject(given)) return `${name} must be an object`;
  for (const [key, value] of Object.entries(given)) {
    if (value === null) delete given[key];
    else if (typeof value !== "string") return `argument ${key} must be a string`;
  }
  return undefined;
}

function completing(params: Params): string | undefined {
  const { ref, argument } = params;
  if (!isObject(ref)) return "ref must be an object";
  const { type } = ref;
  if (type !== "ref/prompt" && type !== "ref/resource") {
    return "the type of ref must be ref/prompt or ref/resource";
  }
  const named = needsText(ref, type === "ref/prompt" ? "name" : "uri");
  if (named !== undefined) return named;
  if (!isObject(argument)) return "argument must be an object";
  const problem = needsText(argument, "name") ?? needsText(argument, "value");
  if (problem !== undefined) return `${problem} in argument`;
  if (params["context"] === null) delete params["context"];
  const { context } = params;
  if (context === undefined) return undefined;
  return isObject(context) ? texts(context, "arguments") : "context must be an object";
}

/** The checks by method, of the methods that have parameters of their own. */
const CHECKS: ReadonlyMap<string, Check> = new Map<string, Check>([
  ["tools/list", listing],
  ["resources/list", listing],
  ["resources/templates/list", listing],
  ["prompts/list", listing],
  ["resources/read", ofResource],
  ["resources/subscribe", ofResource],
  ["resources/unsubscribe", ofResource],
  ["prompts/get", (params) => needsText(params, "name") ?? texts(params, "arguments")],
  ["completion/complete", completing],
]);

/** The problem with the parameters of a method; undefined if there is none. */
export function paramsProblem(method: string, params: Params | undefined): string | undefined {
  const check = CHECKS.get(method);
  if (check === undefined) return undefined;
  if (params !== undefined) return check(params);
  return check === listing ? undefined : `${method} needs params`;
}
