/**
 * The newest message of a key, or of each group (docs/spec/http-api.md 12.3).
 *
 * @module
 */

import { Filter } from "../../lib/backend/filter.ts";
import { newestOf } from "../../lib/backend/newest.ts";
import type { LatestRequest, PoolHandle, StoredFrame } from "../../lib/backend/types.ts";
import { KEY_TAG } from "../../lib/coordination/names.ts";
import { PlasmiteError } from "../../lib/errors.ts";
import { coordinated, opened } from "../coordinated.ts";
import { bad, HttpError } from "../errors.ts";
import { json } from "../headers.ts";
import { conditions, parseU64, sinceTime, single, tagsOf } from "../query.ts";
import { waiting } from "../waiting.ts";
import { type Call, jsonContent, type Parameter, type Route, type RouteHost } from "./route.ts";

/** The maximum size of the messages in a response, in bytes. */
const MOST_BYTES = 16 << 20;

const PARAMETERS: readonly Parameter[] = [
  {
    name: "key",
    schema: ({ z }) => z.string(),
    description: "The newest message with the tag key:K",
  },
  {
    name: "by",
    schema: ({ z }) => z.string(),
    description: "The newest of each group: the beginning of a tag, or a path such as .data.agent",
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
    name: "having",
    schema: ({ z }) => z.string(),
    description: "jq expression on the newest message, or that of each group",
  },
  {
    name: "max_age",
    schema: ({ z }) => z.string(),
    description: "A duration such as 10m",
  },
  {
    name: "since",
    schema: ({ z }) => z.string(),
    description: "RFC 3339 time, or such as 10m",
  },
  {
    name: "last",
    schema: (of) => of.U64,
    description: "With by: only the newest so many messages",
  },
];

async function ofKey(
  key: string,
  call: Call,
  host: RouteHost,
  chosen: LatestRequest,
): Promise<Response> {
  const { tags = [], where = [], having = [], sinceNs = 0n } = chosen;
  const isPlain = tags.length + where.length + having.length === 0 && sinceNs === 0n;
  const message = await opened(
    call,
    host,
    async (pool) =>
      isPlain
        ? await (await pool.coordinate()).latest(key)
        : await waiting(call, host, (signal) => newest(pool, key, chosen, signal)),
  );
  if (message !== null) return host.printer.answer(message);
  throw new HttpError(404, "NotFound", `no message with the tag ${KEY_TAG}${key}`, {
    details: { key },
    hint: "It was overwritten or never written.",
  });
}

/** The newest message with a key among those that are chosen. */
async function newest(
  pool: PoolHandle,
  key: string,
  { having, sinceNs = 0n, tags = [], where }: LatestRequest,
  signal: AbortSignal,
): Promise<StoredFrame | null> {
  const selection = { tags: [KEY_TAG + key, ...tags], where, since: sinceNs };
  const found = await newestOf(pool, selection, signal);
  if (found === null) return null;
  const [passed = null] = await new Filter([], having).applyAll([found], signal);
  if (PlasmiteError.is(passed)) throw passed;
  return passed;
}

/** The earliest time that `since` and `max_age` allow. */
function earliest(params: URLSearchParams): bigint {
  const since = sinceTime(single(params, "since"));
  const aged = sinceTime(single(params, "max_age"), "max_age");
  return since > aged ? since : aged;
}

async function latest(call: Call, host: RouteHost): Promise<Response> {
  const params = new URLSearchParams(call.search);
  const [key, by] = [single(params, "key"), single(params, "by")];
  if ((key === null) === (by === null)) throw bad("give key or by", "Give one of the two.");
  const last = single(params, "last");
  const most = last === null ? undefined : Number(parseU64(last, "last"));
  const chosen = {
    tags: tagsOf(params),
    where: await conditions(params, "where"),
    having: await conditions(params, "having"),
    sinceNs: earliest(params),
  };
  if (key !== null) return await ofKey(key, call, host, chosen);
  const request = { ...chosen, most, mostBytes: MOST_BYTES };
  return await coordinated(call, host, async (coordination) => {
    const { messages, latest, forgotten } = await waiting(
      call,
      host,
      (signal) => coordination.latestBy(by ?? "", { ...request, signal }),
    );
    const texts = messages.map((message) => host.printer.text(message));
    const groups = latest.map(({ key, seq }) => `{"key":${JSON.stringify(key)},"seq":${seq}}`);
    const more = forgotten ? ',"forgotten":true' : "";
    return json(`{"messages":[${texts.join(",")}],"latest":[${groups.join(",")}]${more}}`);
  });
}

/** The routes. */
export const LATEST_ROUTES: readonly Route[] = [
  {
    method: "GET",
    paths: ["/v0/pools/{pool}/latest"],
    summary: "The newest message of a key, or of each group",
    access: "read",
    query: PARAMETERS,
    answer: jsonContent((of) => of.LatestAnswer),
    errors: [503],
    remote: "latest",
    handler: latest,
  },
];
