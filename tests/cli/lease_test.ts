/**
 * `claim`, `renew`, `release` in real processes: two must never hold one key, a killed holder must
 * not block it forever, and who lost a lease must be told (docs/spec/coordination.md 6).
 *
 * @module
 */

import assert from "node:assert/strict";
import { untilFile, withTime } from "../support/patience.ts";
import { SCALE } from "../support/rings.ts";
import {
  cli,
  command,
  errorOf,
  hasScript,
  inTemp,
  onTerminal,
  type Outcome,
  quote,
  spawnCli,
} from "./cli_util.ts";

const run = (dir: string, ...args: string[]): Promise<Outcome> => cli(["--dir", dir, ...args]);

/** `claim` with a command; its other words are those of `line`. */
const claimed = (dir: string, line: string, ...command: string[]): Promise<Outcome> =>
  run(dir, "claim", ...line.split(" "), "--", ...command);

const json = ({ stdout, stderr }: Outcome): Record<string, unknown> => {
  assert.notEqual(stdout, "", stderr);
  return JSON.parse(stdout);
};

Deno.test("claim, repeat, renew, release: the token names one lease from beginning to end", async () => {
  await inTemp(async (dir) => {
    const first = json(await run(dir, "claim", "l", "a", "b", "--as", "x", "--create"));
    assert.deepEqual(Object.keys(first), ["holder", "keys", "seq", "token", "until"]);
    assert.deepEqual([first["holder"], first["keys"], first["seq"], first["token"]], [
      "x",
      ["a", "b"],
      1,
      1,
    ]);
    const again = json(await run(dir, "claim", "l", "b", "a", "--as", "x"));
    assert.deepEqual([again["seq"], again["token"]], [2, 1], "a repetition renews");
    const renewed = json(await run(dir, "renew", "l", "a", "b", "--as", "x", "--token", "1"));
    assert.deepEqual([renewed["seq"], renewed["token"]], [3, 1]);
    const done = json(await run(dir, "release", "l", "a", "b", "--as", "x", "--token", "1"));
    assert.deepEqual(done, { keys: ["a", "b"], released: true, seq: 4, token: 1 });
    const twice = json(await run(dir, "release", "l", "a", "b", "--as", "x", "--token", "1"));
    assert.equal(twice["released"], false);
    const late = await run(dir, "renew", "l", "a", "--as", "x", "--token", "1");
    assert.equal(late.code, 10);
    assert.equal(errorOf(late)["message"], "Lease was released");
  });
});

Deno.test("a held key is refused with its holder, token and time, and no key of the set is taken", async () => {
  await inTemp(async (dir) => {
    await run(dir, "claim", "l", "b", "--as", "x", "--create");
    for (const more of [[], ["--wait", "100ms"]]) {
      const held = await run(dir, "claim", "l", "a", "b", "--as", "y", ...more);
      assert.equal(held.code, 5);
      const { kind, key, holder, token, until, message, hint } = errorOf(held);
      assert.deepEqual([kind, key, holder, token], ["Busy", "b", "x", 1]);
      assert.ok(Date.parse(String(until)) > Date.now());
      assert.match(String(message), /^b is held by x until /);
      assert.match(String(hint), /--wait/);
    }
    assert.equal((await run(dir, "claim", "l", "a", "--as", "z")).code, 0, "a is free");
    const forced = json(await run(dir, "release", "l", "b", "--as", "admin", "--force"));
    assert.equal(forced["released"], true);
    const lost = await run(dir, "renew", "l", "b", "--as", "x", "--token", "1");
    assert.equal(lost.code, 10);
    const other = await run(dir, "release", "l", "a", "--as", "y", "--token", "2");
    assert.equal(other.code, 10);
    assert.equal(errorOf(other)["holder"], "z");
  });
});

