/**
 * Saved connections (docs/spec/sharing.md 1.5): the file is the one of 1.x, byte for byte, and
 * nobody else can read or plant it.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { Connections, decodeConnection, encodeConnection } from "../../lib/access/connections.ts";
import { destinationOf } from "../../lib/access/destination.ts";
import { accessFolder } from "../../lib/access/folder.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { inTemp } from "../cli/cli_util.ts";

const KEY = { spki: "0123456789abcdef".repeat(4), secret: "fedcba9876543210".repeat(4) };
const PI = "https://pi.local:9743/";
/** Version, length of the address, the address; then the digest and the secret. */
const PI_HEX = "01" + "0016" + "68747470733a2f2f70692e6c6f63616c3a393734332f" + KEY.spki +
  KEY.secret;

function fails(kind: ErrorKind, work: () => Promise<unknown>): Promise<void> {
  return assert.rejects(work, (error) => {
    assert.ok(PlasmiteError.is(error, kind), String(error));
    assert.ok(!`${error.message} ${error.hint}`.includes(KEY.secret), "the secret in an error");
    return true;
  });
}

function mode(path: string): number {
  return (Deno.statSync(path).mode ?? 0) & 0o777;
}

const isPosix = Deno.build.os !== "windows";

Deno.test("connections.json: the bytes that 1.x writes and reads", () =>
  inTemp(async (dir) => {
    const folder = `${dir}/a/b`;
    const connections = new Connections(folder);
    assert.deepEqual(await connections.destinations(), []);
    assert.equal(await connections.find(PI), null);
    await connections.remove(PI);
    assert.throws(() => Deno.statSync(`${dir}/a`), Deno.errors.NotFound, "looking makes nothing");
    await connections.save(PI, KEY);
    assert.equal(
      Deno.readTextFileSync(`${folder}/connections.json`),
      `{"version":1,"connections":{"${PI}":"${PI_HEX}"}}`,
    );
    assert.deepEqual(await connections.find(PI), KEY);
    await connections.save("https://a.example/", KEY);
    await connections.save(PI, { ...KEY, secret: KEY.spki });
    assert.deepEqual(await connections.destinations(), ["https://a.example/", PI]);
    assert.equal((await connections.find(PI))?.secret, KEY.spki, "the newer key");
    await connections.remove(PI);
    await connections.remove(PI);
    assert.equal(await connections.find(PI), null);
    assert.deepEqual(await connections.destinations(), ["https://a.example/"]);
    assert.deepEqual(
      [...Deno.readDirSync(folder)].map(({ name }) => name).sort(),
      ["connections.json", "connections.lock"],
    );
  }));

Deno.test("connections.json: an entry is whole or refused", () => {
  assert.equal(encodeConnection(PI, KEY), PI_HEX);
  assert.deepEqual(decodeConnection(PI, PI_HEX), KEY);
  const long = `https://${"a".repeat(300)}/`;
  assert.deepEqual(decodeConnection(long, encodeConnection(long, KEY)), KEY);
  const damaged = [
    "",
    "zz",
    PI_HEX.slice(2),
    PI_HEX.slice(0, -2),
    PI_HEX.slice(0, -1),
    `${PI_HEX}00`,
    PI_HEX.replace(/^01/, "02"),
    PI_HEX.replace("0016", "0017"),
    PI_HEX.toUpperCase(),
    encodeConnection("https://other.example/", KEY),
    "01".repeat(64),
  ];
  for (const text of damaged) assert.equal(decodeConnection(PI, text), null, text);
});

