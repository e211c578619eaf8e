/**
 * `serve install` and what belongs to it: the packaged program, real servers, and stand-ins for
 * systemd that write down what they are told (docs/spec/sharing.md 6).
 *
 * @module
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { FakeSystemd } from "../support/fake_systemd.ts";
import { packaged } from "../support/packaged.ts";
import { freePort } from "../support/ports.ts";
import { unitText } from "../../lib/cli/service/unit.ts";
import { cli, exists, inTemp } from "./cli_util.ts";

const LINUX = Deno.build.os === "linux";
const text = new TextDecoder();

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  // deno-lint-ignore no-explicit-any -- whatever the program prints is what is tested
  readonly json: any;
}

/** A machine: a home, pools, stand-ins for systemd, the packaged program. */
class Machine implements Disposable {
  readonly home: string;
  readonly pools: string;
  readonly systemd: FakeSystemd;
  readonly port = freePort();

  constructor(dir: string, readonly program: string) {
    const real = Deno.realPathSync(dir);
    this.home = `${real}/home`;
    this.pools = `${this.home}/pools`;
    Deno.mkdirSync(this.home, { recursive: true });
    this.systemd = new FakeSystemd(`${real}/systemd`);
  }

  get name(): string {
    return `net.plasmite.${createHash("sha256").update(this.pools).digest("hex")}`;
  }

  get folder(): string {
    return `${this.home}/.plasmite/services/${this.name}`;
  }

  get unit(): string {
    return `${this.home}/.config/systemd/user/${this.name}.service`;
  }

  get bind(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Runs the packaged program. */
  async run(...args: readonly string[]): Promise<Outcome> {
    const { code, stdout, stderr } = await new Deno.Command(`${this.program}/plasmite`, {
      args: ["--dir", this.pools, ...args],
      stdin: "null",
      env: { HOME: this.home, ...this.systemd.env },
    }).output();
    const out = text.decode(stdout);
    const err = text.decode(stderr);
    let json = null;
    try {
      json = JSON.parse(out || err);
    } catch {
      // Several lines, or none.
    }
    return { code, out, err, json };
  }

  [Symbol.dispose](): void {
    this.systemd[Symbol.dispose]();
  }
}

function onMachine(work: (machine: Machine) => Promise<void>): () => Promise<void> {
  return () =>
    inTemp(async (dir) => {
      using machine = new Machine(dir, await packaged());
      await work(machine);
    });
}

function service(name: string, work: (machine: Machine) => Promise<void>): void {
  Deno.test({ name: `service: ${name}`, ignore: !LINUX, fn: onMachine(work) });
}

// Lost: the server, at the next restart of the machine.
service("installed as a user unit it runs, is listed, stops, starts, logs and goes", async (m) => {
  const { name, systemd } = m;
  const installed = await m.run("serve", "--bind", m.bind, "install", "--access=read-only");
  assert.equal(installed.code, 0, installed.err);
  const status = {
    local_url: `http://${m.bind}`,
    managed: true,
    pid: installed.json.pid,
    pool_dir: m.pools,
    problem: null,
    remote_url: null,
    setup: `${m.folder}/setup.json`,
    startup: true,
    state: "running",
  };
  assert.deepEqual(installed.json, status);
  assert.deepEqual(systemd.calls(), [
    "systemctl --user daemon-reload",
    `systemctl --user enable ${name}.service`,
    `systemctl --user start ${name}.service`,
    "loginctl enable-linger",
  ]);
  const setup = JSON.parse(Deno.readTextFileSync(`${m.folder}/setup.json`));
  const { account, ...rest } = setup;
  assert.equal(typeof account, "string");
  assert.deepEqual(rest, {
    pool_dir: m.pools,
    program: `${m.folder}/plasmite`,
    home: m.home,
    run: [`--bind=${m.bind}`, "--access=read-only"],
    scope: "user",
  });
  const unit = Deno.readTextFileSync(m.unit);
  const run = `--dir ${m.pools} serve --bind=${m.bind} --access=read-only`;
  assert.match(unit, new RegExp(`^ExecStart=${m.folder}/plasmite ${run}$`, "m"));
  // The copy is what runs.
  const running = Deno.readLinkSync(`/proc/${installed.json.pid}/exe`);
  assert.ok(running.startsWith(`${m.folder}/program-`), running);

  const listed = await m.run("serve", "status");
  assert.deepEqual(listed.json, [{
    local_url: status.local_url,
    pid: status.pid,
    pool_dir: m.pools,
    remote_url: null,
  }]);
  assert.deepEqual((await m.run("serve", "status", "--all")).json, [status]);

  const stopped = await m.run("serve", "stop");
  assert.equal(stopped.code, 0, stopped.err);
  assert.deepEqual([stopped.json.state, stopped.json.startup], ["stopped", true]);
  assert.deepEqual((await m.run("serve", "status")).json, []);
  const down = (await m.run("serve", "status", "--all")).json;
  assert.deepEqual(down, [{ ...status, local_url: null, pid: null, state: "stopped" }]);
  assert.equal((await m.run("serve", "start")).code, 0);
  assert.equal((await m.run("serve", "restart")).code, 0);
  assert.deepEqual(
    systemd.calls(),
    ["stop", "start", "restart"].map((verb) => `systemctl --user ${verb} ${name}.service`),
  );

  const logs = await m.run("serve", "logs", "--tail", "7");
  assert.equal(logs.out, '{"message":"two"}\n{"message":"three"}\n', logs.err);
  assert.deepEqual(systemd.calls(), [
    `journalctl --user --unit ${name}.service --output cat --no-pager --lines 7`,
  ]);

  // Followed until a signal, and then nothing is left that reads.
  const follower = new Deno.Command(`${m.program}/plasmite`, {
    args: ["--dir", m.pools, "serve", "logs", "--follow"],
    stdin: "null",
    stdout: "piped",
    env: { HOME: m.home, ...systemd.env },
  }).spawn();
  const followed = follower.stdout.getReader();
  let seen = "";
  const read = async (line: string): Promise<void> => {
    while (!seen.includes(line)) {
      const { value, done } = await followed.read();
      assert.ok(!done, seen);
      seen += text.decode(value);
    }
  };
  await read('{"message":"three"}\n');
  Deno.writeTextFileSync(`${systemd.dir}/lines`, "four\n", { append: true });
  await read('{"message":"four"}\n');
  follower.kill("SIGTERM");
  assert.equal((await follower.status).code, 0);
  await followed.cancel();
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const line = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
    assert.ok(!line.includes(`${systemd.dir}/lines`), line);
  }
  systemd.calls();

  const gone = await m.run("serve", "uninstall");
  assert.deepEqual(gone.json, { pool_dir: m.pools, uninstalled: true });
  assert.deepEqual(systemd.calls(), [
    `systemctl --user stop ${name}.service`,
    `systemctl --user disable ${name}.service`,
    "systemctl --user daemon-reload",
  ]);
  assert.throws(() => Deno.statSync(m.unit), Deno.errors.NotFound);
  assert.deepEqual([...Deno.readDirSync(m.folder)], []);
  assert.ok(Deno.statSync(m.pools).isDirectory);
  for (const verb of ["start", "stop", "restart", "logs", "uninstall"]) {
    assert.equal((await m.run("serve", verb)).code, 3, verb);
  }
  assert.deepEqual((await m.run("serve", "status", "--all")).json, []);
});

