/**
 * Stand-ins for `systemctl`, `journalctl`, `loginctl` and `sudo`: they write down what they are
 * called with, and start and stop what a unit says, so that a service runs for real.
 *
 * @module
 */

import "./environment.ts";

const SYSTEMCTL = `#!/bin/sh
echo "systemctl $*" >> "$FAKE/calls"
scope=system
units=/etc/systemd/system
if [ "$1" = --user ]; then
  scope=user
  units=\${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user
  shift
fi
verb=$1
for last; do :; done
name=\${last%.service}
state=$FAKE/$scope-$name
pid=$(cat "$state.pid" 2>/dev/null)
# One that has ended may stay in the table where nobody waits for it.
alive() { [ -n "$pid" ] && grep -q '^State:.[^XZ]' "/proc/$pid/status" 2>/dev/null; }
halt() {
  if alive; then kill "$pid"; while alive; do sleep 0.05; done; fi
  rm -f "$state.pid"
}
launch() {
  alive && return
  line=$(sed -n 's/^ExecStart=//p' "$units/$name.service")
  line=$(printf '%s' "$line" | sed 's/%%/%/g')
  eval "exec setsid $line" >> "$FAKE/journal" 2>&1 < /dev/null &
  pid=$!
  echo $pid > "$state.pid"
}
if [ -f "$FAKE/away" ]; then
  echo "Failed to connect to bus: No such file or directory" >&2
  exit 1
fi
case $(cat "$FAKE/fail" 2>/dev/null) in *" $verb "*) echo "Job failed: $verb" >&2; exit 1 ;; esac
case $verb in
  show)
    active=inactive
    alive && active=active || pid=0
    [ -f "$FAKE/failed" ] && active=failed && pid=0
    unit=disabled
    [ -f "$state.enabled" ] && unit=enabled
    printf 'ActiveState=%s\\nUnitFileState=%s\\nMainPID=%s\\n' "$active" "$unit" "$pid" ;;
  daemon-reload) ;;
  enable) [ -f "$units/$name.service" ] && touch "$state.enabled" ;;
  disable) rm -f "$state.enabled" ;;
  start) launch ;;
  stop) halt ;;
  restart) halt; pid=; launch ;;
  *) exit 2 ;;
esac
`;

const JOURNALCTL = `#!/bin/sh
echo "journalctl $*" >> "$FAKE/calls"
case " $* " in *" --follow "*) exec tail -n 2 -f "$FAKE/lines" ;; esac
exec tail -n 2 "$FAKE/lines"
`;

const RECORD = (name: string, then = "") =>
  `#!/bin/sh
echo "${name} $*" >> "$FAKE/calls"
${then}
`;

/** The stand-ins and what they have seen. */
export class FakeSystemd implements Disposable {
  readonly dir: string;

  /** @param dir an empty directory for programs and state */
  constructor(dir: string) {
    this.dir = dir;
    Deno.mkdirSync(`${dir}/bin`, { recursive: true });
    const scripts = {
      systemctl: SYSTEMCTL,
      journalctl: JOURNALCTL,
      loginctl: RECORD("loginctl"),
      sudo: RECORD("sudo", '[ "$1" = -n ] && shift; exec "$@"'),
    };
    for (const [name, text] of Object.entries(scripts)) {
      Deno.writeTextFileSync(`${dir}/bin/${name}`, text, { mode: 0o755 });
    }
    Deno.writeTextFileSync(`${dir}/lines`, "one\ntwo\nthree\n");
  }

  /** The variables for a program that is to find them. */
  get env(): Record<string, string> {
    return { FAKE: this.dir, PATH: `${this.dir}/bin:${Deno.env.get("PATH")}` };
  }

  /** What they were called with since the last time, without looking around. */
  calls(): string[] {
    const path = `${this.dir}/calls`;
    try {
      const lines = Deno.readTextFileSync(path).trim().split("\n");
      Deno.removeSync(path);
      return lines.filter((line) => !/^systemctl (--user )?show/.test(line));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }

  /** Has some verbs of `systemctl` fail. */
  fail(...verbs: readonly string[]): void {
    Deno.writeTextFileSync(`${this.dir}/fail`, ` ${verbs.join("  ")} `);
  }

  /** Stops what is running. */
  [Symbol.dispose](): void {
    for (const { name } of Deno.readDirSync(this.dir)) {
      if (!name.endsWith(".pid")) continue;
      try {
        Deno.kill(Number(Deno.readTextFileSync(`${this.dir}/${name}`)), "SIGKILL");
      } catch {
        // It has ended.
      }
    }
  }
}
