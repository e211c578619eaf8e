/**
 * The yardstick for streams: a bare `Deno.serve` that sends each line of stdin to all who asked.
 * Prints its address.
 *
 * @module
 */

const streams = new Set<ReadableStreamDefaultController<Uint8Array>>();
const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, () => {
  let own: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      own = controller;
      streams.add(controller);
    },
    cancel() {
      if (own !== undefined) streams.delete(own);
    },
  });
  return new Response(body, { headers: { "content-type": "application/jsonl" } });
});
Deno.stdout.writeSync(new TextEncoder().encode(`http://127.0.0.1:${server.addr.port}\n`));
for await (const bytes of Deno.stdin.readable) {
  for (const stream of streams) stream.enqueue(bytes);
}
