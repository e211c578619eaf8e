/**
 * A client with an access key, written from docs/spec/sharing.md alone: it checks names, dates and
 * the pin of the certificate, then sends the secret, over HTTP/1.1.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHash, X509Certificate } from "node:crypto";
import { type IncomingMessage, request as httpRequest } from "node:http";
import { connect } from "node:tls";

/** An answer whose body is still to be read. */
export interface KeyAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The body up to its end; rejects when it is broken off. */
  text(): Promise<string>;
  /** Resolves with the first piece of the body. */
  first(): Promise<string>;
  /** Leaves. */
  destroy(): void;
}

/** What a request sends. */
export interface KeyRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** Calls one server with one key. */
export class KeyClient {
  readonly #port: number;
  readonly #spki: string;
  readonly #secret: string;
  readonly #host: string;

  /** @param key `pk1.<spki>.<secret>` */
  constructor(port: number, key: string, host = "localhost") {
    const [, spki = "", secret = ""] = key.split(".");
    this.#port = port;
    this.#spki = spki;
    this.#secret = secret;
    this.#host = host;
  }

  /** Sends a request. */
  async send(path: string, { method = "GET", headers, body }: KeyRequest = {}): Promise<KeyAnswer> {
    const socket = connect({
      host: "127.0.0.1",
      port: this.#port,
      servername: this.#host,
      ALPNProtocols: ["http/1.1"],
      rejectUnauthorized: false,
    });
    await new Promise<void>((resolve, reject) => {
      socket.once("secureConnect", () => resolve());
      socket.once("error", reject);
    });
    try {
      this.#check(new X509Certificate(Buffer.from(socket.getPeerCertificate(true).raw)));
    } catch (error) {
      socket.destroy();
      throw error;
    }
    const authorization: Record<string, string> = this.#secret === ""
      ? {}
      : { authorization: `Bearer ${this.#secret}` };
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent = httpRequest({
        createConnection: () => socket,
        host: this.#host,
        port: this.#port,
        method,
        path,
        headers: {
          accept: "application/json",
          ...authorization,
          ...body === undefined ? {} : { "content-length": `${Buffer.byteLength(body)}` },
          ...headers,
        },
      }, resolve);
      sent.on("error", reject);
      sent.end(body);
    });
    return readable(answer, () => socket.destroy());
  }

  #check(certificate: X509Certificate): void {
    const { publicKey, validFrom, validTo } = certificate;
    if (certificate.checkHost(this.#host, { subject: "never" }) === undefined) {
      throw new Error(`the certificate is not for ${this.#host}`);
    }
    const now = Date.now();
    if (now < Date.parse(validFrom) || now > Date.parse(validTo)) throw new Error("not valid now");
    const spki = publicKey.export({ type: "spki", format: "der" });
    if (createHash("sha256").update(spki).digest("hex") !== this.#spki) {
      throw new Error("another key than the pinned one");
    }
  }
}

function readable(answer: IncomingMessage, destroy: () => void): KeyAnswer {
  let got = "";
  const first = Promise.withResolvers<string>();
  const whole = Promise.withResolvers<string>();
  answer.setEncoding("utf8");
  answer.on("data", (piece: string) => {
    got += piece;
    first.resolve(piece);
  });
  const broken = (error: Error): void => {
    first.reject(error);
    whole.reject(error);
  };
  answer.on("error", broken);
  answer.on("aborted", () => broken(new Error("broken off")));
  answer.on("end", () => {
    if (!answer.complete) return broken(new Error("broken off"));
    first.resolve("");
    whole.resolve(got);
    destroy();
  });
  // Whoever does not ask does not want to know.
  first.promise.catch(() => {});
  whole.promise.catch(() => {});
  return {
    status: answer.statusCode ?? 0,
    headers: answer.headers,
    text: () => whole.promise,
    first: () => first.promise,
    destroy,
  };
}
