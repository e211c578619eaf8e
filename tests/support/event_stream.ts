/**
 * An API that streams events over HTTP until it is stopped: `event_stream.ts PORT_FILE`. It wants
 * `Authorization: Bearer sk_test_…` and answers `GET /v1/events` with an event stream.
 *
 * @module
 */

const [portFile = "api-port"] = Deno.args;

function* events(): Generator<string> {
  yield ": welcome\n\n";
  for (let id = 1;; id++) {
    const type = id % 2 === 1 ? "payment_intent.created" : "payment_intent.succeeded";
    yield `id: ${id}\nevent: ${type}\ndata: {"id":"evt_${id}",\ndata: "type":"${type}"}\n\n`;
  }
}

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => Deno.writeTextFileSync(portFile, String(port)),
}, (request) => {
  if (new URL(request.url).pathname !== "/v1/events") return new Response("", { status: 404 });
  if (!request.headers.get("authorization")?.startsWith("Bearer sk_test_")) {
    return new Response('{"error":"unauthorized"}', { status: 401 });
  }
  const source = events();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      controller.enqueue(new TextEncoder().encode(source.next().value));
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
});
