/**
 * What this process may do, found out without ever prompting.
 *
 * @module
 */

/** Whether a permission is granted in full; never prompts. */
export function isGranted(descriptor: Deno.PermissionDescriptor): boolean {
  try {
    const status = Deno.permissions.querySync(descriptor);
    return status.state === "granted" && !status.partial;
  } catch {
    return false; // A kind of permission that this runtime does not know.
  }
}

const EVERYTHING: readonly Deno.PermissionDescriptor[] = [
  { name: "read" },
  { name: "write" },
  { name: "net" },
  { name: "env" },
  { name: "sys" },
  { name: "run" },
  { name: "ffi" },
  { name: "import" },
];

let everything: boolean | undefined;

/**
 * Whether all permissions are granted. `/proc` and `/dev` need that: asked for with less, they
 * would prompt on a terminal.
 */
export function hasEveryPermission(): boolean {
  return everything ??= EVERYTHING.every(isGranted);
}
