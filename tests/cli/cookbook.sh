#!/usr/bin/env bash
#
# The user's cookbook, recipe by recipe, word for word. Everything here really runs: processes wait
# for one another, a live HTTP stream flows, a compiler compiles, two people chat on two terminals.
#
#   tests/cli/cookbook.sh                 all recipes
#   tests/cli/cookbook.sh ci_gate replay  some of them
#   tests/cli/cookbook.sh --list          their names
#
# Where a recipe names a machine, a service or a program that is not here, a stand-in of the same
# name takes its place (see "Stand-ins"); the recipes' own lines stay as they are. Each recipe has a
# directory and a home of its own. Prints "ok NAME" or "not ok NAME" with what went wrong.

recipes=(ci_gate event_bus multi_writer live_stream build_progress tap duplex duplex_stream \
  system_log system_log_bigger replay remote remote_duplex browser)

# ---- CI Gate ---------------------------------------------------------------------------------

ci_gate() {
  cat > deploy.sh <<'SCRIPT'
# deploy.sh — blocks until tests pass
pls follow ci --where '.data.status == "green"' --one > /dev/null
echo "Tests passed — deploying..."
./deploy-to-staging.sh
SCRIPT
  cat > test-runner.sh <<'SCRIPT'
# test-runner.sh — signals when done (--create makes the pool if needed)
./run-tests.sh
pls feed ci --create '{"status": "green", "commit": "a1b2c3d", "suite": "unit"}'
SCRIPT
  program deploy-to-staging.sh 'echo deployed'
  program run-tests.sh 'pls feed ci --create "{\"status\": \"red\"}"'

  pls pool create ci                       # so that the gate can wait before anyone has fed
  bash deploy.sh > deploy.log &
  eventually following "$!"
  ./run-tests.sh                           # a red run opens nothing
  bash test-runner.sh
  wait "$!"
  equal "$(cat deploy.log)" $'Tests passed — deploying...\ndeployed'
}

# ---- Live Event Stream: one pool, several writers ---------------------------------------------

event_bus() {
  cat() { if [ "$*" = /sys/class/thermal/thermal_zone0/temp ]; then echo 81500; else command cat "$@"; fi; }

  # on the Pi — feed readings every second
  while true; do
    pls feed telemetry --create \
      --tag sensor \
      "{\"sensor\": \"temp\", \"value\": $(cat /sys/class/thermal/thermal_zone0/temp), \"ts\": \"$(date -Iseconds)\"}"
    sleep 1
  done &
  eventually test -e ~/.plasmite/pools/telemetry.plasmite

  # on a laptop — alert when the CPU thermal zone exceeds 80°C
  pls follow telemetry --tag sensor --where '.data.value > 80000' > alerts &
  eventually grep -q 81500 alerts

  # replay the last hour of readings to see the trend
  pls follow telemetry --tag sensor --since 1h --replay 0 \
    | jq '.data | [.ts, .value]' > trend
  jq -es 'length > 0 and all(.[1] == 81500 and (.[0] | startswith("2")))' trend
}

multi_writer() {
  pls pool create telemetry
  # on-call — show only api alerts
  pls follow telemetry --tag alert --where '.data.service == "api"' > on-call &
  eventually following "$!"

  pls feed telemetry --tag deploy '{"service": "api", "sha": "f4e5d6c"}'
  pls feed telemetry --tag alert '{"service": "api", "msg": "latency spike"}'
  pls feed telemetry --tag metric '{"service": "web", "rps": 1420}'

  eventually grep -q 'latency spike' on-call
  equal "$(jq -c .data on-call)" '{"service":"api","msg":"latency spike"}'
  # postmortem — what happened in the 10 minutes before the alert?
  mkdir tmp
  pls follow telemetry --since 10m --replay 0 --jsonl > tmp/timeline.jsonl
  equal "$(jq -r '.meta.tags[0]' tmp/timeline.jsonl | xargs)" 'deploy alert metric'
}

