/**
 * Who may import whom, and what each command loads (docs/architecture.md). Start-up is paid by
 * every `feed` in somebody's loop.
 *
 * @module
 */

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client } from "../../mod.ts";
import { inTemp } from "../cli/cli_util.ts";
import { ROOT } from "../support/paths.ts";

/** The layers, lowest first. Entry points may import all; the three in front not one another. */
const LAYERS = [
  "lib",
  "storage",
  "access",
  "lite3",
  "pool",
  "text",
  "filter",
  "coordination",
  "backend",
  "client",
  "remote",
  "front",
];

interface Import {
  readonly target: string;
  readonly typeOnly: boolean;
  readonly dynamic: boolean;
}

/** The import statements of a module, comments left out. */
function importsOf(file: string): Import[] {
  const text = Deno.readTextFileSync(ROOT + file)
    .replaceAll(/^\s*(\/\*\*|\*|\/\/).*$/gm, "");
  const found: Import[] = [];
  const pattern =
    /^(?:import|export)(\s+type)?\b[^;"']*?\sfrom\s+"([^"]+)"|\bimport\(\s*"([^"]+)"|^import\s+"([^"]+)"/gm;
  for (const [, type, named, dynamic, bare] of text.matchAll(pattern)) {
    const target = named ?? dynamic ?? bare ?? "";
    found.push({ target, typeOnly: type !== undefined, dynamic: dynamic !== undefined });
  }
  return found;
}

/** A relative import as a path from the root. */
function resolve(file: string, target: string): string {
  return join(dirname(file), target);
}

function modules(dir: string): string[] {
  return [...Deno.readDirSync(ROOT + dir)].flatMap(({ name, isDirectory }) =>
    isDirectory ? modules(`${dir}/${name}`) : name.endsWith(".ts") ? [`${dir}/${name}`] : []
  );
}

function layerOf(file: string): { layer: string; rank: number } {
  const parts = file.split("/");
  if (parts.length === 1) return { layer: file, rank: LAYERS.length };
  const layer = parts[0] === "lib" ? (parts.length === 2 ? "lib" : parts[1] ?? "") : parts[0] ?? "";
  const rank = LAYERS.indexOf(["cli", "server", "mcp", "node"].includes(layer) ? "front" : layer);
  assert.ok(rank >= 0, `${file} is in no layer of docs/architecture.md`);
  return { layer, rank };
}

const ALL = ["cli.ts", "mod.ts", ...modules("lib"), ...modules("server"), ...modules("mcp")];

Deno.test("layers: imports go down, never up or sideways", () => {
  let seen = 0;
  const wrong: string[] = [];
  for (const file of ALL) {
    const from = layerOf(file);
    for (const { target } of importsOf(file)) {
      if (!target.startsWith(".") || target.endsWith("deno.json")) continue;
      seen++;
      const path = resolve(file, target);
      if (!path.endsWith(".ts")) continue;
      const to = layerOf(path);
      if (to.layer !== from.layer && to.rank >= from.rank) wrong.push(`${file} -> ${path}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(seen > 300, `only ${seen} imports found`);
});

/** What stands in for Deno in the npm builds for Node and Bun; nothing else is made for them. */
const NODE_ONLY = /^lib\/(?:node\/|storage\/node(?:_lock)?\.ts$)/;

Deno.test("layers: nothing imports what is there for Node only", () => {
  const wrong = ALL.filter((file) => !NODE_ONLY.test(file)).flatMap((file) =>
    importsOf(file).map(({ target }) => resolve(file, target))
      .filter((path) => NODE_ONLY.test(path)).map((path) => `${file} -> ${path}`)
  );
  assert.deepEqual(wrong, []);
  assert.ok(ALL.some((file) => NODE_ONLY.test(file)));
});

Deno.test("layers: lib loads no package and no node: module at module load", () => {
  const wrong: string[] = [];
  let elsewhere = 0;
  for (const file of ALL) {
    for (const { target, typeOnly, dynamic } of importsOf(file)) {
      if (target.startsWith(".") || typeOnly || dynamic) continue;
      if (file.startsWith("server/") || file.startsWith("mcp/") || NODE_ONLY.test(file)) {
        elsewhere++;
      } // Reached only with --tls-ca or --tls-skip-verify, by a dynamic import.
      else if (file !== "lib/backend/http/node_tls.ts") wrong.push(`${file} -> ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(elsewhere >= 4, "the walk sees packages where they are");
});

Deno.test("layers: every import is written out, so that bundles and executables are whole", () => {
  for (const file of ALL) {
    const text = Deno.readTextFileSync(ROOT + file).replaceAll(/^\s*(\/\*\*|\*|\/\/).*$/gm, "");
    assert.ok(!/\bimport\(\s*[^"\s]/.test(text), `${file} has a computed import`);
  }
});

/** Runs a command and returns which of our modules it loaded after start-up. */
async function loadedBy(dir: string, args: string[]): Promise<Set<string>> {
  const audit = `${dir}/audit.jsonl`;
  await Deno.writeTextFile(audit, "");
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    // Without npm: a package that is asked for is an error.
    args: ["run", "-A", "--quiet", "--no-npm", `${ROOT}cli.ts`, "--dir", dir, ...args],
    env: { DENO_AUDIT_PERMISSIONS: audit },
    stdin: "null",
  }).output();
  assert.equal(code, 0, `${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return await audited(audit);
}

Deno.test("start-up: what each command loads", async (t) => {
  await inTemp(async (dir) => {
    const cases: [string[], number][] = [
      [["feed", "p", "--create", '{"a":1}'], 30],
      [["feed", "p", '{"a":2}'], 27],
      [["fetch", "p", "1"], 23],
      [["follow", "p", "--tail", "1", "--one"], 39],
      [["follow", "p", "--no-follow", "--tag", "x", "--where", ".data.a == 1"], 54],
      [["tap", "p", "--", "true"], 36],
      [["doctor", "p"], 43],
      [["pool", "list"], 26],
      [["pool", "create", "q"], 32],
      [["access", "list"], 24],
      [["version"], 2],
      [["completion", "bash"], 2],
    ];
    for (const [args, most] of cases) {
      await t.step(args.slice(0, 2).join(" "), async () => {
        const loaded = await loadedBy(dir, args);
        const [first = ""] = args;
        assert.ok([...loaded].some((file) => file.startsWith(`lib/cli/${first}`)), "audited");
        const foreign = [...loaded].filter((file) =>
          /^(server|mcp)\/|^lib\/remote\/|^lib\/backend\/nats/.test(file)
        );
        assert.deepEqual(foreign, [], "layers that this command does not need");
        if (["feed", "fetch", "follow", "tap"].includes(first)) {
          const more = [...loaded].filter((file) =>
            /coordination|coordinator|\/cursor_|feed_conditions|signals/.test(file)
          );
          assert.deepEqual(more, [], "nobody asked for coordination");
        }
        assert.ok(loaded.size <= most, `${loaded.size} modules, at most ${most}`);
        assert.deepEqual(packagesOf(loaded), []);
      });
    }
  });
});

/** The modules of ours in an audit. */
async function audited(audit: string): Promise<Set<string>> {
  const loaded = new Set<string>();
  for (const line of (await Deno.readTextFile(audit)).trim().split("\n")) {
    const value = String(JSON.parse(line).value).replaceAll('"', "");
    const path = value.startsWith("file:") ? fileURLToPath(value) : "";
    if (path.startsWith(ROOT)) loaded.add(path.slice(ROOT.length));
  }
  return loaded;
}

/** The packages, and the parts of Node, that modules load with themselves. */
function packagesOf(loaded: Iterable<string>): string[] {
  return [...loaded].filter((file) => file.endsWith(".ts")).flatMap((file) =>
    importsOf(file)
      .filter(({ target, typeOnly, dynamic }) => !target.startsWith(".") && !typeOnly && !dynamic)
      .map(({ target }) => target)
  );
}

// An idle server held 25 MB of its own, half of it for answers that nobody had asked for.
Deno.test("start-up: serve listens with a few modules; the others come with the first request", async () => {
  await inTemp(async (dir) => {
    const audit = `${dir}/audit.jsonl`;
    const ready = `${dir}/ready`;
    await Deno.writeTextFile(audit, "");
    new Client(`${dir}/pools`).createPool("p").close();
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", `${ROOT}cli.ts`, "--dir", `${dir}/pools`]
        .concat("serve", "--bind", "127.0.0.1:0"),
      env: { DENO_AUDIT_PERMISSIONS: audit, PLASMITE_SERVE_READY_FILE: ready },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const said = child.stderr.getReader();
    try {
      // Its address is said when nothing is left to do but to wait.
      let text = "";
      while (!/http:\/\/.*\n/.test(text)) {
        const { done, value } = await said.read();
        assert.ok(!done, text);
        text += new TextDecoder().decode(value);
      }
      const idle = await audited(audit);
      assert.ok(idle.has("server/listener.ts"), "audited");
      assert.ok(idle.size <= 27, `${idle.size} modules: ${[...idle].join(" ")}`);
      assert.deepEqual(packagesOf(idle), []);

      const url = `http://${await Deno.readTextFile(ready)}`;
      const post = { method: "POST", headers: { "content-type": "application/json" } };
      const asked: [string, RequestInit][] = [
        ["/healthz", {}],
        ["/v0/pools", {}],
        ["/v0/pools/p/append", { ...post, body: '{"data":{},"tags":["a"]}' }],
        ["/v0/pools/p/messages/1", {}],
      ];
      for (const [path, init] of asked) {
        const { status, body } = await fetch(`${url}${path}`, init);
        await body?.cancel();
        assert.equal(status, 200, path);
      }
      const busy = await audited(audit);
      assert.ok(busy.has("server/router.ts"), "asked");
      assert.deepEqual(packagesOf(busy), ["hono"], "no zod, no node:crypto");
      const more = [...busy].filter((file) =>
        /^mcp\/|schemas|openapi|banner|check\.ts|init|sharing|shared|identity|certificate/.test(
          file,
        )
      );
      assert.deepEqual(more, [], "nobody asked for this");
    } finally {
      child.kill("SIGTERM");
      said.releaseLock();
      await child.stderr.cancel();
      await child.status;
    }
  });
});

/** Tells of every use of a timer; the first one loads a part of Node, which takes 5 ms. */
const TIMERS = `
for (const name of ["setTimeout", "setInterval", "setImmediate", "clearTimeout", "clearInterval"]) {
  Object.defineProperty(globalThis, name, {
    get: () => { throw new Error("the timer " + name); },
  });
}`;

Deno.test("start-up: what ends at once uses no timer", async (t) => {
  await inTemp(async (dir) => {
    const preload = `${dir}/timers.js`;
    await Deno.writeTextFile(preload, TIMERS);
    const lines = [
      ["feed", "p", "--create", '{"a":1}'],
      ["fetch", "p", "1"],
      ["follow", "p", "--tail", "1", "--one"],
      ["follow", "p", "--no-follow"],
      ["pool", "list"],
    ];
    for (const args of lines) {
      await t.step(args.join(" "), async () => {
        const { code, stderr } = await new Deno.Command(Deno.execPath(), {
          args: ["run", "-A", "-q", "--preload", preload, `${ROOT}cli.ts`, "--dir", dir, ...args],
          stdin: "null",
        }).output();
        assert.equal(code, 0, new TextDecoder().decode(stderr));
      });
    }
  });
});

// An idle follower held 3 MB for the part of Node that the first of these loads.
Deno.test("waiting: followers and servers use no timer of Node either", async (t) => {
  await inTemp(async (dir) => {
    const preload = `${dir}/timers.js`;
    await Deno.writeTextFile(preload, TIMERS);
    using pool = new Client(dir).createPool("p");
    const start = (...args: string[]): Deno.ChildProcess =>
      new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "-q", "--preload", preload, `${ROOT}cli.ts`, "--dir", dir, ...args],
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
    await t.step("follow", async () => {
      await using child = start("follow", "p", "--tail", "1", "--jsonl", "--data-only");
      const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      // An error ends it, and what it prints.
      for (let n = 1; n <= 3; n++) {
        pool.append({ n });
        assert.deepEqual(await lines.read(), { done: false, value: `{"n":${n}}\n` });
      }
      await lines.cancel();
      await child.stderr.cancel();
      child.kill("SIGKILL");
    });
    await t.step("serve", async () => {
      await using child = start("serve", "--bind", "127.0.0.1:0");
      const lines = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
      assert.match((await lines.read()).value ?? "", /^Serving pools on http/);
      await lines.cancel();
      await child.stdout.cancel();
      child.kill("SIGKILL");
    });
  });
});

Deno.test("start-up: the entry point loads few modules", () => {
  const loaded = new Set<string>();
  const visit = (file: string): void => {
    if (loaded.has(file)) return;
    loaded.add(file);
    for (const { target, typeOnly, dynamic } of importsOf(file)) {
      if (!typeOnly && !dynamic && target.startsWith(".")) visit(resolve(file, target));
    }
  };
  visit("cli.ts");
  assert.ok(loaded.has("lib/cli/args.ts"));
  assert.ok(loaded.size <= 13, [...loaded].join(" "));
});

// Lost: a millisecond, as Deno makes a graph of modules for each import.
Deno.test("start-up: feed, fetch and follow are one import each, with what they need next", () => {
  const entry = Deno.readTextFileSync(`${ROOT}cli.ts`);
  for (
    const [command, next] of [
      ["feed", "lib/pool/writable_ring.ts"],
      ["fetch", "lib/backend/local/lookup.ts"],
      ["follow", "lib/backend/local/select.ts"],
    ] as const
  ) {
    const only = `"${command}": () => Promise.all([import("./lib/cli/${command}.ts")]),`;
    assert.ok(entry.includes(only), only);
    const file = `lib/cli/${command}.ts`;
    const own = importsOf(file).filter(({ dynamic }) => !dynamic);
    assert.ok(own.some(({ target }) => resolve(file, target) === next), `${file} -> ${next}`);
  }
});

function testFiles(dir = "tests"): string[] {
  return [...Deno.readDirSync(ROOT + dir)].flatMap(({ name, isDirectory }) =>
    isDirectory ? testFiles(`${dir}/${name}`) : name.endsWith("_test.ts") ? [`${dir}/${name}`] : []
  );
}

/** The modules below tests/ that one of them loads, itself included. */
function reached(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const { target, typeOnly, dynamic } of importsOf(file)) {
    const path = resolve(file, target);
    if (target.startsWith(".") && path.startsWith("tests/") && !typeOnly && !dynamic) {
      reached(path, seen);
    }
  }
  return seen;
}

Deno.test("environment: every test file imports it", () => {
  const files = testFiles();
  assert.ok(files.length > 50);
  for (const file of files) {
    assert.ok(
      reached(file).has("tests/support/environment.ts"),
      `${file} does not import tests/support/environment.ts, nor a helper that does`,
    );
  }
});

Deno.test("checkout: no path is taken from the text of a URL", () => {
  let read = 0;
  const walk = (dir: string): void => {
    for (const { name, isDirectory } of Deno.readDirSync(ROOT + dir)) {
      if (/^(\.git|node_modules|dist|tmp|assets|data)$/.test(name)) continue;
      if (isDirectory) walk(`${dir}${name}/`);
      else if (/\.(ts|mjs|js)$/.test(name)) {
        read++;
        const source = Deno.readTextFileSync(`${ROOT}${dir}${name}`);
        assert.doesNotMatch(source, /import\.meta\.url\)\s*\.pathname/, dir + name);
      }
    }
  };
  walk("");
  assert.ok(read > 200, `${read} files`);
});

/** The string literals of a source text, comments left out. */
function literals(source: string): string[] {
  const text = source.replaceAll(/^\s*(\/\*\*|\*|\/\/).*$/gm, "").replaceAll(/\s\/\/ .*$/gm, "");
  return text.match(/"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g) ?? [];
}

// The library told programs to use `--size`, and agents to run `plasmite doctor`.
Deno.test("below the command line no text speaks of its options and commands", () => {
  const wrong: string[] = [];
  let seen = 0;
  const walk = (dir: string): void => {
    for (const { name, isDirectory } of Deno.readDirSync(ROOT + dir)) {
      const path = `${dir}/${name}`;
      if (path === "lib/cli") continue;
      if (isDirectory) walk(path);
      else {
        for (const text of literals(Deno.readTextFileSync(ROOT + path))) {
          seen++;
          // Deno's own permissions are options of whoever starts the program.
          const other = text.replaceAll(/--allow-[a-z]+/g, "");
          if (/(?<![\w-])--[a-z]|\bplasmite [a-z]|\b(?:pls|pool create|pool delete) /.test(other)) {
            wrong.push(`${path}: ${text}`);
          }
        }
      }
    }
  };
  walk("lib");
  assert.deepEqual(wrong, []);
  assert.ok(seen > 1000, `${seen} texts`);
});