Deno.test("claim -- CMD: environment, exit code, and the keys are free afterwards", async () => {
  await inTemp(async (dir) => {
    const child = 'printf "%s|" "$PLASMITE_TOKEN" "$PLASMITE_KEYS" "$PLASMITE_POOL"; exit 7';
    const done = await claimed(dir, "l a b --as x --create", "sh", "-c", child);
    assert.equal(done.code, 7);
    assert.equal(done.stdout, '1|["a","b"]|l|');
    assert.equal((await run(dir, "claim", "l", "a", "b", "--as", "y")).code, 0);
    const held = await claimed(dir, "l a --as x", "touch", `${dir}/ran`);
    assert.equal(held.code, 5);
    assert.throws(() => Deno.statSync(`${dir}/ran`), Deno.errors.NotFound);
    const unknown = await claimed(dir, "m a --as x --create", "no-such-program");
    assert.equal(unknown.code, 2);
    assert.throws(() => Deno.statSync(`${dir}/m.plasmite`), Deno.errors.NotFound);
  });
});

Deno.test("claim -- CMD: the lease is renewed while the command runs", async () => {
  await inTemp(async (dir) => {
    const done = await claimed(dir, "l a --as x --ttl 1s --create", "sleep", "2.2");
    assert.equal(done.code, 0);
    const { stdout } = await run(dir, "follow", "l", "--no-follow", "--jsonl", "--data-only");
    const states = stdout.trim().split("\n").map((line) => JSON.parse(line).state);
    assert.ok(states.filter((state) => state === "held").length >= 3, states.join(" "));
    assert.equal(states.at(-1), "released");
  });
});

Deno.test("claim -- CMD: whoever loses the lease is ended, and the exit code is 10", async () => {
  await inTemp(async (dir) => {
    const P = command(["--dir", dir]);
    const taken = `${P} release l a --as y --force; ${P} claim l a --as y`;
    const script = `trap 'touch ${
      quote(`${dir}/told`)
    }; exit 0' TERM; (${taken}) >&2; sleep 60 > /dev/null 2>&1 & wait`;
    const lost = await claimed(dir, "l a --as x --ttl 1s --create", "sh", "-c", script);
    assert.equal(lost.code, 10);
    assert.match(lost.stderr, /Lease lost to y/);
    Deno.statSync(`${dir}/told`);
  });
});

Deno.test("claim -- CMD: signals are passed on, and the keys are released", async () => {
  await inTemp(async (dir) => {
    const script = `trap 'exit 9' TERM; touch ${quote(`${dir}/up`)}; sleep 60 & wait`;
    const child = spawnCli([
      "--dir",
      dir,
      ..."claim l a --as x --create -- sh -c".split(" "),
      script,
    ]);
    await untilFile(`${dir}/up`);
    child.kill("SIGTERM");
    assert.equal((await child.status).code, 9);
    assert.equal((await run(dir, "claim", "l", "a", "--as", "y")).code, 0);
  });
});

Deno.test("claim warns of a pool that forgets too soon, and not of a new one", async () => {
  await inTemp(async (dir) => {
    const fresh = await run(dir, "claim", "l", "a", "--as", "x", "--create-size", "64K");
    assert.equal(fresh.stderr, "");
    const many = Array.from({ length: 800 }, (_, i) => `{"n":"${String(i).padEnd(100, "x")}"}\n`);
    await cli(["--dir", dir, "feed", "l"], { stdin: many.join("") });
    const short = await run(dir, "claim", "l", "a", "--as", "x");
    assert.equal(short.code, 0);
    assert.equal(JSON.parse(short.stderr).notice.kind, "claim_retention");
    // The claim made first is gone, so nobody can renew it.
    const gone = await run(dir, "renew", "l", "a", "b", "--as", "x", "--token", "1");
    assert.equal(gone.code, 10);
  });
});

Deno.test("what a claim cannot mean is told before a pool is made", async () => {
  await inTemp(async (dir) => {
    for (
      const args of [
        ["claim", "l", "--as", "x"],
        ["claim", "l", "a"],
        ["claim", "l", "a", "--as", ""],
        ["claim", "l", "", "--as", "x"],
        ["claim", "l", "a", "--as", "x", "--ttl", "10ms"],
        ["claim", "l", "a", "--as", "x", "--ttl", "2d"],
        ["claim", "l", "a", "--as", "x", "--wait", "soon"],
        ["release", "l", "a", "--as", "x"],
        ["release", "l", "a", "--as", "x", "--token", "1", "--force"],
        ["renew", "l", "a", "--as", "x"],
      ]
    ) {
      const more = args[0] === "claim" ? ["--create"] : [];
      assert.equal((await run(dir, ...args, ...more)).code, 2, args.join(" "));
      assert.equal([...Deno.readDirSync(dir)].length, 0, args.join(" "));
    }
  });
});

