# shellcheck shell=bash
# Keys, certificates and tokens: made anew for each lab, readable by root alone.

CREDENTIALS=$STATE/credentials

openssl_request() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 30 -config "$CREDENTIALS/openssl.cnf" "$@" 2>/dev/null; }

# authority NAME
authority() {
  openssl_request -subj "/CN=$LAB_NAME $1" -keyout "$CREDENTIALS/$1-ca.key" -out "$CREDENTIALS/$1-ca.crt" \
    -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign' -addext 'subjectKeyIdentifier=hash'
}

# certificate NAME AUTHORITY SUBJECT [ALTERNATIVE NAMES]
certificate() {
  openssl_request -subj "$3" -keyout "$CREDENTIALS/$1.key" -out "$CREDENTIALS/$1.crt" \
    -CA "$CREDENTIALS/$2-ca.crt" -CAkey "$CREDENTIALS/$2-ca.key" \
    -addext 'basicConstraints=critical,CA:FALSE' -addext 'keyUsage=critical,digitalSignature' \
    -addext 'extendedKeyUsage=serverAuth,clientAuth' ${4:+-addext "subjectAltName=$4"}
}

# service_names NAME NAMESPACE: all the names by which pods know a Service.
service_names() { printf 'DNS:%s,DNS:%s,DNS:%s,DNS:%s' "$1" "$1.$2" "$1.$2.svc" "$1.$2.svc.cluster.local"; }

# user NAME KUBERNETES_USER [GROUP]: a line for the API server, a kubeconfig for the client.
user() {
  local token
  token=$(openssl rand -hex 24)
  echo "$token,$2,$2${3:+,$3}" >>"$CREDENTIALS/tokens.csv"
  cat >"$CREDENTIALS/$1.kubeconfig" <<E
apiVersion: v1
kind: Config
clusters: [{name: lab, cluster: {server: "$API_SERVER", certificate-authority-data: $(base64 -w0 "$CREDENTIALS/cluster-ca.crt")}}]
users: [{name: $1, user: {token: $token}}]
contexts: [{name: lab, context: {cluster: lab, user: $1}}]
current-context: lab
E
}

credentials_up() {
  local before
  before=$(umask)
  umask 077
  mkdir -p "$CREDENTIALS"
  # Without a file of its own openssl would add the extensions of the machine's.
  printf '[req]\ndistinguished_name = name\n[name]\n' >"$CREDENTIALS/openssl.cnf"
  # Two authorities, so that the wrong one can be tried against the databases.
  authority cluster
  authority database
  certificate apiserver cluster /CN=kube-apiserver "$(service_names kubernetes default),IP:$NODE_ADDRESS,IP:$API_SERVICE_ADDRESS"
  certificate kubelet-client cluster /CN=kube-apiserver
  certificate database database /CN=databases \
    "$(service_names pgbouncer databases),$(service_names postgres databases),IP:$NODE_ADDRESS,IP:$PGBOUNCER_SERVICE_ADDRESS,IP:$POSTGRES_SERVICE_ADDRESS"
  openssl genrsa -out "$CREDENTIALS/service-account.key" 2048 2>/dev/null
  openssl pkey -in "$CREDENTIALS/service-account.key" -pubout -out "$CREDENTIALS/service-account.pub"
  user admin lab-admin system:masters
  user controller-manager system:kube-controller-manager
  user scheduler system:kube-scheduler
  user kubelet "system:node:$NODE" system:nodes
  user proxy system:kube-proxy
  user names lab-names
  openssl rand -hex 16 >"$CREDENTIALS/database-password"
  openssl rand -hex 16 >"$CREDENTIALS/pgbouncer-password"
  umask "$before"
}

kubectl() { inside "$KUBERNETES_BIN/kubectl" --kubeconfig "$CREDENTIALS/admin.kubeconfig" "$@"; }
