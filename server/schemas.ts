/**
 * The schemas of requests and responses, from which the OpenAPI document is made; loaded for it.
 *
 * @module
 */

import { z } from "zod";
import { LONGEST_AGE_MS } from "../lib/client/names.ts";
import { ErrorKind } from "../lib/errors.ts";
import { MOST_STREAMS } from "./bundle.ts";

export { z };

/** A sequence number. */
export const U64 = z.number().int().nonnegative().meta({ format: "uint64", maximum: 2 ** 64 });
/** Whether to wait for the disk. */
export const DURABILITY = z.enum(["fast", "flush"]);
const COUNT = z.number().int().nonnegative();

/** A key, an id, a name of a holder: 1 to 256 bytes without control characters. */
export const KEY = z.string().min(1).max(256);

/** Names that work in every file system and shell; the server accepts most others too. */
export const POOL_NAME = "^[A-Za-z0-9_-][A-Za-z0-9._ -]{0,59}$";
const Name = z.string().meta({ description: "Name of the pool", pattern: POOL_NAME });

/** `POST /v0/pools`. */
export const CreateBody = z.object({
  pool: Name,
  // The limits are checked by the handler, which has better messages.
  size_bytes: z.number().int().nonnegative().meta({ minimum: 4097, maximum: 2 ** 40 }).nullish()
    .meta({ description: "Size of the whole file; default 1 MiB" }),
  // Likewise.
  max_age_ms: z.number().int().meta({ minimum: 1000, maximum: LONGEST_AGE_MS }).nullish()
    .meta({ description: "Maximum age of messages; default no limit" }),
}).meta({ id: "CreateBody" });

/** `POST /v0/pools/open`. */
export const OpenBody = z.object({ pool: Name }).meta({ id: "OpenBody" });

/** `POST /v0/pools/{pool}/append`, and one line of a batch. */
export const AppendBody = z.object({
  data: z.record(z.string(), z.unknown()).meta({ description: "The message, a JSON object" }),
  tags: z.array(z.string().regex(/\S/)).nullish(),
  durability: DURABILITY.nullish(),
  expect: U64.nullish().meta({
    description: "The required newest message, of the pool or with the key; 0 for none",
  }),
  key: KEY.nullish().meta({ description: "Adds the tag key:K" }),
  id: KEY.nullish().meta({ description: "Stored once; adds the tag id:X" }),
  id_window: z.number().int().min(1).max(1_000_000).nullish().meta({
    description: "How many messages back to search for the id; default 4096",
  }),
}).meta({ id: "AppendBody" });

/** An error. Details such as `expected`, `actual` and `holder` are further members. */
export const ErrorFields = z.looseObject({
  kind: z.enum(Object.keys(ErrorKind)),
  message: z.string(),
  hint: z.string().optional(),
  path: z.string().optional().meta({ description: "Name of the pool or its file" }),
  seq: U64.optional(),
  offset: U64.optional(),
  line: U64.optional().meta({ description: "Line of a batch that is wrong, from 1" }),
  suggestion: z.object({ expression: z.string(), why: z.string() }).optional().meta({
    description: "What may have been meant by a filter that cannot be used",
  }),
});

/** The response to every failed request. */
export const ErrorShape = z.object({ error: ErrorFields }).meta({ id: "Error" });

/** A message of JSON-RPC 2.0. */
export const RpcMessage = z.looseObject({ jsonrpc: z.literal("2.0") }).meta({ id: "RpcMessage" });

/** Information about a pool. */
export const PoolInfoShape = z.object({
  name: z.string(),
  path: z.string().meta({ description: "Name of the pool file" }),
  file_size: COUNT,
  index_offset: COUNT,
  index_capacity: COUNT,
  index_size_bytes: COUNT,
  ring_offset: COUNT,
  ring_size: COUNT,
  identity: z.string().optional().meta({
    description: "32 hex digits; a new pool of the same name has others",
  }),
  bounds: z.object({ oldest: U64.optional(), newest: U64.optional() }).optional(),
  metrics: z.object({
    message_count: U64,
    seq_span: U64,
    utilization: z.object({ used_bytes: COUNT, free_bytes: COUNT, used_percent: z.number() }),
    age: z.object({
      oldest_time: z.string().nullable(),
      newest_time: z.string().nullable(),
      oldest_age_ms: COUNT.nullable(),
      newest_age_ms: COUNT.nullable(),
    }),
  }).optional(),
  retention: z.object({
    max_age_ms: COUNT.nullable(),
    oldest_live: U64.nullable().meta({ description: "The oldest message that has not expired" }),
    expired: U64.meta({ description: "Expired messages that are still in the file" }),
  }).optional(),
  last_seq: U64.optional().meta({ description: "The last number assigned, 0 for none" }),
  followers: COUNT.optional().meta({
    description: "Readers that follow it through this server",
  }),
  unreadable: z.array(z.object({ from: U64, to: U64 })).optional().meta({
    description: "Messages that cannot be read, as far as the server has met them",
  }),
  error: ErrorFields.optional().meta({ description: "In lists: why it cannot be opened" }),
}).meta({ id: "PoolInfo" });