Deno.test("connections.json: damage is Corrupt where it matters, and other entries stay", () =>
  inTemp(async (dir) => {
    const connections = new Connections(dir);
    const path = `${dir}/connections.json`;
    const write = (text: string): void => Deno.writeTextFileSync(path, text);
    write(`{"version":1,"connections":{"${PI}":"00","https://b.example/":"01"}}`);
    assert.deepEqual(await connections.destinations(), ["https://b.example/", PI]);
    await fails(ErrorKind.Corrupt, () => connections.find(PI));
    assert.equal(await connections.find("https://c.example/"), null);
    await connections.save(PI, KEY);
    assert.deepEqual(await connections.find(PI), KEY);
    assert.match(Deno.readTextFileSync(path), /"https:\/\/b\.example\/":"01"/);
    const junk = [
      "",
      "[]",
      "null",
      "{",
      '{"version":2,"connections":{}}',
      '{"connections":{}}',
      '{"version":1}',
      '{"version":1,"connections":[]}',
      '{"version":1,"connections":{"a":1}}',
      " ".repeat(2_000_000),
      `{"version":1,"connections":{}}${" ".repeat(1024 * 1024)}`,
    ];
    for (const text of junk) {
      write(text);
      await fails(ErrorKind.Corrupt, () => connections.destinations());
      await fails(ErrorKind.Corrupt, () => connections.find(PI));
      await fails(ErrorKind.Corrupt, () => connections.save(PI, KEY));
      assert.equal(Deno.readTextFileSync(path), text, "kept for a person to look at");
    }
  }));

Deno.test({
  name: "connections: modes that let others in are corrected by looking",
  ignore: !isPosix,
  fn: () =>
    inTemp(async (dir) => {
      const connections = new Connections(dir);
      await connections.save(PI, KEY);
      const files = ["connections.json", "connections.lock"].map((name) => `${dir}/${name}`);
      for (const loosen of [0o777, 0o755, 0o740]) {
        Deno.chmodSync(dir, loosen);
        for (const file of files) Deno.chmodSync(file, loosen & 0o666);
        assert.deepEqual(await connections.find(PI), KEY);
        assert.deepEqual([dir, ...files].map(mode), [0o700, 0o600, 0o600]);
      }
    }),
});

// Lost: /tmp, closed to everybody else by a command that only looked.
Deno.test({
  name: "connections: a folder that is not for keys stays as it is",
  ignore: !isPosix,
  fn: () =>
    inTemp(async (dir) => {
      Deno.chmodSync(dir, 0o755);
      const connections = new Connections(dir);
      assert.equal(await connections.find(PI), null);
      await connections.remove(PI);
      assert.equal(mode(dir), 0o755, "nothing is saved there");
      Deno.chmodSync(dir, 0o1777);
      await fails(ErrorKind.Permission, () => connections.save(PI, KEY));
      assert.deepEqual([mode(dir), [...Deno.readDirSync(dir)]], [0o777, []]);
    }),
});

// Whoever can plant a link or a folder of their own decides which server gets the messages.
Deno.test({
  name: "connections: links and other people's files are refused, and nothing behind them changes",
  ignore: !isPosix,
  fn: () =>
    inTemp(async (dir) => {
      const real = `${dir}/real`;
      await new Connections(real).save(PI, KEY);
      const before = Deno.readTextFileSync(`${real}/connections.json`);
      Deno.symlinkSync(real, `${dir}/link`);
      const linked = new Connections(`${dir}/link`);
      await fails(ErrorKind.Permission, () => linked.find(PI));
      await fails(ErrorKind.Permission, () => linked.save(PI, KEY));
      await fails(ErrorKind.Permission, () => linked.remove(PI));
      for (const name of ["connections.json", "connections.lock"]) {
        const folder = `${dir}/${name}.d`;
        Deno.mkdirSync(folder, { mode: 0o700 });
        if (name.endsWith("lock")) {
          Deno.copyFileSync(`${real}/connections.json`, `${folder}/connections.json`);
        }
        Deno.symlinkSync(`${real}/${name}`, `${folder}/${name}`);
        await fails(ErrorKind.Permission, () => new Connections(folder).find(PI));
        await fails(ErrorKind.Permission, () => new Connections(folder).save(PI, KEY));
      }
      const blocked = `${dir}/blocked`;
      Deno.mkdirSync(`${blocked}/connections.json`, { recursive: true });
      await fails(ErrorKind.Permission, () => new Connections(blocked).find(PI));
      assert.equal(Deno.readTextFileSync(`${real}/connections.json`), before);
      if (Deno.uid() !== 0) return;
      // Only the superuser can give files away.
      for (const path of [real, `${real}/connections.json`, `${real}/connections.lock`]) {
        Deno.chownSync(path, 12345, 12345);
        await fails(ErrorKind.Permission, () => new Connections(real).find(PI));
        Deno.chownSync(path, 0, 0);
      }
      assert.deepEqual(await new Connections(real).find(PI), KEY);
    }),
});

