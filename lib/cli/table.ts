/**
 * The one table of commands and flags. Parser, help, completions and manual pages are all made from
 * it (docs/spec/command-line.md 1.1). Each command is a function, so that a run builds only its
 * own.
 *
 * @module
 */

/** How the text of a value is checked by the parser; the rest is up to the command. */
export type ValueType = "text" | "u64" | "u32" | "float";

/** What a shell may offer for a value. */
export type Completion =
  | "pool"
  | "tag"
  | "key"
  | "cursor"
  | "group"
  | "file"
  | "dir"
  | "command"
  | "topic";

/** One option, as typed on the command line. */
export interface FlagSpec {
  /** Long name without dashes; also the key in {@linkcode Args}. */
  readonly name: string;
  /** One-letter name without the dash. */
  readonly short?: string;
  /** Name of the value in help and messages, e.g. `TAIL`; without it the option is a switch. */
  readonly value?: string;
  /** How the value is checked; `text` when absent. */
  readonly type?: ValueType;
  /** The only values allowed. */
  readonly values?: readonly string[];
  /** May be given more than once, one value each. */
  readonly repeat?: true;
  /** Must be given. */
  readonly required?: true;
  /** Shown in help; {@linkcode Args} does not apply it. */
  readonly default?: string;
  /** Names of options and positionals it cannot be combined with. */
  readonly conflicts?: readonly string[];
  /** One line of help, without a final period. */
  readonly help: string;
  /** What the long help adds, in whole sentences. */
  readonly more?: string;
  /** Heading of the help section; `Options` when absent. */
  readonly group?: string;
  /** What a shell offers for the value. */
  readonly complete?: Completion;
  /** Parsed, but in no help and no completion. */
  readonly hidden?: true;
  /** Shapes what is printed; in advice the global options that do so stand behind it. */
  readonly output?: true;
  /** Never repeated in advice. */
  readonly secret?: true;
}

/** One positional argument. */
export interface PositionalSpec {
  /** Name in help and messages, e.g. `POOL`; also the key in {@linkcode Args}. */
  readonly name: string;
  /** One line of help. */
  readonly help: string;
  /** Must be given. */
  readonly required?: true;
  /** An option with which it may be left out although it is required. */
  readonly unless?: string;
  /** Takes all remaining words. */
  readonly repeat?: true;
  /** Takes only the words behind `--`. */
  readonly trailing?: true;
  /** How the text is checked. */
  readonly type?: ValueType;
  /** The only values allowed. */
  readonly values?: readonly string[];
  /** What a shell offers. */
  readonly complete?: Completion;
  /** The option behind which it stands in advice; by default positionals come first. */
  readonly after?: string;
}

/** One command. */
export interface CommandSpec {
  /** The word that selects it. */
  readonly name: string;
  /** One line for command lists. */
  readonly about: string;
  /** Positional arguments in order. */
  readonly args?: readonly PositionalSpec[];
  /** Options besides {@linkcode globalFlags}, in the order in which advice repeats them. */
  readonly flags?: readonly FlagSpec[];
  /** Commands below it. */
  readonly commands?: Readonly<Record<string, () => CommandSpec>>;
  /** May run without one of `commands`. */
  readonly runs?: true;
  /** Without any argument prints its short help on stderr and exits 2. */
  readonly helpOnEmpty?: true;
  /** Overrides what follows `plasmite <command>` in the usage line. */
  readonly usage?: string;
  /** Prints messages, so binary formats make sense (docs/spec/command-line.md 1.12). */
  readonly messages?: true;
  /**
   * Had `--json` in 0.8: document output, indented on a terminal (docs/spec/command-line.md 1.6).
   */
  readonly report?: true;
  /** In no list, help or completion. */
  readonly hidden?: true;
}

/** Every `--format` value; `line` is for `follow`, `latest` and `duplex` only. */
const FORMATS = ["pretty", "json", "jsonl", "yaml", "line", "lite3", "lite3-raw"] as const;

/** Options accepted before and after every command (docs/spec/command-line.md 1.1). */
export const globalFlags: readonly FlagSpec[] = [
  {
    name: "dir",
    value: "DIR",
    complete: "dir",
    help: "Directory that bare pool names live in",
    default: "~/.plasmite/pools",
  },
  {
    name: "color",
    value: "COLOR",
    values: ["auto", "always", "never"],
    help: "Colour of labels and of indented JSON",
    default: "auto",
    more:
      "`auto` colours terminals only and honours NO_COLOR. `always` also indents JSON in a pipe.",
  },
  {
    name: "format",
    value: "FORMAT",
    values: FORMATS,
    help: "Output format",
    more:
      "Without it reports are text and messages are JSON. `json` and `yaml` also apply to errors. " +
      "`line` is for follow, latest and duplex, `lite3` for feed, fetch, follow and duplex, `lite3-raw` for fetch.",
  },
  { name: "json", help: "JSON output" },
  { name: "yaml", help: "YAML output, the same as --format yaml" },
  { name: "help", short: "h", help: "Print help; --help says more than -h" },
  { name: "version", short: "V", help: "Print the version" },
];

