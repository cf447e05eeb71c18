# shellcheck shell=bash
# Cluster DNS: dnsmasq answers from a folder of files, one for each Service, that lib/names keeps in step.

dns_up() {
  mkdir -p "$STATE/dns"
  kubectl create clusterrole lab-names --verb=list,watch --resource=services >/dev/null
  kubectl create clusterrolebinding lab-names --clusterrole=lab-names --user=lab-names >/dev/null
  # The lab is the whole world: every other name does not exist, and no question leaves it.
  start dnsmasq dnsmasq --keep-in-foreground --conf-file=/dev/null --pid-file= --log-facility=- \
    --listen-address="$NODE_ADDRESS" --bind-interfaces --no-resolv --no-hosts --local=/#/ --hostsdir="$STATE/dns" --local-ttl=5
  start names "$LAB/lib/names" "$KUBERNETES_BIN/kubectl" "$CREDENTIALS/names.kubeconfig" "$STATE/dns"
  # What `lab/run` sees as /etc/resolv.conf: a pod's, without a namespace.
  printf 'nameserver %s\nsearch svc.cluster.local cluster.local\noptions ndots:5\n' "$NODE_ADDRESS" >"$STATE/resolv.conf"
}