# ---- Live Event Stream: capture an API's stream -------------------------------------------------

live_stream() {
  api_server
  STRIPE_KEY=sk_test_1

  # capture Stripe's event stream into a pool
  curl -N https://api.stripe.com/v1/events \
    -H "Authorization: Bearer $STRIPE_KEY" \
    | pls feed stripe-events --create &
  capture=$!
  eventually test -e ~/.plasmite/pools/stripe-events.plasmite

  # in another terminal — filter for completed payments as they arrive
  pls follow stripe-events --where '.data.type == "payment_intent.succeeded"' > payments &
  eventually grep -q payment_intent.succeeded payments     # while the stream is still open
  running "$capture"

  # something went wrong 20 minutes ago — replay and investigate
  pls follow stripe-events --since 20m --replay 1 > replayed
  jq -es 'length > 1 and (map(.seq) | . == sort)' replayed

  # export the last 500 events for offline analysis
  mkdir tmp
  pls follow stripe-events --tail 500 --jsonl > tmp/stripe-dump.jsonl &
  eventually grep -q payment_intent.created tmp/stripe-dump.jsonl
  equal "$(head -1 tmp/stripe-dump.jsonl | jq -c '[.seq, .data.type]')" '[1,"payment_intent.created"]'
}

# ---- Build progress -----------------------------------------------------------------------------

build_progress() {
  program deploy.sh 'echo shipped > shipped'
  pls pool create build
  # another terminal — watch the build live
  pls follow build > watched &
  eventually following "$!"
  # a deploy script — block until done, then ship it
  { pls follow build --tag done --one > /dev/null && ./deploy.sh; } &
  deploy=$!
  eventually following "$deploy"

  pls feed build --create '{"step": "compile", "pct": 0}'
  sleep 1
  pls feed build '{"step": "compile", "pct": 100}'
  pls feed build '{"step": "test", "pct": 0}'
  sleep 2
  test ! -e shipped
  pls feed build '{"step": "test", "pct": 100}'
  pls feed build --tag done '{"step": "finished", "ok": true}'

  wait "$deploy"
  test -e shipped
  eventually grep -q finished watched
  equal "$(jq -s length watched)" 5
  # next morning — what happened overnight?
  equal "$(pls follow build --since 12h --replay 0 | jq -r .data.step | xargs)" \
    'compile compile test test finished'
}

# ---- Process Capture with tap -------------------------------------------------------------------

tap() {
  compiler
  # capture command output into a pool
  pls tap build --create -- cargo build > passed-through 2>&1
  grep -q Finished passed-through

  # in another terminal, watch output live
  pls follow build > live &
  eventually following "$!"
  # replay recent output
  pls follow build --since 2h > recent &
  # filter only stderr lines
  pls follow build --where '.data.stream == "stderr"' > errors &
  eventually following "$!"
  touch src/main.rs                        # so that there is something to compile again
  pls tap build --create -- cargo build 2> /dev/null
  eventually grep -q '"exit"' live
  equal "$(jq -r '.data.kind' live | sed -n '1p;$p' | xargs)" 'start exit'
  eventually grep -q Finished errors
  equal "$(jq -r '.data.stream' errors | sort -u)" stderr
  eventually two_exits recent
  equal "$(jq -sc '[.[] | select(.data.kind == "start") | .data.cmd][0]' recent)" '["cargo","build"]'

  # tag captured lines for downstream filters
  program deploy.sh 'echo to prod; exit 3'
  pls pool create deploy
  status=0
  pls tap deploy --tag prod -- ./deploy.sh || status=$?
  equal "$status" 3
  equal "$(pls follow deploy --no-follow --tag prod | jq -r .data.line)" 'to prod'

  # For long-running or high-volume commands, choose an explicit pool size so the ring does not
  # overwrite data too quickly:
  program server 'trap "echo stopping; exit 0" TERM; seq 1 20000; while :; do sleep 0.1; done'
  pls tap api --create --create-size 64M -- ./server > /dev/null &
  eventually sees 'pls follow api --tail 1 --no-follow' '"20000"'
  kill -TERM "$!"                          # reaches the server, and tap reports its end
  wait "$!"
  equal "$(pls follow api --no-follow --jsonl | jq -r .data.kind | uniq -c | xargs)" '1 start 20001 line 1 exit'
}