const POOL: PositionalSpec = {
  name: "POOL",
  required: true,
  complete: "pool",
  help: "Pool name, path, or http(s)://host:port/<pool>",
};
const LOCAL_POOL: PositionalSpec = { ...POOL, help: "Pool name or path" };
const LOCAL_OR_STREAM: PositionalSpec = { ...POOL, help: "Pool name, path, or URL of a stream" };
const TAG: FlagSpec = {
  name: "tag",
  value: "TAG",
  repeat: true,
  complete: "tag",
  help: "Tag of every message; may be repeated",
};
const CREATE: FlagSpec = { name: "create", help: "Create the pool if it is missing" };
const CREATE_SIZE: FlagSpec = {
  name: "create-size",
  value: "CREATE_SIZE",
  default: "1M",
  help: "Size of a created pool (bytes, or with K/M/G); implies --create",
};
const DURABILITY: FlagSpec = {
  name: "durability",
  value: "DURABILITY",
  default: "fast",
  help: "`fast`, or `flush` to sync each append to disk",
};
const TAIL: FlagSpec = {
  name: "tail",
  short: "n",
  value: "TAIL",
  type: "u64",
  default: "0",
  help: "Start with the last TAIL matching messages",
};
const SINCE: FlagSpec = {
  name: "since",
  value: "SINCE",
  conflicts: ["tail"],
  help: "Start at a time: 5m, 2h, 7d ago, or an RFC 3339 time",
};
const TIMEOUT: FlagSpec = {
  name: "timeout",
  value: "TIMEOUT",
  help: "Exit 124 after this long without output (500ms, 5s, 1m, 2h, 1d)",
};
const WHERE: FlagSpec = {
  name: "where",
  value: "WHERE",
  repeat: true,
  help: "jq condition on the whole message; all must hold",
  more: "For example '.data.level == \"error\"'. A missing key is an error and does not match.",
};
const JSONL: FlagSpec = { name: "jsonl", output: true, help: "One JSON line per message" };

/** The group of the options that say how to reach a server. */
export const SERVER_ACCESS = "Remote auth/TLS";

function remoteFlags(): FlagSpec[] {
  const group = SERVER_ACCESS;
  return [
    { name: "token", value: "TOKEN", group, secret: true, help: "Bearer token for a remote pool" },
    {
      name: "token-file",
      value: "TOKEN_FILE",
      group,
      complete: "file",
      help: "Read the bearer token from a file (safer than --token)",
    },
    {
      name: "tls-ca",
      value: "TLS_CA",
      group,
      complete: "file",
      help: "Trust only the certificates in this PEM file",
    },
    {
      name: "tls-skip-verify",
      group,
      help: "Do not check the server's certificate (unsafe)",
    },
    {
      name: "creds",
      value: "FILE",
      group,
      complete: "file",
      help: "NATS credentials: a creds file, a seed, or a line user:password",
    },
    {
      name: "tls-cert",
      value: "FILE",
      group,
      complete: "file",
      help: "Client certificate for NATS (PEM); needs --tls-key",
    },
    {
      name: "tls-key",
      value: "FILE",
      group,
      complete: "file",
      help: "Key of the client certificate for NATS (PEM)",
    },
    { name: "tls-first", group, help: "TLS handshake before the NATS server's greeting" },
    { name: "domain", value: "NAME", group, help: "JetStream domain, such as that of a leaf node" },
  ];
}

function poolCreate(): CommandSpec {
  return {
    name: "create",
    about: "Create one or more pools",
    args: [{
      name: "NAME",
      required: true,
      repeat: true,
      help: "Names or paths of the new pools",
    }],
    flags: [
      {
        name: "size",
        value: "SIZE",
        default: "1M",
        help: "Size of the pool file (bytes, or with K/M/G)",
      },
      {
        name: "index-capacity",
        value: "INDEX_CAPACITY",
        type: "u32",
        help: "Index slots of 16 bytes; 0 means no index, default is by size",
      },
      {
        name: "replicas",
        value: "N",
        type: "u32",
        help: "Servers that keep the stream: 1, 3 or 5 (NATS only)",
      },
      {
        name: "max-age",
        value: "DURATION",
        help: "Messages older than this expire, such as 7d or 12h; default no limit",
      },
      {
        name: "dedupe",
        value: "DURATION",
        help: "How long ids are remembered, such as 1h (NATS only)",
      },
      ...remoteFlags(),
    ],
    helpOnEmpty: true,
    report: true,
  };
}

function poolInfo(): CommandSpec {
  return {
    name: "info",
    about: "Show size, bounds and use of a pool",
    args: [{ ...POOL, name: "NAME" }],
    flags: remoteFlags(),
    helpOnEmpty: true,
    report: true,
  };
}

function poolTrim(): CommandSpec {
  return {
    name: "trim",
    about: "Drop the oldest messages of a pool",
    args: [LOCAL_OR_STREAM],
    flags: [
      {
        name: "before",
        value: "SEQ",
        type: "u64",
        conflicts: ["keep", "older-than"],
        help: "Drop the messages before this one",
      },
      {
        name: "keep",
        value: "COUNT",
        type: "u64",
        conflicts: ["older-than"],
        help: "Drop all but the last COUNT messages; 0 empties the pool",
      },
      {
        name: "older-than",
        value: "DURATION",
        help: "Drop older messages, up to the first younger one (30m, 12h, 7d)",
      },
      ...remoteFlags(),
    ],
    helpOnEmpty: true,
    report: true,
  };
}

function poolSet(): CommandSpec {
  return {
    name: "set",
    about: "Change the age limit of a pool, or the size of a stream",
    args: [LOCAL_OR_STREAM],
    flags: [{
      name: "max-age",
      value: "DURATION",
      help: "Messages older than this expire (30m, 12h, 7d); `none` removes the limit",
      more: "Readers do not get expired messages any more, and appends drop them. The bytes stay " +
        "in the file until then: `pool trim` drops them at once. Programs other than ours ignore " +
        "the limit. In a stream, the server removes them.",
    }, {
      name: "size",
      value: "SIZE",
      help: "Size of a stream (64M, 1G); a pool in a file keeps its size",
    }, ...remoteFlags()],
    helpOnEmpty: true,
    report: true,
  };
}