/** A stored message. */
export const MessageShape = z.object({
  data: z.record(z.string(), z.unknown()),
  meta: z.object({ tags: z.array(z.string()) }),
  seq: U64,
  time: z.string().meta({ format: "date-time" }),
}).meta({ id: "Message" });

/** One pool. */
export const PoolAnswer = z.object({ pool: PoolInfoShape }).meta({ id: "PoolAnswer" });
/** All pools. */
export const PoolsAnswer = z.object({ pools: z.array(PoolInfoShape) }).meta({ id: "PoolsAnswer" });
/** The names of all pools. */
export const NamesAnswer = z.object({ names: z.array(z.string()) }).meta({ id: "NamesAnswer" });
/** One message. */
export const MessageAnswer = z.object({ message: MessageShape }).meta({ id: "MessageAnswer" });
/** A message that was stored, by this request or an earlier one. */
export const AppendAnswer = z.object({
  message: MessageShape,
  duplicate: z.literal(true).optional().meta({ description: "It was stored earlier" }),
}).meta({ id: "AppendAnswer" });
/** The result of a batch. */
export const BatchAnswer = z.object({
  count: COUNT,
  first_seq: U64.nullable(),
  last_seq: U64.nullable(),
  time: z.string().nullable(),
  duplicates: COUNT.optional().meta({ description: "With ids: messages stored earlier" }),
  seqs: z.array(U64).optional().meta({ description: "With ids: the number of each message" }),
  times: z.array(z.string()).optional().meta({ description: "If there are duplicates: all times" }),
}).meta({ id: "BatchAnswer" });
/** Success. */
export const OkAnswer = z.object({ ok: z.literal(true) }).meta({ id: "OkAnswer" });
/** The credentials are valid. */
export const AcceptedAnswer = z.object({ accepted: z.literal(true) }).meta({
  id: "AcceptedAnswer",
});
/** What a registered server reports about itself. */
export const StatusAnswer = z.object({
  instance: z.string(),
  pid: COUNT,
  pool_dir: z.string(),
  local_url: z.string().nullable(),
  remote_url: z.string().nullable(),
  alive_by: z.enum(["lock", "answer"]).meta({ description: "How others see that it runs" }),
}).meta({ id: "StatusAnswer" });

const Hex64 = z.string().meta({ pattern: "^[0-9a-f]{64}$" });
const Fingerprint = z.string().meta({ description: "SHA-256 of the server's public key, hex" });
const SECONDS = COUNT.nullable().meta({ description: "Seconds since 1970" });
const LIMITS = {
  pools: z.array(z.string()).optional().meta({ description: "Patterns; absent on a full key" }),
  rights: z.string().optional(),
  expires_at: SECONDS.optional(),
};

