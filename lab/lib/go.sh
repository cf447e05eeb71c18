# shellcheck shell=bash
# Commands built from Go modules, into ${CONNECTION_PROBE_CACHE:-~/.cache/connection-probe}/bin.

# What a compiler may keep before it collects: garbage collection is a quarter of a build's CPU time.
# Two shares are left to the rest of the machine, since a link can exceed the limit for a while.
memory_limit() { awk -v n="$(nproc)" '/^MemTotal/ { printf "%dMiB", $2 / 1024 / (n + 2) }' /proc/meminfo; }

# go_build TARGET MODULE LDFLAGS PACKAGE...: the folder appears only when all of it is built.
go_build() {
  local target=$1 module=$2 flags=$3 work output total build='' begin=$SECONDS ticks=0
  shift 3
  work=$(mktemp -d "$CACHE/bin/.building.XXXXXX")
  # shellcheck disable=SC2064
  trap "kill \${build:-} 2>/dev/null || true; rm -rf '$work'" EXIT
  output=$work/.output
  mkdir "$work/bin"
  cd "$LAB/$module"
  total=$(go list -deps "$@" 2>>"$output" | wc -l) || build_failed "$output"
  go build -mod=readonly -trimpath -v -ldflags "$flags" -o "$work/bin/" "$@" >>"$output" 2>&1 &
  build=$!
  while sleep 0.5; kill -0 "$build" 2>/dev/null; do
    ((++ticks % 40)) || say "      $((SECONDS - begin)) s: $(grep -cv '^go: ' "$output" || true) of at most $total packages compiled"
  done
  wait "$build" || build_failed "$output"
  [[ $module != etcd ]] || mv "$work/bin/server" "$work/bin/etcd"
  rm -rf "$target"
  mv "$work/bin" "$target"
  rm -rf "$work"
  trap - EXIT
}
build_failed() {
  tail -n 20 "$1" >&2
  fail "go build failed in $PWD (lab/preflight says what it needs)"
}

# One build at a time, so what it finds half done was left by one that was killed.
build_alone() {
  mkdir -p "$CACHE/bin"
  exec 8>"$CACHE/.lock"
  flock -n 8 || { say "waiting for another build" && flock 8; }
  rm -rf "$CACHE"/bin/.building.*
  export CGO_ENABLED=0 GOGC=off GOMEMLIMIT=${GOMEMLIMIT:-$(memory_limit)}
}
