/**
 * A server for the conformance suite: one pool, port 0, its address on standard output.
 *
 * @module
 */

import { Client } from "../../lib/client/client.ts";
import { createMcpFetch } from "../../mcp/http.ts";
import { createApp } from "../../server/app.ts";

const [dir = ""] = Deno.args;
const client = new Client({ poolDir: dir });
using pool = client.pool("demo");
pool.append({ hello: "conformance" }, ["demo"]);
const app = createApp(client, { mcp: () => createMcpFetch(client, { version: "0.0.0" }) });
const server = Deno.serve(
  // localhost, as the suite's DNS rebinding scenario wants it.
  {
    port: 0,
    hostname: "127.0.0.1",
    onListen: ({ port }) => {
      Deno.stdout.writeSync(new TextEncoder().encode(`http://localhost:${port}/mcp\n`));
    },
  },
  (request) => app.fetch(request),
);
await server.finished;
