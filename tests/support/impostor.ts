/**
 * A TLS 1.3 server (RFC 8446) that shows any certificate, with or without its private key. No TLS
 * library serves a certificate whose key it does not have; somebody in between would.
 *
 * One handshake a connection: TLS_AES_128_GCM_SHA256, X25519, ECDSA P-256, no tickets.
 *
 * @module
 */

type Bytes = Uint8Array<ArrayBuffer>;

const enum Type {
  Alert = 21,
  Handshake = 22,
  Data = 23,
}

const text = (value: string): Bytes => new TextEncoder().encode(value);

function join(...parts: (Bytes | number[])[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** A length in front of what it counts. */
function vector(size: number, ...parts: (Bytes | number[])[]): Bytes {
  const body = join(...parts);
  const length = Array.from({ length: size }, (_, i) => body.length >> 8 * (size - 1 - i) & 0xff);
  return join(length, body);
}

const handshake = (type: number, ...body: (Bytes | number[])[]): Bytes =>
  join([type], vector(3, ...body));

async function hash(...parts: Bytes[]): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", join(...parts)));
}

async function hmac(key: Bytes, data: Bytes): Promise<Bytes> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("raw", key, algorithm, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, data));
}

async function expand(secret: Bytes, label: string, context: Bytes, size: number): Promise<Bytes> {
  const info = join([size >> 8, size], vector(1, text(`tls13 ${label}`)), vector(1, context), [1]);
  return (await hmac(secret, info)).slice(0, size);
}

const NOTHING: Bytes = new Uint8Array();
const ZEROS: Bytes = new Uint8Array(32);

/** One direction of an encrypted connection. */
class Cipher {
  #count = 0;
  private constructor(readonly key: CryptoKey, readonly iv: Bytes) {}

  static async of(secret: Bytes): Promise<Cipher> {
    const key = await crypto.subtle.importKey(
      "raw",
      await expand(secret, "key", NOTHING, 16),
      "AES-GCM",
      false,
      ["encrypt", "decrypt"],
    );
    return new Cipher(key, await expand(secret, "iv", NOTHING, 12));
  }

