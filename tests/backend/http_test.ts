import assert from "node:assert/strict";
import { HttpBackend } from "../../lib/backend/http.ts";
import { FrameInput } from "../../lib/backend/http/frame_input.ts";
import { MutableFrame } from "../../lib/backend/frames.ts";
import { compileWhere } from "../../lib/filter/where.ts";
import { Client } from "../../mod.ts";
import { createApp } from "../../server/app.ts";
import { backendSuite, collect, type Place, put } from "./suite.ts";

/** A server on a directory of its own, and how many bytes of bodies it has sent. */
async function served(features?: string): Promise<Place & { sent(): number }> {
  const dir = await Deno.makeTempDir();
  // Nothing may depend on heartbeats.
  const app = createApp(new Client(dir), { heartbeatMs: 3_600_000 });
  let sent = 0;
  const answer = async (request: Request): Promise<Response> => {
    const response = await app.fetch(request);
    const headers = new Headers(response.headers);
    if (features !== undefined) headers.set("plasmite-features", features);
    const body = response.body?.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform(piece, controller) {
          sent += piece.length;
          controller.enqueue(piece);
        },
      }),
    );
    return new Response(body ?? null, { status: response.status, headers });
  };
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {}, onError: () => new Response() },
    answer,
  );
  const backend = new HttpBackend(`http://127.0.0.1:${server.addr.port}`);
  return {
    backend,
    sent: () => sent,
    recreate: async (name) => {
      await backend.remove(name);
      await backend.create(name);
    },
    end: async () => {
      backend.close();
      await app.shutdown();
      await server.shutdown();
      await Deno.remove(dir, { recursive: true });
    },
  };
}

backendSuite("http", () => served());
backendSuite(
  "http (a server that does not choose)",
  () => served("batch,since,where,no-follow,retention"),
);

Deno.test("http backend: a selection that finds little moves little", async () => {
  const place = await served();
  try {
    await place.backend.create("p", { sizeBytes: 16 << 20 });
    const pool = await place.backend.open("p", { write: true });
    const filler = "x".repeat(600);
    const data = Array.from({ length: 5000 }, (_, n) => ({ n, filler }));
    await put(pool, data, (i) => i % 500 === 0 ? ["rare"] : []);
    const moved = async (work: () => Promise<string[]>): Promise<[number, number]> => {
      const before = place.sent();
      return [(await work()).length, place.sent() - before];
    };
    const where = [await compileWhere(".data.n % 1000 == 0")];
    for (
      const [name, selection, count] of [
        ["the last of a tag", { tags: ["rare"], last: 5 }, 5],
        ["all of a tag", { tags: ["rare"] }, 10],
        ["a condition", { where }, 5],
        ["the last of a condition", { where, last: 2 }, 2],
      ] as const
    ) {
      const [found, bytes] = await moved(async () => await collect(await pool.select(selection)));
      assert.equal(found, count, name);
      assert(bytes < 16 * 1024, `${name} moved ${bytes} bytes of ${600 * 5000}`);
    }
    await pool.close();
  } finally {
    await place.end();
  }
});

// A server that never ends its error would have filled the memory of its client.
Deno.test("http: of an endless error no more than a megabyte is read", async () => {
  let bytes = 0;
  const answer = (): Promise<Response> =>
    Promise.resolve(
      new Response(
        new ReadableStream({
          pull(controller) {
            if (bytes > 8 * 1024 * 1024) return controller.close();
            bytes += 64 * 1024;
            controller.enqueue(new Uint8Array(64 * 1024).fill(0x20));
          },
        }),
        { status: 500 },
      ),
    );
  const backend = new HttpBackend("http://localhost", { fetch: answer });
  await assert.rejects(backend.list(), { status: 500 });
  assert.ok(bytes <= 2 * 1024 * 1024, `${bytes} bytes`);
  backend.close();
});

// The length of a frame is what the server says: memory would have been reserved for all of it.
Deno.test("http: a frame larger than any message ends the stream", () => {
  const head = new DataView(new ArrayBuffer(20));
  const next = (length: number, marks: boolean): string => {
    const input = new FrameInput();
    head.setUint32(16, length);
    input.add(new Uint8Array(head.buffer));
    return input.next(new MutableFrame(), marks);
  };
  assert.equal(next(256 * 1024 * 1024, false), "none");
  assert.equal(next(256 * 1024 * 1024 + 1, false), "oversize");
  assert.equal(next(0xffff_ffff, false), "oversize");
  assert.equal(next(0xffff_ffff, true), "mark");
});
