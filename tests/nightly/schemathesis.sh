#!/bin/sh
# Runs schemathesis (PyPI) against a fresh server and its /v0/openapi.json.
# usage: tests/nightly/schemathesis.sh [examples per operation, default 200]
# Streams and bodies that are no JSON are left out: it cannot make or end those. Names that the
# document does not promise are accepted all the same; sizes such as 65536.0 and keys with NUL are
# refused, which a schema cannot say.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
pid=
trap 'test -z "$pid" || kill "$pid" 2>/dev/null || true; rm -rf "$work"' EXIT INT TERM

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'schemathesis==4.*'

PLASMITE_SERVE_READY_FILE="$work/ready" \
  deno run -A "$root/cli.ts" --dir "$work/pools" serve --bind 127.0.0.1:0 2>"$work/log" &
pid=$!
tries=0
while ! test -f "$work/ready"; do
  tries=$((tries + 1))
  test "$tries" -lt 200 || { cat "$work/log"; exit 1; }
  sleep 0.1
done
url=http://$(cat "$work/ready")

# Pools of which every operation has something to say; DELETE comes across them now and then.
for name in demo 0 00 a; do
  curl -fsS -o "$work/out" -H 'content-type: application/json' -d "{\"pool\":\"$name\"}" "$url/v0/pools"
  curl -fsS -o "$work/out" -H 'content-type: application/json' -d '{"data":{"n":1}}' \
    "$url/v0/pools/$name/append"
done

cd "$work"
"$work/venv/bin/st" run "$url/v0/openapi.json" \
  --max-examples "${1:-200}" \
  --request-timeout 10 \
  --exclude-path-regex 'tail|events|append_' \
  --phases examples,coverage,fuzzing \
  --exclude-checks negative_data_rejection,positive_data_acceptance \
  --suppress-health-check all
curl -fsS "$url/healthz"
