/**
 * `access invite`, `keys` and `revoke` (docs/spec/sharing.md 1.3, 1.7): the owner of a directory
 * hands out keys and takes them back, with and without a running server. A key that opens more than
 * it was meant to, or the keys of another directory, would be lost to somebody.
 *
 * @module
 */

import assert from "node:assert/strict";
import { keyIdOf, newSecret, parseAccessKey, verifierOf } from "../../lib/access/key.ts";
import { cli, errorOf, inTemp, type Outcome, spawnCli } from "./cli_util.ts";
import { sharing, soon } from "../server/shared_util.ts";

const STATE = ".plasmite-serve";

function run(dir: string, args: string[], stdin?: string): Promise<Outcome> {
  return cli(["--dir", dir, ...args], {
    env: { PLASMITE_ACCESS_HOME: `${dir}/saved` },
    ...(stdin === undefined ? {} : { stdin }),
  });
}

// deno-lint-ignore no-explicit-any -- documents of the program, looked at member by member
async function document(dir: string, args: string[], stdin?: string): Promise<any> {
  const outcome = await run(dir, args, stdin);
  assert.equal(outcome.code, 0, `${args.join(" ")}: ${outcome.stderr}`);
  return JSON.parse(outcome.stdout);
}

function idOf(accessKey: string): string {
  return keyIdOf(verifierOf(parseAccessKey(accessKey).secret));
}

/** The files of keys of a directory. */
function keyFiles(dir: string): string {
  return ["keys.json", "restricted-keys.json"].map((name) => {
    try {
      return Deno.readTextFileSync(`${dir}/${STATE}/${name}`);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    }
  }).join("\n");
}

/** Makes a directory that was shared once; nobody serves it now. */
async function sharedOnce(dir: string): Promise<void> {
  await using _server = await sharing({}, dir);
}

Deno.test("access: invite, connect, use, look, revoke; a follower ends with the key", () =>
  inTemp(async (dir) => {
    await using server = await sharing({}, dir);
    using _pool = server.client.createPool("p");
    const url = `https://localhost:${server.port}`;
    const invited = await document(dir, ["access", "invite", "  alex  "]);
    assert.deepEqual(Object.keys(invited), ["access_key", "name"]);
    assert.equal(invited.name, "alex");
    await document(dir, ["access", "connect", url], invited.access_key);
    await document(dir, ["feed", `${url}/p`, '{"n":1}']);
    const child = spawnCli(["follow", `${url}/p`, "--tail", "1", "--jsonl"], {
      env: { PLASMITE_ACCESS_HOME: `${dir}/saved`, NO_COLOR: "1" },
      stdout: "piped",
      stderr: "piped",
    });
    const reader = child.stdout.getReader();
    const { value } = await soon(reader.read());
    assert.match(new TextDecoder().decode(value), /"n":1/);
    const { keys } = await document(dir, ["access", "keys"]);
    const { id, created_at, last_used_at, ...rest } = keys[0];
    assert.deepEqual(rest, { name: "alex", revoked: false });
    assert.equal(id, idOf(invited.access_key));
    assert.ok(Number.isInteger(created_at) && Number.isInteger(last_used_at));
    for (let i = 0; i < 2; i++) {
      assert.deepEqual(await document(dir, ["access", "revoke", id]), { id, revoked: true });
    }
    const [status, error] = await soon(Promise.all([
      child.status,
      new Response(child.stderr).text(),
      reader.cancel(),
    ]));
    assert.equal(status.code, 6, error);
    assert.match(error, /revoked or has expired/);
    assert.equal((await run(dir, ["feed", `${url}/p`, "{}"])).code, 6);
    const after = await document(dir, ["access", "keys"]);
    assert.equal(after.keys[0].revoked, true);
  }));

Deno.test("access: a limited key says what it allows, and the commands keep to it", () =>
  inTemp(async (dir) => {
    await using server = await sharing({}, dir);
    for (const name of ["ci", "logs-a", "other"]) server.client.createPool(name).close();
    const url = `https://localhost:${server.port}`;
    const limits = ["--pools", "ci, logs-*", "--rights", "append", "--expires", "30d"];
    const { access_key, expires_at, ...rest } = await document(
      dir,
      ["access", "invite", "--name", "ci", ...limits],
    );
    assert.deepEqual(rest, { name: "ci", pools: ["ci", "logs-*"], rights: "append" });
    assert.ok(Math.abs(expires_at - Date.now() / 1000 - 30 * 86_400) < 600);
    await document(dir, ["access", "connect", url], access_key);
    assert.equal((await run(dir, ["feed", `${url}/logs-a`, "{}"])).code, 0);
    assert.equal((await run(dir, ["fetch", `${url}/logs-a`, "1"])).code, 6);
    assert.notEqual((await run(dir, ["feed", `${url}/other`, "{}"])).code, 0);
    const { keys } = await document(dir, ["access", "keys"]);
    assert.deepEqual([keys[0].pools, keys[0].rights, keys[0].expires_at], [
      rest.pools,
      "append",
      expires_at,
    ]);
    const text = await run(dir, ["access", "keys", "--format", "pretty"]);
    assert.match(text.stdout, /^NAME .* ID +\nci +valid +append +ci,logs-\* +20/);
    const shown = await run(dir, ["access", "invite", "x", "--format", "pretty"]);
    assert.match(shown.stdout, /\npk1\.[^]*access connect https:\/\/localhost:9743\n$/);
  }));

