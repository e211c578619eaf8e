/**
 * Advice about errors, in terms of the command line. The lower layers do not know about options:
 * their errors name a topic and carry facts. Loaded only if there is an error.
 *
 * @module
 */

import { isUrl } from "../backend/refs.ts";
import type { ErrorKindName, PlasmiteError } from "../errors.ts";
import { related, type TypedLine } from "./command_line.ts";
import { token } from "./words.ts";

/** Advice by {@linkcode PlasmiteError.topic}, unless it depends on the command. */
const TOPICS: Readonly<Record<string, string>> = {
  certificate: "Check the certificate of the server, or name the one to trust (--tls-ca).",
  "nats certificate": "Name the certificate authority of the NATS server with --tls-ca.",
  "nats host name": "Use the host name that is in the certificate, or name the certificate " +
    "authority with --tls-ca.",
  "nats client certificate":
    "Give a client certificate with --tls-cert and its key with --tls-key.",
  "nats timeout": "Check the address, and that it is a NATS server. If it expects TLS before its " +
    "greeting, add --tls-first.",
  "nats no tls": "Use nats:// if the network is trusted, or turn on TLS in the server.",
  "nats credentials file": "Check the file of --creds, or of --token-file.",
  "nats credentials":
    "Other users can see it in the list of processes. Put `user:password` into a " +
    "file that only you can read, and use --creds FILE.",
  directory: "There is a file where the directory should be; use another directory (--dir).",
  values: "If every value is on its own line, use --in jsonl, which can also skip bad ones.",
  record: "Fix the input, or leave out bad records with -e skip.",
  "skip values": "Use --in jsonl or --in auto, where the end of a bad record can be found.",
  skip: "Leave out -e skip, or give the messages as JSON lines.",
  "lite3 tags": "Leave out --tag, --key, --id and --data: the messages bring their own tags.",
  tags: "Leave out --tag, or store such messages as data with --data.",
  "message time": "A complete message has an RFC 3339 time; use --data to store it as data.",
  message: "seq must be an unsigned integer, time RFC 3339 text and meta.tags a list of strings; " +
    "use --data to store the object as data.",
};

/** The commands that read messages. */
const READING: ReadonlySet<string> = new Set(["fetch", "follow", "duplex"]);

/**
 * Adds advice for the command line to an error.
 *
 * @param line the command line, as far as it could be parsed
 */
export function advised(error: PlasmiteError, line: TypedLine | undefined): PlasmiteError {
  const hint = adviceFor(error, line);
  return hint === error.hint ? error : error.withHint(hint);
}

function adviceFor(error: PlasmiteError, line: TypedLine | undefined): string | undefined {
  const { details: { needed, capacity }, hint, topic } = error;
  if (typeof needed === "bigint" && typeof capacity === "bigint") {
    return `This message takes ${needed} bytes and the pool holds ${capacity} at most. ` +
      "Split the message, or create a larger pool with `pool create --size`.";
  }
  if (line !== undefined) {
    const words = adviceForCommand(error, line);
    if (words !== undefined) return words;
  }
  if (topic !== undefined && Object.hasOwn(TOPICS, topic)) return TOPICS[topic];
  // The hint of the server is about headers.
  const isAnonymous = "status" in error && error.status === 401;
  return isAnonymous ? byKind(error) : hint ?? byKind(error);
}

/** The server in a command line; undefined without one. */
function serverOf({ args, at }: TypedLine): string | undefined {
  const flags = at.at(-1)?.flags ?? [];
  const words = [...at.at(-1)?.args ?? [], ...flags].flatMap(({ name }) => args.text(name) ?? []);
  const origin = words.filter(isUrl).map((word) => URL.parse(word)?.origin)[0];
  return origin === undefined ? undefined : token(origin);
}

/** Advice about the access key of a server. */
function accessAdvice(topic: string, line: TypedLine): string | undefined {
  const server = serverOf(line);
  if (server === undefined) return undefined;
  if (topic === "access key") {
    return `The access key was revoked or has expired. Ask for a new one, then run \`plasmite access connect ${server}\`.`;
  }
  return topic === "access"
    ? `Run \`plasmite access connect ${server}\` with an access key, or give --token-file and --tls-ca.`
    : undefined;
}

/** Advice that contains a command. */
function adviceForCommand(error: PlasmiteError, line: TypedLine): string | undefined {
  const access = error.topic === undefined ? undefined : accessAdvice(error.topic, line);
  if (access !== undefined) return access;
  const pool = line.args.text("POOL") ?? line.args.text("NAME");
  const command = line.at.at(-1)?.name;
  if (command === "import") {
    const words = importAdvice(error);
    if (words !== undefined) return words;
  }
  if (error.topic === "input") return inputAdvice(line, pool ?? "");
  if (error.outcomeUnknown && line.args.has("POOL") && pool !== undefined) {
    const newest = related(line, "follow", pool, ["--tail", "5", "--no-follow"]);
    return `Look before you send it again: ${newest}`;
  }
  if (error.kindName === "Conflict" && command === "feed" && pool !== undefined) {
    const words = conflictAdvice(error, line, pool);
    if (words !== undefined) return words;
  }
  if (error.details["until"] !== undefined && error.kindName === "Busy" && command === "claim") {
    return "Wait for it with --wait 10m, or claim something else.";
  }
  const words = cursorAdvice(error, line, pool);
  if (words !== undefined) return words;
  return isDamage(error, line) ? damageAdvice(error, line, pool) : undefined;
}