// Two terminals that connect at the same time: one of the keys was lost.
Deno.test("connections: everyone who saves at the same time is there afterwards", () =>
  inTemp(async (dir) => {
    const destinations = Array.from({ length: 30 }, (_, i) => `https://h${i + 10}.example/`);
    await Promise.all(destinations.map((one) => new Connections(dir).save(one, KEY)));
    assert.deepEqual(await new Connections(dir).destinations(), destinations);
  }));

Deno.test("connections: a lock of another program is waited for, shared by readers", () =>
  inTemp(async (dir) => {
    const connections = new Connections(dir);
    await connections.save(PI, KEY);
    const lock = Deno.openSync(`${dir}/connections.lock`, { read: true, write: true });
    assert.ok(lock.tryLockSync(false));
    assert.deepEqual(await connections.find(PI), KEY, "readers do not exclude each other");
    let saved = false;
    const saving = connections.save("https://b.example/", KEY).then(() => saved = true);
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.ok(!saved);
    lock.close();
    await saving;
    assert.equal((await connections.destinations()).length, 2);
  }));

// A container with the keys mounted read-only: every command failed.
Deno.test("connections: without a way to lock, the file can still be read", () =>
  inTemp(async (dir) => {
    const connections = new Connections(dir);
    await connections.save(PI, KEY);
    const { openSync } = Deno;
    Deno.openSync = (path, options) => {
      if (options?.create) throw new Deno.errors.PermissionDenied("read-only (os error 30)");
      return openSync(path, options);
    };
    try {
      assert.deepEqual(await connections.find(PI), KEY);
      await fails(ErrorKind.Permission, () => connections.save(PI, KEY));
    } finally {
      Deno.openSync = openSync;
    }
  }));

Deno.test("folder: where 1.x has it", () => {
  const of = (variables: Record<string, string>): string => accessFolder((name) => variables[name]);
  const config = { linux: ".config/plasmite", darwin: "Library/Application Support/Plasmite" };
  assert.equal(of({ PLASMITE_ACCESS_HOME: "/x", HOME: "/h" }), "/x");
  const os = Deno.build.os;
  if (os === "linux" || os === "darwin") assert.equal(of({ HOME: "/h" }), `/h/${config[os]}`);
  if (os === "linux") {
    assert.equal(of({ HOME: "/h", XDG_CONFIG_HOME: "/c" }), "/c/plasmite");
    assert.equal(of({ HOME: "/h", XDG_CONFIG_HOME: "c" }), "/h/.config/plasmite");
    assert.equal(of({ HOME: "/h", XDG_CONFIG_HOME: "" }), "/h/.config/plasmite");
  }
  for (const variables of [{ PLASMITE_ACCESS_HOME: "", HOME: "/h" }, {}, { HOME: "" }]) {
    assert.throws(
      () => of(variables as Record<string, string>),
      (error) => PlasmiteError.is(error, ErrorKind.Usage),
    );
  }
});

Deno.test("address: as a URL parser prints it; anything more than a server is Usage", () => {
  const good: [string, string][] = [
    ["https://pi.local:9743", PI],
    ["HTTPS://PI.local:9743/", PI],
    ["pi.local:9743", PI],
    ["https://pi.local:443", "https://pi.local/"],
    ["pi.local", "https://pi.local/"],
    ["[::1]:9743", "https://[::1]:9743/"],
    ["192.0.2.1:9743", "https://192.0.2.1:9743/"],
  ];
  for (const [typed, destination] of good) assert.equal(destinationOf(typed), destination);
  const bad = [
    "",
    "http://pi.local",
    "ftp://pi.local",
    "https://",
    "https://user@pi.local",
    "https://:pw@pi.local",
    "https://pi.local/pool",
    "https://pi.local/?",
    "https://pi.local/#",
    "https://pi.local/?a=1",
    "https://pi.local:99999",
    "a b",
  ];
  for (const text of bad) {
    assert.throws(
      () => destinationOf(text),
      (error) => PlasmiteError.is(error, ErrorKind.Usage),
      text,
    );
  }
});