Deno.test("on a terminal leases are told in words", { ignore: !hasScript }, async () => {
  await inTemp(async (dir) => {
    const P = `$P --dir '${dir}'`;
    const { screen } = await onTerminal(
      `${P} claim l a b --as x --create; ${P} renew l a b --as x --token 1; ` +
        `${P} release l a b --as x --token 1; ${P} release l a b --as x --token 1`,
    );
    const [claimed, renewed, released, nothing] = screen.split("\n");
    assert.match(claimed ?? "", /^claimed a b {2}token=1 until \d{4}-/);
    assert.match(renewed ?? "", /^renewed a b {2}token=1 until/);
    assert.equal(released, "released a b  token=1");
    assert.equal(nothing, "nothing to release: a b");
  });
});

// ---- many holders, some killed --------------------------------------------------------------------

/** Starts a holder that works on a witness file: it must not exist yet. */
function holder(
  dir: string,
  name: string,
  keys: readonly string[],
  ttl = "60s",
): Deno.ChildProcess {
  const work = `
    if ! (set -C; : > witness) 2> /dev/null; then echo "$PLASMITE_TOKEN" >> overlaps; fi
    echo "$PLASMITE_TOKEN" >> tokens
    rm -f witness`;
  const args = ["claim", "l", ...keys, "--as", name, "--ttl", ttl, "--wait", "5m"];
  return spawnCli(["--dir", dir, ...args, "--", "sh", "-c", work], { cwd: dir });
}

// Two at work on one key: the deploy that runs twice at once.
Deno.test("holders on one key, some killed: none overlap, tokens rise, everybody else gets a turn", () =>
  // The keys of the killed ones are free after that time: it must be short, and long enough for the rest.
  withTime((ttl) =>
    inTemp(async (dir) => {
      await run(dir, "pool", "create", "l");
      let finished = 0;
      let killed = 0;
      const turns = async (name: string): Promise<void> => {
        for (let i = 0; i < 5 * SCALE; i++) {
          const child = holder(dir, `${name}-${i}`, ["k"], `${ttl}ms`);
          const kill = i % 4 === 2;
          const timer = kill
            ? setTimeout(() => {
              try {
                child.kill("SIGKILL");
              } catch {
                // It has ended already.
              }
            }, 60 + Math.random() * 80)
            : undefined;
          const { code, signal } = await child.status;
          clearTimeout(timer);
          if (signal === "SIGKILL") killed++;
          else {
            assert.equal(code, 0);
            finished++;
          }
        }
      };
      await Promise.all(["p", "q", "r", "s"].map(turns));
      assert.throws(() => Deno.readTextFileSync(`${dir}/overlaps`), Deno.errors.NotFound);
      const tokens = Deno.readTextFileSync(`${dir}/tokens`).trim().split("\n").map(Number);
      assert.deepEqual(tokens, tokens.toSorted((a, b) => a - b));
      assert.equal(new Set(tokens).size, tokens.length);
      assert.ok(tokens.length >= finished && finished + killed === 20 * SCALE);
    }), 1_000));

Deno.test("keys in opposite order never deadlock, and are taken all or none", async () => {
  await inTemp(async (dir) => {
    await run(dir, "pool", "create", "l");
    const turns = async (name: string, keys: string[]): Promise<void> => {
      for (let i = 0; i < 4 * SCALE; i++) {
        assert.equal((await holder(dir, name, keys).status).code, 0);
      }
    };
    await Promise.all([turns("p", ["a", "b"]), turns("q", ["b", "a"]), turns("r", ["b", "c"])]);
    assert.throws(() => Deno.readTextFileSync(`${dir}/overlaps`), Deno.errors.NotFound);
    const tokens = Deno.readTextFileSync(`${dir}/tokens`).trim().split("\n");
    assert.equal(tokens.length, 12 * SCALE);
  });
});