two_exits() { equal "$(jq -s '[.[] | select(.data.kind == "exit")] | length' "$1")" 2 2> /dev/null; }

# ---- Duplex Chat --------------------------------------------------------------------------------

duplex() {
  # Terminal 1 — Alice creates the pool and starts chatting:
  on_terminal 'pls duplex chat --create --me alice' '[
    {"expect": "alice> "}, {"send": "hi, anyone?\r"}, {"expect": "anyone?\r\n"}, {"touch": "greeted"},
    {"expect": "hi alice"}, {"send": "bye\r"}, {"expect": "bye\r\n"}, {"send": "\u0004"}]' > alice.json &
  alice=$!
  eventually test -e greeted
  # Terminal 2 — Bob joins and catches up on the last 20 messages:
  on_terminal 'pls duplex chat --me bob --tail 20' '[
    {"expect": "hi, anyone?"}, {"expect": "bob> "}, {"send": "hi alice\r"}, {"expect": "alice  bye"},
    {"send": "\u0004"}]' > bob.json
  wait "$alice"
  jq -e '.code == 0 and .restored' alice.json bob.json
  # Each non-empty line typed becomes {"from": "alice", "msg": "..."}; one's own are hidden.
  jq -re .output alice.json | not grep -q "alice  hi, anyone"
  equal "$(pls follow chat --no-follow --jsonl --data-only)" \
    '{"from":"alice","msg":"hi, anyone?"}
{"from":"bob","msg":"hi alice"}
{"from":"alice","msg":"bye"}'

  # Add --echo-self to see everything:
  on_terminal 'pls duplex chat --me alice --echo-self' '[
    {"expect": "alice> "}, {"send": "hello me\r"}, {"expect": "alice  hello me"}, {"send": "\u0004"}]' > echo.json
  jq -e '.code == 0' echo.json
}

duplex_stream() {
  pls pool create chat
  # When stdin is not a TTY, duplex ingests a JSON stream (like feed). The session ends when stdin
  # reaches EOF.
  printf '{"from":"alice","msg":"boot complete"}\n{"from":"alice","msg":"ready"}' \
    | pls duplex chat --me alice
  equal "$(pls follow chat --no-follow | jq -r .data.msg)" $'boot complete\nready'

  # Use --timeout to bound how long the follow side waits for new messages:
  printf '{"ping": true}' | pls duplex chat --me healthcheck --timeout 5s > health
  equal "$(jq -c .data health)" '{"ping":true}'
}

# ---- System Log Ring Buffer -----------------------------------------------------------------------

system_log() {
  # Linux — journald
  journalctl -o json-seq -f | pls feed syslog --create &
  eventually test -e ~/.plasmite/pools/syslog.plasmite
  # macOS — unified log (/usr/bin/log)
  log stream --style ndjson | pls feed syslog --create > /dev/null
  eventually sees 'pls follow syslog --no-follow' 'panic'

  investigate
}

system_log_bigger() {
  # Default pool size is 1 MB. For busier systems, make a bigger buffer:
  pls pool create syslog --size 8M
  journalctl -o json-seq -f | pls feed syslog &
  eventually sees 'pls follow syslog --no-follow' 'panic'
  equal "$(pls pool info syslog --json | jq .file_size)" 8388608

  investigate
}

