/**
 * The error codes of the JetStream API, and what they mean to a person (docs/spec/jetstream.md 7).
 *
 * @module
 */

import type { ErrorKindName } from "../../errors.ts";

/** Error codes of the JetStream API. */
export const Code = {
  storageFull: 10047,
  noMessage: 10037,
  notEnabledForAccount: 10039,
  notEnabled: 10076,
  tooLarge: 10054,
  otherConfiguration: 10058,
  noStream: 10059,
  subjectsOverlap: 10065,
  wrongLast: 10071,
  /** Refused because an earlier message is still being replicated: it may be stored or not. */
  wrongLastUndecided: 10164,
  replicasOnSingle: 10074,
  noConsumer: 10014,
  noPeers: 10005,
  unavailable: 10008,
  notLeader: 10009,
  badTtl: 10165,
  noTtl: 10166,
  noBatches: 10174,
  batchTooLong: 10199,
  batchDuplicate: 10201,
  batchIncomplete: 10176,
  tooManyBatches: 10210,
  idInProcess: 10158,
  headerTooLarge: 10097,
  sealed: 10109,
  accountFull: 10002,
  noResources: 10023,
  noMemory: 10028,
  tooManyStreams: 10027,
  tooManyConsumers: 10026,
  sizeRequired: 10113,
  streamTooLarge: 10122,
  noLimits: 10120,
  storeFailed: 10077,
  streamOffline: 10118,
  consumerOffline: 10119,
  streamOfflineBecause: 10194,
  consumerOfflineBecause: 10195,
  filterOutside: 10093,
  filtersOverlap: 10138,
  /** A stream that refuses new messages when it is full; servers only say that storing failed. */
  full: -1,
} as const;

/** Kind, message and hint of an error. */
type Words = readonly [ErrorKindName, string, string];

const ACCOUNT_LIMIT: Words = [
  "Usage",
  "The limits of the account do not allow this",
  "Use a smaller size, or ask for higher limits.",
];

const OFFLINE: Words = [
  "Busy",
  "The stream is offline at the moment",
  "A server may be starting, or too old for the stream; see the log of the servers.",
];

/** Error kinds, messages and hints, by error code. */
export const KINDS: Readonly<Record<number, Words>> = {
  [Code.storageFull]: [
    "Usage",
    "The NATS server has not enough storage",
    "Use a smaller size, or give the account or server more storage.",
  ],
  [Code.replicasOnSingle]: [
    "Usage",
    "Replicas need a cluster",
    "Use one replica, or a server that belongs to a cluster.",
  ],
  [Code.notEnabled]: [
    "Usage",
    "JetStream is off on this server",
    "Start the server with JetStream.",
  ],
  [Code.notEnabledForAccount]: [
    "Usage",
    "JetStream is off for this account",
    "Enable JetStream for the account, or use credentials of another one.",
  ],
  [Code.tooLarge]: [
    "Usage",
    "payload exceeds the largest message of the stream",
    "Split the message, or raise the limit of the stream.",
  ],
  [Code.noStream]: ["NotFound", "pool not found", "There is no stream of that name on the server."],
  [Code.noPeers]: [
    "Busy",
    "The cluster has no suitable servers at the moment",
    "A server may be starting; try again in a few seconds. More replicas than servers never work.",
  ],
  [Code.unavailable]: [
    "Busy",
    "JetStream is not available at the moment",
    "Try again in a moment.",
  ],
  [Code.notLeader]: ["Busy", "The stream has no leader at the moment", "Try again in a moment."],
  [Code.badTtl]: ["Usage", "Invalid message TTL", "Message TTLs are at least one second."],
  [Code.noTtl]: [
    "Usage",
    "The stream does not take messages with a TTL",
    "That needs server 2.11 or newer and a stream with allow_msg_ttl.",
  ],
  [Code.noBatches]: [
    "Usage",
    "The stream does not take atomic batches",
    "That needs server 2.12 or newer and a stream with allow_atomic.",
  ],
  [Code.tooManyBatches]: [
    "Busy",
    "Too many batches are under way on the NATS server",
    "Others are appending, too; try again in a moment.",
  ],
  [Code.idInProcess]: [
    "Busy",
    "The NATS server is still storing a message with this id",
    "Try again in a moment.",
  ],
  [Code.wrongLastUndecided]: [
    "Busy",
    "The NATS server is still storing another message, on which a condition depends",
    "Try again in a moment.",
  ],
  [Code.headerTooLarge]: [
    "Usage",
    "The tags exceed the largest header of the NATS server",
    "Tags of one message take up to 64 KiB together.",
  ],
  [Code.sealed]: [
    "Usage",
    "The stream is sealed: it takes no more messages",
    "Use another stream; reading works.",
  ],
  [Code.full]: [
    "Usage",
    "The stream is full and refuses new messages",
    "A pool drops its oldest messages: change the stream to discard old ones, or use another one.",
  ],
  [Code.accountFull]: ACCOUNT_LIMIT,
  [Code.noResources]: ACCOUNT_LIMIT,
  [Code.noMemory]: ACCOUNT_LIMIT,
  [Code.sizeRequired]: ACCOUNT_LIMIT,
  [Code.streamTooLarge]: ACCOUNT_LIMIT,
  [Code.noLimits]: ACCOUNT_LIMIT,
  [Code.tooManyStreams]: [
    "Usage",
    "The account has as many streams as it may have",
    "Delete a pool, or raise the limit of the account.",
  ],
  [Code.tooManyConsumers]: [
    "Usage",
    "The stream or the account has as many consumers as it may have",
    "End a reader, delete a cursor, or raise the limit.",
  ],
  [Code.streamOffline]: OFFLINE,
  [Code.streamOfflineBecause]: OFFLINE,
  [Code.consumerOffline]: OFFLINE,
  [Code.consumerOfflineBecause]: OFFLINE,
  [Code.batchTooLong]: [
    "Usage",
    "The batch has too many messages for the server",
    "Servers from 2.12 on take up to 1000.",
  ],
};

/** Whether a failure to store means that the stream keeps its old messages instead of new ones. */
export function refusesNew(description: string): boolean {
  return /maximum (?:bytes|messages)/.test(description);
}