/** Advice about a cursor or group that cannot be used. */
function cursorAdvice(
  error: PlasmiteError,
  line: TypedLine,
  pool: string | undefined,
): string | undefined {
  const { details, topic, kindName } = error;
  const name = line.args.text("cursor") ?? line.args.text("group");
  if (name === undefined || pool === undefined) return undefined;
  if (kindName === "Permission" && /\.cursors(\/|$)/.test(error.path ?? "")) {
    return "Whoever may not write next to the pool keeps cursors elsewhere: --cursor-dir DIR.";
  }
  const isReplaced = kindName === "NotFound" && details["cursor"] === name &&
    details["actual"] !== undefined;
  const isGap = kindName === "RetentionGap" && details["cursor"] === name;
  if (!isReplaced && !isGap && topic !== "cursor file") return undefined;
  const dir = line.args.text("cursor-dir");
  const place = dir === undefined ? [] : ["--cursor-dir", token(dir)];
  if (line.args.has("group")) {
    const remove = related(line, "cursor delete", pool, [token(name), ...place]);
    return `To start anew, delete the group: ${remove}`;
  }
  const set = related(line, "cursor set", pool, [token(name), "--from", "oldest", ...place]);
  return isGap
    ? `To go on with what is left, leave out --error-on-gap, or run \`${set}\`.`
    : `To start anew, run \`${set}\` (or --from end for new messages only).`;
}

/** The problems with records of an import. */
const IMPORT_TOPICS: ReadonlySet<string> = new Set(["record", "values", "message", "message time"]);

/** Advice if `import` cannot continue. */
function importAdvice({ actual, details, kindName, topic }: PlasmiteError): string | undefined {
  if (topic === "input") return "Name a file that export has written, or pipe one to stdin.";
  if (topic !== undefined && IMPORT_TOPICS.has(topic)) {
    return "An import takes JSON lines as export writes them. What came before this record is stored.";
  }
  const isOvertaken = kindName === "Conflict" && details["expected"] !== undefined;
  return isOvertaken && actual !== null
    ? "Somebody else appended in between. Import into a new pool, or without --keep-seq."
    : undefined;
}

/** Advice if the condition of `feed` was not met. */
function conflictAdvice(
  { actual, details: { id, key, other_record: other, record, seq } }: PlasmiteError,
  line: TypedLine,
  pool: string,
): string | undefined {
  if (typeof id === "string") {
    return typeof seq === "bigint" && seq > 0n
      ? `An id names one message. See it with \`${
        related(line, "fetch", pool, [String(seq)])
      }\`, ` +
        "or use another id."
      : `${
        typeof other === "bigint" ? `Records ${other} and ${record}` : "Two records"
      } of this input have the same id and different data.`;
  }
  if (actual === null) return undefined;
  if (actual === 0n) return "There is none. Decide again, and use --expect none.";
  const look = typeof key === "string"
    ? related(line, "latest", pool, ["--key", token(key)])
    : related(line, "fetch", pool, [String(actual)]);
  return `Read what is new, as with \`${look}\`, decide again, and use --expect ${actual}.`;
}

/** Whether the error is about a damaged local pool. */
function isDamage(error: PlasmiteError, line: TypedLine): boolean {
  const pool = line.args.text("POOL");
  if ("status" in error || (pool !== undefined && isUrl(pool))) return false;
  if (error.topic === "cursor file") return false;
  if (error.topic === "damage" || error.topic === "repair") return true;
  return error.kindName === "Corrupt" && READING.has(line.at.at(-1)?.name ?? "");
}

function damageAdvice(
  error: PlasmiteError,
  line: TypedLine,
  pool: string | undefined,
): string | undefined {
  const named = line.args.texts("NAME").length > 1 || pool === undefined || isUrl(pool)
    ? error.path
    : pool;
  if (error.topic === "repair") {
    const command = related(line, "doctor", named, ["--repair"]);
    return `The pool has more damage than an append can repair. Run \`${command}\`.`;
  }
  return `Run \`${related(line, "doctor", named)}\` to inspect the pool, or recreate it.`;
}

function inputAdvice(line: TypedLine, pool: string): string {
  if (line.at.at(-1)?.name === "duplex") {
    return `Pipe JSON objects to stdin, as in \`echo '{"x":1}' | ${
      related(line, "duplex", pool)
    }\`, or type on a terminal with --me NAME.`;
  }
  return `Give a JSON object as an argument, as in \`${
    related(line, "feed", pool, [`'{"x": 1}'`])
  }\`, use --file PATH, or pipe JSON to stdin.`;
}

/** General advice by kind of error. */
function byKind(error: PlasmiteError): string | undefined {
  const remote = "status" in error;
  const hints: Partial<Record<ErrorKindName, string>> = {
    Internal: "This was not expected. Try again; if it stays, report the command and this message.",
    Busy: remote
      ? "The server is at a limit. Try again in a moment."
      : "Another writer holds the lock. Try again in a moment, or use --retry with feed.",
    Permission: remote
      ? "Check --token-file, and what the server allows with --access."
      : "Check the permissions of the file and its directory, or use --dir for another one.",
    Corrupt: "Check the pool with `plasmite doctor`. Recreate it if it cannot be repaired.",
    Io: remote
      ? "Check the address and that the server is running."
      : "Check the path, the file system and the free space.",
  };
  return hints[error.kindName];
}
