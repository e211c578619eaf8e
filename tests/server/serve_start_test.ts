/**
 * What `serve` says when it starts and what `serve status` knows. Whoever tries it for the first time
 * pastes the commands that are printed: each of them failed, because the pool they name did not exist.
 *
 * @module
 */

import assert from "node:assert/strict";
import { checkServe, checkText } from "../../server/check.ts";
import { validity } from "../../server/warnings.ts";
import { DEFAULT_FLAGS, resolveServe, type ServeFlags } from "../../server/config.ts";
import { makeRecord, register, runningServers } from "../../server/registry.ts";
import { samples } from "../../server/banner.ts";
import { startServer } from "../../server/serve.ts";
import { Client } from "../../mod.ts";
import { exists, inTemp } from "../cli/cli_util.ts";
import { CLI } from "../support/paths.ts";
import { initialized } from "./server_util.ts";

/** A `serve` of its own, and what it said up to the line that ends its start. */
async function serve(
  home: string,
  args: string[],
): Promise<{ child: Deno.ChildProcess; said: () => string }> {
  const ready = `${home}/ready-${crypto.randomUUID()}`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", CLI, "serve", ...args],
    env: { HOME: home, PLASMITE_SERVE_READY_FILE: ready, DENO_DIR: denoDir() },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let text = "";
  void child.stderr.pipeThrough(new TextDecoderStream())
    .pipeTo(new WritableStream({ write: (piece) => void (text += piece) }));
  for (let i = 0; i < 6000 && !/Serving pools on .*\n/.test(text); i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return { child, said: () => text };
}

function denoDir(): string {
  return Deno.env.get("DENO_DIR") ?? `${Deno.env.get("HOME")}/.cache/deno`;
}

async function stop(child: Deno.ChildProcess, signal: Deno.Signal = "SIGTERM"): Promise<void> {
  child.kill(signal);
  await child.status;
}

/** Whether this machine has IPv6; containers often have none. */
function hasIpv6(): boolean {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

Deno.test({
  name: "serve on an empty machine: the commands it prints work, in the order it prints them",
  ignore: !await exists("curl"),
  fn: async (t) =>
    await inTemp(async (home) => {
      const files = await initialized();
      const token = files.flags.tokenFile ?? "";
      const tls = { tlsCert: files.flags.tlsCert, tlsKey: files.flags.tlsKey };
      await Deno.mkdir(`${home}/bin`);
      for (const name of ["pls", "plasmite"]) {
        const script = `#!/bin/sh\nexec '${Deno.execPath()}' run -A --quiet '${CLI}' "$@"\n`;
        await Deno.writeTextFile(`${home}/bin/${name}`, script, { mode: 0o755 });
      }
      const cases: Record<string, Partial<ServeFlags>> = {
        "as it is": {},
        "read-only": { access: "read-only" },
        "write-only": { access: "write-only" },
        "self-signed": { tlsSelfSigned: true },
        "with token and certificate": { tokenFile: token, ...tls },
        "on all interfaces": {
          bind: "0.0.0.0:0",
          allowNonLoopback: true,
          tokenFile: token,
          ...tls,
        },
        ...(hasIpv6() ? { "on IPv6": { bind: "[::1]:0" } } : {}),
      };
      for (const [name, flags] of Object.entries(cases)) {
        await t.step(name, async () => {
          // A name that needs quoting; it does not exist before the first command.
          const dir = `${home}/my pools/${name}`;
          const config = await resolveServe({ ...DEFAULT_FLAGS, bind: "127.0.0.1:0", ...flags });
          const server = await startServer(new Client(dir), config, { registry: false });
          const place = {
            url: server.url,
            fingerprint: null,
            dir,
            isDefault: false,
            warnings: [],
          };
          const lines = samples(config, place).join("\n").replaceAll("\\\n", "").split("\n")
            .filter((line) => line !== "");
          assert.ok(lines.length >= 2);
          for (const line of lines) {
            // A follower goes on; once it has shown something it has worked.
            const live = /follow|-N/.test(line);
            const done = await new Deno.Command("bash", {
              args: ["-c", live ? `${line} | head -c 20` : line],
              env: { HOME: home, PATH: `${home}/bin:${Deno.env.get("PATH")}`, DENO_DIR: denoDir() },
              stdin: "null",
            }).output();
            const shown = new TextDecoder().decode(done.stdout);
            const told = `${line}: ${shown}${new TextDecoder().decode(done.stderr)}`;
            assert.equal(done.code, 0, told);
            assert.doesNotMatch(shown, /"error"/, told);
            assert.notEqual(shown, "", told);
          }
          // Once the pool is there it is not made again.
          assert.ok(!samples(config, place).some((line) => line.includes("pool create")));
          await server.shutdown();
        });
      }
      await Deno.remove(files.dir, { recursive: true });
    }),
});

Deno.test("serve, check: a token is spoken of only where there is one", async () => {
  const flags: ServeFlags = { ...DEFAULT_FLAGS, bind: "0.0.0.0:0", allowNonLoopback: true };
  const open = await checkServe(await resolveServe({ ...flags, access: "read-only" }));
  assert.deepEqual(open.warnings, [
    "Anyone who reaches this address can read all pools.",
    "Messages travel unencrypted: there is no TLS.",
  ]);
  assert.doesNotMatch(checkText(open), /token/i);
  const closed = await checkServe(
    await resolveServe({ ...flags, access: "read-only", token: "secret" }),
  );
  assert.deepEqual(closed.warnings, [
    "Messages and the token travel unencrypted: there is no TLS.",
  ]);
  await inTemp(async (home) => {
    const { child, said } = await serve(home, [
      ...["--bind", "0.0.0.0:0", "--allow-non-loopback", "--access", "read-only"],
    ]);
    await stop(child);
    assert.match(said(), /Warning: Anyone who reaches this address can read all pools/);
    assert.doesNotMatch(said(), /token/i);
  });
});

Deno.test("serve, check: secrets that every user of the machine can read are named", async () => {
  const { dir, flags } = await initialized();
  const check = async (): Promise<readonly string[]> =>
    (await checkServe(await resolveServe(flags))).warnings;
  assert.deepEqual(await check(), []);
  Deno.chmodSync(flags.tokenFile ?? "", 0o644);
  Deno.chmodSync(flags.tlsKey ?? "", 0o604);
  const warnings = await check();
  assert.equal(warnings.length, 2);
  assert.match(warnings[0] ?? "", /can read the token file .*token\.txt: chmod 600 /);
  assert.match(warnings[1] ?? "", /can read the TLS key .*key\.pem: chmod 600 /);
  await inTemp(async (home) => {
    const { child, said } = await serve(home, [
      ...["--bind", "127.0.0.1:0", "--token-file", flags.tokenFile ?? ""],
    ]);
    await stop(child);
    assert.match(said(), /Warning: Every user of this machine can read the token file/);
  });
  Deno.chmodSync(flags.tokenFile ?? "", 0o640);
  Deno.chmodSync(flags.tlsKey ?? "", 0o600);
  assert.deepEqual(await check(), []);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("serve: what a certificate's dates mean is said in words", () => {
  const dates = { notBefore: new Date("2020-01-01"), notAfter: new Date("2021-02-03") };
  assert.match(validity(dates).join(), /expired on 2021-02-03/);
  assert.match(validity(dates, new Date("2019-12-31")).join(), /valid only from 2020-01-01/);
  assert.match(validity(dates, new Date("2021-01-20")).join(), /expires on 2021-02-03/);
  assert.deepEqual(validity(dates, new Date("2020-06-01")), []);
});

Deno.test({
  name: "serve: a certificate that has expired is said at the start, also in a log",
  ignore: !await exists("openssl"),
  fn: async () =>
    await inTemp(async (home) => {
      const request = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes " +
        "-keyout key.pem -out cert.pem -subj /CN=localhost -days 1";
      const made = await new Deno.Command("bash", {
        args: [
          "-c",
          `${request} && openssl x509 -in cert.pem -signkey key.pem -days -1 -out old.pem`,
        ],
        cwd: home,
        stdin: "null",
      }).output();
      assert.ok(made.success, new TextDecoder().decode(made.stderr));
      const { child, said } = await serve(home, [
        ...[
          "--bind",
          "127.0.0.1:0",
          "--tls-cert",
          `${home}/old.pem`,
          "--tls-key",
          `${home}/key.pem`,
        ],
      ]);
      await stop(child);
      assert.match(said(), /^Warning: The certificate expired on \d{4}-\d\d-\d\d/m);
    }),
});

Deno.test("serve status: servers on all interfaces and with TLS are there; what was killed is not", async () => {
  await inTemp(async (home) => {
    const { dir, flags } = await initialized();
    const tls = ["--tls-cert", flags.tlsCert ?? "", "--tls-key", flags.tlsKey ?? ""];
    const wild = ["--bind", "0.0.0.0:0", "--allow-non-loopback"];
    const kinds: [string, string[], RegExp][] = [
      ["plain", ["--bind", "127.0.0.1:0"], /^http:\/\/127\.0\.0\.1:\d+$/],
      ["wildcard", [...wild, "--access", "read-only"], /^http:\/\/127\.0\.0\.1:\d+$/],
      ["tls", ["--bind", "127.0.0.1:0", ...tls], /^https:\/\/127\.0\.0\.1:\d+$/],
      ["both", [...wild, "--token-file", flags.tokenFile ?? "", ...tls], /^https:\/\/127\./],
    ];
    const servers = await Promise.all(kinds.map(([, args]) => serve(home, args)));
    const status = async (): Promise<{ local_url: string; pid: number }[]> => {
      const { stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--quiet", CLI, "serve", "status"],
        env: { HOME: home, DENO_DIR: denoDir() },
      }).output();
      return JSON.parse(new TextDecoder().decode(stdout));
    };
    const files = (): number => [...Deno.readDirSync(`${home}/.plasmite/servers`)].length;
    const shown = await status();
    for (const [i, [name, , url]] of kinds.entries()) {
      const one = shown.find(({ pid }) => pid === servers[i]?.child.pid);
      assert.match(one?.local_url ?? "", url, name);
      assert.deepEqual(Object.keys(one ?? {}), ["local_url", "pid", "pool_dir", "remote_url"]);
    }
    assert.equal(files(), 4);
    // Killed: the file stays, nobody believes it, and whoever looks next removes it.
    for (const { child } of servers.slice(0, 3)) await stop(child, "SIGKILL");
    assert.equal(files(), 4);
    assert.deepEqual((await status()).map(({ pid }) => pid), [servers[3]?.child.pid]);
    assert.equal(files(), 1);
    // So does a server that starts.
    for (const { child } of servers.slice(3)) await stop(child, "SIGKILL");
    const last = await serve(home, ["--bind", "127.0.0.1:0"]);
    assert.equal(files(), 1);
    assert.deepEqual((await status()).map(({ pid }) => pid), [last.child.pid]);
    await stop(last.child);
    assert.equal(files(), 0);
    await Deno.remove(dir, { recursive: true });
  });
});

Deno.test("serve status: a record of another program stays as long as its process lives", async () => {
  await inTemp(async (dir) => {
    const registry = `${dir}/servers`;
    await Deno.mkdir(registry);
    const { alive_by: _, ...plain } = makeRecord(dir, "http://127.0.0.1:1", null);
    const file = `${registry}/${plain.instance}.json`;
    await Deno.writeTextFile(file, JSON.stringify(plain));
    assert.deepEqual(await runningServers(registry), []);
    assert.ok(Deno.statSync(file).isFile, "this process lives");
    await Deno.writeTextFile(file, JSON.stringify({ ...plain, pid: 2 ** 30 }));
    assert.deepEqual(await runningServers(registry), []);
    if (Deno.build.os === "linux") assert.throws(() => Deno.statSync(file));
    // A record of ours is believed by its lock alone, and only where it names this machine.
    const locked = makeRecord(dir, "https://127.0.0.1:1", null, "lock");
    const forget = register(locked, registry);
    assert.deepEqual(await runningServers(registry), [locked]);
    forget();
    assert.deepEqual(await runningServers(registry), []);
  });
});
