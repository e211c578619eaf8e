/**
 * What a server can choose by itself: it knows the subjects of messages, and so their keys
 * and the sources that they were copied from (docs/spec/jetstream.md 6).
 *
 * A choice may include messages that do not match, but never omits one that does; readers apply
 * their filter to everything that arrives.
 *
 * @module
 */

import { KEY_TAG } from "../../coordination/names.ts";
import { Code, hasCode } from "./errors.ts";
import { atLeast, type Link } from "./link.ts";
import { leaderMessage, type StreamConfig, type StreamInfo } from "./stream.ts";
import {
  claimSubject,
  keySubject,
  severalKeys,
  sourceSubject,
  sourceSubjects,
  SUBJECT_TAG,
  subjectPrefix,
} from "./wire.ts";

/** The subjects that a consumer delivers, and from where on. */
export interface Choice {
  readonly subjects: readonly string[];
  /**
   * The first number from which on the server may choose. Before it, messages could be removed
   * unnoticed while the server searches.
   */
  readonly from: number;
}

/** The part of the oldest messages of a full stream that readers must follow one by one. */
const ENDANGERED = 1 / 16;

/** A subject that is a literal, not a pattern. */
const LITERAL = /^[^\s.*>]+(?:\.[^\s.*>]+)*$/;

/** Whether every message of the stream was published to it directly, under its own subject. */
export function isDirect({ mirror, sources, subject_transform: transform }: StreamConfig): boolean {
  return mirror === undefined && transform === undefined && (sources?.length ?? 0) === 0;
}

/** The subjects under which messages with these tags can be; null if a tag says nothing about it. */
function subjectsOf(config: StreamConfig, tags: readonly string[]): readonly string[] | null {
  if (!isDirect(config)) return null;
  const { name, subjects = [] } = config;
  const own = subjectPrefix(name);
  const isOwn = (subject: string): boolean => subject.startsWith(own);
  const key = tags.find((tag) => tag.startsWith(KEY_TAG) && tag.length > KEY_TAG.length)
    ?.slice(KEY_TAG.length);
  if (key !== undefined && subjects.every(isOwn)) {
    return [
      keySubject(name, key),
      severalKeys(name),
      claimSubject(name, key),
      sourceSubjects(name),
    ];
  }
  const subject = tags.find((tag) => tag.startsWith(SUBJECT_TAG))?.slice(SUBJECT_TAG.length);
  if (subject === undefined || !LITERAL.test(subject) || isOwn(subject)) return null;
  // A message on a subject of the pool may have the tag by itself.
  return subjects.every((one) => !overlaps(one, own)) ? [subject] : [subject, `${own}>`];
}

/** Whether a pattern can cover a subject that begins with a prefix. */
function overlaps(pattern: string, prefix: string): boolean {
  const tokens = prefix.split(".").slice(0, -1);
  const wanted = pattern.split(".");
  for (const [i, token] of tokens.entries()) {
    if (wanted[i] === ">") return true;
    if (wanted[i] !== "*" && wanted[i] !== token) return false;
  }
  return wanted.length > tokens.length;
}

/** How many of the oldest messages could be removed while a server searches. */
function endangered({ config, state }: StreamInfo): number {
  const { max_age: age = 0, max_bytes: bytes, max_msgs: count = -1 } = config;
  const isFull = (bytes > 0 && state.bytes > bytes * (1 - ENDANGERED)) ||
    (count > 0 && state.messages > count * (1 - ENDANGERED)) || age > 0;
  return isFull ? Math.ceil(state.messages * ENDANGERED) : 0;
}

/** What a reader wants. */
export interface Wanted {
  readonly path: string;
  readonly tags: readonly string[];
  readonly follow: boolean;
  /** The name of the source that messages were copied from; default any, or none. */
  readonly source?: string | undefined;
}

/** What the server can choose for a reader of such messages; null for nothing. */
export async function choiceOf(
  link: Link,
  info: StreamInfo,
  { follow, path, source, tags }: Wanted,
): Promise<Choice | null> {
  const subjects = source === undefined
    ? subjectsOf(info.config, tags)
    : isDirect(info.config)
    ? [sourceSubject(info.config.name, source)]
    : null;
  if (subjects === null || subjects[0] === undefined) return null;
  const from = info.state.first_seq + endangered(info);
  if (atLeast(link.version, 2, 10)) return { from, subjects };
  if (subjects.length === 1) return { from, subjects };
  // Older servers take a single pattern. It covers one key if no other subjects have messages,
  // which is not known about messages of the future.
  if (follow || !subjects[0].startsWith(subjectPrefix(info.config.name))) return null;
  const { name } = info.config;
  for (const others of [severalKeys(name), sourceSubjects(name)]) {
    if (await leaderMessage(link, name, { last_by_subj: others }, path) !== null) return null;
  }
  return { from, subjects: [subjects[0].replace(/\.k\.([^.]+)$/, ".*.$1")] };
}

/** The filter of a consumer. */
export function filterOf(subjects: readonly string[]): object {
  return subjects.length === 1 ? { filter_subject: subjects[0] } : { filter_subjects: subjects };
}

/** Whether a server does not take a filter, as old ones do not for subjects outside the stream's. */
export function refusesChoice(error: unknown): boolean {
  return hasCode(error, Code.filterOutside, Code.filtersOverlap);
}
