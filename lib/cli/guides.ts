/**
 * The text of help pages beyond the table: examples and notes for each command.
 *
 * @module
 */

/** The text of the root help around its generated lists. */
export function rootGuide(): { intro: string; outro: string } {
  return {
    intro: `A pool is a ring file of JSON messages: the newest stay, the oldest make room.
feed appends, follow prints what arrives, fetch gets one; any number of processes at once.
`,
    outro: `FIRST LOCAL WORKFLOW
  plasmite feed demo --create '{"hello":"world"}'   append (and make the pool)
  plasmite follow demo --tail 5                     the last five, then live
  plasmite fetch demo 1                             one message by its number

OUTPUT
  Text for people on a terminal, stable text and JSON in a pipe. --format json or yaml asks for
  one form everywhere. Errors and notices go to stderr: one JSON line when it is not a terminal.
  Exit codes: 0 fine, 2 usage, 3 not found, 4 exists, 5 busy, 6 permission, 7 corrupt, 8 i/o,
  9 messages lost, 10 conflict, 124 timeout.

OPTIONS AND HELP
  Options may stand before or after the command's words; -- ends them.
  -h is short, --help and \`plasmite help <COMMAND>\` have examples. \`pls\` is the same program.

GUIDES
  plasmite help feed       what goes in: JSON, JSONL, json-seq, event streams, YAML, Lite3
  plasmite help follow     what comes out: history, filters, replay
  plasmite help latest     the newest message of a key, or of each group
  plasmite help cursor     positions of readers that survive restarts
  plasmite help claim      locks with an expiry, between any processes
  plasmite help work       a queue for several workers
  plasmite help tap        keep the output of any command
  plasmite help serve      share pools over HTTP; every command takes http(s)://host:port/<pool>
  plasmite help access     share pools with other machines, each with a key of its own
  plasmite help doctor     when a pool is damaged
`,
  };
}