service("options are merged with the saved ones; two listeners are installed alike", async (m) => {
  const [remote, local] = [freePort(), freePort()];
  const first = await m.run("serve", "install", `https://localhost:${remote}`, "--bind", m.bind);
  assert.equal(first.code, 0, first.err);
  assert.equal(first.json.remote_url, `https://localhost:${remote}`);
  const second = await m.run(
    "serve",
    "install",
    "--bind",
    `127.0.0.1:${local}`,
    "--access=read-only",
  );
  assert.equal(second.code, 0, second.err);
  assert.equal(second.json.local_url, `http://127.0.0.1:${local}`);
  assert.notEqual(second.json.pid, first.json.pid);
  const setup = () => JSON.parse(Deno.readTextFileSync(`${m.folder}/setup.json`)).run;
  const bind = `--bind=127.0.0.1:${local}`;
  assert.deepEqual(setup(), [bind, "--access=read-only", `https://localhost:${remote}`]);
  assert.equal(
    [...Deno.readDirSync(m.folder)].filter((e) => e.name.startsWith("program-")).length,
    1,
  );
  const shared = ["--shared-address", `https://localhost:${remote}`];
  const bound = ["--remote-bind", `127.0.0.1:${remote}`];
  const third = await m.run("serve", "install", ...shared, ...bound);
  assert.equal(third.code, 0, third.err);
  assert.deepEqual(setup(), [
    bind,
    `--remote-bind=127.0.0.1:${remote}`,
    `--shared-address=https://localhost:${remote}`,
    "--access=read-only",
  ]);
});

