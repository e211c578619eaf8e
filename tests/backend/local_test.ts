import { Hubs } from "../../lib/backend/local/hub.ts";
import { LocalBackend } from "../../lib/backend/local.ts";
import { ServingBackend } from "../../lib/backend/serving.ts";
import { MemoryStorage } from "../../lib/storage/memory.ts";
import { backendSuite } from "./suite.ts";

const kinds: [string, (dir: string) => LocalBackend][] = [
  ["local", (dir) => new LocalBackend(dir)],
  ["local in turns", (dir) => new LocalBackend(dir, { serving: new Hubs() })],
  ["serving", (dir) => new ServingBackend(dir)],
];
for (const [kind, make] of kinds) {
  backendSuite(kind, async () => {
    const dir = await Deno.makeTempDir();
    const backend = make(dir);
    return {
      backend,
      recreate: async (name) => {
        const other = new LocalBackend(dir);
        await other.remove(name);
        other.create(name);
      },
      end: async () => {
        backend.close();
        await Deno.remove(dir, { recursive: true });
      },
    };
  });
}

backendSuite("in-memory", () => {
  const dir = "/nowhere/plasmite-memory";
  const storage = new MemoryStorage();
  const backend = new LocalBackend(dir, { storage });
  return Promise.resolve({
    backend,
    recreate: async (name: string) => {
      await backend.remove(name);
      await backend.create(name);
    },
    end: () => Promise.resolve(),
  });
});
