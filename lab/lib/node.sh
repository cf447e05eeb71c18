# shellcheck shell=bash
# The one node: containerd, kubelet, kube-proxy.

containerd_up() {
  folders_keep
  # ptp rather than a bridge: each packet is routed, so Services work without br_netfilter.
  mkdir -p "$STATE/cni/conf" "$STATE/containerd"
  cat >"$STATE/cni/conf/10-lab.conflist" <<E
{"cniVersion": "0.4.0", "name": "$LAB_NAME", "plugins": [
  {"type": "ptp", "ipMasq": false, "ipam": {"type": "host-local", "dataDir": "$STATE/cni/addresses",
    "ranges": [[{"subnet": "$NODE_POD_NET"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
E
  cat >"$STATE/containerd.toml" <<E
version = 2
root = "$STATE/containerd/root"
state = "$STATE/containerd/state"
[grpc]
  address = "$CONTAINERD_SOCKET"
[plugins."io.containerd.internal.v1.opt"]
  path = "$STATE/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$PAUSE_IMAGE"
  disable_apparmor = true
  # Inside another container the kernel forbids lower scores than our own.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$STATE/cni/conf"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "$(snapshotter "$STATE")"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    options = {Root = "$STATE/runc"}
E
  start containerd containerd --config "$STATE/containerd.toml"
  retry 20 lab_ctr version || fail "containerd does not answer: see $LOG/containerd.log"
  lab_ctr images import "$PAUSE_TAR" >/dev/null
}

# The kubelet sets these for the whole machine; `down` puts back what was there.
HOST_SYSCTLS=(vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys kernel.keys.root_maxbytes)
sysctls_keep() {
  local key
  for key in "${HOST_SYSCTLS[@]}"; do
    sysctl "$key" 2>/dev/null || true
  done >"$STATE/sysctls"
}
sysctls_down() { [[ ! -f $STATE/sysctls ]] || sysctl -qp "$STATE/sysctls" >/dev/null 2>&1 || true; }

# The kubelet, CNI and the shims also write where all of their kind do. The folders that were not there are listed for
# `down`, which takes what is ours by name and then only what is empty: somebody else may have moved in since.
FIXED_FOLDERS=(/var/lib/kubelet /var/lib/cni /var/lib/cni/results /var/log/containers /run/containerd /run/containerd/s)
folders_keep() {
  local folder
  for folder in "${FIXED_FOLDERS[@]}"; do
    [[ -e $folder ]] || echo "$folder"
  done >"$STATE/new-folders"
}
folders_down() {
  local folder sandbox
  for sandbox in "$STATE"/containerd/root/io.containerd.grpc.v1.cri/sandboxes/*; do
    rm -f /var/lib/cni/results/*-"${sandbox##*/}"-*
  done
  find /var/log/containers -lname "$STATE/*" -delete 2>/dev/null || true
  [[ -f $STATE/new-folders ]] || return 0
  ! grep -qx /var/lib/kubelet "$STATE/new-folders" || rm -f /var/lib/kubelet/device-plugins/{kubelet.sock,kubelet_internal_checkpoint,DEPRECATION}
  while read -r folder; do
    [[ ! -d $folder ]] || find "$folder" -depth -type d -empty -delete
  done <"$STATE/new-folders"
}

kubelet_up() {
  sysctls_keep
  cat >"$STATE/kubelet.yaml" <<E
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $NODE_ADDRESS
authentication: {anonymous: {enabled: false}, webhook: {enabled: false}, x509: {clientCAFile: $CREDENTIALS/cluster-ca.crt}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupRoot: /$CGROUP
failCgroupV1: false
failSwapOn: false
containerRuntimeEndpoint: unix://$CONTAINERD_SOCKET
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi}
localStorageCapacityIsolation: false
maxPods: 500
kubeAPIQPS: 200
kubeAPIBurst: 400
registryPullQPS: 0
clusterDNS: [$NODE_ADDRESS]
clusterDomain: cluster.local
resolvConf: ""
podLogsDir: $LOG/pods
volumePluginDir: $STATE/kubelet/volume-plugins
syncFrequency: 5s
nodeStatusUpdateFrequency: 4s
nodeLeaseDurationSeconds: 20
E
  start kubelet "$KUBERNETES_BIN/kubelet" --config "$STATE/kubelet.yaml" --kubeconfig "$CREDENTIALS/kubelet.kubeconfig" \
    --root-dir "$STATE/kubelet" --cert-dir "$STATE/kubelet/pki" --hostname-override "$NODE" --node-ip "$NODE_ADDRESS"
}

proxy_up() {
  cat >"$STATE/proxy.yaml" <<E
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
iptables: {minSyncPeriod: 100ms}
clientConnection: {kubeconfig: $CREDENTIALS/proxy.kubeconfig}
hostnameOverride: $NODE
clusterCIDR: $POD_NET
# Zero leaves the machine's own limits alone.
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
E
  start kube-proxy "$KUBERNETES_BIN/kube-proxy" --config "$STATE/proxy.yaml"
}

node_ready() { kubectl get node "$NODE" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null | grep -qx True; }
# Each address of the lab's own Services answers: kube-proxy has written its rules.
services_answer() {
  local service
  for service in "$API_SERVICE_ADDRESS/443" "$POSTGRES_SERVICE_ADDRESS/5432" "$PGBOUNCER_SERVICE_ADDRESS/6432"; do
    # A try before the rules are there would wait for seconds: rather try again.
    inside timeout 0.2 bash -c "</dev/tcp/$service" || return
  done
}
