/**
 * A file system that breaks at a chosen moment: while `work` runs, the call of a given number that
 * changes files fails.
 *
 * @module
 */

/** How it breaks. */
export interface Breakage {
  /** Which call fails, from 1; the calls of `Deno` that change files or directories are counted. */
  readonly call: number;
  /** Whether every call behind it fails too. */
  readonly lasting?: boolean;
  /** Whether there are hard links; default true. */
  readonly links?: boolean;
}

const NAMES = ["mkdirSync", "chmodSync", "renameSync", "removeSync", "linkSync"] as const;
const FILE_NAMES = ["writeSync", "truncateSync", "syncSync"] as const;

// deno-lint-ignore no-explicit-any -- whatever a call takes and returns is passed on
type Call = (this: unknown, ...args: any[]) => any;

/** Runs `work`, which must not wait for anything; returns the name of the call that failed, if one did. */
export function withBreakage(
  { call, lasting = false, links = true }: Breakage,
  work: () => void,
): string | undefined {
  let calls = 0;
  let failed: string | undefined;
  const undo: (() => void)[] = [];
  const patch = (
    place: object,
    name: string,
    counts = (_args: unknown[]): boolean => true,
  ): void => {
    const methods = place as Record<string, Call>;
    const method = methods[name];
    if (method === undefined) throw new Error(`there is no ${name}`);
    undo.push(() => methods[name] = method);
    methods[name] = function (...args: unknown[]) {
      if (counts(args) && (++calls === call || (lasting && calls > call))) {
        failed ??= name;
        throw new Error(`Input/output error (os error 5): ${name}`);
      }
      if (name === "linkSync" && !links) {
        throw new Deno.errors.PermissionDenied("Operation not permitted (os error 1): link 'a'");
      }
      return method.apply(this, args);
    };
  };
  try {
    for (const name of NAMES) patch(Deno, name);
    for (const name of FILE_NAMES) patch(Deno.FsFile.prototype, name);
    patch(Deno, "openSync", ([, options]) => (options as Deno.OpenOptions)?.createNew === true);
    work();
  } finally {
    for (const back of undo) back();
  }
  return failed;
}
