/**
 * The error type of the project, its kinds, and their exit codes.
 *
 * @module
 */

/**
 * Error kinds by number; the number is also the process exit code of the command line.
 *
 * @example Create a pool unless it exists
 * ```ts
 * import { Client, ErrorKind, PlasmiteError } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * client.createPool("demo").close();
 * try {
 *   client.createPool("demo").close();
 * } catch (error) {
 *   if (!PlasmiteError.is(error, ErrorKind.AlreadyExists)) throw error;
 * }
 * ```
 */
export const ErrorKind = {
  /** A bug, or a response that could not be understood. */
  Internal: 1,
  /** A bad argument, a closed handle, input that cannot be stored. */
  Usage: 2,
  /** The pool, path or message does not exist. */
  NotFound: 3,
  /** Something with that name already exists. */
  AlreadyExists: 4,
  /** Another process holds the lock, or a limit is reached; try again. */
  Busy: 5,
  /** The operating system or the server refused access. */
  Permission: 6,
  /** A pool file or a payload is damaged. */
  Corrupt: 7,
  /** Any other failure of a disk, a pipe or a network. */
  Io: 8,
  /** Messages were overwritten before they could be read. */
  RetentionGap: 9,
  /**
   * An expectation does not hold: the pool, a lease or a task has changed. Do not retry unchanged.
   */
  Conflict: 10,
} as const;

/** One of the numbers of {@linkcode ErrorKind}. */
export type ErrorKind = (typeof ErrorKind)[keyof typeof ErrorKind];

/** The name of a kind, as it appears in JSON errors: `"NotFound"`. */
export type ErrorKindName = keyof typeof ErrorKind;

/** Where an error happened and what to do about it. All fields are optional. */
export interface ErrorContext {
  /** What the user should do next, as one sentence. */
  hint?: string | undefined;
  /** The file concerned, or the pool name for remote errors. */
  path?: string | undefined;
  /** The sequence number concerned. */
  seq?: bigint | undefined;
  /** The byte offset concerned: in the ring for pool damage. */
  offset?: bigint | undefined;
  /** Messages of the underlying failures, outermost first. */
  causes?: readonly string[] | undefined;
  /** The underlying exception, kept for debugging. */
  cause?: unknown;
  /** Facts for programs: names, numbers and times that the message mentions. */
  details?: ErrorDetails | undefined;
  /** What the advice is about; see {@linkcode PlasmiteError.topic}. */
  topic?: string | undefined;
  /** What may have been meant, for a filter that cannot be used. */
  suggestion?: Suggestion | undefined;
}

/** A filter that may be what was meant by one that cannot be used. */
export interface Suggestion {
  /** A filter that can be compiled. */
  readonly expression: string;
  /** What was wrong, as a phrase without a period. */
  readonly why: string;
}

/**
 * Facts about an error, for programs. A value of null means that there is none, such as no cursor.
 */
export type ErrorDetails = Readonly<Record<string, string | bigint | null>>;

/**
 * Members of the error documents of a server that are not details, which must not have these
 * names.
 */
export const DOCUMENT_FIELDS: readonly string[] = [
  "kind",
  "message",
  "hint",
  "path",
  "seq",
  "offset",
  "line",
  "suggestion",
];

/** What errors of a damaged pool file have in common. */
export const DAMAGE = {
  hint: "The pool is damaged: check it, then repair it or recreate it.",
  topic: "damage",
} as const;

/** The message of any exception. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function bigintOf(value: string | bigint | null | undefined): bigint | null {
  return typeof value === "bigint" ? value : null;
}

const NAMES = Object.fromEntries(
  Object.entries(ErrorKind).map(([name, code]) => [code, name]),
) as Record<ErrorKind, ErrorKindName>;

/**
 * Every failure this library reports.
 *
 * @example Test the kind of an error
 * ```ts
 * import { ErrorKind, PlasmiteError } from "@plasmite/core";
 *
 * const error = new PlasmiteError("NotFound", "Message not found", { seq: 7n });
 * console.assert(PlasmiteError.is(error, ErrorKind.NotFound));
 * ```
 */