# Then, when something crashes:
investigate() {
  # replay the last 30 minutes
  pls follow syslog --since 30m --replay 1 > replayed
  jq -es 'length >= 3' replayed

  # find kernel panics
  pls follow syslog --since 1h --where '.data.MESSAGE | test("panic")' > panics &
  eventually grep -q 'Kernel panic' panics
  equal "$(jq -r .data.SYSLOG_IDENTIFIER panics | sort -u)" kernel

  # pipe to jq for further analysis
  pls follow syslog --since 10m --replay 0 | jq '.data | {SYSLOG_IDENTIFIER, MESSAGE}' > analysis
  jq -es 'map(.SYSLOG_IDENTIFIER) | contains(["kernel", "sshd"])' analysis
}

# ---- Replay & Debug -------------------------------------------------------------------------------

replay() {
  pls pool create incidents
  for code in 200 503 500; do
    pls feed incidents --tag sev1 --tag error "{\"code\": $code}"
    sleep 0.3
  done > /dev/null
  pls feed incidents '{"code": 503, "note": "not sev1"}'

  # replay the last hour at 10× real-time speed — watch the incident unfold
  pls follow incidents --since 1h --replay 10 > fast
  equal "$(jq .data.code fast | xargs)" '200 503 500 503'

  # replay at original speed (1×) to see exact timing
  pls follow incidents --since 1h --replay 1 | while read -r line; do echo "$line"; date +%s%N; done > slow
  # Three pauses of 0.3 s lie between the first and the last message.
  test $(($(grep -E '^1[0-9]{18}$' slow | tail -1) - $(grep -E '^1[0-9]{18}$' slow | head -1))) -ge 500000000

  # narrow down: only sev1 events with a 503 code
  pls follow incidents --since 2h --tag sev1 --where '.data.code == 503' > narrowed &
  eventually grep -q 503 narrowed
  equal "$(jq -c '[.seq, .data.code]' narrowed)" '[2,503]'

  # show just the last 20 messages
  pls follow incidents --tail 20 > last &
  eventually grep -q 'not sev1' last
  equal "$(jq -s length last)" 4

  # export the evidence for a postmortem
  mkdir -p tmp
  pls follow incidents --tag error --tail 100 --jsonl > tmp/errors.jsonl &
  eventually grep -q 500 tmp/errors.jsonl
  equal "$(jq .data.code tmp/errors.jsonl | xargs)" '200 503 500'
}

# ---- Remote Pool Access ---------------------------------------------------------------------------
# "server:9700" is this machine and a port that is free.

remote() {
  # Generate token + TLS artifacts and keep the printed fingerprint for out-of-band verification
  plasmite serve init --bind 0.0.0.0:9700 --output-dir ./.plasmite-serve > printed
  jq -e '.init.tls_fingerprint | startswith("SHA256:")' printed

  # Start secure server with generated artifacts
  plasmite serve \
    --bind 0.0.0.0:0 \
    --allow-non-loopback \
    --token-file ./.plasmite-serve/plasmite-auth-token.txt \
    --tls-cert ./.plasmite-serve/plasmite-tls-cert.pem \
    --tls-key ./.plasmite-serve/plasmite-tls-key.pem &
  served
  pls pool create events

  # On a client (same CLI, plus auth/trust flags):
  plasmite feed https://$server/events \
    --token-file ./.plasmite-serve/plasmite-auth-token.txt \
    --tls-ca ./.plasmite-serve/plasmite-tls-cert.pem \
    '{"sensor": "temp", "value": 23.5}'
  plasmite follow https://$server/events \
    --token-file ./.plasmite-serve/plasmite-auth-token.txt \
    --tls-ca ./.plasmite-serve/plasmite-tls-cert.pem \
    --tail 20 > followed &
  eventually grep -q 23.5 followed

  # Development-only shortcut when trust bootstrapping is unavailable:
  status=0
  plasmite follow https://$server/events --tail 20 --tls-skip-verify 2> refused || status=$?
  equal "$status" 6                        # the shortcut is about trust; the token is still needed
  grep -q 'warning: --tls-skip-verify' refused

  # curl remains useful for API debugging
  command curl -sS --cacert ./.plasmite-serve/plasmite-tls-cert.pem \
    -H "Authorization: Bearer $(cat ./.plasmite-serve/plasmite-auth-token.txt)" \
    https://$server/v0/pools/events/messages/1 | jq -e '.message.data.value == 23.5'
  # A built-in web UI is available
  command curl -sS --cacert ./.plasmite-serve/plasmite-tls-cert.pem \
    -H "Authorization: Bearer $(cat ./.plasmite-serve/plasmite-auth-token.txt)" \
    https://$server/ui | grep -qi '<!doctype html>'
}