function poolDelete(): CommandSpec {
  return {
    name: "delete",
    about: "Delete one or more pools",
    args: [{
      name: "NAME",
      required: true,
      repeat: true,
      complete: "pool",
      help: "Names or paths of the pools to delete",
    }],
    flags: remoteFlags(),
    helpOnEmpty: true,
    report: true,
  };
}

function poolList(): CommandSpec {
  return {
    name: "list",
    about: "List the pools of a directory or of a server",
    args: [{
      name: "SERVER",
      help: "Server to ask instead: http(s)://host:port or nats://host:port",
    }],
    flags: [
      { name: "watch", help: "List again every second, until Ctrl-C" },
      { name: "all", help: "Also streams of other programs (NATS only)" },
      ...remoteFlags(),
    ],
    report: true,
  };
}

function pool(): CommandSpec {
  return {
    name: "pool",
    about: "Create, inspect, list, trim and delete pools",
    commands: {
      create: poolCreate,
      info: poolInfo,
      delete: poolDelete,
      list: poolList,
      trim: poolTrim,
      set: poolSet,
    },
    helpOnEmpty: true,
  };
}

/** The options of a conditional or repeatable append (docs/spec/coordination.md 3 and 4). */
function conditionFlags(): FlagSpec[] {
  const group = "Conditions";
  return [
    {
      name: "expect",
      value: "SEQ",
      group,
      help: "Append only if the newest message is SEQ; `none` or 0 if there must be none",
      more: "With --key, the newest message with that key. Otherwise exit 10, and nothing is " +
        "stored. Takes one message, or with --atomic one batch.",
    },
    {
      name: "key",
      value: "KEY",
      group,
      complete: "key",
      help: "Tag the message key:KEY, for latest and --expect",
    },
    {
      name: "id",
      value: "ID",
      group,
      conflicts: ["id-from"],
      help: "Store the message once, however often this is repeated; `auto` for a hash",
      more: "Tags it id:ID. If one of the newest messages has that id and the same data, nothing " +
        'is stored and the receipt says "duplicate":true; with other data exit 10. `auto` makes ' +
        "the id from data and tags, so equal records are stored once.",
    },
    {
      name: "id-from",
      value: "EXPR",
      group,
      help: "Take the id of each record from a jq expression, such as .data.event_id",
    },
    {
      name: "id-window",
      value: "COUNT",
      type: "u32",
      default: "4096",
      group,
      help: "How many of the newest messages are searched for an id",
    },
    {
      name: "atomic",
      group,
      help: "Store all of the input at once or nothing; at most half the pool",
    },
  ];
}

function feed(): CommandSpec {
  return {
    name: "feed",
    about: "Append messages from an argument, a file or stdin",
    args: [POOL, {
      name: "DATA",
      after: "tag",
      help: "One JSON object (or several); else --file or stdin",
    }],
    flags: [
      TAG,
      {
        name: "file",
        short: "f",
        value: "FILE",
        conflicts: ["DATA"],
        complete: "file",
        help: "Read messages from a file; `-` is stdin",
      },
      DURABILITY,
      CREATE,
      CREATE_SIZE,
      {
        name: "retry",
        value: "RETRY",
        type: "u32",
        default: "0",
        help: "Extra attempts for a message when the pool is busy",
      },
      {
        name: "retry-delay",
        value: "RETRY_DELAY",
        default: "50ms",
        help: "Pause between attempts; needs --retry",
      },
      {
        name: "in",
        short: "i",
        value: "IN",
        values: ["auto", "jsonl", "json", "seq", "jq", "yaml", "lite3", "lite3-raw"],
        default: "auto",
        help: "What the input is",
        more: "`auto` recognises JSON objects, one or many to a line, pretty-printed JSON, " +
          "json-seq (RFC 7464), event streams, YAML documents and framed Lite3. `json` is one " +
          "value, `jsonl` one a line, `jq` any number in a row.",
      },
      {
        name: "input-format",
        value: "INPUT_FORMAT",
        values: ["auto", "json", "yaml", "lite3", "lite3-raw"],
        help: "What the input is, by the rules of 1.x; empty input is fine",
      },
      {
        name: "errors",
        short: "e",
        value: "ERRORS",
        values: ["stop", "skip"],
        default: "stop",
        help: "Stop at the first bad record, or skip bad ones and exit 1",
      },
      { name: "data", help: "Store complete messages as data instead of copying them" },
      ...conditionFlags(),
      ...remoteFlags(),
    ],
    helpOnEmpty: true,
    messages: true,
  };
}

const CURSOR: FlagSpec = {
  name: "cursor",
  value: "NAME",
  group: "Cursor",
  complete: "cursor",
  help: "Read on from this named position, and move it",
};

const CURSOR_DIR: FlagSpec = {
  name: "cursor-dir",
  value: "DIR",
  group: "Cursor",
  complete: "dir",
  help: "Keep cursors in DIR instead of next to the pool",
};

/** Options of whatever reads with a cursor. */
function cursorFlags(): FlagSpec[] {
  const group = "Cursor";
  return [
    {
      name: "from",
      value: "FROM",
      group,
      help: "Where a new cursor starts: oldest (default), end, or message FROM",
    },
    {
      name: "error-on-gap",
      group,
      help: "Exit 9 if messages were overwritten before they were read; the cursor stays",
    },
    CURSOR_DIR,
    { ...DURABILITY, group, help: "`fast`, or `flush` to sync each acknowledgement to disk" },
  ];
}

