#!/usr/bin/env bash
# The official MCP conformance suite against our /mcp, both protocol revisions.
# Only scenarios that need no fixture tools are named; each must pass in full.
# Usage: tests/nightly/mcp_conformance.sh [output directory]; needs the network once, for npm.
set -u
cd "$(dirname "$0")/../.." || exit 1
SUITE=npm:@modelcontextprotocol/conformance@0.2.0-alpha.12
out=${1:-$(mktemp -d)}
mkdir -p "$out"
pools=$(mktemp -d)
deno run -A tests/nightly/mcp_conformance_server.ts "$pools" >"$out/server.out" 2>"$out/server.err" &
server=$!
trap 'kill "$server" 2>/dev/null; rm -rf "$pools"' EXIT
for _ in $(seq 100); do
  url=$(head -n 1 "$out/server.out")
  [ -n "$url" ] && break
  sleep 0.1
done
[ -n "$url" ] || { cat "$out/server.err"; exit 1; }

old="server-initialize server-session-lifecycle ping completion-complete tools-list resources-list
prompts-list dns-rebinding-protection"
new="completion-complete tools-list server-sse-multiple-streams resources-list prompts-list
dns-rebinding-protection http-header-validation input-required-result-unsupported-methods caching
sep-2164-resource-not-found"

failed=0
run() {
  local version=$1 scenario=$2 log="$out/$1-$2.log"
  if deno run --no-lock -A "$SUITE" server --url "$url" --spec-version "$version" \
    --scenario "$scenario" -o "$out/results" >"$log" 2>&1; then
    echo "ok      $version $scenario: $(grep -o 'Passed: .*' "$log" | tail -n 1)"
  else
    echo "FAILED  $version $scenario (see $log)"
    failed=1
  fi
}
for scenario in $old; do run 2025-11-25 "$scenario"; done
for scenario in $new; do run 2026-07-28 "$scenario"; done
exit "$failed"
