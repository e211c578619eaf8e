/**
 * What this machine is called on its networks, as far as that may be asked without a prompt: each of
 * the two is a permission of its own.
 *
 * @module
 */

import { isGranted } from "../lib/environment.ts";

/** Its host name; null where that may not be asked or cannot be told. */
export function machineHost(): string | null {
  if (!isGranted({ name: "sys", kind: "hostname" })) return null;
  try {
    return Deno.hostname();
  } catch {
    return null; // A name that is not UTF-8.
  }
}

/** Its network interfaces; empty where they may not be asked or cannot be told. */
export function machineInterfaces(): Deno.NetworkInterfaceInfo[] {
  if (!isGranted({ name: "sys", kind: "networkInterfaces" })) return [];
  try {
    return Deno.networkInterfaces();
  } catch {
    return []; // Some sandboxes have no list of them.
  }
}