/** Options of `follow` with a cursor. */
function followCursorFlags(): FlagSpec[] {
  const group = "Cursor";
  return [
    { ...CURSOR, conflicts: ["replay", "plot", "interactive", "skip-corrupt", "source"] },
    ...cursorFlags().map((flag) =>
      flag.name === "from" ? { ...flag, conflicts: ["tail", "since"] } : flag
    ),
    {
      name: "ack",
      value: "ACK",
      values: ["auto", "manual"],
      default: "auto",
      group,
      help: "What acknowledges a message: being written, or a line `SEQ` on stdin",
      more:
        "A manual acknowledgement covers everything up to SEQ; the end of stdin ends the command.",
    },
    {
      name: "window",
      value: "WINDOW",
      type: "u32",
      default: "256",
      group,
      help: "With --ack manual: this many messages may be unacknowledged",
    },
    {
      name: "exec",
      value: "COMMAND",
      group,
      complete: "command",
      help: "Run COMMAND (sh -c) for each message, on its stdin; exit 0 acknowledges",
      more:
        "Otherwise it is run again after 1 s, 2 s … 60 s. It has PLASMITE_SEQ and PLASMITE_TAGS " +
        "(a JSON array) in its environment.",
    },
    ...DEAD_LETTERS.map((flag): FlagSpec => ({ ...flag, group })),
  ];
}

/** Options for messages that fail again and again. */
const DEAD_LETTERS: readonly FlagSpec[] = [
  {
    name: "max-tries",
    value: "MAX_TRIES",
    type: "u32",
    default: "5",
    help: "After this many failures a message goes to the dead pool",
  },
  {
    name: "dead",
    value: "DEAD",
    complete: "pool",
    help: "The dead pool; by default POOL.dead, created when needed",
  },
];

function cursorList(): CommandSpec {
  return {
    name: "list",
    about: "List cursors and work groups with their positions",
    args: [POOL],
    flags: [CURSOR_DIR, ...remoteFlags()],
    helpOnEmpty: true,
    report: true,
  };
}

const CURSOR_NAME: PositionalSpec = {
  name: "NAME",
  required: true,
  complete: "cursor",
  help: "Name of the cursor",
};

function cursorSet(): CommandSpec {
  return {
    name: "set",
    about: "Set, create or repair a cursor",
    usage: "[OPTIONS] <POOL> <NAME> <SEQ|--from <FROM>>",
    args: [POOL, CURSOR_NAME, {
      name: "SEQ",
      type: "u64",
      help: "Everything up to SEQ counts as done; 0 for nothing",
    }],
    flags: [
      {
        name: "from",
        value: "FROM",
        values: ["oldest", "end"],
        conflicts: ["SEQ"],
        help: "Start with the oldest message, or with the next one",
      },
      CURSOR_DIR,
      ...remoteFlags(),
    ],
    helpOnEmpty: true,
    report: true,
  };
}

function cursorDelete(): CommandSpec {
  return {
    name: "delete",
    about: "Delete a cursor or a work group",
    args: [POOL, { ...CURSOR_NAME, help: "Name of the cursor or group" }],
    flags: [CURSOR_DIR, ...remoteFlags()],
    helpOnEmpty: true,
    report: true,
  };
}

function cursor(): CommandSpec {
  return {
    name: "cursor",
    about: "List, set and delete named positions of readers",
    commands: { list: cursorList, set: cursorSet, delete: cursorDelete },
    helpOnEmpty: true,
  };
}

function fetch(): CommandSpec {
  return {
    name: "fetch",
    about: "Print one message by its sequence number, or the next ones of a cursor",
    args: [POOL, {
      name: "SEQ",
      required: true,
      unless: "cursor",
      type: "u64",
      help: "Sequence number",
    }],
    flags: [
      { ...CURSOR, conflicts: ["SEQ"], help: "Print the next messages of this cursor instead" },
      {
        name: "count",
        short: "n",
        value: "COUNT",
        type: "u64",
        default: "1",
        group: "Cursor",
        help: "How many messages at most",
      },
      { ...TAG, group: "Cursor", help: "Only messages with this tag; all must be present" },
      { ...WHERE, group: "Cursor" },
      ...cursorFlags(),
      ...remoteFlags(),
    ],
    helpOnEmpty: true,
    messages: true,
  };
}

function follow(): CommandSpec {
  return {
    name: "follow",
    about: "Print messages as they arrive; also history and replay",
    args: [POOL],
    flags: [
      CREATE,
      TAIL,
      { name: "one", help: "Exit after one matching message" },
      { name: "no-follow", help: "Print what is there now, then exit" },
      JSONL,
      TIMEOUT,
      { name: "data-only", output: true, help: "Print only the data of each message" },
      SINCE,
      WHERE,
      { ...TAG, help: "Only messages with this tag; all must be present" },
      {
        name: "source",
        value: "NAME",
        conflicts: ["cursor", "interactive"],
        help: "Only messages that copy has brought from this source into a stream",
      },
      {
        name: "plot",
        value: "PATH",
        conflicts: ["replay", "one", "jsonl"],
        help: "Draw a chart of a number, such as .data.celsius; a line a tag",
      },
      {
        name: "interactive",
        short: "i",
        conflicts: ["plot", "replay", "one", "jsonl", "data-only", "timeout"],
        help: "Browse on a terminal: search, unfold, pause; ? shows the keys",
      },
      { name: "quiet-drops", help: "Do not report messages lost to overwriting" },
      {
        name: "skip-corrupt",
        conflicts: ["cursor", "interactive", "plot", "replay"],
        help: "Go on behind damage, and report what cannot be read",
      },
      { name: "no-notify", help: "Poll only; do not wait for change notices" },
      {
        name: "replay",
        value: "REPLAY",
        type: "float",
        help: "Print the selection at its own pace times REPLAY (0: at once), then exit",
      },
      ...followCursorFlags(),
      ...remoteFlags(),
    ],
    helpOnEmpty: true,
    messages: true,
  };
}

