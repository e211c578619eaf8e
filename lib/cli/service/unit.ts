/**
 * The text of a systemd unit for `serve install` (docs/spec/sharing.md 6.2).
 *
 * @module
 */

import { PlasmiteError } from "../../errors.ts";

/** Which manager runs a service: the user's or the system's. */
export type Scope = "user" | "system";

/** The inputs for a unit. */
export interface UnitFacts {
  readonly scope: Scope;
  /** The canonical path of the pool directory. */
  readonly poolDir: string;
  /** The installed program. */
  readonly program: string;
  /** `serve` and its options, as arguments. */
  readonly run: readonly string[];
  /** The user that a system unit runs as. */
  readonly account: string;
  readonly home: string;
  /** Where a system unit writes the server's output. */
  readonly log: string;
  /** Whether any port is below 1024. */
  readonly lowPort: boolean;
}

/** Settings that an unprivileged manager can also apply. */
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

/** Escapes text so that systemd expands nothing in it. */
function plain(text: string): string {
  // deno-lint-ignore no-control-regex -- matches control characters on purpose
  if (/[\x00-\x1f\x7f]/.test(text)) {
    throw new PlasmiteError("Usage", "a path or option has a control character", {
      hint: "A unit file cannot have it. Rename the file or directory.",
    });
  }
  return text.replaceAll("%", "%%");
}

/** Quotes one item of a list. */
function quoted(word: string): string {
  return `"${plain(word).replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/** Quotes one argument of a command line, without variable expansion. */
function argument(word: string): string {
  return /^[\w@=:,./+-]+$/.test(word) ? word : quoted(word.replaceAll("$", "$$$$"));
}

/**
 * Generates the unit file.
 *
 * @throws {PlasmiteError} Usage for paths that a unit file cannot represent
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
  // A private /tmp would hide these files.
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
    // On SIGTERM, streams end and appends finish.
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
