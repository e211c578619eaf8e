import { Hubs } from "../../lib/backend/local/hub.ts";
import { LocalBackend } from "../../lib/backend/local.ts";
import { backendSuite } from "./suite.ts";

for (const serving of [false, true]) {
  backendSuite(serving ? "serving local" : "local", async () => {
    const dir = await Deno.makeTempDir();
    const backend = new LocalBackend(dir, serving ? { serving: new Hubs() } : {});
    return {
      backend,
      recreate: async (name) => {
        const other = new LocalBackend(dir);
        await other.remove(name);
        other.create(name);
      },
      end: () => Deno.remove(dir, { recursive: true }),
    };
  });
}