  #next(additionalData: Bytes) {
    const iv = this.iv.slice();
    iv[11] = (iv[11] ?? 0) ^ this.#count++; // Never more than a few records.
    return { name: "AES-GCM", iv, additionalData };
  }

  async seal(type: Type, data: Bytes): Promise<Bytes> {
    const length = data.length + 17;
    const head = Uint8Array.of(Type.Data, 3, 3, length >> 8, length);
    const sealed = await crypto.subtle.encrypt(this.#next(head), this.key, join(data, [type]));
    return join(head, new Uint8Array(sealed));
  }

  async open(head: Bytes, data: Bytes): Promise<Bytes> {
    return new Uint8Array(await crypto.subtle.decrypt(this.#next(head), this.key, data));
  }
}

async function readExactly(conn: Deno.Conn, size: number): Promise<Bytes> {
  const out = new Uint8Array(size);
  for (let at = 0; at < size;) {
    const got = await conn.read(out.subarray(at));
    if (got === null) throw new Deno.errors.UnexpectedEof();
    at += got;
  }
  return out;
}

async function readRecord(conn: Deno.Conn): Promise<{ head: Bytes; body: Bytes }> {
  const head = await readExactly(conn, 5);
  return { head, body: await readExactly(conn, (head[3] ?? 0) << 8 | (head[4] ?? 0)) };
}

/** What is needed of a ClientHello: its session id and its X25519 share. */
function clientHello(message: Bytes): { session: Bytes; share: Bytes } {
  const view = new DataView(message.buffer, message.byteOffset);
  let at = 4 + 2 + 32;
  const session = message.slice(at + 1, at + 1 + view.getUint8(at));
  at += 1 + session.length;
  at += 2 + view.getUint16(at);
  at += 1 + view.getUint8(at);
  at += 2;
  while (at < message.length) {
    const [type, length] = [view.getUint16(at), view.getUint16(at + 2)];
    at += 4;
    for (let share = at + 2; type === 51 && share < at + length;) {
      const size = view.getUint16(share + 2);
      if (view.getUint16(share) === 29) {
        return { session, share: message.slice(share + 4, share + 4 + size) };
      }
      share += 4 + size;
    }
    at += length;
  }
  throw new Error("the client offers no X25519 share");
}

/** An ECDSA signature as DER. */
function derSignature(raw: Bytes): Bytes {
  const integer = (bytes: Bytes): Bytes => {
    const from = bytes.findIndex((byte) => byte !== 0);
    const short = bytes.slice(from < 0 ? bytes.length - 1 : from);
    return join([2], vector(1, (short[0] ?? 0) >= 0x80 ? [0] : [], short));
  };
  return join([0x30], vector(1, integer(raw.slice(0, 32)), integer(raw.slice(32))));
}

/**
 * Serves one handshake.
 *
 * @param certificate in DER
 * @param signer the private key that signs, the certificate's own or another
 * @returns what the client did next: `finished` and perhaps data, or an alert
 */
async function serveOne(conn: Deno.Conn, certificate: Bytes, signer: CryptoKey): Promise<string> {
  const { body: hello } = await readRecord(conn);
  const { session, share } = clientHello(hello);
  const keys = await crypto.subtle.generateKey("X25519", true, ["deriveBits"]) as CryptoKeyPair;
  const own = new Uint8Array(await crypto.subtle.exportKey("raw", keys.publicKey));
  const peer = await crypto.subtle.importKey("raw", share, "X25519", false, []);
  const shared = new Uint8Array(
    await crypto.subtle.deriveBits({ name: "X25519", public: peer }, keys.privateKey, 256),
  );
  const serverHello = handshake(
    2,
    [3, 3],
    crypto.getRandomValues(new Uint8Array(32)),
    vector(1, session),
    [0x13, 0x01, 0],
    vector(2, [0, 43, 0, 2, 3, 4], [0, 51], vector(2, [0, 29], vector(2, own))),
  );
  const empty = await hash();
  const early = await hmac(ZEROS, ZEROS);
  const secret = await hmac(await expand(early, "derived", empty, 32), shared);
  const soFar = await hash(hello, serverHello);
  const mine = await expand(secret, "s hs traffic", soFar, 32);
  const theirs = await expand(secret, "c hs traffic", soFar, 32);
  const extensions = handshake(8, vector(2));
  const chain = handshake(11, [0], vector(3, vector(3, certificate), [0, 0]));
  const signed = join(
    new Uint8Array(64).fill(0x20),
    text("TLS 1.3, server CertificateVerify\0"),
    await hash(hello, serverHello, extensions, chain),
  );
  const algorithm = { name: "ECDSA", hash: "SHA-256" };
  const signature = derSignature(
    new Uint8Array(await crypto.subtle.sign(algorithm, signer, signed)),
  );
  const verify = handshake(15, [4, 3], vector(2, signature));
  const finished = handshake(
    20,
    await hmac(
      await expand(mine, "finished", NOTHING, 32),
      await hash(hello, serverHello, extensions, chain, verify),
    ),
  );
  const out = await Cipher.of(mine);
  await conn.write(join(
    join([Type.Handshake, 3, 3], vector(2, serverHello)),
    await out.seal(Type.Handshake, join(extensions, chain, verify, finished)),
  ));
  const incoming = await Cipher.of(theirs);
  for (;;) {
    const { head, body } = await readRecord(conn);
    if (head[0] === Type.Alert) return "alert";
    if (head[0] !== Type.Data) continue; // A change of cipher that means nothing any more.
    const opened = await incoming.open(head, body);
    return opened.at(-1) === Type.Handshake ? "finished" : "alert";
  }
}

/** A listening server. */
export interface Impostor extends AsyncDisposable {
  readonly port: number;
  /** What the first client did: `finished` or `alert`. */
  readonly outcome: Promise<string>;
}

/** Serves the certificate to the first client. */
export function impostor(certificate: Bytes, signer: CryptoKey): Impostor {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const outcome = listener.accept().then(async (conn) => {
    using _conn = conn;
    return await serveOne(conn, certificate, signer);
  }).catch(String);
  return {
    port: listener.addr.port,
    outcome,
    [Symbol.asyncDispose]: async () => {
      listener.close();
      await outcome;
    },
  };
}
