import { LocalBackend } from "../../lib/backend/local.ts";
import { disk } from "../../lib/storage/file.ts";
import { backendSuite } from "./suite.ts";

backendSuite("local", async () => {
  const dir = await Deno.makeTempDir();
  const backend = new LocalBackend(dir, disk);
  return {
    backend,
    recreate: async (name) => {
      const other = new LocalBackend(dir, disk);
      await other.remove(name);
      other.create(name);
    },
    end: () => Deno.remove(dir, { recursive: true }),
  };
});