function latest(): CommandSpec {
  return {
    name: "latest",
    about: "Print the newest message, of a key or of each group",
    args: [POOL],
    flags: [
      {
        name: "key",
        value: "KEY",
        complete: "key",
        conflicts: ["by"],
        help: "The newest message with the tag key:KEY",
      },
      {
        name: "by",
        value: "BY",
        help: "The newest of each group: the beginning of a tag (agent:) or a path (.data.host)",
      },
      { ...TAG, help: "Only messages with this tag; all must be present" },
      WHERE,
      {
        name: "having",
        value: "HAVING",
        repeat: true,
        help: "jq condition on the newest of each group; groups that fail are left out",
        more: "--tag, --where and --max-age choose before grouping, --having afterwards: with " +
          "'.meta.tags | index(\"gone\") | not' what was marked as gone stays away.",
      },
      {
        name: "max-age",
        value: "AGE",
        help: "Only messages that are no older (500ms, 5s, 1m, 2h, 1d)",
      },
      ...remoteFlags(),
    ],
    helpOnEmpty: true,
    messages: true,
  };
}

const KEYS: PositionalSpec = {
  name: "KEY",
  required: true,
  repeat: true,
  complete: "key",
  help: "What is claimed; all keys together or none",
};
const HOLDER: FlagSpec = {
  name: "as",
  value: "HOLDER",
  required: true,
  help: "Your name; whoever has the same name shares your leases",
};
const TTL: FlagSpec = {
  name: "ttl",
  value: "TTL",
  default: "60s",
  help: "How long the lease lasts unless it is renewed (1s to 24h)",
};
const LEASE_TOKEN: FlagSpec = {
  name: "token",
  value: "TOKEN",
  type: "u64",
  help: "Token of the lease, as claim printed it",
};

/** Access to a server where `--token` is a lease's: the bearer token comes from a file. */
function remoteFileFlags(): FlagSpec[] {
  return remoteFlags().filter(({ name }) => name !== "token");
}

function claim(): CommandSpec {
  return {
    name: "claim",
    about: "Claim keys for a while, or run a command while they are claimed",
    usage: "[OPTIONS] --as <HOLDER> <POOL> <KEY>... [-- <COMMAND>...]",
    args: [POOL, KEYS, {
      name: "COMMAND",
      repeat: true,
      trailing: true,
      complete: "command",
      help: "Run this while the keys are claimed, then release them",
    }],
    flags: [
      HOLDER,
      TTL,
      {
        name: "wait",
        value: "WAIT",
        help: "Wait this long for keys that another holds (5s, 10m); then exit 5",
      },
      CREATE,
      CREATE_SIZE,
      ...remoteFlags(),
    ],
    helpOnEmpty: true,
    report: true,
  };
}

function renew(): CommandSpec {
  return {
    name: "renew",
    about: "Renew a lease before it expires",
    usage: "[OPTIONS] --as <HOLDER> --token <TOKEN> <POOL> <KEY>...",
    args: [POOL, { ...KEYS, help: "Keys of the lease" }],
    flags: [
      HOLDER,
      { ...LEASE_TOKEN, required: true },
      {
        name: "ttl",
        value: "TTL",
        help: "How long it lasts from now on; by default as long as before",
      },
      ...remoteFileFlags(),
    ],
    helpOnEmpty: true,
    report: true,
  };
}

function release(): CommandSpec {
  return {
    name: "release",
    about: "Release claimed keys",
    usage: "[OPTIONS] --as <HOLDER> <--token <TOKEN>|--force> <POOL> <KEY>...",
    args: [POOL, { ...KEYS, help: "Keys to release" }],
    flags: [
      HOLDER,
      { ...LEASE_TOKEN, conflicts: ["force"] },
      { name: "force", help: "End the leases of these keys, whoever holds them" },
      ...remoteFileFlags(),
    ],
    helpOnEmpty: true,
    report: true,
  };
}

function exportSpec(): CommandSpec {
  return {
    name: "export",
    about: "Write the messages of a pool as JSON lines, for import",
    args: [POOL],
    flags: [
      {
        name: "output",
        short: "o",
        value: "FILE",
        complete: "file",
        help: "Write to a file instead of stdout; it begins anew, except with --cursor",
      },
      {
        ...CURSOR,
        help: "Only what is new to this cursor; FILE is appended to",
        more:
          "The position moves once the messages are on disk. If an export is stopped, the next " +
          "one repeats what was not acknowledged.",
      },
      CURSOR_DIR,
      ...remoteFlags(),
    ],
    helpOnEmpty: true,
  };
}

function importSpec(): CommandSpec {
  return {
    name: "import",
    about: "Store exported messages again, with their times and tags",
    args: [LOCAL_POOL, {
      name: "FILE",
      complete: "file",
      help: "What export has written; `-` or nothing is stdin",
    }],
    flags: [
      CREATE,
      CREATE_SIZE,
      {
        name: "keep-seq",
        help: "Keep the sequence numbers, in a pool that was never written",
        more: "The numbers of the input must be consecutive.",
      },
      {
        name: "id-from",
        value: "EXPR",
        help: "Id of each message, as jq; what is stored already is not stored again",
        more:
          "For example '\"\\(.seq)@\\(.time)\"', to import the same file twice. The id becomes a tag.",
      },
    ],
    helpOnEmpty: true,
    report: true,
  };
}