Deno.test("access: without a running server the files are changed, under the lock", () =>
  inTemp(async (dir) => {
    await sharedOnce(dir);
    const full = await document(dir, ["access", "invite", "a"]);
    const limited = await document(dir, ["access", "invite", "b", "--rights", "read"]);
    const gone = await document(dir, ["access", "invite", "c"]);
    await document(dir, ["access", "revoke", idOf(gone.access_key)]);
    const { keys } = await document(dir, ["access", "keys"]);
    assert.deepEqual(
      keys.map(({ name, revoked, rights }: Record<string, unknown>) => [name, revoked, rights])
        .sort(),
      [["a", false, undefined], ["b", false, "read"], ["c", true, undefined]],
    );
    const unknown = await run(dir, ["access", "revoke", "00"]);
    assert.deepEqual([unknown.code, errorOf(unknown)["message"]], [3, "access key not found"]);
    await using server = await sharing({}, dir);
    const url = `https://localhost:${server.port}`;
    for (const { access_key } of [full, limited]) {
      await document(dir, ["access", "connect", url], access_key);
    }
    assert.equal((await run(dir, ["access", "connect", url], gone.access_key)).code, 6);
  }));

Deno.test("access: a directory that was never shared is 8, and stays as it is", () =>
  inTemp(async (dir) => {
    for (const args of [["invite", "x"], ["keys"], ["revoke", "00"]]) {
      const outcome = await run(`${dir}/none`, ["access", ...args]);
      assert.equal(outcome.code, 8, outcome.stderr);
      assert.match(String(errorOf(outcome)["hint"]), /plasmite --dir \S+ serve https:/);
    }
    assert.deepEqual([...Deno.readDirSync(dir)], []);
  }));

Deno.test("access: what makes no sense is Usage before anything is made", () =>
  inTemp(async (dir) => {
    await using _server = await sharing({}, dir);
    const wrong = [
      [" "],
      ["a".repeat(129)],
      ["a\tb"],
      ["x", "--name", "y"],
      ["--rights", "read"],
      ["x", "--rights", "write"],
      ["x", "--pools", ""],
      ["x", "--pools", "a,,b"],
      ["x", "--expires", "0s"],
      ["x", "--expires", "tomorrow"],
    ];
    for (const args of wrong) {
      const outcome = await run(dir, ["access", "invite", ...args]);
      assert.equal(outcome.code, 2, `${args}: ${outcome.stderr}`);
      assert.equal(outcome.stdout, "");
    }
    assert.equal(keyFiles(dir).trim(), "");
  }));

/** Copies the state of a directory, as somebody who moves it does. */
function copyState(from: string, to: string): void {
  Deno.mkdirSync(`${to}/${STATE}`, { mode: 0o700, recursive: true });
  for (const { name } of Deno.readDirSync(`${from}/${STATE}`)) {
    Deno.copyFileSync(`${from}/${STATE}/${name}`, `${to}/${STATE}/${name}`);
    Deno.chmodSync(`${to}/${STATE}/${name}`, 0o600);
  }
}

// Lost: a key that was to open the copy opened the pools of the original.
Deno.test("access: a copied folder administers itself, never the server of the original", () =>
  inTemp(async (dir) => {
    const [original, copy] = [`${dir}/a`, `${dir}/b`];
    await using _server = await sharing({}, original);
    copyState(original, copy);
    const before = keyFiles(original);
    const { access_key } = await document(copy, ["access", "invite", "guest"]);
    assert.equal(keyFiles(original), before);
    assert.match(keyFiles(copy), /guest/);
    assert.equal((await document(copy, ["access", "keys"])).keys.length, 1);
    // Somebody serves the copy, but at the address of the copy's state another one answers.
    const lock = Deno.openSync(`${copy}/${STATE}/lock`, { read: true, write: true });
    assert.ok(lock.tryLockSync(true));
    for (const args of [["invite", "x"], ["revoke", idOf(access_key)]]) {
      const outcome = await run(copy, ["access", ...args]);
      assert.equal(outcome.code, 6, outcome.stderr);
      assert.match(String(errorOf(outcome)["message"]), /does not own the selected pool directory/);
    }
    lock.close();
    assert.equal(keyFiles(original), before);
  }));

