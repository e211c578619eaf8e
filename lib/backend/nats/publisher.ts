/**
 * Publishes messages and waits until they are stored: a window of single messages, or atomic
 * batches (docs/spec/jetstream.md 5).
 *
 * Every message has an id, so that a message that may have been stored can be sent again. A
 * "duplicate" acknowledgement is not proof, because ids are still remembered after a purge: the
 * message is looked up, and sent with another id if it does not exist.
 *
 * @module
 */

import type { MsgHdrs } from "@nats-io/transport-node";
import { ErrorKind, PlasmiteError } from "../../errors.ts";
import { pause } from "../../timers.ts";
import { Code, forbidden, hasCode, type NatsError, type WireError, wireError } from "./errors.ts";
import { isNoResponders, type Link, type LinkEvent, parseAnswer, REQUEST_MS } from "./link.ts";
import { idOf, leaderMessage, streamInfo, takesOurs } from "./stream.ts";
import { encodedHeaders, Header, type Incoming, type Outgoing, type Printer } from "./wire.ts";

/** Messages per atomic batch: the server's maximum, because each batch costs it 20 ms. */
export const GROUP = 1000;
/** How long an append is retried without progress, in milliseconds. */
const PATIENCE_MS = 20_000;
/** Pauses between attempts, in milliseconds. */
const FIRST_PAUSE = 100;
const LAST_PAUSE = 2_000;

/** A stream to publish to. */
export interface Target {
  readonly link: Link;
  readonly stream: string;
  readonly path: string;
  readonly printer: Printer;
  /**
   * Whether the servers check the expectation of a subject when they store the message. Old clusters
   * check it earlier, so that it also holds for two messages at the same time.
   */
  readonly checksSubjects: boolean;
}

/** A message with its id and headers. */
export interface Item {
  readonly message: Outgoing;
  /** The id, as a header value. */
  readonly id: string;
  /** Whether the id came from the user; if so, different data with that id is a conflict. */
  readonly isGiven?: boolean;
  /** Additional headers. */
  readonly headers?: readonly (readonly [string, string])[];
}

/** The acknowledgement of a stored message. */
export interface Ack {
  readonly seq: number;
  /** The message that was stored earlier with the same id. */
  readonly duplicate: Incoming | null;
}

export interface WireAck {
  readonly seq?: number;
  readonly duplicate?: boolean;
  readonly error?: WireError;
}

/** Whether the outcome of a request is unknown. */
function isUnknown(error: unknown): error is PlasmiteError {
  return PlasmiteError.is(error) && (error.kind === ErrorKind.Busy || error.kind === ErrorKind.Io);
}

/** Retries after temporary failures, until it succeeds or makes no progress for too long. */
export class Patience {
  readonly #signal: AbortSignal | undefined;
  readonly #most: number;
  #since = performance.now();
  #pauseMs = FIRST_PAUSE;

  /**
   * @param signal aborts a pause
   * @param mostMs how long to retry without progress, in milliseconds
   */
  constructor(signal?: AbortSignal, mostMs = PATIENCE_MS) {
    this.#signal = signal;
    this.#most = mostMs;
  }

  /** Records that something was stored. */
  progress(): void {
    this.#since = performance.now();
    this.#pauseMs = FIRST_PAUSE;
  }

  /** Pauses; throws `error` if it is not temporary or too much time has passed. */
  async after(error: unknown): Promise<void> {
    if (!isUnknown(error)) throw error;
    if (performance.now() - this.#since + this.#pauseMs > this.#most) throw error;
    await pause(this.#pauseMs, this.#signal);
    this.#pauseMs = Math.min(2 * this.#pauseMs, LAST_PAUSE);
  }
}

/** Repeats what may be done again, until it succeeds or the patience ends. */
export async function patiently<T>(work: () => Promise<T>, patience: Patience): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      await patience.after(error);
    }
  }
}

/** The id of a message at an attempt: another one once it is known not to be stored. */
export function idAt(id: string, attempt: number): string {
  return attempt === 0 ? id : `${id}#${attempt}`;
}

/** The headers of a message; `attempt` changes the id if the message is known not to be stored. */
export function headersOf(
  { printer }: Target,
  { headers = [], id, message }: Item,
  attempt: number,
  more: readonly (readonly [string, string])[] = [],
): MsgHdrs {
  const fields: (readonly [string, string])[] = [];
  if (message.tags.length > 0) fields.push([Header.tags, printer.header(message.tags)]);
  fields.push([Header.id, idAt(id, attempt)], ...headers, ...more);
  return encodedHeaders(fields);
}

/** Finds out why no stream receives the messages, by requesting the stream's description. */
export async function explain(
  { link, path, stream }: Target,
  error: PlasmiteError,
): Promise<unknown> {
  try {
    const { config } = await streamInfo(link, stream, path);
    if (!takesOurs(config)) return notTaking(stream, path);
    return error;
  } catch (other) {
    return other;
  }
}

/** The error for a stream that is not configured for the subjects of its pool. */
export function notTaking(stream: string, path: string): PlasmiteError {
  return new PlasmiteError("Usage", `stream ${stream} does not take messages from plasmite`, {
    hint: `Add the subject plasmite.${stream}.> to the stream, or use another one. Reading works.`,
    path,
  });
}

/** Publishes one message and waits for its acknowledgement. Throws an error if it fails. */
async function publishOnce(target: Target, item: Item, attempt: number): Promise<WireAck> {
  const { link, path } = target;
  const { payload, subject } = item.message;
  try {
    const answer = await link.nc.request(subject, payload, {
      headers: headersOf(target, item, attempt),
      timeout: REQUEST_MS,
    });
    return parseAnswer(answer, path) as WireAck;
  } catch (error) {
    const failure = link.failure(error, subject, path);
    throw isNoResponders(error, link.library) && PlasmiteError.is(failure)
      ? await explain(target, failure)
      : failure;
  }
}

