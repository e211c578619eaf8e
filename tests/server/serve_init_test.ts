/**
 * `serve init --force`: all new files or all old ones, whatever goes wrong in between.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { machineNames, makeIssuedCertificate } from "../../server/certificate.ts";
import { initCommands, initText } from "../../server/init_report.ts";
import { writeSet } from "../../server/write_set.ts";
import { cli, errorOf, exists, inTemp } from "../cli/cli_util.ts";
import { inCheckout } from "../support/paths.ts";
import { withBreakage } from "../support/failing_calls.ts";

const NAMES = [
  "plasmite-access-key.txt",
  "plasmite-auth-token.txt",
  "plasmite-tls-cert.pem",
  "plasmite-tls-key.pem",
];

/** What is in a directory: a file's text by its name. */
function contents(dir: string): Map<string, string> {
  const names = [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
  return new Map(names.map((name) => [name, Deno.readTextFileSync(`${dir}/${name}`)]));
}

/** Whether the files belong to one another: the access key carries the token. */
function fits(files: ReadonlyMap<string, string>): boolean {
  const token = files.get("plasmite-auth-token.txt")?.trim() ?? "?";
  return files.get("plasmite-access-key.txt")?.trim().endsWith(token) === true;
}

/** Writes a set, its texts marked; returns what ended it. */
function write(dir: string, mark: string): unknown {
  try {
    writeSet([
      { path: `${dir}/a`, text: `a ${mark}`, mode: 0o600 },
      { path: `${dir}/b`, text: `b ${mark}`, mode: 0o644 },
      { path: `${dir}/new/c`, text: `c ${mark}`, mode: 0o600 },
    ], true);
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Everything below a directory. */
function tree(dir: string): Map<string, string> {
  const all = new Map<string, string>();
  const walk = (at: string): void => {
    for (const { name, isDirectory } of Deno.readDirSync(dir + at)) {
      if (isDirectory) {
        all.set(`${at}/${name}/`, "");
        walk(`${at}/${name}`);
      } else {
        const { mode } = Deno.statSync(`${dir}${at}/${name}`);
        const text = Deno.readTextFileSync(`${dir}${at}/${name}`);
        all.set(`${at}/${name}`, `${text} ${((mode ?? 0) & 0o777).toString(8)}`);
      }
    }
  };
  walk("");
  return all;
}

// A certificate of today with the key of yesterday: the server did not start any more, and the token of
// every client was gone.
for (const links of [true, false]) {
  for (const before of ["nothing", "all", "one of them"]) {
    const name = `a set of files is written whole or not at all: ${before} there before, ` +
      `${links ? "with" : "without"} hard links`;
    Deno.test(name, () =>
      inTemp((dir) => {
        Deno.chmodSync(dir, 0o700);
        if (before === "all") assert.equal(write(dir, "old"), undefined);
        if (before === "one of them") Deno.writeTextFileSync(`${dir}/b`, "mine", { mode: 0o640 });
        let old = tree(dir);
        const seen = new Set<string>();
        for (let call = 1;; call++) {
          assert.ok(call < 200, "it never went through");
          let outcome: unknown;
          const failed = withBreakage({ call, links }, () => outcome = write(dir, `${call}`));
          const now = tree(dir);
          if (failed === "removeSync") {
            // What cannot be removed stays, under a name that nobody looks for.
            for (const [path] of now) if (path.includes("/.plasmite-")) Deno.removeSync(dir + path);
          } else if (outcome !== undefined) {
            assert.deepEqual(now, old, `call ${call}, ${failed}`);
            assert(PlasmiteError.is(outcome, ErrorKind.Io), String(outcome));
            assert.match(outcome.path ?? "", /\/(?:a|b|new\/c)$/);
          }
          if (outcome === undefined) {
            const made = new Map([["/a", `a ${call} 600`], ["/b", `b ${call} 644`]]);
            made.set("/new/", "").set("/new/c", `c ${call} 600`);
            assert.deepEqual(new Map([...tree(dir)].sort()), new Map([...made].sort()));
            old = tree(dir);
          } else {
            for (const [path, text] of old) assert.equal(tree(dir).get(path), text, path);
          }
          if (failed === undefined) break;
          seen.add(failed);
        }
        const calls = [
          "openSync",
          "writeSync",
          "syncSync",
          "chmodSync",
          "linkSync",
          "truncateSync",
        ];
        if (links ? before !== "nothing" : true) calls.push("renameSync");
        for (const one of calls) assert.ok(seen.has(one), `${one} was never made to fail`);
        return Promise.resolve();
      }));
  }
}

Deno.test("a set of files on a disk that breaks for good: what was there can be found again", () =>
  inTemp((dir) => {
    assert.equal(write(dir, "old"), undefined);
    for (let call = 1;; call++) {
      let outcome: unknown;
      const failed = withBreakage(
        { call, lasting: true },
        () => outcome = write(dir, "new"),
      );
      if (failed === undefined) break;
      const now = [...tree(dir).values()];
      for (const name of ["a", "b", "c"]) {
        assert.ok(
          now.some((text) => text.startsWith(`${name} old`)) || outcome === undefined,
          `call ${call}: ${name}`,
        );
      }
      if (outcome === undefined) break;
      assert.equal(write(dir, "old"), undefined);
    }
    return Promise.resolve();
  }));

// Two administrators, or one with two windows: the token of the one and the key of the other.
Deno.test("a set of files waits for another one that is being written in its directory", () =>
  inTemp(async (dir) => {
    const script = inCheckout("tests/support/write_set.ts");
    const holder = Deno.openSync(dir);
    holder.lockSync(true);
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", script, dir],
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    await reader.read(); // It is about to begin.
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.deepEqual([...Deno.readDirSync(dir)], []);
    holder.close();
    assert.equal((await child.status).code, 0);
    assert.equal(Deno.readTextFileSync(`${dir}/a`), "a");
    await reader.cancel();
  }));

Deno.test("serve init does not touch what is no file, nor what another process made", () =>
  inTemp(async (dir) => {
    assert.equal((await cli(["serve", "init", "--output-dir", dir])).code, 0);
    const old = contents(dir);
    const again = await cli(["serve", "init", "--output-dir", dir]);
    assert.equal(again.code, ErrorKind.AlreadyExists);
    assert.match(String(errorOf(again)["hint"]), /--force/);
    for (const name of NAMES) {
      const path = `${dir}/${name}`;
      Deno.removeSync(path);
      Deno.mkdirSync(path);
      const run = await cli(["serve", "init", "--output-dir", dir, "--force"]);
      assert.equal(run.code, ErrorKind.Io, run.stderr);
      assert.equal(errorOf(run)["path"], path);
      assert.ok(Deno.statSync(path).isDirectory);
      Deno.removeSync(path);
      Deno.writeTextFileSync(path, old.get(name) ?? "");
      assert.deepEqual(contents(dir), old);
    }
    for (const place of [`${dir}/${NAMES[0]}`, `${dir}/${NAMES[0]}/below`]) {
      const run = await cli(["serve", "init", "--output-dir", place]);
      assert.equal(run.code, ErrorKind.Io, run.stderr);
      assert.equal(errorOf(run)["message"], "failed to write serve init artifact");
    }
    assert.deepEqual(contents(dir), old);
    // Several at once: one set, and the others are told.
    await inTemp(async (other) => {
      const args = ["serve", "init", "--output-dir", `${other}/new`];
      const runs = await Promise.all([1, 2, 3, 4].map(() => cli(args)));
      assert.deepEqual(runs.map(({ code }) => code).sort(), [0, 4, 4, 4]);
      assert.ok(fits(contents(`${other}/new`)));
      assert.deepEqual([...contents(`${other}/new`).keys()], NAMES);
      const forced = await Promise.all([1, 2, 3, 4].map(() => cli([...args, "--force"])));
      assert.deepEqual(forced.map(({ code }) => code), [0, 0, 0, 0]);
      assert.ok(fits(contents(`${other}/new`)));
    });
  }));

Deno.test("serve init takes file names of any legal length", () =>
  inTemp(async (dir) => {
    const token = "t".repeat(255);
    for (const more of [[], ["--force"]]) {
      const args = ["serve", "init", "--output-dir", dir, "--token-file", token, ...more];
      const run = await cli(args);
      assert.equal(run.code, 0, run.stderr);
    }
    assert.match(Deno.readTextFileSync(`${dir}/${token}`), /^[0-9a-f]{64}\n$/);
  }));

/** The certificates of a PEM file, in order. */
function certificatesOf(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

// Lost: programs that believe only authorities, such as Claude Code, could not reach the server.
Deno.test("serve init: the certificate is signed by an authority that can sign nothing else", () =>
  inTemp(async (dir) => {
    const { cert: pem, key } = await makeIssuedCertificate("127.0.0.1");
    const [leaf, authority, ...more] = certificatesOf(pem);
    assert.ok(leaf !== undefined && authority !== undefined);
    assert.deepEqual(more, []);
    assert.equal(leaf.ca, false);
    assert.equal(authority.ca, true);
    assert.ok(leaf.checkIssued(authority) && leaf.verify(authority.publicKey));
    assert.ok(authority.verify(authority.publicKey));
    assert.ok(leaf.checkPrivateKey(createPrivateKey(key)));
    // The key of the authority is nowhere.
    assert.equal(key.match(/PRIVATE KEY-----/g)?.length, 2);
    assert.ok(!authority.checkPrivateKey(createPrivateKey(key)));
    assert.equal(authority.subjectAltName, undefined);
    const server = Deno.serve({
      hostname: "127.0.0.1",
      port: 0,
      cert: pem,
      key,
      onListen: () => {},
    }, () => new Response("hello"));
    await Deno.writeTextFile(`${dir}/cert.pem`, pem);
    // The whole file is what clients are given, whatever they are written in.
    const trusting = Deno.createHttpClient({ caCerts: [pem] });
    const url = `https://127.0.0.1:${server.addr.port}/`;
    assert.equal(await (await fetch(url, { client: trusting })).text(), "hello");
    trusting.close();
    for (
      const [program, ...args] of [
        ["curl", "-sS", "--cacert", `${dir}/cert.pem`, url],
        [
          "node",
          "-e",
          `fetch("${url}").then((r) => r.text()).then((t) => process.stdout.write(t))`,
        ],
        [
          "python3",
          "-c",
          "import ssl, sys, urllib.request as u; " +
          "print(u.urlopen(sys.argv[1], context=ssl.create_default_context(cafile=sys.argv[2])).read().decode(), end='')",
          url,
          `${dir}/cert.pem`,
        ],
      ]
    ) {
      if (program === undefined || !await exists(program)) continue;
      const { stdout, stderr } = await new Deno.Command(program, {
        args,
        env: { NODE_EXTRA_CA_CERTS: `${dir}/cert.pem` },
      }).output();
      const decoder = new TextDecoder();
      assert.equal(decoder.decode(stdout), "hello", `${program}: ${decoder.decode(stderr)}`);
    }
    await server.shutdown();
  }));

// The commands are copied to another machine: the name of this machine for itself helps nobody there.
Deno.test("serve init: the commands name a host that the other side can reach", () => {
  const report = (bind: string): { people: string; programs: string } => {
    const paths = { token_file: "/t", tls_cert: "/c", tls_key: "/k", access_key: "/a" };
    const result = { paths, fingerprint: "SHA256:x", bind, port: 9700, replaced: false };
    const { client, curl } = initCommands(result);
    return { people: initText(result), programs: [...client, ...curl].join("\n") };
  };
  const hosts = (text: string): string[] => [
    ...new Set([...text.matchAll(/https:\/\/(.+?):9700/g)].map(([, host = ""]) => host)),
  ];
  const own = machineNames().addresses.find((one) => !one.includes(":")) ?? "YOUR-HOST";
  const cases: [bind: string, people: string, programs: string][] = [
    ["192.0.2.7", "192.0.2.7", "192.0.2.7"],
    ["[2001:DB8::1]", "[2001:db8::1]", "[2001:db8::1]"],
    ["0.0.0.0", own, "127.0.0.1"],
    ["[::]", own, "[::1]"],
    ["127.0.0.1", own, "127.0.0.1"],
    ["127.5.5.5", own, "127.5.5.5"],
    ["localhost", own, "127.0.0.1"],
    ["[::1]", own, "[::1]"],
    ["[0:0:0:0:0:0:0:1]", own, "[::1]"],
  ];
  for (const [bind, people, programs] of cases) {
    const told = report(`${bind}:9700`);
    assert.deepEqual([hosts(told.people), hosts(told.programs)], [[people], [programs]], bind);
    assert.ok(told.people.includes(`--bind ${bind}:9700`), bind);
  }
});

// Lost: other machines refused the certificate of a server that ran with the permissions of
// deno.json, which name what it may ask.
Deno.test("serve init: the names of this machine are found with just the permissions for that", () =>
  inTemp(async (dir) => {
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-prompt", "--allow-read", "--allow-write", "--allow-env"]
        .concat("--allow-sys=hostname,networkInterfaces", inCheckout("cli.ts"))
        .concat("serve", "init", "--output-dir", dir),
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    const [leaf] = certificatesOf(Deno.readTextFileSync(`${dir}/plasmite-tls-cert.pem`));
    const { names, addresses } = machineNames();
    for (const name of names) assert.ok(leaf?.checkHost(name), name);
    for (const address of addresses) assert.ok(leaf?.checkIP(address), address);
  }));
