/**
 * What the library uses of Deno, for Node and Bun. The npm builds begin with
 * `import { Deno, Temporal } from "./node.js"`, so that the same code runs there.
 *
 * @module
 */

import { connect, type Socket } from "node:net";
import { hostname } from "node:os";
import { connect as connectTls } from "node:tls";
import { completeBuiltins } from "./builtins.ts";
import { files } from "../storage/node.ts";

completeBuiltins();

const SYSTEMS: Readonly<Record<string, string>> = { win32: "windows" };
const PROCESSORS: Readonly<Record<string, string>> = { x64: "x86_64", arm64: "aarch64" };

/** A connection that is read on demand. */
class NodeConn {
  readonly socket: Socket;
  #error: Error | null = null;
  #ended = false;
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("readable", () => this.#wake());
    socket.on("end", () => {
      this.#ended = true;
      this.#wake();
    });
    socket.on("error", (error: Error) => {
      this.#error ??= error;
      this.#wake();
    });
    socket.on("close", () => {
      this.#ended = true;
      this.#wake();
    });
  }

  async read(into: Uint8Array): Promise<number | null> {
    for (;;) {
      const most = Math.min(into.length, this.socket.readableLength);
      const chunk: Uint8Array | null = most === 0 ? null : this.socket.read(most);
      if (chunk !== null) {
        into.set(chunk);
        return chunk.length;
      }
      if (this.#error !== null) throw this.#error;
      if (this.#ended) return null;
      // With an empty buffer, `read` asks for more.
      this.socket.read(0);
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  write(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      this.socket.write(bytes, (error) => error ? reject(error) : resolve(bytes.length));
    });
  }

  handshake(): Promise<void> {
    return Promise.resolve();
  }

  setNoDelay(on = true): void {
    this.socket.setNoDelay(on);
  }

  ref(): void {
    this.socket.ref();
  }

  unref(): void {
    this.socket.unref();
  }

  close(): void {
    this.socket.destroy();
  }
}

/** Resolves when the socket has raised `event`, rejects with its error or the signal's reason. */
function settled(socket: Socket, event: string, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (): void => {
      signal?.removeEventListener("abort", aborted);
      socket.off("error", failed);
      socket.off(event, ready);
    };
    const ready = (): void => {
      finish();
      resolve();
    };
    const failed = (error: Error): void => {
      finish();
      socket.destroy();
      reject(error);
    };
    const aborted = (): void => failed(signal?.reason);
    if (signal?.aborted === true) return failed(signal.reason);
    signal?.addEventListener("abort", aborted, { once: true });
    socket.on("error", failed);
    socket.on(event, ready);
  });
}

interface ConnectOptions {
  readonly hostname: string;
  readonly port: number;
  readonly signal?: AbortSignal;
}

/** What Node says about certificates that it does not trust. */
const UNTRUSTED = /^(?:CERT_|DEPTH_|UNABLE_|SELF_SIGNED|ERR_TLS_CERT)/;

/** Stands in for the namespace `Deno`. */
export const Deno = {
  ...files,
  build: {
    os: SYSTEMS[process.platform] ?? process.platform,
    arch: PROCESSORS[process.arch] ?? process.arch,
    standalone: false,
  },
  pid: process.pid,
  uid: (): number | null => process.getuid?.() ?? null,
  env: { get: (name: string): string | undefined => process.env[name] },
  cwd: (): string => process.cwd(),
  hostname: (): string => hostname(),
  permissions: { querySync: () => ({ state: "granted", partial: false }) },
  unrefTimer: (timer: unknown): void => void (timer as { unref?(): void }).unref?.(),
  addSignalListener: (): void => {},

  async connect({ hostname, port, signal }: ConnectOptions): Promise<NodeConn> {
    const socket = connect({ host: hostname, port });
    await settled(socket, "connect", signal);
    return new NodeConn(socket);
  },

  async startTls(
    { socket }: NodeConn,
    { hostname, alpnProtocols }: { readonly hostname: string; readonly alpnProtocols?: string[] },
  ): Promise<NodeConn> {
    const isAddress = /:|^[\d.]+$/.test(hostname);
    const secured = connectTls({
      socket,
      host: hostname,
      ...(isAddress ? {} : { servername: hostname }),
      ...(alpnProtocols === undefined ? {} : { ALPNProtocols: alpnProtocols }),
    });
    try {
      await settled(secured, "secureConnect");
    } catch (error) {
      const { code = "", message } = error as NodeJS.ErrnoException;
      throw UNTRUSTED.test(code) ? new files.errors.InvalidData(message, { cause: error }) : error;
    }
    return new NodeConn(secured);
  },
};

/** Stands in for `Temporal`: the clock. */
export const Temporal = {
  Now: {
    instant: (): { readonly epochNanoseconds: bigint } => ({
      epochNanoseconds: BigInt(Date.now()) * 1_000_000n,
    }),
  },
};
