/**
 * The environment of every test, whatever the one it is started from: `npx` sets `EDITOR=vi`, which
 * puts zsh into vi mode; a locale that is not installed makes bash complain; a home can be missing,
 * read-only or full of settings. Only what finds programs, packages and certificates is kept.
 *
 * Whatever starts a process imports this first (`tests/package/imports_test.ts` checks), so that the process
 * inherits what is left here.
 *
 * @module
 */

import { homedir } from "node:os";
import { delimiter, dirname } from "node:path";

/** What a test may inherit, in upper case. */
const KEPT = [
  /^(PATH|TMPDIR|TMP|TEMP|SYSTEMROOT|SYSTEMDRIVE|WINDIR|COMSPEC|PATHEXT|LD_LIBRARY_PATH)$/,
  /^DENO(RT)?_/,
  /^NPM_CONFIG_(CACHE|REGISTRY)$/,
  /^(HTTP|HTTPS|ALL)_PROXY$/,
  /^(SSL_CERT_FILE|SSL_CERT_DIR|NODE_EXTRA_CA_CERTS|CURL_CA_BUNDLE)$/,
  /^(CARGO_HOME|RUSTUP_HOME|PYENV_ROOT)$/,
  /^PLASMITE_(TEST_(SCALE|SCREENS)|CHROMIUM|FIREFOX|NATS_SERVER(_\d+_\d+)?)$/,
];

/** Where programs keep what they run on, in the home that is taken from them here. */
const IN_HOME = {
  npm_config_cache: ".npm",
  CARGO_HOME: ".cargo",
  RUSTUP_HOME: ".rustup",
  PYENV_ROOT: ".pyenv",
};

/** The folder of Deno's cache; only Deno knows its default. */
function cacheDir(): string {
  const { stdout } = new Deno.Command(Deno.execPath(), { args: ["info", "--json", "--no-config"] })
    .outputSync();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}

function isDir(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    if (error instanceof Deno.errors.PermissionDenied) return false;
    throw error;
  }
}

/** The home as the user's programs see it; empty when there is none. */
function formerHome(): string {
  try {
    return homedir() ?? "";
  } catch {
    return ""; // Neither HOME nor an entry in the list of users.
  }
}

function prepare(): void {
  const { env } = Deno;
  if (env.get("DENO_DIR") === undefined) env.set("DENO_DIR", cacheDir());
  const former = formerHome();
  for (const [name, folder] of Object.entries(IN_HOME)) {
    if (env.get(name) === undefined && former !== "" && isDir(`${former}/${folder}`)) {
      env.set(name, `${former}/${folder}`);
    }
  }
  for (const name of Object.keys(env.toObject())) {
    if (!KEPT.some((kept) => kept.test(name.toUpperCase()))) env.delete(name);
  }
  // The Deno that runs the tests, also where a script says `deno`.
  const path = env.get("PATH") ?? "";
  const own = dirname(Deno.execPath());
  if (path.split(delimiter)[0] !== own) env.set("PATH", [own, path].join(delimiter));
  // The servers of the tests are on this machine, whatever stands before the rest.
  env.set("NO_PROXY", "localhost,127.0.0.1,::1");
  env.set("TZ", "UTC");
  env.set("TERM", "xterm");
  const home = Deno.makeTempDirSync({ prefix: "plasmite-home-" });
  env.set("HOME", home);
  addEventListener("unload", () => Deno.removeSync(home, { recursive: true }));
  if (Deno.build.os !== "windows") Deno.umask(0o022);
}

prepare();
