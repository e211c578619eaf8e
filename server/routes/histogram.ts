/**
 * The timeline of the page (docs/spec/http-api.md 3).
 *
 * @module
 */

import type { PoolHandle } from "../../lib/backend/types.ts";
import { opened } from "../coordinated.ts";
import { bad } from "../errors.ts";
import { SLICE_LIMITS } from "../filter_budget.ts";
import { json } from "../headers.ts";
import { conditions, parseU64, sinceTime, single, tagsOf, wordsOf } from "../query.ts";
import { waiting } from "../waiting.ts";
import { type Call, jsonContent, type Route, type RouteHost } from "./route.ts";

/** How many buckets there are without being asked, and at most. */
const BUCKETS = 120n;
const MOST_BUCKETS = 2000n;
const MS = 1_000_000n;

function timeOf(params: URLSearchParams, name: string): number | null {
  const text = single(params, name);
  return text === null ? null : Number(sinceTime(text, name) / MS);
}

async function histogram(call: Call, host: RouteHost): Promise<Response> {
  const params = new URLSearchParams(call.search);
  const [from, to] = [timeOf(params, "from"), timeOf(params, "to")];
  if (from !== null && to !== null && from >= to) {
    throw bad("invalid range", "Give a to that is later than from.");
  }
  const asked = single(params, "buckets");
  const buckets = asked === null ? BUCKETS : parseU64(asked, "buckets");
  if (buckets < 1n || buckets > MOST_BUCKETS) {
    throw bad("invalid buckets", `Use a number from 1 to ${MOST_BUCKETS}.`);
  }
  const [where, words] = [single(params, "where"), single(params, "q")];
  const query = {
    from,
    to,
    buckets: Number(buckets),
    tags: tagsOf(params),
    where: [
      ...(words === null ? [] : [await wordsOf(words)]),
      ...await conditions(params, "where", SLICE_LIMITS),
    ],
    filter: where === null && words === null ? "" : JSON.stringify([where, words]),
  };
  const answer = async (pool: PoolHandle): Promise<Response> =>
    json(JSON.stringify(await host.histograms.of(pool, query)));
  return await waiting(call, host, () => opened(call, host, answer));
}

/** The routes. */
export const HISTOGRAM_ROUTES: readonly Route[] = [
  {
    method: "GET",
    paths: ["/v0/ui/pools/{pool}/histogram"],
    summary: "How many messages there are by time and tag",
    access: "read",
    query: [
      { name: "from", schema: ({ z }) => z.string(), description: "RFC 3339 time, or such as 10m" },
      { name: "to", schema: ({ z }) => z.string(), description: "The same; not counted itself" },
      {
        name: "buckets",
        schema: ({ z }) => z.number().int().min(1).max(Number(MOST_BUCKETS)),
        description: "How many buckets at most; default 120",
      },
      {
        name: "tag",
        schema: ({ z }) => z.array(z.string()),
        description: "Only messages with all of these tags; may be given again",
      },
      {
        name: "where",
        schema: ({ z }) => z.string(),
        description: "jq expression on each message",
      },
      {
        name: "q",
        schema: ({ z }) => z.string(),
        description: "Words that a message must all have",
      },
    ],
    answer: jsonContent((of) => of.HistogramAnswer),
    errors: [503],
    handler: histogram,
  },
];
