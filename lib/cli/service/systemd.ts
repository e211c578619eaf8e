/**
 * Queries and controls systemd, for a user or the whole machine (docs/spec/sharing.md 6.2).
 *
 * @module
 */

import { optionalVariable } from "../../environment.ts";
import { PlasmiteError } from "../../errors.ts";
import { replaceFile } from "./setup.ts";
import type { Scope } from "./unit.ts";

/** The result of running a program. */
interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** The state of a unit according to systemd. */
export interface UnitState {
  readonly active: string;
  readonly enabled: boolean;
  /** The PID of its main process; 0 if there is none. */
  readonly pid: number;
}

function unavailable(program: string): PlasmiteError {
  return new PlasmiteError("Io", `services need systemd, and there is no ${program} here`, {
    hint: "Have another supervisor start `plasmite serve`.",
  });
}

async function run(words: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  const [program = "", ...args] = words;
  try {
    const { code, stdout, stderr } = await new Deno.Command(program, { args, env, stdin: "null" })
      .output();
    const text = new TextDecoder();
    return { code, out: text.decode(stdout), err: text.decode(stderr).trim() };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw unavailable(program);
    throw error;
  }
}

/** The user or the system service manager. */
export class Systemd {
  readonly scope: Scope;
  #sudo: readonly string[] | null = null;

  /** @param scope which manager */
  constructor(scope: Scope) {
    this.scope = scope;
  }

  get #systemctl(): readonly string[] {
    return this.scope === "user" ? ["systemctl", "--user"] : ["systemctl"];
  }

  /** The variable that locates the user's manager; unset in a `su` shell, for example. */
  get #env(): Record<string, string> {
    const uid = Deno.uid();
    if (this.scope === "system" || uid === null) return {};
    const set = optionalVariable("XDG_RUNTIME_DIR");
    return set === undefined || set === "" ? { XDG_RUNTIME_DIR: `/run/user/${uid}` } : {};
  }

  /** The prefix for commands that need privileges. Throws Permission. */
  async #rights(): Promise<readonly string[]> {
    if (this.scope === "user" || Deno.uid() === 0) return [];
    return this.#sudo ??= await sudo();
  }

  async #privileged(words: readonly string[]): Promise<void> {
    const all = [...await this.#rights(), ...words];
    const { code, err } = await run(all, this.#env);
    if (code === 0) return;
    throw new PlasmiteError("Io", `\`${all.join(" ")}\` failed`, {
      hint: this.scope === "user" && /bus|XDG_RUNTIME_DIR/.test(err)
        ? "The user's systemd does not run. Log in as that user, or run `loginctl enable-linger`."
        : "The cause is what systemd says.",
      causes: err === "" ? [] : [err],
    });
  }

  /** Runs `systemctl VERB …`. Throws Io, Permission. */
  async tell(...words: readonly string[]): Promise<void> {
    await this.#privileged([...this.#systemctl, ...words]);
  }

  /** Reads the state of a unit. Throws Io. */
  async state(name: string): Promise<UnitState> {
    const names = "ActiveState,UnitFileState,MainPID";
    const words = [...this.#systemctl, "show", `--property=${names}`, `${name}.service`];
    const { code, out, err } = await run(words, this.#env);
    if (code !== 0) {
      throw new PlasmiteError("Io", "systemd does not answer", {
        hint: "The cause is what `systemctl` says.",
        causes: err === "" ? [] : [err],
      });
    }
    const found = new Map(
      out.split("\n").map((line) => {
        const at = line.indexOf("=");
        return [line.slice(0, at), line.slice(at + 1)];
      }),
    );
    return {
      active: found.get("ActiveState") ?? "inactive",
      enabled: found.get("UnitFileState") === "enabled",
      pid: Number(found.get("MainPID") ?? 0),
    };
  }

  /** Writes a unit file; null removes it. Throws Io, Permission. */
  async writeUnit(path: string, text: string | null, scratch: string): Promise<void> {
    if (this.scope === "user") replaceFile(path, text, 0o644);
    else if (text === null) await this.#privileged(["rm", "-f", path]);
    else {
      replaceFile(scratch, text, 0o644);
      try {
        await this.#privileged(["install", "-m", "0644", scratch, path]);
      } finally {
        replaceFile(scratch, null, 0o644);
      }
    }
    await this.tell("daemon-reload");
  }

  /**
   * Lets the user's manager run from boot and without a login session.
   *
   * @returns what went wrong, or null
   */
  async linger(): Promise<string | null> {
    if (this.scope === "system") return null;
    try {
      const { code, err } = await run(["loginctl", "enable-linger"], this.#env);
      return code === 0 ? null : err || "loginctl failed";
    } catch (error) {
      if (PlasmiteError.is(error)) return error.message;
      throw error;
    }
  }
}

/** How to become root: without a prompt if possible, otherwise with one on a terminal. */
async function sudo(): Promise<readonly string[]> {
  const refused = (): PlasmiteError =>
    new PlasmiteError("Permission", "a system service needs the rights of root", {
      hint:
        "Allow this account to use sudo, or leave out --system: a service of your own needs none.",
    });
  try {
    if ((await run(["sudo", "-n", "true"])).code === 0) return ["sudo", "-n"];
    if (!Deno.stdin.isTerminal()) throw refused();
    // Prompts for the password; sudo caches it for the following commands.
    const { code } = await new Deno.Command("sudo", { args: ["-v"] }).spawn().status;
    if (code !== 0) throw refused();
    return ["sudo", "-n"];
  } catch (error) {
    if (PlasmiteError.is(error) && error.message.includes("sudo")) throw refused();
    if (error instanceof Deno.errors.NotFound) throw refused();
    throw error;
  }
}