/** `POST /v0/access/invite`. */
export const InviteBody = z.object({
  name: z.string().meta({ description: "1 to 128 bytes" }),
  server_fingerprint: Fingerprint,
  pools: z.array(z.string()).nullish().meta({ description: "Patterns of names; default all" }),
  rights: z.string().nullish().meta({ description: "read, append, read-append or admin" }),
  expires: z.string().nullish().meta({ description: "Such as 30d; default never" }),
}).meta({ id: "InviteBody" });
/** A new key. */
export const InviteAnswer = z.object({
  access_key: z.string(),
  ...LIMITS,
}).meta({ id: "InviteAnswer" });
/** `POST /v0/access/revoke`. */
export const RevokeBody = z.object({ id: Hex64, server_fingerprint: Fingerprint }).meta({
  id: "RevokeBody",
});
/** A revoked key. */
export const RevokeAnswer = z.object({ id: Hex64, revoked: z.literal(true) }).meta({
  id: "RevokeAnswer",
});
/** All keys. */
export const KeysAnswer = z.object({
  keys: z.array(z.object({
    id: Hex64,
    name: z.string(),
    revoked: z.boolean(),
    created_at: SECONDS,
    last_used_at: SECONDS,
    ...LIMITS,
  })),
}).meta({ id: "KeysAnswer" });
/** `POST /v0/browser/session`. */
export const SessionBody = z.object({ access_key: z.string() }).meta({ id: "SessionBody" });
/** Whether a browser is signed in. */
export const SessionAnswer = z.object({
  authenticated: z.boolean(),
  local: z.boolean().optional().meta({ description: "Whether this needs no sign-in" }),
}).meta({ id: "SessionAnswer" });
/** Whether and as what pools are shared. */
export const AccessStatusAnswer = z.object({
  addresses: z.array(z.object({
    host: z.string(),
    interface: z.string().optional(),
    kind: z.enum(["local", "vm", "vpn", "public", "name"]),
  })),
  next_action: z.string().nullable(),
  pool_dir: z.string(),
  pool_dir_identity: z.array(COUNT).meta({ description: "Bytes of the canonical path" }),
  ready: z.boolean(),
  server_fingerprint: Fingerprint.optional(),
  shared_address: z.string().nullable().optional(),
}).meta({ id: "AccessStatusAnswer" });
const MS = z.number().int().nonnegative();

/** `POST /v0/pools/{pool}/claims`. */
export const ClaimBody = z.object({
  action: z.enum(["claim", "renew", "release"]),
  keys: z.array(KEY).min(1),
  holder: KEY,
  ttl_ms: MS.optional().meta({ description: "How long it lasts; default 60000" }),
  token: U64.optional().meta({ description: "To renew and to release" }),
  force: z.boolean().optional().meta({ description: "Release, whoever holds the keys" }),
  timeout_ms: MS.optional().meta({ description: "How long to wait for the keys; default 0" }),
}).meta({ id: "ClaimBody" });

const Lease = z.object({
  holder: z.string(),
  keys: z.array(z.string()),
  seq: U64,
  token: U64.meta({ description: "Later leases of the same key have higher ones" }),
  until: z.string().meta({ format: "date-time" }),
  short_retention: z.literal(true).optional().meta({
    description: "The claim may be overwritten before it expires",
  }),
}).meta({ id: "Lease" });
const Release = z.object({
  keys: z.array(z.string()),
  released: z.boolean(),
  seq: U64,
  token: U64,
}).meta({ id: "Release" });
/** A lease, or its release. */
export const ClaimAnswer = z.object({ claim: z.union([Lease, Release]) }).meta({
  id: "ClaimAnswer",
});

/** One message, or the newest of each group. */
export const LatestAnswer = z.union([
  MessageAnswer,
  z.object({
    messages: z.array(MessageShape),
    latest: z.array(z.object({ key: z.string(), seq: U64 })),
    forgotten: z.literal(true).optional().meta({ description: "There were more groups" }),
  }).meta({ id: "LatestBy" }),
]).meta({ id: "LatestAnswer" });

const FACET = {
  count: COUNT.meta({ description: "How often it was seen" }),
  exact: z.boolean().meta({ description: "Whether rare values were not forgotten" }),
  values: z.array(z.object({ value: z.unknown(), count: COUNT })),
};

/** `GET /v0/ui/pools/{pool}/facets`. */
export const FacetsAnswer = z.object({
  retained: U64,
  counted: COUNT.meta({ description: "How many messages were counted" }),
  part: z.number().meta({ description: "What part of the retained messages was looked at" }),
  tags: z.object(FACET),
  fields: z.array(z.object({ path: z.array(z.string()), ...FACET })),
}).meta({ id: "FacetsAnswer" });

/** `GET /v0/ui/pools/{pool}/histogram`. */
export const HistogramAnswer = z.object({
  from: z.string().meta({ format: "date-time" }),
  to: z.string().meta({ format: "date-time", description: "Not counted itself" }),
  bucket_ms: COUNT,
  exact: z.boolean().meta({ description: "False if not all messages were counted" }),
  buckets: z.array(z.object({
    time: z.string().meta({ format: "date-time", description: "Where the bucket begins" }),
    count: COUNT,
    tags: z.record(z.string(), COUNT).meta({ description: "Of the most frequent tags" }),
  })),
  unreadable: z.array(z.object({ from: U64, to: U64 })).meta({
    description: "Messages that cannot be read and were not counted",
  }),
}).meta({ id: "HistogramAnswer" });