remote_duplex() {
  # If a server is running (pls serve), duplex works over the network too. Same syntax, just pass a
  # URL:
  pls serve --bind 127.0.0.1:0 &
  served
  pls feed chat --create '{"from": "bob", "msg": "are you there?"}'
  on_terminal "pls duplex http://$server/chat --me alice --tail 10" '[
    {"expect": "are you there?"}, {"expect": "alice> "}, {"send": "yes\r"}, {"expect": "yes\r\n"},
    {"send": "\u0004"}]' > alice.json
  jq -e '.code == 0 and .restored' alice.json
  equal "$(pls follow chat --no-follow --jsonl --data-only | tail -1)" '{"from":"alice","msg":"yes"}'
}

# ---- A browser app on another origin ----------------------------------------------------------------

browser() {
  pls feed build --create '{"step": "compile"}'
  pls serve \
    --bind 0.0.0.0:0 \
    --allow-non-loopback \
    --access read-only \
    --cors-origin https://demo.wratify.ai &
  served
  # List pools with GET /v0/ui/pools
  command curl -sS -D headers -H 'Origin: https://demo.wratify.ai' http://$server/v0/ui/pools \
    | jq -e '.pools[0].name == "build"'
  grep -qi '^access-control-allow-origin: https://demo.wratify.ai' headers
  # Stream one pool with GET /v0/ui/pools/<pool>/events
  command curl -sSN -H 'Origin: https://demo.wratify.ai' http://$server/v0/ui/pools/build/events > stream &
  eventually feeds stream
}

feeds() {
  pls feed build '{"step": "streamed"}' > /dev/null
  grep -q '^data:.*streamed' "$1"
}

# ---- Stand-ins ----------------------------------------------------------------------------------------

# https://api.stripe.com is a small server of ours that streams events until it is stopped.
api_server() {
  deno run --quiet --allow-net --allow-write=. "$root/tests/support/event_stream.ts" api-port &
  eventually test -s api-port
}
curl() {
  local words=()
  for word in "$@"; do words+=("${word/https:\/\/api.stripe.com/http://127.0.0.1:$(< api-port)}"); done
  command curl -sS "${words[@]}"
}

# The journal: three records, then nothing new while -f goes on waiting.
journalctl() {
  equal "$*" '-o json-seq -f'
  local record
  for record in \
    '{"SYSLOG_IDENTIFIER":"sshd","MESSAGE":"Accepted publickey for root","PRIORITY":"6"}' \
    '{"SYSLOG_IDENTIFIER":"kernel","MESSAGE":"Kernel panic - not syncing: Fatal exception","PRIORITY":"0"}' \
    '{"SYSLOG_IDENTIFIER":"systemd","MESSAGE":[72,105],"PRIORITY":"6"}'; do
    printf '\x1e%s\n' "$record"
  done
  command sleep 60
}
log() {
  printf '%s\n' '{"SYSLOG_IDENTIFIER":"launchd","MESSAGE":"started"}'
}

# cargo and a small crate; where cargo cannot build it here, another compiler of that name, or what looks like one.
compiler() {
  mkdir -p src
  printf '[package]\nname = "demo"\nversion = "0.1.0"\nedition = "2021"\n' > Cargo.toml
  printf 'fn main() {}\n' > src/main.rs
  if cargo build > probe.log 2>&1; then
    rm -rf target Cargo.lock
  else
    mkdir -p "$bin"
    program "$bin/cargo" 'echo Compiling demo >&2; echo Finished >&2'
    if command -v gcc > /dev/null; then
      program "$bin/cargo" 'echo "int main(void) { return 0; }" | gcc -v -x c - -o demo && echo Finished >&2'
    fi
  fi
}

