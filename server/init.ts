/**
 * `serve init`: a token, an access key and a certificate, and the commands for both sides.
 *
 * @module
 */

import { workingDirectory } from "../lib/environment.ts";
import { messageOf, PlasmiteError } from "../lib/errors.ts";
import { inspectPair, makeCertificate } from "./certificate.ts";
import { parseBind } from "./config.ts";

/** Where the files go and for which address. */
export interface InitOptions {
  /** Address the server will use. */
  readonly bind: string;
  /** Directory of relative files. */
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

/** What was made. */
export interface InitResult {
  /** Absolute paths. */
  readonly paths: {
    readonly token_file: string;
    readonly tls_cert: string;
    readonly tls_key: string;
    readonly access_key: string;
  };
  /** Of the certificate that was written. */
  readonly fingerprint: string;
  /** The address as asked. */
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
    throw error;
  }
}

function ioError(path: string, cause: unknown): PlasmiteError {
  return new PlasmiteError("Io", "failed to write serve init artifact", {
    path,
    hint: "Choose a directory that can be written with --output-dir.",
    causes: [messageOf(cause)],
    cause,
  });
}

/** Writes all files beside their places first, so that a full disk leaves nothing half done. */
function writeAll(files: readonly { path: string; text: string; mode: number }[]): void {
  const suffix = `.tmp-${crypto.getRandomValues(new Uint8Array(6)).toHex()}`;
  const written: string[] = [];
  let at = "";
  try {
    for (const { path, text, mode } of files) {
      at = path;
      Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")) || "/", { recursive: true, mode: 0o700 });
      Deno.writeTextFileSync(path + suffix, text, { createNew: true, mode });
      written.push(path + suffix);
      // The mode above is narrowed by the umask; secrets get exactly 0600.
      if (Deno.build.os !== "windows") Deno.chmodSync(path + suffix, mode);
    }
    for (const { path } of files) {
      at = path;
      Deno.renameSync(path + suffix, path);
      written.shift();
    }
  } catch (cause) {
    for (const path of written) {
      try {
        Deno.removeSync(path);
      } catch {
        continue; // What could not be written may not be removable either.
      }
    }
    throw ioError(at, cause);
  }
}

/**
 * Makes the files.
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
  if (there !== undefined && !options.force) {
    throw new PlasmiteError("AlreadyExists", "serve init artifact already exists", {
      path: there,
      hint: "Use --force to overwrite, or choose another --output-dir.",
    });
  }
  const token = crypto.getRandomValues(new Uint8Array(32)).toHex();
  const { cert, key, fingerprint } = await makeCertificate(hostname);
  const { spki } = await inspectPair(cert, key, paths.tls_cert);
  writeAll([
    { path: paths.token_file, text: `${token}\n`, mode: 0o600 },
    { path: paths.tls_cert, text: cert, mode: 0o644 },
    { path: paths.tls_key, text: key, mode: 0o600 },
    // The same token as a key of 1.x: its clients check the certificate by the middle part.
    { path: paths.access_key, text: `pk1.${spki}.${token}\n`, mode: 0o600 },
  ]);
  return { paths, fingerprint, bind: options.bind, port, replaced: there !== undefined };
}