/** `PUT /v0/pools/{pool}/cursors/{name}`. */
export const CursorBody = z.object({
  seq: U64.meta({ description: "Everything up to here is done" }),
  if_seq: U64.nullable().optional().meta({
    description: "The required position; null if there must be no such cursor; default any",
  }),
  durability: DURABILITY.optional(),
}).meta({ id: "CursorBody" });

const CursorShape = z.object({
  name: z.string(),
  kind: z.enum(["cursor", "group"]),
  seq: U64.meta({ description: "Everything up to here is done" }),
  lag: U64.meta({ description: "Messages behind it" }),
  lost: U64.meta({ description: "Messages behind it that are no longer retained" }),
  acked: z.string(),
  in_use: z.object({ pid: COUNT, host: z.string() }).nullable(),
  next: U64.optional().meta({ description: "Of a group: the highest number handed out" }),
  pending: COUNT.optional().meta({ description: "Of a group: tasks not done" }),
  headroom: U64.optional().meta({ description: "Of a group: messages before a task is lost" }),
  error: ErrorFields.optional().meta({ description: "Why it cannot be read" }),
}).meta({ id: "Cursor" });
/** One cursor or group. */
export const CursorAnswer = z.object({ cursor: CursorShape }).meta({ id: "CursorAnswer" });
/** All cursors and groups. */
export const CursorsAnswer = z.object({ cursors: z.array(CursorShape) }).meta({
  id: "CursorsAnswer",
});

/** `POST /v0/pools/{pool}/groups/{name}`. */
export const GroupBody = z.object({
  action: z.enum(["take", "ack", "fail", "extend"]),
  count: z.number().int().positive().optional().meta({ description: "Of take; default 1" }),
  timeout_ms: MS.optional().meta({ description: "Of take: how long to wait; default 0" }),
  ack_wait_ms: MS.optional().meta({ description: "How long a task is the worker's; 60000" }),
  tags: z.array(z.string()).optional().meta({ description: "Fixed when the group is made" }),
  where: z.union([z.string(), z.array(z.string())]).optional().meta({
    description: "jq expressions; fixed when the group is made",
  }),
  from: z.enum(["oldest", "end"]).optional().meta({ description: "Where a new group starts" }),
  max_tries: z.number().int().positive().optional().meta({ description: "Default 5" }),
  holder: z.string().optional().meta({ description: "The name of the worker" }),
  dead: z.string().optional().meta({ description: "The dead pool; default {pool}.dead" }),
  ordered_by_key: z.boolean().optional().meta({ description: "One task of a key at a time" }),
  seq: U64.optional().meta({ description: "Of ack, fail and extend: the task" }),
  token: COUNT.optional().meta({ description: "Of ack, fail and extend: as take returned it" }),
  delay_ms: MS.optional().meta({ description: "Of fail: when it is tried again" }),
}).meta({ id: "GroupBody" });

const Task = z.object({
  message: MessageShape,
  token: COUNT,
  tries: COUNT.meta({ description: "How many times it was handed out, this time included" }),
  until: z.string().meta({ format: "date-time" }),
}).meta({ id: "Task" });
/** The tasks of a take, or that an action was done. */
export const GroupAnswer = z.union([
  z.object({
    tasks: z.array(Task),
    lost: U64.meta({ description: "Messages overwritten before they were done, told once" }),
    idle: z.boolean().meta({ description: "Whether everything is done" }),
  }).meta({ id: "Tasks" }),
  z.object({
    ok: z.literal(true),
    already: z.literal(true).optional().meta({ description: "It was done already" }),
  }).meta({ id: "TaskDone" }),
]).meta({ id: "GroupAnswer" });

/** `POST /v0/ui/streams` and `POST /v0/ui/streams/{bundle}`. */
export const BundleBody = z.object({
  open: z.array(z.object({
    key: z.string().min(1).max(64).meta({ description: "What its lines are marked with" }),
    pool: z.string(),
    query: z.string().optional().meta({ description: "As of /v0/ui/pools/{pool}/events" }),
  })).max(MOST_STREAMS).optional(),
  close: z.array(z.string()).max(MOST_STREAMS).optional().meta({
    description: "Keys of streams to close",
  }),
}).meta({ id: "BundleBody" });
