/**
 * Helper processes: started, read line by line, always ended.
 *
 * @module
 */

import "./environment.ts";

/** A helper that was started. */
export interface Helper extends AsyncDisposable {
  /** The next line it prints, or null at its end. */
  line(): Promise<string | null>;
  /** Ends its input: helpers that wait for that stop. */
  release(): Promise<void>;
  /** `kill -9`, now. */
  kill(): void;
  /** Its process id. */
  readonly pid: number;
  /** Resolves when it is gone. */
  readonly status: Promise<Deno.CommandStatus>;
}

/** Starts `tests/support/SCRIPT` with arguments. */
export function start(script: string, ...args: string[]): Helper {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--no-lock", "-A", new URL(script, import.meta.url).href, ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  let ended = false;
  let released = false;
  const release = async (): Promise<void> => {
    if (released) return;
    released = true;
    await child.stdin.close().catch(() => {});
  };
  return {
    pid: child.pid,
    status: child.status,
    release,
    line: async () => {
      for (;;) {
        const at = text.indexOf("\n");
        if (at >= 0) {
          const line = text.slice(0, at);
          text = text.slice(at + 1);
          return line;
        }
        if (ended) return null;
        const { done, value } = await reader.read();
        if (done) ended = true;
        else text += value;
      }
    },
    kill: () => {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended by itself.
      }
    },
    [Symbol.asyncDispose]: async () => {
      await release();
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended by itself.
      }
      await child.status;
      await reader.cancel().catch(() => {});
    },
  };
}

/** Runs `work` with a directory that is removed afterwards. */
export async function withDir<T>(work: (dir: string) => Promise<T> | T): Promise<T> {
  const dir = Deno.makeTempDirSync({ prefix: "plasmite-test-" });
  try {
    return await work(dir);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}
