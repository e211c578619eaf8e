/**
 * Routes by which the page finds messages (docs/spec/http-api.md 3).
 *
 * @module
 */

import type { PoolHandle } from "../../lib/backend/types.ts";
import { opened } from "../coordinated.ts";
import { linesStream } from "../lines_stream.ts";
import { conditions, parseU64, sinceTime, single, tagsOf, wordsOf } from "../query.ts";
import { facetsJson, type FacetsQuery } from "../facets.ts";
import { json } from "../headers.ts";
import { searchLines } from "../search.ts";
import { waiting } from "../waiting.ts";
import { type Call, jsonContent, type Parameter, type Route, type RouteHost } from "./route.ts";

const SELECTION: readonly Parameter[] = [
  {
    name: "tag",
    schema: ({ z }) => z.array(z.string()),
    description: "Only messages with all of these tags; may be given again",
  },
  { name: "where", schema: ({ z }) => z.string(), description: "jq expression on each message" },
  { name: "since", schema: ({ z }) => z.string(), description: "RFC 3339 time, or such as 10m" },
];

/** The parameters that all have. */
async function selectionOf(params: URLSearchParams): Promise<FacetsQuery["filter"]> {
  return {
    tags: tagsOf(params),
    where: await conditions(params, "where"),
    since: sinceTime(single(params, "since")),
  };
}

async function search(call: Call, host: RouteHost): Promise<Response> {
  const params = new URLSearchParams(call.search);
  const words = await wordsOf(single(params, "q") ?? "");
  const until = single(params, "until");
  const query = {
    words,
    until: until === null ? null : parseU64(until, "until"),
    filter: await selectionOf(params),
  };
  return await linesStream(call, host, async function* (signal) {
    const pool = await host.backend.open(call.pool);
    try {
      yield* searchLines(pool, query, signal);
    } finally {
      void pool.close();
    }
  });
}

async function facets(call: Call, host: RouteHost): Promise<Response> {
  const params = new URLSearchParams(call.search);
  const before = single(params, "before");
  const query = {
    filter: await selectionOf(params),
    before: before === null ? null : sinceTime(before, "before"),
  };
  return await waiting(call, host, (signal) => {
    const answer = async (pool: PoolHandle): Promise<Response> =>
      json(await facetsJson(pool, query, signal));
    return opened(call, host, answer);
  });
}

/** The routes. */
export const SEARCH_ROUTES: readonly Route[] = [
  {
    method: "GET",
    paths: ["/v0/ui/pools/{pool}/search"],
    summary: "Search for words in everything retained, newest first, one line per stretch",
    access: "read",
    query: [
      {
        name: "q",
        schema: ({ z }) => z.string(),
        description: 'Words that a message must all have, such as refused "no route"',
      },
      ...SELECTION,
      { name: "until", schema: (of) => of.U64, description: "Only up to this sequence number" },
    ],
    answer: { type: "application/jsonl", schema: null },
    errors: [503],
    handler: search,
  },
  {
    method: "GET",
    paths: ["/v0/ui/pools/{pool}/facets"],
    summary: "Tags, and the most frequent values of every field",
    access: "read",
    query: [
      ...SELECTION,
      {
        name: "before",
        schema: ({ z }) => z.string(),
        description: "RFC 3339 time, or such as 10m",
      },
    ],
    answer: jsonContent((of) => of.FacetsAnswer),
    errors: [503],
    handler: facets,
  },
];
