/**
 * Routes by which the page finds messages (docs/spec/http-api.md 3).
 *
 * @module
 */

import { z } from "zod";
import { linesStream } from "../lines_stream.ts";
import { filters, parseU64, sinceTime, single, tagsOf, wordsOf } from "../query.ts";
import { searchLines } from "../search.ts";
import { U64 } from "../schemas.ts";
import type { Call, Parameter, Route, RouteHost } from "./route.ts";

const SELECTION: readonly Parameter[] = [
  {
    name: "tag",
    schema: z.array(z.string()),
    description: "Only messages with all of these tags; may be given again",
  },
  { name: "where", schema: z.string(), description: "jq expression on each message" },
  { name: "since", schema: z.string(), description: "RFC 3339 time, or such as 10m" },
  { name: "until", schema: U64, description: "Only up to this sequence number" },
];

async function search(call: Call, host: RouteHost): Promise<Response> {
  const params = new URLSearchParams(call.search);
  const words = await wordsOf(single(params, "q") ?? "");
  const where = single(params, "where");
  const until = single(params, "until");
  const query = {
    words,
    until: until === null ? null : parseU64(until, "until"),
    filter: {
      tags: tagsOf(params),
      where: await filters(where === null ? [] : [where]),
      since: sinceTime(single(params, "since")),
    },
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
        schema: z.string(),
        description: 'Words that a message must all have, such as refused "no route"',
      },
      ...SELECTION,
    ],
    answer: { type: "application/jsonl", schema: null },
    errors: [503],
    handler: search,
  },
];
