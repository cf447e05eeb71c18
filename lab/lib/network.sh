# shellcheck shell=bash
# The lab's own network namespace, and the fence around it.

# Marks the routes that are ours: `down` removes no others.
ROUTE_PROTOCOL=190

# In the host's namespace, before anything else: a client that is started there by mistake
# must not send its token to whoever answers at these addresses behind the default route.
fence_up() {
  local net
  for net in "${LAB_NETS[@]}"; do
    ip route replace unreachable "$net" proto "$ROUTE_PROTOCOL"
  done
}
fence_down() {
  local net
  for net in "${LAB_NETS[@]}"; do
    ip route del unreachable "$net" proto "$ROUTE_PROTOCOL" 2>/dev/null || true
  done
}
# Routes and addresses of this machine that the lab would hide.
clashing_routes() {
  local net
  for net in "${LAB_NETS[@]}"; do
    ip -4 route show root "$net" | grep -v "proto $ROUTE_PROTOCOL" || true
  done
}

# `ip netns exec` would remount /sys, and the kubelet would find no cgroups: nsenter it is.
inside() { nsenter --net="$NETNS" "$@"; }

lab_netns_inode() { [[ -e $NETNS ]] && findmnt -rn -o FSTYPE "$NETNS" | grep -q nsfs && stat -c %i "$NETNS"; }
in_lab_netns() { [[ -e $NETNS && $(stat -Lc %i /proc/self/ns/net) == "$(stat -c %i "$NETNS")" ]]; }

netns_up() {
  touch "$NETNS"
  unshare --net="$NETNS" true
  inside ip link set lo up
  # A dummy device is missing from some kernels; one end of a veth pair does.
  inside ip link add "$NODE" type veth peer name "${NODE}peer"
  inside ip addr add "$NODE_ADDRESS/24" dev "$NODE"
  inside ip link set "${NODE}peer" up
  inside ip link set "$NODE" up
  # No default route: what is not the lab's is refused at once. Services need some route, then iptables sends them on.
  inside ip route add "$SERVICE_NET" dev "$NODE"
  inside sysctl -qw net.ipv4.ip_forward=1
}
