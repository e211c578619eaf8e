#!/usr/bin/env bash
# Everything that is too long for the gate: fuzzing and kill loops at scale, protocol and API
# conformance, the browser, the bench. `deno task nightly`; results go to bench/README.md by hand.
set -u
cd "$(dirname "$0")/../.." || exit 1
export NO_COLOR=1
failed=0
step() {
  echo "== $1"
  shift
  "$@" </dev/null || { echo "FAILED: $*"; failed=$((failed + 1)); }
}
# 20 times the gate: 20,000 model runs, 1,240 kills, 300,000 damaged documents.
step "tests at scale" env PLASMITE_TEST_SCALE=20 deno test -A tests/
for script in tests/nightly/*.sh; do
  [ "$script" = tests/nightly/run.sh ] || step "$script" bash "$script"
done
step "bench" deno run -A bench/run.ts --rounds 9
for file in bench/*_bench.ts; do step "$file" deno run -A "$file"; done
echo "$failed steps failed"
[ "$failed" = 0 ]
