/**
 * Readers with cursors and workers on a server that is restarted. Lost, without anybody to start
 * them again: all messages after a restart, and the acknowledgement of the one that was worked on,
 * which was done twice then (docs/spec/command-line.md 5.8).
 *
 * @module
 */

import assert from "node:assert/strict";
import { serve } from "../client/remote_util.ts";
import { pause, until, untilFile } from "../support/patience.ts";
import { inTemp, spawnCli } from "./cli_util.ts";

/** A command, and what it says on stderr. */
function start(...args: string[]): { child: Deno.ChildProcess; said(): string } {
  const child = spawnCli(args, { stdout: "null", stderr: "piped" });
  let text = "";
  void (async () => {
    for await (const part of child.stderr.pipeThrough(new TextDecoderStream())) text += part;
  })();
  return { child, said: () => text };
}

/** Ends a process, if it has not ended. */
function end(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}

const lines = (path: string): string[] => {
  try {
    return Deno.readTextFileSync(path).trimEnd().split("\n");
  } catch {
    return [];
  }
};

/** Says which message it has; message 2 takes until there is a file `go`. */
const script = (dir: string, name: string): string =>
  `echo >> ${dir}/begun-${name}-$PLASMITE_SEQ; until [ $PLASMITE_SEQ != 2 ] || [ -e ${dir}/go ]; do sleep 0.05; done; ` +
  `echo $PLASMITE_SEQ >> ${dir}/${name}`;

Deno.test("a cursor's reader and a worker outlive restarts of their server, nothing is done twice", () =>
  inTemp(async (dir) => {
    let server = serve({ dir });
    const { port, url } = server;
    using local = server.local.createPool("p", 1 << 20);
    const group = ["work", `${url}/p`, "--group", "g", "--", "sh", "-c", script(dir, "work")];
    const all = [
      start(...group),
      start("follow", `${url}/p`, "--cursor", "exec", "--exec", script(dir, "exec")),
      start("follow", `${url}/p`, "--cursor", "plain", "--tag", "never"),
    ];
    const done = (count: number): Promise<void> =>
      until(
        () => ["work", "exec"].every((name) => lines(`${dir}/${name}`).length === count),
        () => all.map(({ said }) => said()).join("\n"),
      );
    try {
      local.append({});
      await done(1);
      await until(async () => (await local.cursors()).length === 3);
      local.append({});
      for (const name of ["work", "exec"]) await untilFile(`${dir}/begun-${name}-2`);
      await server.stop();
      await Deno.writeTextFile(`${dir}/go`, "");
      await done(2);
      local.append({});
      // The position is compared with the pool every second.
      await pause(2_500);
      await until(() => all.every(({ said }) => said().includes('"reconnect"')));
      // Told once, however often it has tried.
      assert.equal(all[0]?.said().split('"reconnect"').length, 2, all[0]?.said());
      server = serve({ dir, port });
      await done(3);
      for (const { child } of all) child.kill("SIGTERM");
      const codes = await Promise.all(all.map(async ({ child }) => (await child.status).code));
      assert.deepEqual(codes, [0, 143, 143], all.map(({ said }) => said()).join("\n"));
      for (const name of ["work", "exec"]) {
        assert.deepEqual(lines(`${dir}/${name}`), ["1", "2", "3"]);
      }
    } finally {
      await server.stop();
      for (const { child } of all) end(child);
    }
  }));

Deno.test("a worker ends on a signal, and at its time-out, while its server is away", () =>
  inTemp(async (dir) => {
    const server = serve({ dir });
    server.local.createPool("p", 1 << 20).close();
    const group = ["work", `${server.url}/p`, "--group"];
    const stopped = start(...group, "g", "--", "true");
    const timed = start(...group, "h", "--timeout", "2s", "--", "true");
    using local = server.local.pool("p");
    await until(async () => (await local.cursors()).length === 2);
    await server.stop();
    await until(() => stopped.said().includes('"reconnect"'), stopped.said);
    stopped.child.kill("SIGTERM");
    assert.equal((await stopped.child.status).code, 0, stopped.said());
    assert([8, 124].includes((await timed.child.status).code), timed.said());
  }));
