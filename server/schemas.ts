/**
 * The shapes of requests and answers; the OpenAPI document is made from them.
 *
 * @module
 */

import { z } from "zod";
import { ErrorKind } from "../lib/errors.ts";

/** A sequence number. */
export const U64 = z.number().int().nonnegative().meta({ format: "uint64", maximum: 2 ** 64 });
/** Whether an answer waits for the disk. */
export const DURABILITY = z.enum(["fast", "flush"]);
const COUNT = z.number().int().nonnegative();

/** Names that every file system and shell takes; the server accepts most others too. */
export const POOL_NAME = "^[A-Za-z0-9_-][A-Za-z0-9._ -]{0,59}$";
const Name = z.string().meta({ description: "Name of the pool", pattern: POOL_NAME });

/** The longest age limit. */
const MOST_AGE_MS = 18_446_744_073_709;

/** `POST /v0/pools`. */
export const CreateBody = z.object({
  pool: Name,
  // The bounds are checked by hand, where the message can say more.
  size_bytes: z.number().int().nonnegative().meta({ minimum: 4097, maximum: 2 ** 40 }).nullish()
    .meta({ description: "Size of the whole file; default 1 MiB" }),
  // Likewise.
  max_age_ms: z.number().int().meta({ minimum: 1000, maximum: MOST_AGE_MS }).nullish()
    .meta({ description: "Maximum age of messages; default no limit" }),
}).meta({ id: "CreateBody" });

/** `POST /v0/pools/open`. */
export const OpenBody = z.object({ pool: Name }).meta({ id: "OpenBody" });

/** `POST /v0/pools/{pool}/append`, and one line of a batch. */
export const AppendBody = z.object({
  data: z.record(z.string(), z.unknown()).meta({ description: "The message, a JSON object" }),
  tags: z.array(z.string().regex(/\S/)).nullish(),
  durability: DURABILITY.nullish(),
}).meta({ id: "AppendBody" });

/** What a failure says. Facts such as `expected`, `actual` and `holder` stand beside its fields. */
export const ErrorFields = z.looseObject({
  kind: z.enum(Object.keys(ErrorKind)),
  message: z.string(),
  hint: z.string().optional(),
  path: z.string().optional().meta({ description: "Name of the pool or its file" }),
  seq: U64.optional(),
  offset: U64.optional(),
  line: U64.optional().meta({ description: "Line of a batch that is wrong, from 1" }),
});

/** Every refusal. */
export const ErrorShape = z.object({ error: ErrorFields }).meta({ id: "Error" });

/** A message of JSON-RPC 2.0. */
export const RpcMessage = z.looseObject({ jsonrpc: z.literal("2.0") }).meta({ id: "RpcMessage" });

/** What a pool says about itself. */
export const PoolInfoShape = z.object({
  name: z.string(),
  path: z.string().meta({ description: "Name of the pool file" }),
  file_size: COUNT,
  index_offset: COUNT,
  index_capacity: COUNT,
  index_size_bytes: COUNT,
  ring_offset: COUNT,
  ring_size: COUNT,
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
/** One message. */
export const MessageAnswer = z.object({ message: MessageShape }).meta({ id: "MessageAnswer" });
/** What a batch stored. */
export const BatchAnswer = z.object({
  count: COUNT,
  first_seq: U64.nullable(),
  last_seq: U64.nullable(),
  time: z.string().nullable(),
}).meta({ id: "BatchAnswer" });
/** Done. */
export const OkAnswer = z.object({ ok: z.literal(true) }).meta({ id: "OkAnswer" });
/** The credentials are good. */
export const AcceptedAnswer = z.object({ accepted: z.literal(true) }).meta({
  id: "AcceptedAnswer",
});
/** What a registered server says of itself. */
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
/** A key that opens nothing any more. */
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
