/**
 * The identity of a server: its persistent key and certificate, and the address that clients use
 * (docs/spec/sharing.md 1.4, 2.2).
 *
 * @module
 */

import { coversHost, firstCertificate, readCertificate } from "../../lib/access/certificate.ts";
import { PlasmiteError } from "../../lib/errors.ts";
import { hasPrivateKey, inspectPair, makeLastingCertificate } from "../certificate.ts";
import { damaged, readJson, StateFolder } from "./folder.ts";

const IDENTITY_FILE = "identity.json";
/** The file with the address of the remote listener; an addition to 1.x. */
const BIND_FILE = "remote-bind.json";
/** The file with the address of the local listener, for the command line. */
const LOCAL_FILE = "local.json";

/** The content of `identity.json`. */
interface Stored {
  readonly cert_file: string;
  readonly key_file: string;
  readonly front_cert_file: string | null;
  readonly generated: boolean;
  readonly browser_leaf_v1: boolean;
  readonly shared_address: string | null;
}

/** An identity and its files. */
export interface Identity {
  /** The certificate (chain) in PEM. */
  readonly cert: string;
  /** Its private key in PEM. */
  readonly key: string;
  /** SHA-256 of the public key that clients see, 64 hex digits: the middle part of access keys. */
  readonly fingerprint: string;
  /** The origin that clients use, without a trailing slash; null if unknown. */
  readonly sharedAddress: string | null;
  /** Whether we created the certificate. */
  readonly generated: boolean;
  /** Whether the certificate names the host of the shared address. */
  readonly coversAddress: boolean;
}

/** The settings requested at start; omitted ones stay unchanged. */
export interface Wishes {
  /** The origin that clients use. */
  readonly sharedAddress?: string | undefined;
  /** An externally issued certificate and its key. */
  readonly pair?: { readonly cert: string; readonly key: string } | undefined;
  /** The certificate of a TLS proxy in front. */
  readonly frontCert?: string | undefined;
}

/** An identity that is saved once it is known to work. */
export interface Prepared {
  readonly identity: Identity;
  /** Writes the new files. */
  commit(): void;
}

const FILE_NAME = /^[a-z0-9-][a-z0-9.-]*$/;

function readStored(folder: StateFolder): Stored | null {
  const path = `${folder.path}/${IDENTITY_FILE}`;
  const value = readJson(folder, IDENTITY_FILE);
  if (value === null) return null;
  if (typeof value !== "object") throw damaged(path, "it is no object");
  const fields = value as { readonly [name in keyof Stored]?: unknown };
  const { cert_file, key_file, front_cert_file = null, shared_address = null } = fields;
  const isFile = (name: unknown): name is string =>
    typeof name === "string" && FILE_NAME.test(name);
  if (!isFile(cert_file) || !isFile(key_file)) throw damaged(path, "it names no files");
  if (front_cert_file !== null && !isFile(front_cert_file)) {
    throw damaged(path, "it names a wrong file");
  }
  if (shared_address !== null && typeof shared_address !== "string") {
    throw damaged(path, "its address is no text");
  }
  return {
    cert_file,
    key_file,
    front_cert_file,
    generated: fields.generated === true,
    browser_leaf_v1: fields.browser_leaf_v1 === true,
    shared_address,
  };
}

/** The source of files: the folder, and files not yet written to it. */
type Files = Pick<StateFolder, "path" | "read">;

function requiredFile(folder: Files, name: string): string {
  const text = folder.read(name);
  if (text !== null) return text;
  throw damaged(`${folder.path}/${name}`, "a file that identity.json names is missing");
}

/** The digest of a certificate's public key, and the names that it covers. */
async function factsOf(cert: string, path: string) {
  const { spki } = await inspectPair(cert, null, path);
  const der = firstCertificate(cert);
  return {
    spki,
    covers: (host: string) => der !== undefined && coversHost(readCertificate(der), host),
  };
}

/** The host of an origin, as in a URL. */
function hostOf(origin: string): string {
  return new URL(origin).hostname;
}

/**
 * The saved identity, without checking that the key matches the certificate; null if there is none.
 *
 * @throws {PlasmiteError} Corrupt, Permission, Io, Usage
 */
export async function readIdentity(folder: StateFolder): Promise<Identity | null> {
  const stored = readStored(folder);
  return stored === null ? null : await identityOf(folder, stored);
}

async function identityOf(folder: Files, stored: Stored): Promise<Identity> {
  const cert = requiredFile(folder, stored.cert_file);
  const key = requiredFile(folder, stored.key_file);
  const { front_cert_file: frontFile, shared_address: sharedAddress, generated } = stored;
  const front = frontFile === null ? null : requiredFile(folder, frontFile);
  const name = frontFile ?? stored.cert_file;
  const { spki, covers } = await factsOf(front ?? cert, `${folder.path}/${name}`);
  return {
    cert,
    key,
    fingerprint: spki,
    sharedAddress,
    generated,
    coversAddress: sharedAddress === null || covers(hostOf(sharedAddress)),
  };
}

