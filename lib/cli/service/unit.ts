/**
 * The text of a systemd unit for `serve install` (docs/spec/sharing.md 6.2).
 *
 * @module
 */

import { PlasmiteError } from "../../errors.ts";

/** Who manages a service: the manager of one user, or that of the machine. */
export type Scope = "user" | "system";

/** What a unit is made of. */
export interface UnitFacts {
  readonly scope: Scope;
  /** The canonical path of the pool directory. */
  readonly poolDir: string;
  /** The installed program. */
  readonly program: string;
  /** The words of `serve` and its options. */
  readonly run: readonly string[];
  /** Whom a system unit runs as. */
  readonly account: string;
  readonly home: string;
  /** Where a system unit writes what the server prints. */
  readonly log: string;
  /** Whether one of the ports is below 1024. */
  readonly lowPort: boolean;
}

/** What an unprivileged manager can apply too. */
const FOR_BOTH = [
  "LockPersonality=yes",
  "NoNewPrivileges=yes",
  "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK",
  "RestrictNamespaces=yes",
  "RestrictRealtime=yes",
  "RestrictSUIDSGID=yes",
  "SystemCallArchitectures=native",
  "SystemCallFilter=@system-service @pkey",
  "SystemCallErrorNumber=EPERM",
  // Not MemoryDenyWriteExecute: V8 compiles JavaScript into memory.
];

const FOR_SYSTEM = [
  "PrivateDevices=yes",
  "ProtectClock=yes",
  "ProtectControlGroups=yes",
  "ProtectHome=read-only",
  "ProtectHostname=yes",
  "ProtectKernelLogs=yes",
  "ProtectKernelModules=yes",
  "ProtectKernelTunables=yes",
  "ProtectProc=invisible",
  "ProtectSystem=strict",
];

/** A text in which systemd replaces nothing. */
function plain(text: string): string {
  // deno-lint-ignore no-control-regex -- control characters are what is looked for
  if (/[\x00-\x1f\x7f]/.test(text)) {
    throw new PlasmiteError("Usage", "a path or option has a control character", {
      hint: "A unit file cannot have it. Rename the file or directory.",
    });
  }
  return text.replaceAll("%", "%%");
}

/** One word of a list, quoted. */
function quoted(word: string): string {
  return `"${plain(word).replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/** One word of a command line: no variables. */
function argument(word: string): string {
  return /^[\w@=:,./+-]+$/.test(word) ? word : quoted(word.replaceAll("$", "$$$$"));
}

/**
 * The unit.
 *
 * @throws {PlasmiteError} Usage for paths that a unit cannot hold
 */
export function unitText(facts: UnitFacts): string {
  const { scope, poolDir, program, run, account, home, log, lowPort } = facts;
  if (program.includes("$")) {
    throw new PlasmiteError("Usage", "the home directory has a dollar sign in its name", {
      hint: "A unit file cannot name a program there.",
    });
  }
  const system = scope === "system";
  const words = ["--dir", poolDir, "serve", ...run].map(argument);
  // A private /tmp would hide what is there.
  const inTmp = [poolDir, home, ...run].some((word) => /(?:^|=)\/(?:var\/)?tmp\//.test(word));
  const capability = lowPort ? "CAP_NET_BIND_SERVICE" : "";
  return [
    "# Written by `plasmite serve install`, which replaces it; `plasmite serve uninstall` removes it.",
    "[Unit]",
    `Description=Plasmite pools in ${plain(poolDir)}`,
    ...system ? ["After=network.target", `RequiresMountsFor=${quoted(poolDir)}`] : [],
    "",
    "[Service]",
    "Type=simple",
    ...system ? [`User=${plain(account)}`, `Environment=${quoted(`HOME=${home}`)}`] : [],
    `ExecStart=${[argument(program), ...words].join(" ")}`,
    ...system ? [`StandardOutput=append:${plain(log)}`, `StandardError=append:${plain(log)}`] : [],
    "Restart=on-failure",
    "RestartSec=2",
    // Streams end and appends finish on SIGTERM.
    "TimeoutStopSec=15",
    "UMask=0077",
    "",
    ...FOR_BOTH,
    ...system
      ? [
        ...FOR_SYSTEM,
        ...inTmp ? [] : ["PrivateTmp=yes"],
        `CapabilityBoundingSet=${capability}`,
        ...lowPort ? [`AmbientCapabilities=${capability}`] : [],
        `ReadWritePaths=${quoted(poolDir)} ${quoted(`-${home}/.plasmite`)}`,
      ]
      : [],
    "",
    "[Install]",
    `WantedBy=${system ? "multi-user.target" : "default.target"}`,
    "",
  ].join("\n");
}
