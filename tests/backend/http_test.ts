import { HttpBackend } from "../../lib/backend/http.ts";
import { Client } from "../../mod.ts";
import { createApp } from "../../server/app.ts";
import { backendSuite } from "./suite.ts";

backendSuite("http", async () => {
  const dir = await Deno.makeTempDir();
  const client = new Client(dir);
  const app = createApp(client);
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request) => app.fetch(request),
  );
  const backend = new HttpBackend(`http://127.0.0.1:${server.addr.port}`);
  return {
    backend,
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
});