export class PlasmiteError extends Error {
  /** The kind as a number; also the exit code. */
  readonly kind: ErrorKind;
  /** The file concerned, or the pool name for remote errors. */
  readonly path?: string;
  /** The sequence number concerned. */
  readonly seq?: bigint;
  /** The byte offset concerned. */
  readonly offset?: bigint;
  /** What to do next, as one sentence. */
  readonly hint?: string;
  /** Messages of the underlying failures, outermost first. */
  readonly causes?: readonly string[];
  /** Facts for programs; empty where there are none. */
  readonly details: ErrorDetails;
  /**
   * What the advice is about, for front ends that have words of their own for it: `damage` of a pool
   * file, a `certificate`, …
   */
  readonly topic?: string;
  /** What may have been meant, for a filter that cannot be used. */
  readonly suggestion?: Suggestion;
  /**
   * Whether what failed may have been done all the same: an answer was lost. Doing it again may do it
   * twice.
   */
  readonly outcomeUnknown: boolean = false;

  /** Creates an error of the named kind. */
  constructor(kind: ErrorKindName, message: string, context: ErrorContext = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    this.name = "PlasmiteError";
    this.kind = ErrorKind[kind];
    if (context.hint !== undefined) this.hint = context.hint;
    if (context.path !== undefined) this.path = context.path;
    if (context.seq !== undefined) this.seq = context.seq;
    if (context.offset !== undefined) this.offset = context.offset;
    if (context.causes !== undefined && context.causes.length > 0) this.causes = context.causes;
    if (context.topic !== undefined) this.topic = context.topic;
    if (context.suggestion !== undefined) this.suggestion = context.suggestion;
    this.details = context.details ?? {};
  }

  /** The sequence number that was expected, for Conflict; 0 for none. */
  get expected(): bigint | null {
    return bigintOf(this.details["expected"]);
  }

  /** The sequence number found instead, for Conflict; 0 or null for none. */
  get actual(): bigint | null {
    return bigintOf(this.details["actual"]);
  }

  /** The current holder of what was requested, such as a lease; null if not applicable. */
  get holder(): string | null {
    const holder = this.details["holder"];
    return typeof holder === "string" ? holder : null;
  }

  /** The kind as a name: `"NotFound"`. */
  get kindName(): ErrorKindName {
    return NAMES[this.kind];
  }

  /**
   * Whether the same call can be retried unchanged: it changed nothing, and the obstacle may be
   * temporary.
   */
  get isRepeatable(): boolean {
    return this.kind === ErrorKind.Busy;
  }

  /** Whether `error` is a PlasmiteError, and of that kind if one is given. */
  static is(error: unknown, kind?: ErrorKind): error is PlasmiteError {
    return error instanceof PlasmiteError && (kind === undefined || error.kind === kind);
  }

  /**
   * What is known about the failure.
   *
   * @internal
   */
  protected get context(): ErrorContext {
    const { hint, path, seq, offset, causes, cause, details, topic, suggestion } = this;
    return { hint, path, seq, offset, causes, cause, details, topic, suggestion };
  }

  /**
   * A copy with another context; a subclass adds what it has of its own.
   *
   * @internal
   */
  protected copy(context: ErrorContext): PlasmiteError {
    return new PlasmiteError(this.kindName, this.message, context);
  }

  /** The same error with another hint. */
  withHint(hint: string | undefined): PlasmiteError {
    return this.copy({ ...this.context, hint });
  }

  /** The same error with more context; existing context is kept. */
  with(context: ErrorContext): PlasmiteError {
    return this.copy({
      hint: this.hint ?? context.hint,
      path: this.path ?? context.path,
      seq: this.seq ?? context.seq,
      offset: this.offset ?? context.offset,
      causes: this.causes ?? context.causes,
      cause: this.cause ?? context.cause,
      details: { ...context.details, ...this.details },
      topic: this.topic ?? context.topic,
      suggestion: this.suggestion ?? context.suggestion,
    });
  }
}

/** Returns a PlasmiteError as a value. */
export function attempt<T>(action: () => T): T | PlasmiteError {
  try {
    return action();
  } catch (error) {
    if (error instanceof PlasmiteError) return error;
    throw error;
  }
}