/** A name for a new file. */
function generation(kind: "cert" | "key" | "front"): string {
  return `${kind}-${crypto.getRandomValues(new Uint8Array(8)).toHex()}.pem`;
}

/**
 * The identity for a start. The key never changes, so that access keys stay valid; a new address
 * gets a new certificate for the same key.
 *
 * @throws {PlasmiteError} Usage, Corrupt, Permission, Io
 */
export async function prepareIdentity(folder: StateFolder, wishes: Wishes): Promise<Prepared> {
  const before = readStored(folder);
  const files = new Map<string, string>();
  const sharedAddress = wishes.sharedAddress ?? before?.shared_address ?? null;
  let next: Stored = {
    ...before ?? {
      cert_file: "",
      key_file: "",
      front_cert_file: null,
      generated: true,
      browser_leaf_v1: true,
    },
    shared_address: sharedAddress,
  };
  const put = (kind: "cert" | "key" | "front", text: string): string => {
    const name = generation(kind);
    files.set(name, text);
    return name;
  };
  const { pair, frontCert } = wishes;
  if (pair !== undefined) {
    const same = before !== null && folder.read(before.cert_file) === pair.cert &&
      folder.read(before.key_file) === pair.key;
    if (!same) {
      const cert_file = put("cert", pair.cert);
      const key_file = put("key", pair.key);
      next = { ...next, cert_file, key_file, generated: false, browser_leaf_v1: false };
    }
  } else if (before === null || before.generated) {
    const keyPem = before === null ? null : requiredFile(folder, before.key_file);
    const covered = before !== null && (sharedAddress === null ||
      (await factsOf(requiredFile(folder, before.cert_file), before.cert_file))
        .covers(hostOf(sharedAddress)));
    if (!covered) {
      const host = sharedAddress === null ? null : hostOf(sharedAddress);
      const path = `${folder.path}/${next.key_file}`;
      const made = await makeLastingCertificate(host, keyPem, path);
      next = { ...next, cert_file: put("cert", made.cert), generated: true, browser_leaf_v1: true };
      if (keyPem === null) next = { ...next, key_file: put("key", made.key) };
    }
  }
  if (frontCert !== undefined) {
    const kept = next.front_cert_file === null ? null : folder.read(next.front_cert_file);
    if (kept !== frontCert) next = { ...next, front_cert_file: put("front", frontCert) };
  }
  const { path } = folder;
  const read = (name: string): string | null => files.get(name) ?? folder.read(name);
  const identity = await identityOf({ path, read }, next);
  await inspectPair(identity.cert, identity.key, `${folder.path}/${next.cert_file}`);
  return {
    identity,
    commit: () => {
      for (const [name, text] of files) folder.write(name, text);
      if (JSON.stringify(next) !== JSON.stringify(before)) {
        folder.write(IDENTITY_FILE, JSON.stringify(next));
      }
    },
  };
}

/**
 * Reads the certificate of a proxy from its file.
 *
 * @throws {PlasmiteError} Io, Usage
 */
export async function readFrontCertificate(path: string): Promise<string> {
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (cause) {
    throw new PlasmiteError("Io", "failed to read the certificate of the proxy", {
      path,
      hint: "Check the path of --front-cert and its permissions.",
      cause,
    });
  }
  if (hasPrivateKey(text)) {
    throw new PlasmiteError("Usage", "--front-cert holds a private key", {
      path,
      hint: "Give the public certificate of the proxy alone.",
    });
  }
  await inspectPair(text, null, path);
  return text;
}

function readText(folder: StateFolder, name: string): string | null {
  const value = readJson(folder, name);
  if (value === null || typeof value === "string") return value;
  throw damaged(`${folder.path}/${name}`, "it is no text");
}

/** The last address of the remote listener, as `IP:PORT`; null if unknown. */
export function readRemoteBind(folder: StateFolder): string | null {
  return readText(folder, BIND_FILE);
}

/** Saves the address of the remote listener. */
export function writeRemoteBind(folder: StateFolder, bind: string): void {
  if (readRemoteBind(folder) !== bind) folder.write(BIND_FILE, JSON.stringify(bind));
}

/** The current or last address of the local listener, as `IP:PORT`; null if unknown. */
export function readLocalAddress(folder: StateFolder): string | null {
  return readText(folder, LOCAL_FILE);
}

/** Saves the address of the local listener for the command line. */
export function writeLocalAddress(folder: StateFolder, address: string): void {
  folder.write(LOCAL_FILE, JSON.stringify(address));
}

/**
 * The shared address saved for a pool directory; null if there is none.
 *
 * @throws {PlasmiteError} Corrupt, Permission, Io
 */
export function rememberedAddress(
  poolDir: string,
): { address: string; bind: string | null } | null {
  const folder = StateFolder.find(poolDir);
  const address = folder === null ? null : readStored(folder)?.shared_address ?? null;
  return folder === null || address === null ? null : { address, bind: readRemoteBind(folder) };
}