function work(): CommandSpec {
  return {
    name: "work",
    about: "Take messages as one worker of a group, and run a command for each",
    usage: "[OPTIONS] --group <NAME> <POOL> -- <COMMAND>...",
    args: [POOL, {
      name: "COMMAND",
      required: true,
      repeat: true,
      trailing: true,
      complete: "command",
      help: "The command and its arguments, behind --; exit 0 means done",
    }],
    flags: [
      {
        name: "group",
        value: "NAME",
        required: true,
        complete: "group",
        help: "The group: each message goes to one of its workers",
      },
      { ...TAG, help: "Only messages with this tag; fixed when the group is created" },
      { ...WHERE, help: "Only messages that match; fixed when the group is created" },
      {
        name: "jobs",
        short: "j",
        value: "JOBS",
        type: "u32",
        default: "1",
        help: "How many commands run at once",
      },
      {
        name: "ack-wait",
        value: "ACK_WAIT",
        default: "60s",
        help: "After this long without a sign of life a message goes to another worker",
      },
      ...DEAD_LETTERS,
      {
        name: "from",
        value: "FROM",
        values: ["oldest", "end"],
        default: "oldest",
        help: "Where a new group starts",
      },
      { name: "drain", help: "Exit 0 when everything is done, by this worker or by others" },
      { ...TIMEOUT, help: "Exit 124 after this long without a message (500ms, 5s, 1m, 2h, 1d)" },
      {
        name: "ordered-by-key",
        help: "Never two messages with the same key: tag at once",
      },
      {
        name: "cursor-dir",
        value: "DIR",
        complete: "dir",
        help: "Keep the group's file in DIR instead of next to the pool",
      },
      ...remoteFlags(),
    ],
    helpOnEmpty: true,
  };
}

function tap(): CommandSpec {
  return {
    name: "tap",
    about: "Run a command and keep its output in a pool",
    usage: "[OPTIONS] <POOL> -- <COMMAND>...",
    args: [LOCAL_POOL, {
      name: "COMMAND",
      repeat: true,
      trailing: true,
      complete: "command",
      help: "The command and its arguments, behind --",
    }],
    flags: [
      CREATE,
      CREATE_SIZE,
      { ...TAG, help: "Tag of every captured line; may be repeated" },
      { name: "quiet", short: "q", help: "Do not pass the output through" },
      {
        name: "cr",
        value: "CR",
        values: ["keep", "last"],
        default: "keep",
        help: "Of a line with carriage returns keep all, or what a terminal shows last",
      },
      DURABILITY,
    ],
    helpOnEmpty: true,
  };
}

function duplex(): CommandSpec {
  return {
    name: "duplex",
    about: "Send stdin and print what others send, in one process",
    args: [POOL],
    flags: [
      { name: "me", value: "ME", help: "Your name; required on a terminal" },
      CREATE,
      TAIL,
      SINCE,
      TIMEOUT,
      JSONL,
      { name: "echo-self", help: "Print your own messages too" },
      ...remoteFlags(),
    ],
    helpOnEmpty: true,
    messages: true,
  };
}

function top(): CommandSpec {
  return {
    name: "top",
    about: "Watch the pools: rate, fill, followers, cursors, claims",
    args: [{
      name: "PLACE",
      complete: "dir",
      help: "A directory, http(s)://host:port or nats://host:port; default --dir",
    }],
    flags: [
      { name: "once", help: "Print one JSON line a pool, then exit; in a pipe, every second" },
      ...remoteFlags(),
    ],
  };
}

function doctor(): CommandSpec {
  return {
    name: "doctor",
    about: "Check pools for damage, and repair them",
    usage: "[OPTIONS] <POOL|--all>",
    args: [{ name: "POOL", complete: "pool", help: "Pool name or path" }],
    flags: [
      { name: "all", help: "Check every pool of the directory" },
      {
        name: "quick",
        help: "Check only the header, both ends and a sample of the messages",
      },
      {
        name: "repair",
        help: "Write a backup, then repair in place; intact messages stay",
      },
    ],
    helpOnEmpty: true,
    report: true,
  };
}

const BIND: FlagSpec = {
  name: "bind",
  value: "BIND",
  default: "127.0.0.1:9700",
  help: "Address and port to listen on",
  group: "Connection",
};

function copy(): CommandSpec {
  return {
    name: "copy",
    about: "Copy the messages of one pool into another, to and from NATS too",
    args: [
      { name: "FROM", required: true, complete: "pool", help: "Pool to read: name, path or URL" },
      {
        name: "TO",
        required: true,
        complete: "pool",
        help: "Pool to append to: name, path or URL",
      },
    ],
    flags: [
      { name: "follow", help: "Go on with new messages until stopped" },
      {
        name: "source",
        value: "NAME",
        help: "Name of the source in a stream; default HOST.POOL. One process copies a source",
      },
      {
        name: "cursor",
        value: "NAME",
        help: "Name of the cursor that remembers the position; default by FROM and TO",
      },
      {
        name: "exact",
        help: "Tag each message with its origin, so that a crash repeats none; streams need no tag",
      },
      CREATE,
      CREATE_SIZE,
      ...remoteFlags(),
    ],
    helpOnEmpty: true,
  };
}

