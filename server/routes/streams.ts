/**
 * Routes that follow a pool, in three forms (docs/spec/http-api.md 3).
 *
 * @module
 */

import { type Encoding, EVENTS, FRAMES, LINES } from "../encodings.ts";
import { bad, busy } from "../errors.ts";
import { isHead, streamHead } from "../head.ts";
import { poolsStream } from "../pools_stream.ts";
import { MARKS, parseTail, SKIP_CORRUPT, TAIL_PARAMETERS, type TailQuery } from "../query.ts";
import { TailStream } from "../tail.ts";
import type { Call, Parameter, Route, RouteHost } from "./route.ts";

async function tail(call: Call, host: RouteHost, encoding: Encoding): Promise<Response> {
  if (isHead(call.request)) {
    await parsed(call, host, encoding);
    await host.backend.info(call.pool);
    return streamHead(200, encoding.headers);
  }
  const stream = await openTail(call, host, encoding);
  return new Response(stream.body(), { headers: encoding.headers });
}

/** What a stream is opened with. */
export type TailCall = Pick<Call, "request" | "search" | "pool" | "grant">;

async function parsed(
  { request, search }: TailCall,
  host: RouteHost,
  encoding: Encoding,
): Promise<TailQuery> {
  const last = encoding === EVENTS ? request.headers.get("last-event-id") : null;
  const query = await parseTail(search, host.maxTailTimeoutMs, last);
  if (encoding === FRAMES && query.errorOnGap) {
    throw bad(
      "remote Lite3 tails do not support gap_policy=error because the stream has no error frame",
      "Use the JSON tail, or compare sequence numbers.",
    );
  }
  if (query.marks && encoding.mark === undefined) {
    throw bad("marks are for tail_lite3", "Leave marks out, or use tail_lite3.");
  }
  if (query.skipCorrupt && !query.marks) {
    throw bad("skip_corrupt needs marks", "Add marks=1, which tail_lite3 has.");
  }
  return query;
}

/**
 * Opens a stream; the caller has the right to read the pool.
 *
 * @throws {HttpError} 400, 404, 423, 500, 503
 */
export async function openTail(
  call: TailCall,
  host: RouteHost,
  encoding: Encoding,
): Promise<TailStream> {
  const { pool, grant } = call;
  const query = await parsed(call, host, encoding);
  if (!host.tails.take()) throw busy("too many concurrent tail requests");
  let stream: TailStream;
  try {
    const opened = await host.backend.open(pool);
    try {
      // The page shows what cannot be read as a row, and goes on.
      const skipCorrupt = query.skipCorrupt || encoding === EVENTS;
      stream = await TailStream.open(host, opened, { ...query, skipCorrupt }, encoding);
    } finally {
      void opened.close();
    }
  } catch (error) {
    host.tails.release();
    throw error;
  }
  host.begun(stream, grant);
  return stream;
}

const LAST_EVENT_ID: Parameter = {
  name: "last-event-id",
  schema: (of) => of.U64,
  description: "The last number that was seen; wins over since_seq",
  header: true,
};

function stream(
  path: string,
  type: string,
  summary: string,
  encoding: Encoding,
  more: readonly Parameter[] = [],
): Route {
  return {
    method: "GET",
    paths: [path],
    summary,
    access: "read",
    query: [...TAIL_PARAMETERS, ...more],
    answer: { type, schema: null },
    errors: [503],
    handler: (call, host) => tail(call, host, encoding),
  };
}

/** The routes. */
export const STREAM_ROUTES: readonly Route[] = [
  stream("/v0/pools/{pool}/tail", "application/jsonl", "Follow a pool, one message a line", LINES),
  {
    ...stream(
      "/v0/pools/{pool}/tail_lite3",
      "application/x-plasmite-lite3-stream",
      "Follow a pool, frames as stored",
      FRAMES,
      [MARKS, SKIP_CORRUPT],
    ),
    remote: "select",
  },
  stream(
    "/v0/ui/pools/{pool}/events",
    "text/event-stream",
    "Follow a pool as events",
    EVENTS,
    [LAST_EVENT_ID],
  ),
  {
    method: "GET",
    paths: ["/v0/ui/pools/stream"],
    summary: "The list of pools as events, whenever it changes",
    access: "read",
    answer: { type: "text/event-stream", schema: null },
    errors: [423, 500],
    handler: poolsStream,
  },
];
