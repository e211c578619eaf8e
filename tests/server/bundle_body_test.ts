/**
 * The body of a request for a bundle, which is checked without its schema.
 *
 * @module
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { MOST_STREAMS } from "../../server/bundle.ts";
import { BUNDLE_FIELDS, bundleChange } from "../../server/bundle_body.ts";
import { checked } from "../../server/fields.ts";
import { BundleBody } from "../../server/schemas.ts";
import { Client } from "../../mod.ts";
import { untilFile } from "../support/patience.ts";
import { withDir } from "../support/processes.ts";
import { asking, BundleReader } from "./bundle_util.ts";
import { read } from "./server_util.ts";

const CLI = fileURLToPath(new URL("../../cli.ts", import.meta.url));

/** What a check makes of fields: its result, or the field that it names. */
function outcome(check: () => { readonly open?: unknown; readonly close?: unknown }): unknown {
  try {
    const { open = [], close = [] } = check();
    return { open, close };
  } catch (error) {
    return error instanceof Error ? error.message : error;
  }
}

const JUNK = fc.constantFrom<unknown>(null, 1n, 1.5, "", "x", true, [], {}, [[]], ["x"]);
const KEYS = fc.oneof(fc.string({ minLength: 1, maxLength: 64 }), fc.constant("k".repeat(65)));
const STREAMS = fc.record({
  key: fc.oneof({ weight: 5, arbitrary: KEYS }, JUNK),
  pool: fc.oneof({ weight: 5, arbitrary: fc.string() }, JUNK),
  query: fc.oneof({ weight: 5, arbitrary: fc.string() }, JUNK),
  more: JUNK,
}, { requiredKeys: [] });
const BODIES = fc.record({
  open: fc.oneof(
    { weight: 5, arbitrary: fc.array(fc.oneof({ weight: 5, arbitrary: STREAMS }, JUNK)) },
    JUNK,
  ),
  close: fc.oneof(
    { weight: 5, arbitrary: fc.array(fc.oneof({ weight: 5, arbitrary: fc.string() }, JUNK)) },
    JUNK,
  ),
}, { requiredKeys: [] });

// Lost: a stream that a client asks for as the document says, or the name of what is wrong in it.
Deno.test("bundle: a body is accepted and refused as its schema says", () => {
  assert.deepEqual(Object.keys(BundleBody.shape), [...BUNDLE_FIELDS]);
  const compare = (body: Record<string, unknown>): void =>
    assert.deepEqual(
      outcome(() => bundleChange(body)),
      outcome(() => checked(BundleBody, body)),
    );
  const stream = { key: "k", pool: "p" };
  for (const count of [MOST_STREAMS, MOST_STREAMS + 1]) {
    compare({ open: Array.from({ length: count }, () => stream) });
    compare({ close: Array.from({ length: count }, () => "k") });
  }
  fc.assert(fc.property(BODIES, compare), { numRuns: 1000 });
});

// Lost: the time in which the library of schemas is loaded, to whoever opens the first page.
Deno.test("bundle: what a page asks for first needs no library of schemas", async () => {
  await withDir(async (dir) => {
    {
      using client = new Client(dir);
      using pool = client.createPool("p");
      pool.append({ n: 1 });
    }
    const ready = `${dir}/ready`, audit = `${dir}/audit.jsonl`;
    const server = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", CLI, "--dir", dir, "serve", "--bind", "127.0.0.1:0"],
      env: { PLASMITE_SERVE_READY_FILE: ready, DENO_AUDIT_PERMISSIONS: audit, HOME: dir },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    try {
      await untilFile(ready);
      const url = `http://${(await Deno.readTextFile(ready)).trim()}`;
      const page = await (await fetch(`${url}/ui/pools/p`)).text();
      for (const [, file] of page.matchAll(/(?:href|src)="([^"]+)"/g)) {
        await (await fetch(url + file)).body?.cancel();
      }
      for (const path of ["info", "events?no_follow=1&since_seq=1"]) {
        assert.equal((await read(fetch(`${url}/v0/ui/pools/p/${path}`))).status, 200);
      }
      const bundle = new BundleReader(
        await fetch(`${url}/v0/ui/streams`, asking([{ key: "1", pool: "p" }])),
      );
      await bundle.untilText("1", '"seq":1');
      await bundle.leave();
      const loaded = await Deno.readTextFile(audit);
      assert.match(loaded, /server\/bundle\.ts/, "audited");
      assert.doesNotMatch(loaded, /server\/schemas\.ts|\bzod\b/);
    } finally {
      server.kill("SIGTERM");
      await server.status;
    }
  });
});
