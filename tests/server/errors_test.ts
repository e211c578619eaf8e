/**
 * Errors over HTTP: their facts arrive as they were, and their hints are for somebody who calls over
 * HTTP.
 *
 * @module
 */

import { bench } from "./server_util.ts";
import assert from "node:assert/strict";
import { HttpBackend } from "../../lib/backend/http.ts";
import { RemoteError } from "../../lib/backend/http/error.ts";
import { type ErrorContext, PlasmiteError } from "../../lib/errors.ts";
import { createApp } from "../../server/app.ts";
import { Client } from "../../mod.ts";

/** What our client makes of an error that a server answers with. */
async function overHttp(error: PlasmiteError): Promise<RemoteError> {
  const dir = await Deno.makeTempDir();
  const app = createApp(new Client(dir), {
    authenticator: {
      authenticate: () => {
        throw error;
      },
    },
  });
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request) => app.fetch(request),
  );
  const backend = new HttpBackend(`http://127.0.0.1:${server.addr.port}`);
  try {
    await backend.info("p");
  } catch (failure) {
    if (failure instanceof RemoteError) return failure;
    throw failure;
  } finally {
    backend.close();
    await server.shutdown();
    await app.shutdown();
    await Deno.remove(dir, { recursive: true });
  }
  throw new assert.AssertionError({ message: "nothing failed" });
}

// A caller that lost a race cannot go on when the number it lost to does not arrive, or is rounded.
Deno.test("errors over HTTP: facts arrive as they were: 64-bit numbers, texts, null", async () => {
  const details = {
    expected: 0n,
    actual: 18_446_744_073_709_551_615n,
    holder: 'ann "the/first"',
    cursor: null,
  };
  const error = await overHttp(new PlasmiteError("Conflict", "the pool has moved on", { details }));
  assert.equal(error.kindName, "Conflict");
  assert.equal(error.status, 409);
  assert.deepEqual(error.details, details);
  assert.equal(error.actual, details.actual);
  assert.equal(error.holder, details.holder);
  assert.deepEqual(error.with({ hint: "h", details: { more: 1n } }).details, {
    ...details,
    more: 1n,
  });
  assert.deepEqual(error.reworded({ message: "other words" }).details, details);
});

Deno.test("errors over HTTP: facts never take the place of the error's own members", async () => {
  const error = await overHttp(
    new PlasmiteError("Conflict", "moved on", {
      details: { kind: "Usage", message: "x", seq: 7n },
    }),
  );
  assert.equal(error.kindName, "Conflict");
  assert.equal(error.message, "moved on");
  assert.equal(error.seq, undefined);
  assert.deepEqual(error.details, { seq: 7n });
});

// A hint that names a flag of another program, or a file of another machine, sends people astray.
Deno.test("errors over HTTP: hints have no commands for callers and no paths", async () => {
  const hints: [
    ErrorContext & { kind: "Usage" | "Corrupt" | "Permission" | "Io" },
    RegExp | null,
  ][] = [
    [{ kind: "Usage", hint: "Use pool create --size." }, null],
    [
      { kind: "Corrupt", hint: "Run `plasmite doctor` to inspect the pool." },
      /operator of the server/,
    ],
    [{ kind: "Permission", hint: "Check /srv/pools." }, /operator of the server/],
    [{ kind: "Io", hint: "See /var/log." }, null],
    [{ kind: "Usage", hint: "Send less." }, /^Send less\.$/],
  ];
  for (const [{ kind, ...context }, wanted] of hints) {
    const { hint } = await overHttp(new PlasmiteError(kind, "failed", context));
    if (wanted === null) assert.equal(hint, undefined, String(context.hint));
    else assert.match(hint ?? "", wanted);
  }
});

Deno.test("errors over HTTP: the error for a large message names the limit", async () => {
  const { client, post, end } = await bench();
  client.createPool("small", 65_536).close();
  const { status, json } = await post("/v0/pools/small/append", {
    data: { text: "x".repeat(70_000) },
  });
  assert.equal(status, 400);
  assert.equal(json.error.message, "payload exceeds ring capacity");
  assert.ok(json.error.needed > 70_000 && json.error.capacity < 65_536);
  assert.match(json.error.hint, new RegExp(`holds ${json.error.capacity} at most.*size_bytes`));
  await end();
});

Deno.test("errors over HTTP: a busy pool gives a time to retry", async () => {
  const error = new PlasmiteError("Busy", "resource is busy");
  const { get, end } = await bench({
    authenticator: {
      authenticate: () => {
        throw error;
      },
    },
  });
  const { status, headers } = await get("/v0/pools");
  assert.equal(status, 423);
  assert.equal(headers.get("retry-after"), "1");
  await end();
});
