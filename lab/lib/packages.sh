# shellcheck shell=bash
# Debian packages of the lab, installed without starting or enabling a single service.

PACKAGES=(
  containerd runc containernetworking-plugins iptables conntrack iproute2 procps util-linux # the node
  dnsmasq-base openssl curl                                                                 # names, certificates, health
  postgresql pgbouncer haproxy                                                              # what is probed
  buildah gcc libc6-dev ca-certificates                                                     # images
  python3-venv                                                                              # what is measured beside the probe
  prometheus                                                                                # what reads the metrics; promtool
)

installed() { dpkg-query -W -f '${Status}\n' "$1" 2>/dev/null | grep -q '^install ok installed$'; }
missing_packages() {
  local package
  for package in "${PACKAGES[@]}"; do
    installed "$package" || echo "$package"
  done
}

POLICY=/usr/sbin/policy-rc.d
NO_CLUSTER=/etc/postgresql-common/createcluster.d/$LAB_NAME.conf

# Debian asks this file before it starts a service; 101 forbids it. A machine's own file is put back afterwards.
guard_services() {
  [[ ! -e $POLICY ]] || mv "$POLICY" "$POLICY.$LAB_NAME"
  printf '#!/bin/sh\nexit 101\n' >"$POLICY"
  chmod 755 "$POLICY"
  # Nor shall PostgreSQL make a cluster that would start with the next boot.
  mkdir -p "$(dirname "$NO_CLUSTER")"
  echo 'create_main_cluster = false' >"$NO_CLUSTER"
}
unguard_services() {
  rm -f "$POLICY" "$NO_CLUSTER"
  [[ ! -e $POLICY.$LAB_NAME ]] || mv "$POLICY.$LAB_NAME" "$POLICY"
}

install_packages() (
  mapfile -t missing < <(missing_packages)
  say "     ${missing[*]}"
  log=$(mktemp)
  trap 'unguard_services; rm -f "$log"' EXIT
  guard_services
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update && apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    fail "apt-get install failed"
  }
  # With systemd, new services would start at the next boot.
  [[ ! -d /run/systemd/system ]] || for service in containerd pgbouncer haproxy prometheus; do
    [[ " ${missing[*]} " != *" $service "* ]] || systemctl disable --quiet "$service" || true
  done
)