Deno.test("access: a server that is not there yet is Busy", () =>
  inTemp(async (dir) => {
    await sharedOnce(dir);
    const lock = Deno.openSync(`${dir}/${STATE}/lock`, { read: true, write: true });
    assert.ok(lock.tryLockSync(true));
    const outcome = await run(dir, ["access", "invite", "x"]);
    assert.equal(outcome.code, 5, outcome.stderr);
    lock.close();
  }));

/** Something at the address of `local.json`, and what it was asked. */
async function inPlaceOfServer(
  dir: string,
  answer: (request: Request, path: string) => Response | Promise<Response>,
): Promise<AsyncDisposable & { readonly requests: string[]; readonly port: number }> {
  await sharedOnce(dir);
  const requests: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { pathname } = new URL(request.url);
    requests.push(`${request.method} ${pathname}`);
    return answer(request, pathname);
  });
  Deno.writeTextFileSync(
    `${dir}/${STATE}/local.json`,
    JSON.stringify(`127.0.0.1:${server.addr.port}`),
  );
  return { requests, port: server.addr.port, [Symbol.asyncDispose]: () => server.shutdown() };
}

Deno.test("access: a stranger at the address learns nothing, and the files are used", () =>
  inTemp(async (dir) => {
    const pool_dir_identity = [...new TextEncoder().encode(Deno.realPathSync(dir))];
    const answers: (() => Response)[] = [
      () => Response.json({ ready: true, pool_dir_identity, server_fingerprint: "00" }),
      () => new Response("<html>"),
      () => new Response("", { status: 404 }),
      () => Response.json({ ready: true, pool_dir_identity: [1], server_fingerprint: "00" }),
      () => Response.redirect("http://127.0.0.1:1/"),
      () => Response.json([]),
    ];
    let answer = answers[0];
    await using stranger = await inPlaceOfServer(dir, () => answer?.() ?? new Response());
    for (answer of answers) await document(dir, ["access", "invite", "x"]);
    assert.deepEqual(new Set(stranger.requests), new Set(["GET /v0/access/status"]));
    assert.equal((await document(dir, ["access", "keys"])).keys.length, answers.length);
    // What is no loopback address in digits is not even asked.
    const asked = stranger.requests.length;
    for (const host of ["192.0.2.1", "localhost", "127.0.0.1.example", "x@127.0.0.1"]) {
      const local = JSON.stringify(`${host}:${stranger.port}`);
      Deno.writeTextFileSync(`${dir}/${STATE}/local.json`, local);
      await document(dir, ["access", "keys"]);
    }
    assert.equal(stranger.requests.length, asked);
  }));

// Lost: everything, to a guest who was to read one pool until tomorrow.
Deno.test("access: a server that cannot limit keys gives none", () =>
  inTemp(async (dir) => {
    const secret = newSecret();
    const fingerprint = "0123456789abcdef".repeat(4);
    const bodies: Record<string, unknown>[] = [];
    const real = Deno.realPathSync(dir);
    let own = "";
    await using server = await inPlaceOfServer(dir, async (request, path) => {
      if (path === "/v0/access/status") {
        const pool_dir_identity = [...new TextEncoder().encode(real)];
        return Response.json({ ready: true, pool_dir_identity, server_fingerprint: own });
      }
      bodies.push(await request.json());
      return path === "/v0/access/invite"
        ? Response.json({ access_key: `pk1.${fingerprint}.${secret}` })
        : Response.json({ id: "x", revoked: true });
    });
    const { localServer } = await import("../../server/access/administration.ts");
    own = (await localServer(dir)).fingerprint ?? "";
    const outcome = await run(dir, ["access", "invite", "guest", "--rights", "read"]);
    assert.equal(outcome.code, 2, outcome.stderr);
    assert.ok(!`${outcome.stdout}${outcome.stderr}`.includes(secret), "the key was shown");
    assert.deepEqual(bodies[1], { id: keyIdOf(verifierOf(secret)), server_fingerprint: own });
    assert.equal(server.requests.at(-1), "POST /v0/access/revoke");
    // What 1.x is sent for a full key is what its own client sends.
    await document(dir, ["access", "invite", "friend"]);
    assert.deepEqual(bodies[2], { name: "friend", server_fingerprint: own });
  }));

Deno.test("access: two who invite at the same time both have a key", () =>
  inTemp(async (dir) => {
    await sharedOnce(dir);
    const names = ["a", "b", "c", "d"];
    await Promise.all(names.map((name) => document(dir, ["access", "invite", name])));
    const { keys } = await document(dir, ["access", "keys"]);
    assert.deepEqual(keys.map(({ name }: { name: string }) => name).sort(), names);
  }));
