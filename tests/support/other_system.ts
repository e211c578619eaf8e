/**
 * Loaded before a program: it runs as on macOS or Windows, as far as one can tell from Linux. What
 * the named system does not have fails as it does there.
 *
 * @module
 */

const os = Deno.env.get("OTHER_SYSTEM");
if (os !== "darwin" && os !== "windows") throw new Error("OTHER_SYSTEM is darwin or windows");

Object.defineProperty(Deno, "build", { value: { ...Deno.build, os } });

function isForeign(path: string | URL): boolean {
  return /^\/(?:dev\/shm|proc)(?:\/|$)/.test(String(path));
}

function missing(path: string | URL): void {
  if (!isForeign(path)) return;
  throw new Deno.errors.NotFound(`${path}: No such file or directory (os error 2)`);
}

const { readFileSync, readTextFileSync, readDirSync, statSync, openSync } = Deno;
Deno.readFileSync = (path) => {
  missing(path);
  return readFileSync(path);
};
Deno.readTextFileSync = (path) => {
  missing(path);
  return readTextFileSync(path);
};
Deno.readDirSync = (path) => {
  missing(path);
  return readDirSync(path);
};
Deno.statSync = (path) => {
  missing(path);
  return statSync(path);
};

function isDirectory(path: string | URL): boolean {
  try {
    return statSync(path).isDirectory;
  } catch {
    return false;
  }
}

if (os === "windows") {
  Deno.openSync = (path, options) => {
    missing(path);
    if (isDirectory(path)) {
      throw new Deno.errors.PermissionDenied("Access is denied. (os error 5)");
    }
    return openSync(path, options);
  };
  Deno.chmodSync = () => {
    throw new Deno.errors.NotSupported("The operation is not supported");
  };
  Deno.uid = () => null;
  const { addSignalListener, removeSignalListener } = Deno;
  // SIGBREAK stands for a signal that can be sent here.
  const here = (signal: Deno.Signal): Deno.Signal => {
    if (signal === "SIGBREAK") return "SIGUSR1";
    if (signal === "SIGINT" || signal === "SIGHUP") return signal;
    throw new TypeError(
      "Windows only supports ctrl-c (SIGINT), ctrl-break (SIGBREAK), and ctrl-close (SIGHUP), " +
        `but got ${signal}`,
    );
  };
  Deno.addSignalListener = (signal, listener) => addSignalListener(here(signal), listener);
  Deno.removeSignalListener = (signal, listener) => removeSignalListener(here(signal), listener);
}
