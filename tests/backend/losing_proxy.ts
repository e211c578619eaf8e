/**
 * A proxy of bytes in front of a server that hands requests on and loses answers, over plain TCP or
 * TLS.
 *
 * @module
 */

import { createServer, type Socket } from "node:net";
import { connect } from "node:net";
import { createServer as createTlsServer } from "node:tls";

/** What the proxy does with a client in place of handing on `answer`. */
export type Loss = (client: Socket, answer: Uint8Array) => void;

const html = (status: string): Loss => (client) => {
  const body = "<html>the gateway has a problem</html>";
  client.write(
    `HTTP/1.1 ${status}\r\ncontent-type: text/html\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
};

const part =
  (share: (answer: Uint8Array) => number, end: (client: Socket) => void): Loss =>
  (client, answer) => {
    client.write(answer.subarray(0, share(answer)), () => end(client));
  };

const close = (client: Socket): void => void client.end();
const reset = (client: Socket): void => void client.resetAndDestroy();
const headOf = (answer: Uint8Array): number => new TextDecoder().decode(answer).indexOf("\r\n\r\n");

/** Ways to lose the answer to a request that the server has carried out. */
export const LOSSES: Readonly<Record<string, Loss>> = {
  "the connection is closed": close,
  "the connection is reset": reset,
  "closed inside the status line": part(() => 7, close),
  "closed inside the headers": part((answer) => headOf(answer) - 3, close),
  "closed behind the headers": part((answer) => headOf(answer) + 4, close),
  "closed inside the body": part((answer) => answer.length - 5, close),
  "reset inside the body": part((answer) => answer.length - 5, reset),
  "chunks without an end": (client, answer) =>
    client.write(
      `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n${
        new TextDecoder().decode(answer.subarray(headOf(answer) + 4)).slice(0, 5)
      }\r\n`,
      () => close(client),
    ),
  "a body without a length, half of it": (client, answer) =>
    client.write(
      `HTTP/1.0 200 OK\r\n\r\n${
        new TextDecoder().decode(answer.subarray(headOf(answer) + 4)).slice(0, -5)
      }`,
      () => close(client),
    ),
  "a page instead of the answer": html("200 OK"),
  "nothing at all": html("204 No Content"),
  "accepted, says a gateway": html("202 Accepted"),
  "500 of a gateway": html("500 Internal Server Error"),
  "502 of a gateway": html("502 Bad Gateway"),
  "503 of a gateway": html("503 Service Unavailable"),
  "504 of a gateway": html("504 Gateway Time-out"),
  "no HTTP": (client) => client.write("SSH-2.0-OpenSSH_9.9\r\n"),
  "silence": () => {},
};

/** A running proxy. */
export interface LosingProxy extends AsyncDisposable {
  readonly url: string;
  /** Requests that were seen and contain `match`. */
  readonly seen: number;
  /** Loses the answer to the next request that contains `match`. */
  lose(loss: Loss): void;
  /** Breaks every connection that is open now. */
  cutAll(): void;
}

/**
 * Starts a proxy in front of `127.0.0.1:port`.
 *
 * @param match what the requests in question contain in their first bytes
 */
export async function losingProxy(
  port: number,
  { match = "/append", tls }: {
    readonly match?: string;
    readonly tls?: { readonly cert: string; readonly key: string };
  } = {},
): Promise<LosingProxy> {
  let seen = 0;
  let next: Loss | undefined;
  const open = new Set<Socket>();
  const serve = (client: Socket): void => {
    open.add(client);
    const upstream = connect(port, "127.0.0.1");
    let losing: Loss | undefined;
    client.on("data", (bytes: Uint8Array) => {
      const text = new TextDecoder().decode(bytes.subarray(0, 200));
      if (text.includes(match) && /^[A-Z]+ \//.test(text)) {
        seen++;
        losing = next;
        next = undefined;
      }
      upstream.write(bytes);
    });
    upstream.on("data", (bytes: Uint8Array) => {
      const loss = losing;
      losing = undefined;
      if (loss === undefined) client.write(bytes);
      else loss(client, bytes);
    });
    const over = (): void => {
      open.delete(client);
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      socket.on("error", over);
      socket.on("close", over);
    }
    client.on("end", over);
  };
  const server = tls === undefined
    ? createServer(serve)
    : createTlsServer({ ...tls, ALPNProtocols: ["http/1.1"] }, serve);
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `http${tls === undefined ? "" : "s"}://127.0.0.1:${address.port}`,
    get seen() {
      return seen;
    },
    lose: (loss) => next = loss,
    cutAll: () => {
      for (const client of open) client.resetAndDestroy();
    },
    [Symbol.asyncDispose]: async () => {
      for (const client of open) client.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
