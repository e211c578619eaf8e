/**
 * References to pools on NATS JetStream: `nats://host[:port][,host…]/STREAM`, and `nats+tls://`,
 * which requires TLS (docs/spec/jetstream.md 2).
 *
 * @module
 */

import { PlasmiteError } from "../../errors.ts";
import type { PlaceRef, PoolRef } from "../resolve.ts";

const FORM = "nats://host:port/STREAM";
const PLACE_FORM = "nats://host:port";
const DEFAULT_PORT = 4222;
/** The longest stream name that servers accept, in bytes. */
const LONGEST_NAME = 255;

/** One server of a list. */
export interface NatsServer {
  /** A name, an IPv4 address, or an IPv6 address without brackets. */
  readonly host: string;
  /** The port. */
  readonly port: number;
}

/** The servers of a reference. */
export interface NatsAddress {
  /** The name used in messages: `nats://host:port,host:port`. */
  readonly place: string;
  /** The servers; the client uses any of them. */
  readonly servers: readonly NatsServer[];
  /** Whether TLS is required. */
  readonly tls: boolean;
}

function usage(message: string, hint: string): PlasmiteError {
  return new PlasmiteError("Usage", message, { hint });
}

/** `host:port`, with brackets around an IPv6 address. */
export function hostPort({ host, port }: NatsServer): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * The stream named by a URL.
 *
 * @throws {PlasmiteError} Usage unless the URL consists of servers and one stream
 */
export function poolRef(ref: string): PoolRef {
  const { address, path } = split(ref, FORM);
  const segments = path.slice(1).split("/");
  const [segment = ""] = segments;
  if (path === "" || segments.length !== 1 || segment === "") {
    throw usage("NATS pool reference must name one stream", `Use ${FORM}.`);
  }
  const name = checkStreamName(decode(segment));
  return { ...placeOf(ref, address), name, path: `${address.place}/${name}` };
}

/**
 * The servers at `nats://host:port[,…]`, with or without a trailing `/`.
 *
 * @throws {PlasmiteError} Usage for anything else
 */
export function placeRef(ref: string): PlaceRef {
  const { address, path } = split(ref, PLACE_FORM);
  if (path !== "" && path !== "/") {
    throw usage("NATS server reference must not include a stream", `Use ${PLACE_FORM}.`);
  }
  return placeOf(ref, address);
}

/**
 * The servers at `nats://host:port[,…]`.
 *
 * @throws {PlasmiteError} Usage for anything else
 */
export function natsAddress(ref: string): NatsAddress {
  placeRef(ref);
  return split(ref, PLACE_FORM).address;
}

function placeOf(ref: string, address: NatsAddress): PlaceRef {
  return {
    ref,
    isRemote: true,
    creation: "sized",
    neverFlushes: true,
    connect: async (options) => {
      const { NatsBackend } = await import("../nats.ts");
      return new NatsBackend(address, await options?.server?.() ?? {});
    },
  };
}

/** Parses the authority, as `new URL` rejects lists of hosts; errors never contain it. */
function split(ref: string, form: string): { address: NatsAddress; path: string } {
  const [, scheme = "", rest = ""] = /^(nats(?:\+tls)?):\/\/(.*)$/s.exec(ref) ?? [];
  if (scheme === "") throw usage("Invalid NATS reference", `Use ${form}.`);
  // A password may contain a slash, so also look for the `@` before the last part.
  if (rest.slice(0, rest.lastIndexOf("/") + 1 || undefined).includes("@")) {
    throw new PlasmiteError("Usage", "credentials do not belong into a pool reference", {
      hint: "Other users can see it in the list of processes. Put `user:password` into a file " +
        "that only you can read, and name that file.",
      topic: "nats credentials",
    });
  }
  if (/[?#]/.test(rest)) {
    throw usage(
      "NATS reference must not include query or fragment",
      `Use ${form}; options are given separately.`,
    );
  }
  const slash = rest.indexOf("/");
  const authority = slash < 0 ? rest : rest.slice(0, slash);
  const servers = authority.split(",").map((one) => parseServer(one, form));
  const place = `${scheme}://${servers.map(hostPort).join(",")}`;
  const path = slash < 0 ? "" : rest.slice(slash);
  return { address: { place, servers, tls: scheme === "nats+tls" }, path };
}

function parseServer(text: string, form: string): NatsServer {
  const [, bracketed, plain, digits] =
    /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = digits === undefined ? DEFAULT_PORT : Number(digits);
  if (host === undefined || port < 1 || port > 65535) {
    throw usage("Invalid server in NATS reference", `Use ${form}; separate servers by commas.`);
  }
  return { host, port };
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw usage("Invalid percent-encoding in NATS reference", `Use ${FORM}.`);
  }
}

/**
 * Checks a stream name locally, because some invalid names make requests hang.
 *
 * @throws {PlasmiteError} Usage
 */
export function checkStreamName(name: string): string {
  if (name !== "" && name.includes(".")) {
    throw usage(
      "Stream name must not contain '.'",
      `NATS uses the dot in subjects; use ${JSON.stringify(name.replaceAll(".", "_"))}.`,
    );
  }
  const rule =
    "Use 1 to 255 bytes without blanks, control characters, '.', '*', '>', '/' and '\\'.";
  // deno-lint-ignore no-control-regex
  const isBad = /[\s*>/\\\x00-\x1f\x7f]/.test(name) || !name.isWellFormed();
  if (name === "" || isBad || new TextEncoder().encode(name).length > LONGEST_NAME) {
    throw usage("Invalid stream name", rule);
  }
  return name;
}