// Lost: a token, to everybody who can list processes or read a unit.
service("secrets are refused, paths are made absolute, ports must be fixed and free", async (m) => {
  const token = "a-token-that-nobody-may-see";
  const nats = `m=nats://me:${token}@localhost/S`;
  const bad: [number, RegExp, string[]][] = [
    [2, /token cannot be saved/, ["--token", token, "--bind", m.bind]],
    [2, /password cannot be saved/, ["--mount", nats, "--bind", m.bind]],
    [2, /fixed port/, ["--bind", "127.0.0.1:0"]],
    [2, /loopback|non-loopback/, ["--bind", "0.0.0.0:9"]],
    [2, /conflict|cannot be used/, ["--user", "--system"]],
  ];
  for (const [code, message, args] of bad) {
    const refused = await m.run("serve", "install", ...args);
    assert.equal(refused.code, code, refused.err);
    assert.match(refused.err, message);
    assert.ok(!refused.err.includes(token));
  }
  using taken = Deno.listen({ hostname: "127.0.0.1", port: m.port });
  const busy = await m.run("serve", "install", "--bind", m.bind);
  assert.equal(busy.code, 8, busy.err);
  assert.match(busy.err, new RegExp(`cannot listen on ${m.bind}`));
  taken.close();
  assert.deepEqual(m.systemd.calls(), []);
  assert.throws(() => Deno.statSync(m.unit), Deno.errors.NotFound);

  await Deno.writeTextFile(`${m.home}/token`, token);
  const { code, stderr } = await new Deno.Command(`${m.program}/plasmite`, {
    args: ["--dir", "pools", "serve", "install", "--bind", m.bind, "--token-file", "token"],
    cwd: m.home,
    stdin: "null",
    env: { HOME: m.home, ...m.systemd.env },
  }).output();
  assert.equal(code, 0, text.decode(stderr));
  const unit = Deno.readTextFileSync(m.unit);
  assert.ok(unit.includes(`--token-file=${m.home}/token`), unit);
  assert.ok(unit.includes(`--dir ${m.pools} `), unit);
  const setup = Deno.readTextFileSync(`${m.folder}/setup.json`);
  for (const one of [unit, setup, Deno.readTextFileSync(`${m.systemd.dir}/calls`)]) {
    assert.ok(!one.includes(token));
  }
});

service("a directory that a server in a terminal serves is left alone", async (m) => {
  const serve = new Deno.Command(`${m.program}/plasmite`, {
    args: ["--dir", m.pools, "serve", "--bind", m.bind],
    stdin: "null",
    stderr: "piped",
    env: { HOME: m.home },
  }).spawn();
  try {
    const reader = serve.stderr.getReader();
    await reader.read();
    const other = freePort();
    const refused = await m.run("serve", "install", "--bind", `127.0.0.1:${other}`);
    assert.equal(refused.code, 5, refused.err);
    assert.match(refused.err, new RegExp(`process ${serve.pid}`));
    const [listed] = (await m.run("serve", "status", "--all")).json;
    assert.deepEqual(listed, {
      local_url: `http://${m.bind}`,
      managed: false,
      pid: serve.pid,
      pool_dir: m.pools,
      problem: null,
      remote_url: null,
      setup: null,
      startup: false,
      state: "running",
    });
    await reader.cancel();
  } finally {
    serve.kill("SIGTERM");
    await serve.status;
  }
});

// Lost: the server that worked, by an attempt to change it.
service("a change that fails leaves the former set-up, running", async (m) => {
  const first = await m.run("serve", "install", "--bind", m.bind);
  assert.equal(first.code, 0, first.err);
  const before = {
    unit: Deno.readTextFileSync(m.unit),
    setup: Deno.readTextFileSync(`${m.folder}/setup.json`),
    link: Deno.readLinkSync(`${m.folder}/plasmite`),
  };
  const same = async (): Promise<void> => {
    assert.equal(Deno.readTextFileSync(m.unit), before.unit);
    assert.equal(Deno.readTextFileSync(`${m.folder}/setup.json`), before.setup);
    assert.equal(Deno.readLinkSync(`${m.folder}/plasmite`), before.link);
    const names = [...Deno.readDirSync(m.folder)].map(({ name }) => name).sort();
    assert.deepEqual(names, ["plasmite", before.link.split("/")[0], "setup.json"]);
    for (let tries = 0;; tries++) {
      const [status] = (await m.run("serve", "status", "--all")).json;
      if (status.state === "running" && status.startup) break;
      assert.ok(tries < 100, JSON.stringify(status));
    }
    const answer = await fetch(`http://${m.bind}/healthz`);
    assert.equal(await answer.text(), '{"ok":true}');
  };
  const other = ["--bind", `127.0.0.1:${freePort()}`];

  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const port = (taken.addr as Deno.NetAddr).port;
  assert.equal((await m.run("serve", "install", "--bind", `127.0.0.1:${port}`)).code, 8);
  await same();

  m.systemd.fail("enable");
  const refused = await m.run("serve", "install", ...other);
  assert.equal(refused.code, 8, refused.out);
  assert.match(refused.err, /enable/);
  m.systemd.fail();
  await m.run("serve", "uninstall");
  assert.equal((await m.run("serve", "install", "--bind", m.bind)).code, 0);
  Object.assign(before, {
    link: Deno.readLinkSync(`${m.folder}/plasmite`),
  });

  // It starts, and at once it is gone.
  Deno.writeTextFileSync(`${m.systemd.dir}/failed`, "");
  const failed = await m.run("serve", "install", ...other);
  assert.equal(failed.code, 8, failed.out);
  assert.match(failed.err, /did not start/);
  Deno.removeSync(`${m.systemd.dir}/failed`);
  assert.equal(Deno.readTextFileSync(m.unit), before.unit);
  assert.equal((await m.run("serve", "start")).code, 0);
  await same();
});

