# shellcheck shell=bash
# shellcheck disable=SC2034  # read by the scripts that source this file
# Where the lab lives and what it is called. Sourced by every script of lab/.

LAB=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Names by which `down` recognises what is the lab's and nothing else.
LAB_NAME=connection-probe-lab
CGROUP=$LAB_NAME
# The running lab's state folder, wherever LAB_STATE put it.
RUNNING=/run/$LAB_NAME

running_state() { readlink "$RUNNING" 2>/dev/null || true; }
STATE=$(running_state)
STATE=${STATE:-$(realpath -m "${LAB_STATE:-/var/lib/$LAB_NAME}")}
LOG=$STATE/log
NETNS=$STATE/netns

NODE=node0
NODE_ADDRESS=10.90.0.1
NODE_NET=10.90.0.0/24
SERVICE_NET=10.91.0.0/16
API_SERVICE_ADDRESS=10.91.0.1
POSTGRES_SERVICE_ADDRESS=10.91.0.32
PGBOUNCER_SERVICE_ADDRESS=10.91.0.64
POD_NET=10.92.0.0/16
# One node: its pods take a /22, more than kubelet.yaml's maxPods.
NODE_POD_NET=10.92.0.0/22
LAB_NETS=("$NODE_NET" "$SERVICE_NET" "$POD_NET")
API_SERVER=https://$NODE_ADDRESS:6443

CACHE=$(realpath -m "${CONNECTION_PROBE_CACHE:-$HOME/.cache/connection-probe}")

# The version of a module as its go.mod pins it: go.mod is the only place where a version is written.
module_version() { awk -v module="$2" '$1 == module && $2 ~ /^v/ { print $2; exit }' "$LAB/$1/go.mod"; }
KUBERNETES_VERSION=$(module_version k8s k8s.io/kubernetes)
ETCD_VERSION=$(module_version etcd go.etcd.io/etcd/server/v3)
KUBERNETES_BIN=$CACHE/bin/kubernetes-$KUBERNETES_VERSION
ETCD_BIN=$CACHE/bin/etcd-$ETCD_VERSION
# Built by lab/tools/get, for tests.
HELM_BIN=$CACHE/bin/helm-$(module_version tools/helm helm.sh/helm/v3)
PAUSE_IMAGE=localhost/pause:1
# Named by content, so that a changed source is built anew.
PAUSE_TAR=$CACHE/images/pause-$(cat "$LAB"/pause/* | sha256sum | cut -c1-12).tar
CONTAINERD_SOCKET=$STATE/containerd/containerd.sock

# Debian keeps PostgreSQL's servers out of PATH, one folder for each major version.
postgres_bin() { find /usr/lib/postgresql/*/bin -maxdepth 0 2>/dev/null | sort -V | tail -n 1; }

say() { printf '%s\n' "$*"; }
fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

# Seconds with two decimals since a reading of `now`.
now() { date +%s%N; }
since() {
  local ms=$((($(now) - $1) / 1000000))
  printf '%d.%02d' $((ms / 1000)) $((ms % 1000 / 10))
}

# retry SECONDS COMMAND...: until it succeeds.
retry() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || return 1
    sleep 0.1
  done
}

# snapshotter FOLDER: overlayfs where the kernel lets us mount it on the folder's disk, else plain copies.
snapshotter() {
  local dir kind=native
  dir=$(mktemp -d "$1/.overlay-test.XXXXXX") || fail "no folder can be made in $1"
  mkdir "$dir"/{lower,upper,work,merged}
  if mount -t overlay overlay -o "lowerdir=$dir/lower,upperdir=$dir/upper,workdir=$dir/work" "$dir/merged" 2>/dev/null; then
    umount "$dir/merged"
    kind=overlayfs
  fi
  rm -rf "$dir"
  echo "$kind"
}
