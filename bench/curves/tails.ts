/**
 * Opens streams of a server and prints how long each message took to each of them, in milliseconds:
 * `tails.ts URL PATH STREAMS MESSAGES`. Messages have the time they were sent as `t`. Begins with an
 * empty line when all streams are open.
 *
 * @module
 */

const [url = "", path = "", streams = "1", messages = "1"] = Deno.args;
const { hostname, port } = new URL(url);
const print = (text: string): number =>
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
const request = new TextEncoder().encode(
  `GET ${path} HTTP/1.1\r\nhost: ${hostname}:${port}\r\n\r\n`,
);
const decoder = new TextDecoder();
const delays: number[] = [];

async function open(): Promise<Deno.TcpConn> {
  const conn = await Deno.connect({ hostname, port: Number(port) });
  conn.setNoDelay(true);
  await conn.write(request);
  const buffer = new Uint8Array(4096);
  let head = "";
  while (!head.includes("\r\n\r\n")) {
    const n = await conn.read(buffer);
    if (n === null) throw new Error("The server closed the connection");
    head += decoder.decode(buffer.subarray(0, n));
  }
  if (!head.startsWith("HTTP/1.1 200")) throw new Error(head);
  return conn;
}

async function read(conn: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(4096);
  for (let seen = 0; seen < Number(messages);) {
    const n = await conn.read(buffer);
    if (n === null) throw new Error("The server closed the stream");
    const now = Number(Temporal.Now.instant().epochNanoseconds / 1000n);
    for (const [, t] of decoder.decode(buffer.subarray(0, n)).matchAll(/"t":(\d+)/g)) {
      delays.push((now - Number(t)) / 1000);
      seen++;
    }
  }
}

const all: Deno.TcpConn[] = [];
for (let i = 0; i < Number(streams); i++) all.push(await open());
print("");
await Promise.all(all.map(read));
print(JSON.stringify(delays));
Deno.exit(0);