/** Examples and notes of one command; undefined if its options are enough. */
export function guide(name: string): string | undefined {
  switch (name) {
    case "feed":
      return `EXAMPLES
  plasmite feed demo --create '{"hello":"world"}'
  plasmite feed demo --tag deploy --tag prod '{"sha":"f4e5d6c"}'
  jq -c '.[]' events.json | plasmite feed demo
  plasmite feed demo --file events.jsonl -e skip
  curl -N https://example.com/stream | plasmite feed ticks --create
  journalctl -o json-seq -f | plasmite feed journal --create --create-size 8M
  plasmite follow a --no-follow --format json | plasmite feed b    (copies with tags)

NOTES
  A message is a JSON object. One receipt a message: {"meta":{"tags":[…]},"seq":N,"time":"…"}.
  --format json prints the stored message instead. With -e skip bad records are reported on stderr
  and the exit code is 1.
  Records that are complete messages (seq, time, meta, data) are copied; --data stores them as data.

  plasmite feed jobs --expect 41 '{"take":7}'              only if 41 is still the newest (else 10)
  plasmite feed ci --key unit --expect none '{"ok":true}'  only if there is no message key:unit
  plasmite feed orders --id o-1001 '{"n":1}'               once, however often this is repeated
  plasmite feed orders --id-from .data.order -f orders.jsonl
  plasmite feed ledger --atomic -f entries.jsonl           all of them or none

  With an id, --retry also repeats an append whose outcome is unknown. An id is looked for in the
  last --id-window messages; one that is older, or was overwritten, is stored again.
`;
    case "fetch":
      return `EXAMPLES
  plasmite fetch demo 42
  plasmite fetch demo 42 --format yaml
  plasmite fetch http://pi.local:9700/demo 42
  plasmite fetch inbox --cursor alice -n 10                the next ten for alice; exit 3: none

NOTES
  With --cursor, what was printed is done: the next run goes on after it. A new cursor starts with
  the oldest message unless --from says otherwise.
`;
    case "follow":
      return `EXAMPLES
  plasmite follow demo                                     what arrives from now on
  plasmite follow demo --tail 10                           the last ten, then live
  plasmite follow demo --since 1h --jsonl                  the last hour, then live
  plasmite follow demo --no-follow --format json           all there is, then exit
  plasmite follow ci --where '.data.status == "green"' --one > /dev/null && ./deploy.sh
  plasmite follow demo --tag alert --where '.data.level > 3'
  plasmite follow demo --since 10m --replay 2              twice as fast as it happened
  plasmite follow demo --format line                       one short line a message
  plasmite follow jobs --cursor mailer --exec ./mail.sh    each message once it succeeded
  plasmite follow inbox --cursor alice --one               wait for the next one for alice

NOTES
  --where is jq on the whole message: .data, .meta.tags, .seq, .time. A missing key is an error, so
  the message does not match; write (.data.x? // 0) to allow it.
  --one exits 0 after a match; --timeout exits 124 when nothing came.
  Messages that were overwritten before they could be read are reported on stderr.
  --cursor NAME keeps the position in POOL.cursors/NAME: whoever is killed or restarted goes on
  there, and may get the last messages again (at least once). A message is done once it was written
  to stdout; what sits in a pipe when its reader dies is lost to that reader, and --exec or
  --ack manual are for those who cannot have that. A new cursor starts with the oldest message;
  --from, --tail and --since choose another place, and are ignored once it exists.
  In a pipe it ends when its reader has gone; while nothing arrives it notices that only where Deno
  may use ffi (-A, or --allow-ffi), and otherwise with the next message.
`;
    case "latest":
      return `EXAMPLES
  plasmite latest ci --key unit                            the newest message with the tag key:unit
  plasmite latest agents --by agent:                       the newest of each agent
  plasmite latest hosts --by .data.host --max-age 5m       of each host that spoke lately
  plasmite latest ci --by key: --having '.data.status != "ok"'

NOTES
  One line a message in a pipe, ordered by number. With --by nothing found is no error; otherwise the
  exit code is 3.
`;
    case "claim":
      return `EXAMPLES
  plasmite claim locks deploy --as alice --create
  plasmite claim locks deploy --as alice --wait 10m -- ./deploy.sh
  plasmite claim locks a.ts b.ts --as agent-7 --ttl 15m

NOTES
  Prints {"holder":…,"keys":[…],"seq":N,"token":N,"until":"…"}. Exit 5: another holds one of the
  keys, and nothing was claimed. To repeat a claim of the same keys renews it.
  With a command, the lease is renewed while it runs and released at its end; the exit code is the
  command's, and signals are passed on to it. It finds PLASMITE_TOKEN, PLASMITE_KEYS (a JSON array)
  and PLASMITE_POOL (as typed here) in its environment. If the lease is lost, the command gets
  SIGTERM and after 10 s SIGKILL, and the exit code is 10.

WHAT IT CANNOT DO
  1. A holder that sleeps past its ttl may still act. Pass the token to whatever it changes, and
     refuse smaller ones there: a later lease of a key has a higher token.
  2. The pool forgets: a claim that was overwritten by other messages is free. Keep claims in a pool
     of their own (1 MiB holds about 2,000); claim warns when messages younger than the lease are
     already overwritten.
  3. Times are of one machine's clock. A claim that seems to come from the future counts as held, for
     those who wait at most its ttl from first sight; release --force ends any.
  4. It binds only those who ask. Whoever does not claim is not stopped.
`;
    case "renew":
      return `EXAMPLES
  plasmite renew locks deploy --as alice --token 41
  plasmite renew locks deploy --as alice --token 41 --ttl 5m

NOTES
  Renew after a third of the ttl. Exit 10: the lease was lost, released, or is no longer retained.
  A lease that expired and that nobody took can be renewed.
`;
    case "release":
      return `EXAMPLES
  plasmite release locks deploy --as alice --token 41
  plasmite release locks deploy --as admin --force

NOTES
  Exit 10: the lease is another's, or has another token. To release it again is no error.
`;
    case "cursor":
    case "cursor list":
    case "cursor set":
    case "cursor delete":
      return `EXAMPLES
  plasmite cursor list inbox
  plasmite cursor list inbox --json | jq '.cursors[] | select(.lag > 100)'
  plasmite cursor set inbox alice 41                       everything up to 41 is done
  plasmite cursor set inbox alice --from end               only what comes from now on
  plasmite cursor delete inbox alice

NOTES
  SEQ: everything up to here is done. LAG: messages after it. LOST: those of them that are already
  overwritten. A cursor that somebody uses cannot be set or deleted (exit 5).
`;
    case "work":
      return `EXAMPLES
  plasmite work jobs --group render -- ./render.sh         one of any number of workers
  plasmite work jobs --group render --jobs 4 --drain -- ./render.sh
  plasmite work mail --group send --tag urgent --max-tries 10 -- ./send.py

NOTES
  Each message goes to one worker of the group, on the stdin of the command. It has PLASMITE_SEQ,
  PLASMITE_TRIES (from 1), PLASMITE_TOKEN and PLASMITE_TAGS (a JSON array) in its environment.
  Exit 0 means done. Otherwise, and when a worker dies, the message is handed out again; after
  --max-tries it goes to the dead pool (POOL.dead). So each is done at least once, and may be done
  twice after a crash: the token of a later try is higher.
  SIGTERM and SIGINT: no more messages are taken, running commands end, exit 0. A second signal is
  passed on to them.
  Order holds only for one worker with one job, or for each key with --ordered-by-key.
`;
    case "tap":
      return `EXAMPLES
  plasmite tap build --create -- cargo build
  plasmite tap nightly --create-size 64M --tag ci -- make -j8
  plasmite follow build --where '.data.stream == "stderr"'

NOTES
  Lines go to the pool as {"kind":"line","stream":"stdout","line":"…"}, between a start and an exit
  message. The exit code is the command's own; signals are passed on to it.
`;
    case "duplex":
      return `EXAMPLES
  plasmite duplex chat --create --me alice
  plasmite duplex chat --me bob --tail 20
  plasmite duplex http://pi.local:9700/chat --me carol

NOTES
  On a terminal each line becomes {"from":ME,"msg":LINE}; Ctrl-D ends. From a pipe the input is read
  as by feed. Your own messages are hidden unless --echo-self.
  In a pipe it ends when its reader has gone; while nothing arrives it notices that only where Deno
  may use ffi (-A, or --allow-ffi), and otherwise with the next message.
`;
    case "doctor":
      return `EXAMPLES
  plasmite doctor demo
  plasmite doctor --all --json
  plasmite doctor demo --repair

NOTES
  Exit code 7 when a pool is damaged. For a damaged pool doctor says what a repair would keep and
  lose; nothing is changed without --repair, which writes a backup next to the pool first
  (POOL.plasmite.backup-TIME), works in place, and says exactly what was lost. A lost message in the
  middle is replaced by one tagged plasmite.lost, so that all others keep their numbers.
`;
    case "pool":
    case "pool create":
      return `EXAMPLES
  plasmite pool create demo
  plasmite pool create logs --size 64M
  plasmite pool create a b c --json
  plasmite pool create ./here.plasmite

NOTES
  A name lives in --dir; a word with a / is a path, used exactly as given.
  All the pools are made, or none.
`;
    case "pool info":
      return `EXAMPLES
  plasmite pool info demo
  plasmite pool info demo --json | jq .metrics
  plasmite pool info http://pi.local:9700/demo
`;
    case "pool trim":
      return `EXAMPLES
  plasmite pool trim events --older-than 7d
  plasmite pool trim events --keep 1000
  plasmite pool trim events --before 41250 --json

NOTES
  Readers that have not read the dropped messages are told of a gap. Sequence numbers go on.
  By age it stops at the first message that is young enough, because times need not increase.
`;
    case "pool set":
      return `EXAMPLES
  plasmite pool set events --max-age 7d
  plasmite pool set events --max-age none
`;
    case "export":
      return `EXAMPLES
  plasmite export events -o events.jsonl
  plasmite export events --cursor backup -o /backup/events.jsonl
  plasmite export http://pi.local:9700/events | gzip > events.jsonl.gz

NOTES
  Each line is a complete message, with all digits of its time; feed takes it as well.
  Exit 1: messages were overwritten before they could be exported; a notice says which.
`;
    case "import":
      return `EXAMPLES
  plasmite import copy events.jsonl --create-size 64M --keep-seq
  plasmite import events old.jsonl --id-from '"\\(.seq)@\\(.time)"'
  gunzip -c events.jsonl.gz | plasmite import events

NOTES
  Prints what was stored. If a line is no complete message the exit code is 2, and what came before
  it is stored. With --id-from the same file can be imported again: nothing is stored twice, as
  long as it is among the last million messages of the pool.
`;
    case "pool list":
      return `EXAMPLES
  plasmite pool list
  plasmite pool list --dir ./pools --format json
  plasmite pool list http://pi.local:9700
`;
    case "pool delete":
      return `EXAMPLES
  plasmite pool delete demo
  plasmite pool delete old-1 old-2 --json
`;
    case "access":
      return `EXAMPLES
  On the machine with the pools:
    plasmite serve https://pi.local:9743       serve other machines too, with TLS
    plasmite access invite laptop              make a key; it is printed once
  On the other machine:
    plasmite access connect https://pi.local:9743    paste the key
    plasmite follow https://pi.local:9743/build      from now on without options

NOTES
  A key says whom to trust and what to send, so no certificate has to be copied. It is typed at a
  prompt or piped in, never given as an argument.
  connect, status, list and disconnect are about keys that are saved here; invite, keys and revoke
  about the keys of a pool directory (--dir), with or without a running server.
`;
    case "access connect":
      return `EXAMPLES
  plasmite access connect https://pi.local:9743      asks for the key
  plasmite access connect pi.local:9743 < key.txt    takes the first line

NOTES
  The key is saved when the server has taken it, for exactly this address. Every command, the
  library and \`plasmite mcp --remote\` use it. --token, --tls-ca and their like turn that off.
  Exit codes: 2 malformed key, 6 not taken, 8 not reached or not the server of the key.
`;
    case "access invite":
      return `EXAMPLES
  plasmite access invite laptop                                        everything, forever
  plasmite access invite guest --rights read --expires 12h
  plasmite access invite ci --pools 'ci,logs-*' --rights append

NOTES
  The key is printed on stdout, now and never again: only a digest of it is kept.
  --pools takes names and patterns: * is any text, ? one character.
`;
    case "serve":
      return `EXAMPLES
  plasmite serve
  plasmite serve https://pi.local:9743            other machines too, with access keys
  plasmite serve init --output-dir ./secure
  plasmite serve --bind 0.0.0.0:9700 --allow-non-loopback --token-file t --tls-cert c --tls-key k
  plasmite serve --access read-only check

NOTES
  Loopback only unless asked. The page is at /ui, agents connect to /mcp.
`;
    case "serve init":
      return `EXAMPLES
  plasmite serve init
  plasmite serve init --output-dir ./secure --force

FILES
  plasmite-auth-token.txt   the token: for --token-file, on the server and on clients
  plasmite-tls-cert.pem     the certificate: for --tls-cert, and --tls-ca on clients
  plasmite-tls-key.pem      its private key: for --tls-key; it stays on the server
  plasmite-access-key.txt   the access key: one line instead of token and certificate, for
                            \`plasmite access connect\` on clients

  Token, private key and access key are secrets: whoever has the token or the access key may do
  what --access allows.
`;
    case "mcp":
      return `EXAMPLES
  {"command": "plasmite", "args": ["mcp", "--dir", "/path/to/pools"]}
  plasmite mcp --remote https://pi.local:9743     with the saved access key
  plasmite mcp --remote https://pi.local:9700 --token-file token.txt --tls-ca cert.pem
`;
    case "completion":
      return `EXAMPLES
  plasmite completion bash > ~/.local/share/bash-completion/completions/plasmite
  plasmite completion zsh > "\${fpath[1]}/_plasmite"
  plasmite completion fish > ~/.config/fish/completions/plasmite.fish

NOTES
  The script completes commands, options, pools, tags, keys and cursors, for plasmite and pls.
`;
    default:
      return undefined;
  }
}