// Lost: the advice, in a container or after `su`.
service("where the user's systemd does not run, the error says so", async (m) => {
  Deno.writeTextFileSync(`${m.systemd.dir}/away`, "");
  const failed = await m.run("serve", "install", "--bind", m.bind);
  assert.equal(failed.code, 8);
  assert.match(failed.err, /The user's systemd does not run\. .*serve uninstall/);
  Deno.removeSync(`${m.systemd.dir}/away`);
});

service("a first attempt that fails leaves nothing", async (m) => {
  m.systemd.fail("start");
  const failed = await m.run("serve", "install", "--bind", m.bind);
  assert.equal(failed.code, 8);
  m.systemd.fail();
  assert.throws(() => Deno.statSync(m.unit), Deno.errors.NotFound);
  assert.deepEqual([...Deno.readDirSync(m.folder)], []);
  assert.deepEqual((await m.run("serve", "status", "--all")).json, []);
});

service("damage and a systemd that does not answer are told in the list", async (m) => {
  assert.equal((await m.run("serve", "install", "--bind", m.bind)).code, 0);
  await m.run("serve", "stop");
  m.systemd.fail("show");
  const [silent] = (await m.run("serve", "status", "--all")).json;
  assert.deepEqual([silent.state, silent.problem], ["stopped", "systemd does not answer"]);
  m.systemd.fail();
  Deno.writeTextFileSync(`${m.folder}/setup.json`, "{");
  const [damaged] = (await m.run("serve", "status", "--all")).json;
  assert.match(damaged.problem, /damaged/);
  assert.equal((await m.run("serve", "start")).code, 7);
});

Deno.test({
  name: "service: run from its source it refuses, with a hint",
  ignore: !LINUX,
  fn: () =>
    inTemp(async (dir) => {
      const refused = await cli(["--dir", dir, "serve", "install"]);
      assert.equal(refused.code, 2);
      assert.match(refused.stderr, /deno task bundle/);
      for (const line of [["serve", "https://localhost:9743", "check"], ["serve", "check"]]) {
        const checked = await cli(["--dir", `${dir}/x`, ...line]);
        assert.equal(checked.code, 0, checked.stderr);
      }
    }),
});

const FACTS = {
  poolDir: '/home/pi/100% "mine" $HOME \\o/',
  program: "/bin/sh",
  run: ["--bind=127.0.0.1:9700", "--allow-host=a b", "https://pi.local:9743"],
  account: "root",
  home: "/root",
  log: "/var/log/plasmite serve.log",
  lowPort: false,
};

Deno.test({
  name: "systemd units: what install writes is taken by systemd, and sandboxed",
  ignore: !(await exists("systemd-analyze")),
  fn: () =>
    inTemp(async (dir) => {
      for (const scope of ["user", "system"] as const) {
        for (const lowPort of [false, true]) {
          const unit = unitText({ ...FACTS, scope, lowPort });
          assert.doesNotMatch(unit, /MemoryDenyWriteExecute/);
          assert.ok(unit.includes('"/home/pi/100%% \\"mine\\" $$HOME \\\\o/"'), unit);
          const file = `${dir}/${scope}-${lowPort}.service`;
          await Deno.writeTextFile(file, unit);
          const analyze = async (...args: string[]) => {
            const { code, stdout, stderr } = await new Deno.Command("systemd-analyze", {
              args: [...scope === "user" ? ["--user"] : [], ...args, file],
              env: { XDG_RUNTIME_DIR: dir, SYSTEMD_LOG_LEVEL: "warning" },
            }).output();
            return { code, out: text.decode(stdout) + text.decode(stderr) };
          };
          assert.deepEqual(await analyze("verify", "--man=no"), { code: 0, out: "" });
          const most = scope === "system" ? 39 : 70;
          const offline = ["security", "--no-pager", "--offline=yes", `--threshold=${most}`];
          const security = await analyze(...offline);
          assert.equal(security.code, 0, security.out.slice(-300));
        }
      }
      assert.throws(() => unitText({ ...FACTS, scope: "user", poolDir: "/a\nExecStart=/x" }));
    }),
});

// Lost: systemd would put a variable's value there, and start another program or none.
Deno.test("systemd units: a program with a dollar sign in its path is refused", () => {
  for (const scope of ["user", "system"] as const) {
    assert.throws(() => unitText({ ...FACTS, scope, program: "/home/$USER/plasmite" }), {
      kindName: "Usage",
      message: "the home directory has a dollar sign in its name",
    });
  }
});

/** Whether this is root, who may give a process a file system and a user of its own. */
async function mayBeAnother(): Promise<boolean> {
  if (!LINUX || Deno.uid() !== 0) return false;
  for (const program of ["unshare", "setpriv"]) if (!await exists(program)) return false;
  const { success } = await new Deno.Command("unshare", {
    args: ["--mount", "mount", "-t", "tmpfs", "none", "/mnt"],
    stderr: "null",
  }).output();
  return success;
}

// Lost: a server of the machine, or a program that becomes root for more than it says.
Deno.test({
  name: "system service: sudo is used for the unit alone, and the server runs as the user",
  ignore: !await mayBeAnother(),
  fn: onMachine(async (m) => {
    const { name, systemd } = m;
    const nobody = 65534;
    const refused = await m.run("serve", "install", "--system");
    assert.equal(refused.code, 2);
    assert.match(refused.err, /not installed by root/);

    // An /etc/systemd/system of its own, which the stand-in for sudo may write.
    for (const path of [m.home, systemd.dir]) {
      const { success } = await new Deno.Command("chown", { args: ["-R", `${nobody}`, path] })
        .output();
      assert.ok(success);
    }
    await Deno.chmod(`${m.home}/..`, 0o755);
    const line = (words: string) => `${m.program}/plasmite --dir ${m.pools} ${words}`;
    const script = [
      "mount -t tmpfs -o mode=777 none /etc/systemd/system",
      `exec setpriv --reuid ${nobody} --clear-groups sh -ec '`,
      line(`serve install --system --bind ${m.bind}`),
      `cp /etc/systemd/system/*.service ${systemd.dir}/unit`,
      `echo hello >> ${m.folder}/serve.log`,
      line("serve logs --tail 1"),
      line("serve restart"),
      line("serve uninstall"),
      "ls /etc/systemd/system | wc -l'",
    ].join("\n");
    const { code, stdout, stderr } = await new Deno.Command("unshare", {
      args: ["--mount", "sh", "-ec", script],
      stdin: "null",
      env: { HOME: m.home, ...systemd.env },
    }).output();
    assert.equal(code, 0, text.decode(stderr));
    const [installed = "", log, restarted = "", gone = "", left] = text.decode(stdout).split("\n");
    const status = JSON.parse(installed);
    assert.deepEqual([status.state, status.startup], ["running", true]);
    assert.equal(log, '{"message":"hello"}');
    assert.notEqual(JSON.parse(restarted).pid, status.pid);
    assert.equal(JSON.parse(gone).uninstalled, true);
    assert.equal(left?.trim(), "0");

    const unit = Deno.readTextFileSync(`${systemd.dir}/unit`);
    assert.match(unit, /^User=nobody$/m);
    assert.ok(unit.includes(`Environment="HOME=${m.home}"`));
    const etc = `/etc/systemd/system/${name}.service`;
    const told = systemd.calls();
    assert.deepEqual(told.filter((call) => call.startsWith("sudo -n") && call !== "sudo -n true"), [
      `sudo -n install -m 0644 ${m.folder}/unit.tmp ${etc}`,
      "sudo -n systemctl daemon-reload",
      `sudo -n systemctl enable ${name}.service`,
      `sudo -n systemctl start ${name}.service`,
      `sudo -n systemctl restart ${name}.service`,
      `sudo -n systemctl stop ${name}.service`,
      `sudo -n systemctl disable ${name}.service`,
      `sudo -n rm -f ${etc}`,
      "sudo -n systemctl daemon-reload",
    ]);
    assert.ok(!told.some((call) => call.startsWith("loginctl") || call.includes("--user")));
  }),
});
