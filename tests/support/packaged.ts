/**
 * The folder that `deno task bundle` packs, made once for a test file.
 *
 * @module
 */

import "./environment.ts";
import { programEntries } from "../../.ci/package/portable.ts";
import { inCheckout } from "./paths.ts";

let made: Promise<string> | undefined;

/** Its path. It is removed at the end of the tests. */
export function packaged(): Promise<string> {
  return made ??= make();
}

async function make(): Promise<string> {
  const dir = Deno.realPathSync(await Deno.makeTempDir({ prefix: "plasmite-packaged-" }));
  addEventListener("unload", () => Deno.removeSync(dir, { recursive: true }));
  await Deno.mkdir(`${dir}/lib`);
  await Deno.chmod(dir, 0o755);
  await Deno.copyFile(inCheckout(".ci/package/launcher.sh"), `${dir}/plasmite`);
  await Deno.chmod(`${dir}/plasmite`, 0o755);
  await Deno.copyFile(Deno.execPath(), `${dir}/lib/deno`);
  for (const { name, content } of await programEntries("lib")) {
    if (content !== undefined) await Deno.writeFile(`${dir}/${name}`, content);
  }
  return dir;
}
