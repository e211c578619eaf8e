/**
 * `serve init`: creates a token, an access key and a certificate.
 *
 * @module
 */

import { formatAccessKey, newSecret } from "../lib/access/key.ts";
import { workingDirectory } from "../lib/environment.ts";
import { PlasmiteError } from "../lib/errors.ts";
import { inspectPair, makeIssuedCertificate } from "./certificate.ts";
import { parseBind } from "./config.ts";
import { alreadyThere, cannotWrite, writeSet } from "./write_set.ts";

/** The files to create and the address they are for. */
export interface InitOptions {
  /** Address the server will use. */
  readonly bind: string;
  /** Directory for relative paths. */
  readonly outputDir: string;
  /** Token file. */
  readonly tokenFile: string;
  /** Certificate. */
  readonly tlsCert: string;
  /** Private key. */
  readonly tlsKey: string;
  /** Overwrite files that exist. */
  readonly force: boolean;
}

/** The result of `serve init`. */
export interface InitResult {
  /** Absolute paths. */
  readonly paths: {
    readonly token_file: string;
    readonly tls_cert: string;
    readonly tls_key: string;
    readonly access_key: string;
  };
  /** Fingerprint of the new certificate. */
  readonly fingerprint: string;
  /** The address as given. */
  readonly bind: string;
  /** The port. */
  readonly port: number;
  /** Whether files were replaced. */
  readonly replaced: boolean;
}

const KEY_FILE = "plasmite-access-key.txt";

function here(): string {
  const dir = workingDirectory();
  if (dir !== undefined) return dir;
  throw new PlasmiteError("Usage", "the working directory has no name that can be used", {
    hint: "Give the output directory as an absolute path.",
  });
}

/** The path, absolute and without `.` and empty components. */
function absolute(path: string, dir: string): string {
  const whole = path.startsWith("/")
    ? path
    : dir.startsWith("/")
    ? `${dir}/${path}`
    : `${here()}/${dir}/${path}`;
  const parts: string[] = [];
  for (const part of whole.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw cannotWrite(path, error);
  }
}

/**
 * Creates the files.
 *
 * @throws {PlasmiteError} Usage for a bad address or equal paths, AlreadyExists, Io
 */
export async function serveInit(options: InitOptions): Promise<InitResult> {
  const { hostname, port } = parseBind(options.bind);
  const paths = {
    token_file: absolute(options.tokenFile, options.outputDir),
    tls_cert: absolute(options.tlsCert, options.outputDir),
    tls_key: absolute(options.tlsKey, options.outputDir),
    access_key: absolute(KEY_FILE, options.outputDir),
  };
  const all = Object.values(paths);
  const twice = all.find((path, i) => all.indexOf(path) !== i);
  if (twice !== undefined) {
    throw new PlasmiteError("Usage", "serve init requires distinct artifact paths", {
      path: twice,
      hint: "Give --token-file, --tls-cert and --tls-key different paths.",
    });
  }
  const there = all.find(exists);
  if (there !== undefined && !options.force) throw alreadyThere(there);
  const token = newSecret();
  const { cert, key, fingerprint } = await makeIssuedCertificate(hostname);
  const { spki } = await inspectPair(cert, key, paths.tls_cert);
  writeSet([
    { path: paths.token_file, text: `${token}\n`, mode: 0o600 },
    { path: paths.tls_cert, text: cert, mode: 0o644 },
    { path: paths.tls_key, text: key, mode: 0o600 },
    // The token again, as an access key for 1.x clients, which check the certificate by its hash.
    { path: paths.access_key, text: `${formatAccessKey({ spki, secret: token })}\n`, mode: 0o600 },
  ], options.force);
  return { paths, fingerprint, bind: options.bind, port, replaced: there !== undefined };
}
