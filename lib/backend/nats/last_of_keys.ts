/**
 * The newest message of each key without reading the others: direct gets of the last messages of many
 * subjects, for servers from 2.11 on (docs/spec/jetstream.md 6).
 *
 * A server may lag behind the leader. The end of each answer says how far it knows the stream, so
 * that an answer that is too old is not used. Whatever is unexpected means that everything is read.
 *
 * @module
 */

import { startTimer } from "../../timers.ts";
import { Gotten, takesDirect } from "./direct.ts";
import type { Link, LinkEvent } from "./link.ts";
import { lookAt, type Opened } from "./opened.ts";
import { isDirect } from "./choice.ts";
import { type StreamInfo, streamInfo } from "./stream.ts";
import { headersOf, type Incoming, keyOfSubject, statusOf, subjectPrefix } from "./wire.ts";

/** The most subjects of a stream whose keys are listed. */
const MOST_SUBJECTS = 20_000;
/** The most bytes of messages that are held. */
const MOST_BYTES = 32 * 1024 * 1024;
/** Servers refuse to get the last messages of more than 1024 subjects at a time. */
const PIECE = 1000;
/** The largest number of bytes of subjects in a request, and of messages in an answer. */
const PIECE_BYTES = 256 * 1024;
const ANSWER_BYTES = 4 * 1024 * 1024;
/** How long an answer may stop, in milliseconds. */
const SILENCE_MS = 2_000;

/** Which keys are wanted. */
export interface WantedKeys {
  /** Whether messages with this key are wanted. */
  readonly wants: (key: string) => boolean;
  /** Aborts the requests. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Messages in order, among which are the newest ones of all wanted keys; null if they cannot be told
 * by their subjects, or not by this server.
 *
 * @throws {PlasmiteError} NotFound if the stream is another one; errors of the server
 */
export async function lastOfKeys(
  opened: Opened,
  { signal, wants }: WantedKeys,
): Promise<Incoming[] | null> {
  const { link, stream } = opened.target;
  const info = await lookAt(opened);
  if (!takesDirect(link, info.config) || !isDirect(info.config)) return null;
  const found = await subjectsOfKeys(opened, info, wants);
  if (found === null) return null;
  const newest = new Map<string, Incoming>();
  let bytes = 0;
  for (const subjects of pieces(found.subjects)) {
    for (let seq = 1; seq > 0;) {
      signal?.throwIfAborted();
      const page = await request(link, stream, { multi_last: subjects, seq });
      if (page === null || page.upTo < found.upTo) return null;
      for (const one of page.messages) {
        const incoming = one.incoming();
        bytes += incoming.data.length;
        newest.set(incoming.subject, incoming);
      }
      if (bytes > MOST_BYTES) return null;
      const last = page.messages.at(-1)?.seq ?? 0;
      seq = page.pending > 0 ? last + 1 : 0;
    }
  }
  return [...newest.values()].sort((a, b) => a.seq < b.seq ? -1 : 1);
}

/** The subjects of the wanted keys, and how much of the stream they are of. */
interface Subjects {
  readonly subjects: readonly string[];
  readonly upTo: number;
}

/** A stream with the number of messages of each subject. */
interface Listed extends StreamInfo {
  readonly state: StreamInfo["state"] & { readonly subjects?: Readonly<Record<string, number>> };
}

/** Null if there are too many, or if there are messages whose subjects do not tell their key. */
async function subjectsOfKeys(
  { created, target: { link, path, stream } }: Opened,
  { state: { bytes, messages, num_subjects: count = 0 } }: StreamInfo,
  wants: (key: string) => boolean,
): Promise<Subjects | null> {
  if (count === 0 || count > MOST_SUBJECTS || count * bytes / messages > MOST_BYTES) return null;
  const all: Listed = await streamInfo(link, stream, path, { subjects_filter: ">" });
  const listed = Object.keys(all.state.subjects ?? {});
  if (all.created !== created || listed.length !== all.state.num_subjects) return null;
  const plain = `${subjectPrefix(stream)}m`;
  const subjects: string[] = [];
  for (const subject of listed) {
    if (subject === plain) continue;
    const key = keyOfSubject(stream, subject);
    if (key === null) return null; // A copy, several keys, or a message of another program.
    if (wants(key)) subjects.push(subject);
  }
  return { subjects, upTo: all.state.last_seq };
}

/** Subjects for one request each. */
function* pieces(subjects: readonly string[]): Generator<readonly string[]> {
  let piece: string[] = [];
  let bytes = 0;
  for (const subject of subjects) {
    if (piece.length === PIECE || bytes > PIECE_BYTES) {
      yield piece;
      piece = [];
      bytes = 0;
    }
    piece.push(subject);
    bytes += subject.length + 3;
  }
  if (piece.length > 0) yield piece;
}

/** An answer. */
interface Page {
  readonly messages: readonly Gotten[];
  /** How many messages there are behind these. */
  readonly pending: number;
  /** The newest message that the server knew. */
  readonly upTo: number;
}

/** Requests messages; null if the answer is not complete. */
async function request(link: Link, stream: string, body: object): Promise<Page | null> {
  const { promise, resolve } = Promise.withResolvers<Page | null>();
  const subject = link.subject(`DIRECT.GET.${stream}`);
  const messages: Gotten[] = [];
  const onLink = (event: LinkEvent): void => {
    if (event.type !== "forbidden" || event.subject === subject) resolve(null);
  };
  const fail = (): void => resolve(null);
  let timer = startTimer(fail, SILENCE_MS);
  const inbox = link.library.createInbox();
  const subscription = link.nc.subscribe(inbox, {
    callback: (error, message) => {
      if (error !== null) return resolve(null);
      clearTimeout(timer);
      timer = startTimer(fail, SILENCE_MS);
      const code = statusOf(message);
      const one = new Gotten(message);
      const follows = one.before === (messages.at(-1)?.seq ?? 0);
      if (code === 0 && follows && one.seq > 0) messages.push(one);
      else if (code !== 204 || !follows) resolve(null);
      else {
        const upTo = Number(headersOf(message)?.last("Nats-UpTo-Sequence"));
        resolve({ messages, pending: one.pending, upTo });
      }
    },
  });
  link.listeners.add(onLink);
  try {
    link.nc.publish(subject, JSON.stringify({ ...body, max_bytes: ANSWER_BYTES }), {
      reply: inbox,
    });
    return await promise;
  } finally {
    clearTimeout(timer);
    link.listeners.delete(onLink);
    if (!link.nc.isClosed()) subscription.unsubscribe();
  }
}