function serveFlags(): FlagSpec[] {
  return [
    BIND,
    {
      name: "remote-bind",
      value: "REMOTE_BIND",
      group: "Sharing",
      help: "Address and port of the listener for other machines (TLS, access keys)",
    },
    {
      name: "shared-address",
      value: "SHARED_ADDRESS",
      group: "Sharing",
      help: "As SERVER, without its effect on the port",
    },
    {
      name: "front-cert",
      value: "FRONT_CERT",
      group: "Sharing",
      complete: "file",
      help: "Certificate (PEM) of a TLS proxy in front, for the keys",
    },
    {
      name: "mount",
      value: "NAME=REF",
      repeat: true,
      group: "NATS",
      help: "Serve a stream as pool NAME too: NAME=nats://host/STREAM; may be repeated",
    },
    {
      name: "mount-creds",
      value: "FILE",
      group: "NATS",
      complete: "file",
      help: "Credentials for mounted streams",
    },
    {
      name: "mount-token-file",
      value: "FILE",
      group: "NATS",
      complete: "file",
      help: "Token for mounted streams",
    },
    {
      name: "mount-tls-ca",
      value: "FILE",
      group: "NATS",
      complete: "file",
      help: "Trust only these certificates (PEM) of NATS servers",
    },
    {
      name: "mount-tls-cert",
      value: "FILE",
      group: "NATS",
      complete: "file",
      help: "Client certificate (PEM) for mounted streams",
    },
    {
      name: "mount-tls-key",
      value: "FILE",
      group: "NATS",
      complete: "file",
      help: "Key (PEM) of that certificate",
    },
    {
      name: "access",
      value: "ACCESS",
      values: ["read-only", "write-only", "read-write"],
      default: "read-write",
      group: "Connection",
      help: "What clients may do",
    },
    {
      name: "cors-origin",
      value: "CORS_ORIGIN",
      repeat: true,
      group: "Connection",
      help: "Origin whose pages may call this server; may be repeated",
    },
    {
      name: "allow-host",
      value: "ALLOW_HOST",
      repeat: true,
      group: "Connection",
      help: "Further Host name to answer to; may be repeated",
    },
    {
      name: "token",
      value: "TOKEN",
      group: "Authentication",
      secret: true,
      help: "Bearer token clients need",
    },
    {
      name: "token-file",
      value: "TOKEN_FILE",
      group: "Authentication",
      complete: "file",
      help: "Read the bearer token from a file",
    },
    {
      name: "tls-cert",
      value: "TLS_CERT",
      group: "TLS",
      complete: "file",
      help: "Certificate chain (PEM); needs --tls-key",
    },
    {
      name: "tls-key",
      value: "TLS_KEY",
      group: "TLS",
      complete: "file",
      help: "Private key (PEM)",
    },
    { name: "tls-self-signed", group: "TLS", help: "Make a certificate for this run" },
    {
      name: "allow-non-loopback",
      group: "Safety",
      help: "Allow an address that other machines can reach",
    },
    {
      name: "insecure-no-tls",
      group: "Safety",
      help: "Allow writes from other machines without TLS",
    },
    {
      name: "max-body-bytes",
      value: "MAX_BODY_BYTES",
      type: "u64",
      default: "1048576",
      group: "Safety",
      help: "Largest request body",
    },
    {
      name: "max-bodies-bytes",
      value: "MAX_BODIES_BYTES",
      type: "u64",
      default: "67108864",
      group: "Safety",
      help: "Most memory for all request bodies together",
    },
    {
      name: "max-tail-timeout-ms",
      value: "MAX_TAIL_TIMEOUT_MS",
      type: "u64",
      default: "30000",
      group: "Safety",
      help: "Longest wait a client may ask for",
    },
    {
      name: "max-tail-concurrency",
      value: "MAX_TAIL_CONCURRENCY",
      type: "u64",
      default: "64",
      group: "Safety",
      help: "Most streams at once",
    },
  ];
}

function serveInit(): CommandSpec {
  return {
    name: "init",
    about: "Make a token, a certificate with its key, and an access key for secure serving",
    flags: [
      {
        ...BIND,
        default: "0.0.0.0:9700",
        help: "Address the server will use, for the certificate and the printed commands",
      },
      {
        name: "output-dir",
        value: "OUTPUT_DIR",
        default: ".",
        complete: "dir",
        help: "Where the files go",
      },
      {
        name: "token-file",
        value: "TOKEN_FILE",
        default: "plasmite-auth-token.txt",
        complete: "file",
        help: "Token file to write",
      },
      {
        name: "tls-cert",
        value: "TLS_CERT",
        default: "plasmite-tls-cert.pem",
        complete: "file",
        help: "Certificate to write",
      },
      {
        name: "tls-key",
        value: "TLS_KEY",
        default: "plasmite-tls-key.pem",
        complete: "file",
        help: "Private key to write",
      },
      { name: "force", help: "Overwrite files that exist" },
    ],
  };
}

function serveCheck(): CommandSpec {
  return {
    name: "check",
    about: "Explain and check the configuration without serving",
    report: true,
  };
}

function serveStatus(): CommandSpec {
  return {
    name: "status",
    about: "Show the servers running on this machine",
    flags: [{ name: "all", help: "Also installed ones that are down, and how they are managed" }],
  };
}

const SHARE_WITH: PositionalSpec = {
  name: "SERVER",
  help: "Share with other machines too, as https://HOST[:PORT]; they need access keys",
};

function serveInstall(): CommandSpec {
  return {
    name: "install",
    about: "Install a server of this directory as a service of systemd, and start it",
    args: [SHARE_WITH],
    flags: [
      {
        name: "user",
        conflicts: ["system"],
        group: "Service",
        help: "A service of this user, without root (default)",
      },
      {
        name: "system",
        conflicts: ["user"],
        group: "Service",
        help: "A service of the machine, sandboxed, that runs as this user; asks sudo",
      },
      ...serveFlags(),
    ],
  };
}

function serveLogs(): CommandSpec {
  return {
    name: "logs",
    about: "Show what the installed server has printed",
    flags: [
      { name: "tail", value: "TAIL", type: "u64", default: "50", help: "Number of lines" },
      { name: "follow", help: "Go on as lines are added" },
    ],
  };
}

