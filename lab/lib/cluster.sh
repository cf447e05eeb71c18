# shellcheck shell=bash
# The control plane.

etcd_up() {
  # Nothing here outlives the lab, so nothing has to reach the disk.
  start etcd "$ETCD_BIN/etcd" --data-dir "$STATE/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
}

apiserver_up() {
  # The audit log stays one file: tests and figures read it from a place on.
  cat >"$STATE/audit-policy.yaml" <<'E'
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
E
  start kube-apiserver "$KUBERNETES_BIN/kube-apiserver" --etcd-servers http://127.0.0.1:2379 \
    --bind-address "$NODE_ADDRESS" --advertise-address "$NODE_ADDRESS" --secure-port 6443 \
    --tls-cert-file "$CREDENTIALS/apiserver.crt" --tls-private-key-file "$CREDENTIALS/apiserver.key" \
    --kubelet-client-certificate "$CREDENTIALS/kubelet-client.crt" --kubelet-client-key "$CREDENTIALS/kubelet-client.key" \
    --kubelet-preferred-address-types InternalIP \
    --service-cluster-ip-range "$SERVICE_NET" --allow-privileged \
    --service-account-issuer https://kubernetes.default.svc \
    --service-account-key-file "$CREDENTIALS/service-account.pub" --service-account-signing-key-file "$CREDENTIALS/service-account.key" \
    --token-auth-file "$CREDENTIALS/tokens.csv" --authorization-mode Node,RBAC \
    --enable-admission-plugins NodeRestriction,OwnerReferencesPermissionEnforcement \
    --audit-log-path "$LOG/audit.log" --audit-log-maxsize 10000 --audit-policy-file "$STATE/audit-policy.yaml"
}

controllers_up() {
  start kube-controller-manager "$KUBERNETES_BIN/kube-controller-manager" --kubeconfig "$CREDENTIALS/controller-manager.kubeconfig" \
    --service-account-private-key-file "$CREDENTIALS/service-account.key" --root-ca-file "$CREDENTIALS/cluster-ca.crt" \
    --use-service-account-credentials --leader-elect=false --cluster-cidr "$POD_NET" \
    --controllers '*,-node-ipam-controller,-cloud-node-lifecycle-controller' --node-monitor-grace-period 20s \
    --flex-volume-plugin-dir "$STATE/kubelet/volume-plugins" --kube-api-qps 200 --kube-api-burst 400
  start kube-scheduler "$KUBERNETES_BIN/kube-scheduler" --kubeconfig "$CREDENTIALS/scheduler.kubeconfig" \
    --authentication-kubeconfig "$CREDENTIALS/scheduler.kubeconfig" --authorization-kubeconfig "$CREDENTIALS/scheduler.kubeconfig" \
    --leader-elect=false --kube-api-qps 200 --kube-api-burst 400
}

apiserver_ready() { kubectl get --raw /readyz; }