/** Whether the message named by a duplicate acknowledgement exists. */
export async function proven(
  target: Target,
  item: Item,
  attempt: number,
  seq: number,
): Promise<Incoming | null> {
  const { link, path, stream } = target;
  const found = await leaderMessage(link, stream, { seq }, path);
  return found !== null && idOf(found) === idAt(item.id, attempt) ? found : null;
}

/**
 * Stores one message.
 *
 * @throws {PlasmiteError} Conflict and other errors of the server; Busy or Io without progress
 */
export async function publish(
  target: Target,
  item: Item,
  patience: Patience,
  unknown: () => void = () => {},
): Promise<Ack> {
  for (let attempt = 0;;) {
    try {
      const { duplicate, error, seq } = await publishOnce(target, item, attempt);
      if (error !== undefined || seq === undefined) throw wireError(error ?? {}, target.path);
      if (duplicate !== true) return { seq, duplicate: null };
      const stored = await proven(target, item, attempt, seq);
      if (stored !== null) return { seq, duplicate: stored };
      attempt++;
    } catch (error) {
      if (isUnknown(error) && !isUndecided(error)) unknown();
      await patience.after(error);
    }
  }
}

/** The number of the newest message of a subject; 0 if there is none. */
async function newestOf({ link, path, stream }: Target, subject: string): Promise<bigint> {
  return (await leaderMessage(link, stream, { last_by_subj: subject }, path))?.seq ?? 0n;
}

/**
 * Stores one message if the newest one of its subject still has number `after`; 0 for none.
 *
 * @throws {PlasmiteError} an error of {@linkcode isWrongLast}, and those of {@linkcode publish}
 */
export async function publishAfter(
  target: Target,
  item: Item,
  after: bigint,
  patience: Patience,
  unknown?: () => void,
): Promise<Ack> {
  const { path, stream } = target;
  const { subject } = item.message;
  const ofSubject = [Header.expectLastOfSubject, String(after)] as const;
  if (after === 0n || target.checksSubjects) {
    return await publish(target, { ...item, headers: [ofSubject] }, patience, unknown);
  }
  const check = async (): Promise<void> => {
    const newest = await newestOf(target, subject);
    if (newest === after) return;
    const description = `wrong last sequence: ${newest}`;
    throw wireError({ err_code: Code.wrongLast, description }, path);
  };
  for (;;) {
    // Nothing at all may come between: that is checked when the message is stored.
    const { state } = await patiently(() => streamInfo(target.link, stream, path), patience);
    await patiently(check, patience);
    const ofStream = [Header.expectLast, String(state.last_seq)] as const;
    try {
      return await publish(target, { ...item, headers: [ofSubject, ofStream] }, patience, unknown);
    } catch (error) {
      if (!isWrongLast(error)) throw error;
      await patiently(check, patience);
      await patience.after(
        new PlasmiteError("Busy", "Too much is appended to the stream for a condition of a key", {
          path,
          hint: "Try again, use a stream of its own, or servers of 2.12 or newer.",
        }),
      );
    }
  }
}

/** The result of an atomic batch. */
export type Committed =
  | { readonly first: number }
  /** Whether at least one message was stored earlier. */
  | "duplicate";

/**
 * Stores a group of messages atomically.
 *
 * @param headers additional headers for the first message
 * @throws {PlasmiteError} if storing fails; the outcome is unknown for Busy and Io
 */
export async function commit(
  target: Target,
  items: readonly Item[],
  attempt: number,
): Promise<Committed> {
  const { link, path } = target;
  const { nc } = link;
  const batchId = link.library.nuid.next();
  let refused: PlasmiteError | null = null;
  const listener = (event: LinkEvent): void => {
    if (event.type !== "forbidden" || !event.subject.startsWith("plasmite.")) return;
    refused ??= forbidden(event.subject, path);
  };
  link.listeners.add(listener);
  try {
    for (const [i, item] of items.entries()) {
      const more: [string, string][] = [
        [Header.batchId, batchId],
        [Header.batchSequence, String(i + 1)],
      ];
      const { payload, subject } = item.message;
      const isLast = i + 1 === items.length;
      if (isLast) more.push([Header.batchCommit, "1"]);
      const headers = headersOf(target, item, attempt, more);
      if (!isLast) {
        nc.publish(subject, payload, { headers });
        continue;
      }
      const answer = await nc.request(subject, payload, { headers, timeout: REQUEST_MS });
      const { error, seq } = parseAnswer(answer, path) as WireAck;
      if (error?.err_code === Code.batchDuplicate) return "duplicate";
      if (error !== undefined || seq === undefined) throw refused ?? wireError(error ?? {}, path);
      return { first: seq - items.length + 1 };
    }
    throw new PlasmiteError("Internal", "An empty batch cannot be committed", { path });
  } catch (error) {
    if (refused !== null) throw refused;
    const last = items.at(-1)?.message.subject ?? "";
    const failure = link.failure(error, last, path);
    throw isNoResponders(error, link.library) && PlasmiteError.is(failure)
      ? await explain(target, failure)
      : failure;
  } finally {
    link.listeners.delete(listener);
  }
}

/** Whether an error means that an expectation did not hold. */
export function isWrongLast(error: unknown): error is NatsError {
  return hasCode(error, Code.wrongLast);
}

/**
 * Whether an error means that an expectation can be neither met nor refused yet: a cluster is still
 * replicating another message on which it depends.
 */
export function isUndecided(error: unknown): error is NatsError {
  return hasCode(error, Code.wrongLastUndecided);
}