# The recipes' pauses, ten times as fast; those below a second stay as they are.
sleep() {
  case $1 in
    *.*) command sleep "$1" ;;
    *) command sleep "$(($1 / 10)).$(($1 % 10))" ;;
  esac
}

# ---- Helpers ------------------------------------------------------------------------------------------

# Runs a command on a terminal of its own and plays steps against it (tests/support/terminal.py).
on_terminal() {
  python3 "$root/tests/support/terminal.py" \
    "$(jq -nc --arg line "$1" --argjson steps "$2" '{cmd: ["bash", "-c", $line], steps: $steps}')"
}

# Makes a small program of one line.
program() {
  printf '#!/usr/bin/env bash\n%s\n' "$2" > "$1"
  chmod +x "$1"
}

# Tries a command until it succeeds.
eventually() {
  for _ in $(seq 1 1200); do
    if "$@"; then return 0; fi
    command sleep 0.05
  done
  echo "never came true: $*" >&2
  return 1
}

equal() {
  [ "$1" = "$2" ] || { printf 'got:      %s\nexpected: %s\n' "$1" "$2" >&2; return 1; }
}

not() { if "$@"; then return 1; fi; }

# Whether the output of a command line holds a text. (No grep -q: it would close the pipe early.)
sees() { $1 2> /dev/null | grep "$2" > /dev/null; }

# Whether a background job still runs.
running() { kill -0 "$1"; }

# Whether a background job, or what it started, waits for messages: it watches its pool.
following() {
  local pid
  for pid in $(pgrep -g "$1"); do
    grep -q inotify "/proc/$pid/fdinfo/"* 2> /dev/null && return 0
  done
  return 1
}

# Waits for the server and says where it is: $server.
served() {
  eventually test -s "$PLASMITE_SERVE_READY_FILE"
  server=127.0.0.1:$(sed 's/.*://' "$PLASMITE_SERVE_READY_FILE")
}

# ---- Running --------------------------------------------------------------------------------------------

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

prepare() {
  work=$(mktemp -d)
  bin=$work/bin
  export work bin
  mkdir "$bin"
  export DENO_DIR=${DENO_DIR:-$HOME/.cache/deno}
  export CARGO_HOME=${CARGO_HOME:-$HOME/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
  export PATH=$bin:$PATH NO_COLOR=1
  for name in pls plasmite; do
    program "$bin/$name" "exec deno run -A --quiet $(printf %q "$root/cli.ts") \"\$@\""
  done
}

# One recipe in a directory and a home of its own; its background jobs end with it.
run_recipe() {
  mkdir "$work/$1"
  cd "$work/$1" || exit 1
  export HOME=$PWD/home PLASMITE_SERVE_READY_FILE=$PWD/served
  set -m -euo pipefail
  # A job may end by itself when another is killed, as a client does with its server: no failure.
  trap 'for job in $(jobs -p); do kill -- "-$job" || :; done 2> /dev/null; wait 2> /dev/null || :' EXIT
  "$1"
}

main() {
  if [ "${1:-}" = --list ]; then
    printf '%s\n' "${recipes[@]}"
    return
  fi
  if [ "${1:-}" = --run ]; then
    run_recipe "$2"
    return
  fi
  prepare
  trap 'rm -rf "$work"' EXIT
  local failed=0
  for recipe in "${@:-${recipes[@]}}"; do
    if bash "$root/tests/cli/cookbook.sh" --run "$recipe" > "$work/$recipe.log" 2>&1; then
      echo "ok $recipe"
    else
      echo "not ok $recipe"
      sed 's/^/  /' "$work/$recipe.log"
      failed=1
    fi
  done
  return "$failed"
}

main "$@"
