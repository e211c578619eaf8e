import "../support/environment.ts";
import assert from "node:assert/strict";
import { parseCredentials } from "../../lib/backend/nats/access.ts";
import { checkStreamName, natsAddress, poolRef } from "../../lib/backend/nats/ref.ts";
import { idHeader, keySubject, tagsHeader } from "../../lib/backend/nats/wire.ts";
import { NatsBackend } from "../../lib/backend/nats.ts";
import { PlasmiteError } from "../../lib/errors.ts";

function refused(work: () => unknown): PlasmiteError {
  try {
    work();
  } catch (error) {
    assert(PlasmiteError.is(error));
    assert.equal(error.kindName, "Usage");
    return error;
  }
  throw new assert.AssertionError({ message: "it was accepted" });
}

Deno.test("nats: references name servers and one stream", () => {
  const one = poolRef("nats://localhost/ORDERS");
  assert.equal(one.name, "ORDERS");
  assert.equal(one.path, "nats://localhost:4222/ORDERS");
  assert.equal(one.isRemote, true);
  assert.equal(poolRef("nats://h/gr%C3%B6%C3%9Fe").name, "größe");
  assert.deepEqual(natsAddress("nats+tls://a:1,b,[::1]:3/"), {
    place: "nats+tls://a:1,b:4222,[::1]:3",
    servers: [{ host: "a", port: 1 }, { host: "b", port: 4222 }, { host: "::1", port: 3 }],
    tls: true,
  });
});

Deno.test("nats: what is no reference is refused before anything is sent", () => {
  for (
    const ref of [
      "nats://h",
      "nats://h/",
      "nats://h/a/b",
      "nats://h/S?x=1",
      "nats://h/S#x",
      "nats:///S",
      "nats://h,/S",
      "nats://h:0/S",
      "nats://h:70000/S",
      "nats://h:x/S",
      "nats://h/%ff",
      "nats://[::1/S",
    ]
  ) refused(() => poolRef(ref));
  refused(() => natsAddress("nats://h/S"));
});

// A password in a reference is in the list of processes, in the shell's history and in logs.
Deno.test("nats: credentials in a reference are refused and never repeated", () => {
  for (
    const ref of [
      "nats://user:s3cret@h/S",
      "nats://s3cret@h:1/S",
      "nats+tls://user:s3/cret@h/S",
      "nats://user:s3cret@h",
      "nats://a,user:s3cret@h/S",
    ]
  ) {
    for (const parse of [poolRef, natsAddress]) {
      const error = refused(() => parse(ref));
      assert.match(error.message, /credentials do not belong into a pool reference/);
      assert.doesNotMatch(`${error.message} ${error.hint} ${error.stack}`, /s3|cret/);
    }
  }
});

// Servers answer requests about some of these names never.
Deno.test("nats: stream names that no server takes are refused here", () => {
  for (const name of ["", "a b", "a*", "a>", "a/b", "a\\b", "a\tb", "a\u0001", "x".repeat(256)]) {
    refused(() => checkStreamName(name));
  }
  assert.match(refused(() => checkStreamName("a.b")).hint ?? "", /a_b/);
  for (const name of ["a", "größe", "a-b_c", "x".repeat(255)]) {
    assert.equal(checkStreamName(name), name);
  }
});

Deno.test("nats: credentials are told apart by what they are", () => {
  assert.deepEqual(parseCredentials("me:a:b \n"), {
    kind: "password",
    user: "me",
    password: "a:b ",
  });
  const seed = `SU${"A".repeat(56)}`;
  assert.deepEqual(parseCredentials(`${seed}\n`), { kind: "seed", text: seed });
  assert.equal(parseCredentials("-----BEGIN NATS USER JWT-----\nx").kind, "creds");
  const error = refused(() => parseCredentials("nothing of the kind", "/f"));
  assert.match(error.hint ?? "", /creds file.*seed.*user:password/s);
  assert.doesNotMatch(error.message + error.hint, /nothing/);
});

// Anybody on the way could read it; nothing is dialled.
Deno.test("nats: a password or token in clear text goes to this machine only", () => {
  const secrets = [{ creds: "u:p" }, { token: "t" }];
  for (const address of ["nats://example.com", "nats://127.0.0.1,10.0.0.1"]) {
    for (const options of secrets) {
      const error = refused(() => new NatsBackend(address, options));
      assert.match(error.message, /requires nats\+tls:\/\/ or a loopback address/);
    }
  }
  for (const address of ["nats://127.0.0.1", "nats://[::1]:5", "nats+tls://example.com"]) {
    for (const options of secrets) new NatsBackend(address, options);
  }
  new NatsBackend("nats://example.com", { creds: `SU${"A".repeat(56)}` });
});

Deno.test("nats: a client certificate and its key go together", () => {
  refused(() => new NatsBackend("nats+tls://h", { tls: { certFile: "/c" } }));
  refused(() => new NatsBackend("nats://h", { tls: { keyFile: "/k" } }));
  refused(() => new NatsBackend("nats://h", { domain: "a.b" }));
});

Deno.test("nats: ids, keys and tags pass headers and subjects unchanged", () => {
  assert.equal(idHeader("a-1"), "a-1");
  assert.equal(idHeader(" a"), "b64:IGE");
  assert.notEqual(idHeader("b64:IGE"), idHeader(" a"));
  assert.equal(keySubject("P", "a.b*>"), "plasmite.P.k.YS5iKj4");
  for (const tags of [[" a"], [""], ["größe\n"], ["a\r\nb", "😀"]]) {
    const header = tagsHeader(tags);
    assert.match(header, /^[\x20-\x7e]+$/);
    assert.deepEqual(JSON.parse(header), tags);
  }
});
