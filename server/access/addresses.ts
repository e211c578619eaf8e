/**
 * The addresses at which others may reach this machine, for setting up sharing
 * (docs/spec/sharing.md 9.3).
 *
 * @module
 */

import { machineHost, machineInterfaces } from "../machine.ts";

/** An address or name of this machine. */
export interface MachineAddress {
  readonly host: string;
  /** The network interface; none for a name. */
  readonly interface?: string;
  readonly kind: "local" | "vm" | "vpn" | "public" | "name";
}

/** Virtual machine and container networks, by their usual interface names. */
const VIRTUAL = /^(?:docker|br-|veth|virbr|vboxnet|vmnet|lxc|lxd|podman|cni|bridge\d)/;
/** VPN networks. */
const PRIVATE_TUNNEL = /^(?:tun|tap|wg|tailscale|utun|zt|ppp|ipsec)/;
const ORDER = ["local", "vm", "vpn", "public"] as const;

type AddressKind = typeof ORDER[number];

function kindOf(name: string, address: string): AddressKind {
  const [a = 0, b = 0] = address.split(".").map(Number);
  if (VIRTUAL.test(name)) return "vm";
  if (PRIVATE_TUNNEL.test(name) || (a === 100 && b >= 64 && b < 128)) return "vpn";
  const isLocal = a === 10 || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168);
  return isLocal ? "local" : "public";
}

/** The addresses, most likely first; empty without permission to list them. */
export function machineAddresses(): readonly MachineAddress[] {
  const found: (MachineAddress & { readonly kind: AddressKind })[] = [];
  for (const { family, address, name } of machineInterfaces()) {
    if (family !== "IPv4" || /^(?:127\.|169\.254\.|0\.)/.test(address)) continue;
    if (found.some(({ host }) => host === address)) continue;
    found.push({ host: address, interface: name, kind: kindOf(name, address) });
  }
  found.sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
  const host = machineHost() ?? "";
  return host === "" ? found : [...found, { host, kind: "name" }];
}
