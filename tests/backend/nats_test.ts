import { NatsBackend } from "../../lib/backend/nats.ts";
import { NATS_VERSIONS, NatsServer, natsServer } from "../support/nats.ts";
import { backendSuite, type Place } from "./suite.ts";

for (const version of NATS_VERSIONS) {
  if (natsServer(version) === undefined) {
    Deno.test({ name: `nats ${version} backend: no server is installed`, ignore: true, fn() {} });
    continue;
  }
  backendSuite(`nats ${version}`, async (): Promise<Place> => {
    const server = await NatsServer.start(version);
    const backend = new NatsBackend(server.url);
    return {
      backend,
      neverFlushes: true,
      claimsOneKey: true,
      deadPool: "p_dead",
      idsByTime: true,
      noBatches: version.startsWith("2.9"),
      recreate: async (name) => {
        await backend.remove(name);
        await backend.create(name);
      },
      end: async () => {
        await backend.close();
        await server.end();
      },
    };
  });
}
