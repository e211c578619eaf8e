/**
 * Asks a server for its health, again and again, until stdin ends; prints the longest wait in
 * milliseconds. Begins with an empty line when it has an answer.
 *
 * @module
 */

const [url = ""] = Deno.args;
const { hostname, port } = new URL(url);
const print = (text: string): number =>
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));

using conn = await Deno.connect({ hostname, port: Number(port) });
conn.setNoDelay(true);
const request = new TextEncoder().encode(
  `GET /healthz HTTP/1.1\r\nhost: ${hostname}:${port}\r\n\r\n`,
);
const buffer = new Uint8Array(1 << 16);

/** The answer is small and comes in one piece. */
async function ping(): Promise<number> {
  const start = performance.now();
  await conn.write(request);
  if (await conn.read(buffer) === null) throw new Error("The server closed the connection");
  return performance.now() - start;
}

let ended = false;
for (let i = 0; i < 200; i++) await ping();
print("");
const end = Deno.stdin.read(new Uint8Array(1)).then(() => ended = true);
let longest = 0;
for (let i = 0; !ended || i < 20; i++) {
  longest = Math.max(longest, await ping());
  await new Promise((done) => setTimeout(done, 1));
}
await end;
print(`${longest}`);