/** The commands below `serve`. */
function serveCommands(): Readonly<Record<string, () => CommandSpec>> {
  const plain = (name: string, about: string) => () => ({ name, about });
  return {
    init: serveInit,
    check: serveCheck,
    status: serveStatus,
    install: serveInstall,
    start: plain("start", "Start the installed server"),
    stop: plain("stop", "Stop the installed server; it starts again at the next start-up"),
    restart: plain("restart", "Restart the installed server"),
    logs: serveLogs,
    uninstall: plain("uninstall", "Stop and remove the installed server; pools and keys stay"),
  };
}

function serve(): CommandSpec {
  return {
    name: "serve",
    about: "Share pools over HTTP, with a web page and MCP",
    args: [SHARE_WITH],
    flags: serveFlags(),
    commands: serveCommands(),
    runs: true,
  };
}

const SERVER: PositionalSpec = {
  name: "SERVER",
  required: true,
  help: "Address of the server: https://host:port",
};

function accessConnect(): CommandSpec {
  return {
    name: "connect",
    about: "Save an access key for a server, read from a hidden prompt or stdin",
    args: [SERVER],
    helpOnEmpty: true,
  };
}

function accessStatus(): CommandSpec {
  return {
    name: "status",
    about: "Check that a server takes the saved key; exit 1 when it does not",
    args: [SERVER],
    helpOnEmpty: true,
  };
}

function accessList(): CommandSpec {
  return { name: "list", about: "List the servers that a key is saved for" };
}

function accessDisconnect(): CommandSpec {
  return {
    name: "disconnect",
    about: "Forget the saved key of a server",
    args: [SERVER],
    helpOnEmpty: true,
  };
}

function accessInvite(): CommandSpec {
  return {
    name: "invite",
    about: "Make an access key for a person or a device; it is shown once",
    args: [{ name: "NAME", help: "Whose key it is; shown by `access keys`" }],
    flags: [
      { name: "name", value: "NAME", conflicts: ["NAME"], help: "The same as NAME" },
      {
        name: "pools",
        value: "POOLS",
        help: "Only these pools: names or patterns such as ci,logs-*",
      },
      {
        name: "rights",
        value: "RIGHTS",
        values: ["read", "append", "read-append", "admin"],
        default: "admin",
        help: "What the key allows",
        more: "`append` cannot read. `admin` also creates and deletes pools.",
      },
      { name: "expires", value: "EXPIRES", help: "Valid for this long: 30m, 12h, 30d" },
    ],
    helpOnEmpty: true,
  };
}

function accessKeys(): CommandSpec {
  return { name: "keys", about: "List the access keys of a pool directory" };
}

function accessRevoke(): CommandSpec {
  return {
    name: "revoke",
    about: "Revoke an access key; what it has open ends at once",
    args: [{ name: "ID", required: true, help: "Id of the key, as `access keys` shows it" }],
    helpOnEmpty: true,
  };
}

/** 1.x has it on systems whose trust store it edits; this program never does. */
function accessUntrust(): CommandSpec {
  return {
    name: "untrust",
    about: "Not offered: remove a certificate with the system's own tools",
    args: [{ name: "SHA256", required: true, help: "Fingerprint of the certificate" }],
    helpOnEmpty: true,
    hidden: true,
  };
}

function access(): CommandSpec {
  return {
    name: "access",
    about: "Share pools, and use shared ones, with access keys",
    commands: {
      invite: accessInvite,
      keys: accessKeys,
      revoke: accessRevoke,
      connect: accessConnect,
      status: accessStatus,
      list: accessList,
      disconnect: accessDisconnect,
      untrust: accessUntrust,
    },
    helpOnEmpty: true,
  };
}

function mcp(): CommandSpec {
  return {
    name: "mcp",
    about: "Serve pools to agents over stdio (Model Context Protocol)",
    flags: [
      {
        name: "remote",
        value: "REMOTE",
        help: "Use the pools of a server: http(s)://host:port",
      },
      ...remoteFlags(),
    ],
  };
}

function version(): CommandSpec {
  return { name: "version", about: "Print the version" };
}

function completion(): CommandSpec {
  return {
    name: "completion",
    about: "Print a completion script for a shell",
    args: [{
      name: "SHELL",
      required: true,
      values: ["bash", "elvish", "fish", "powershell", "zsh"],
      help: "Shell to complete in",
    }],
    helpOnEmpty: true,
  };
}

/** `help [COMMAND]...`; the parser turns it into the help of that command. */
function help(): CommandSpec {
  return {
    name: "help",
    about: "Print the help of a command",
    args: [{ name: "COMMAND", repeat: true, complete: "topic", help: "Command to explain" }],
    flags: [{ name: "man", help: "Print the manual page plasmite(1)" }],
  };
}

/** What completion scripts call: prints names of pools, or what a pool has, one a line. */
function complete(): CommandSpec {
  return {
    name: "__complete",
    about: "Print candidates for a shell",
    args: [
      {
        name: "KIND",
        required: true,
        values: ["pool", "tag", "key", "cursor", "group"],
        help: "What is completed",
      },
      { name: "POOL", help: "Pool that has them" },
    ],
    hidden: true,
  };
}

/** The program itself: its commands, in the order of its help. */
export function root(): CommandSpec {
  return {
    name: "plasmite",
    about: "Persistent JSON message queues on disk, shared by any number of processes",
    commands: {
      pool,
      feed,
      serve,
      access,
      mcp,
      fetch,
      follow,
      latest,
      claim,
      renew,
      release,
      cursor,
      work,
      export: exportSpec,
      import: importSpec,
      tap,
      duplex,
      copy,
      top,
      doctor,
      version,
      completion,
      help,
      __complete: complete,
    },
    helpOnEmpty: true,
  };
}
