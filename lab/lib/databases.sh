# shellcheck shell=bash
# PostgreSQL and PgBouncer: processes of the node, behind Services without a selector.

DATABASES=$STATE/databases
DATABASE_SOCKET=$DATABASES/socket
CLIENT_IDLE_TIMEOUT=${LAB_CLIENT_IDLE_TIMEOUT:-20}

# PostgreSQL refuses to run as root; Debian's package brings this user.
AS_POSTGRES=(setpriv --reuid=postgres --regid=postgres --init-groups)
# With shared memory of its own, so that none is left behind when it is killed.
# shellcheck disable=SC2016
PRIVATE_MEMORY=(unshare --mount --ipc sh -c 'mount -t tmpfs tmpfs /dev/shm && exec "$@"' sh)

# Needs nothing of Kubernetes, so it is made while that starts.
postgres_prepare() {
  cd /
  install -d -o postgres -g postgres -m 700 "$DATABASES" "$DATABASE_SOCKET"
  install -o postgres -g postgres -m 600 -t "$DATABASES" "$CREDENTIALS"/database.{crt,key}
  enter "${PRIVATE_MEMORY[@]}" "${AS_POSTGRES[@]}" "$(postgres_bin)/initdb" --pgdata "$DATABASES/data" --username lab_admin --auth trust \
    --encoding UTF8 --no-locale --no-sync >"$LOG/initdb.log"
  cat >>"$DATABASES/data/postgresql.conf" <<E
listen_addresses = '$NODE_ADDRESS'
unix_socket_directories = '$DATABASE_SOCKET'
max_connections = 300
password_encryption = 'scram-sha-256'
ssl = on
ssl_cert_file = '$DATABASES/database.crt'
ssl_key_file = '$DATABASES/database.key'
fsync = off
log_connections = on
log_disconnections = on
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d %h:%r %a '
E
  # The socket's folder is closed to all but root and the server's user.
  printf 'local all all trust\nhost all all 0.0.0.0/0 scram-sha-256\n' >"$DATABASES/data/pg_hba.conf"
}

lab_psql() { (cd / && inside psql -X -q -v ON_ERROR_STOP=1 -h "$DATABASE_SOCKET" -U lab_admin "$@"); }

postgres_up() {
  start postgres "${PRIVATE_MEMORY[@]}" "${AS_POSTGRES[@]}" "$(postgres_bin)/postgres" -D "$DATABASES/data"
  retry 20 lab_psql -d postgres -c 'select 1' || fail "PostgreSQL does not answer: see $LOG/postgres.log"
  lab_psql -d postgres <<E
create role pulp login password '$(<"$CREDENTIALS/database-password")';
create database pulp owner pulp;
create role pgbouncer login superuser password '$(<"$CREDENTIALS/pgbouncer-password")';
E
}

pgbouncer_configure() {
  cat >"$DATABASES/pgbouncer.ini" <<E
[databases]
* = host=$NODE_ADDRESS port=5432 auth_user=pgbouncer
[pgbouncer]
listen_addr = $NODE_ADDRESS
listen_port = 6432
listen_backlog = 1024
unix_socket_dir = $DATABASE_SOCKET
pool_mode = transaction
client_idle_timeout = $CLIENT_IDLE_TIMEOUT
max_client_conn = 15000
auth_type = hba
auth_hba_file = $DATABASES/pgbouncer.hba
auth_file = $DATABASES/pgbouncer.users
auth_query = select usename, passwd from pg_shadow where usename = \$1
admin_users = lab_admin
client_tls_sslmode = allow
client_tls_cert_file = $DATABASES/database.crt
client_tls_key_file = $DATABASES/database.key
log_connections = 1
log_disconnections = 1
E
  printf 'local all lab_admin trust\nhost all all 0.0.0.0/0 scram-sha-256\n' >"$DATABASES/pgbouncer.hba"
  printf '"pgbouncer" "%s"\n"lab_admin" ""\n' "$(<"$CREDENTIALS/pgbouncer-password")" >"$DATABASES/pgbouncer.users"
  chmod 600 "$DATABASES"/pgbouncer.*
  chown postgres: "$DATABASES"/pgbouncer.*
}
pgbouncer_up() {
  pgbouncer_configure
  start pgbouncer env TZ=UTC "${AS_POSTGRES[@]}" pgbouncer "$DATABASES/pgbouncer.ini"
  retry 10 pgbouncer_answers || fail "PgBouncer does not answer: see $LOG/pgbouncer.log"
}
pgbouncer_answers() { lab_psql -p 6432 -d pgbouncer -c 'show version'; }
pgbouncer_idle_timeout() { awk '$1 == "client_idle_timeout" { print $3 }' "$DATABASES/pgbouncer.ini"; }
pgbouncer_reload() {
  pgbouncer_configure
  kill -HUP "$(recorded_pid pgbouncer)"
}

# database_service NAME ADDRESS PORT
database_service() {
  cat <<E
---
apiVersion: v1
kind: Service
metadata: {name: $1, namespace: databases}
spec: {clusterIP: $2, ports: [{name: postgres, port: $3}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: $1-node, namespace: databases, labels: {kubernetes.io/service-name: $1}}
addressType: IPv4
ports: [{name: postgres, port: $3}]
endpoints: [{addresses: [$NODE_ADDRESS], conditions: {ready: true}}]
E
}
databases_publish() {
  {
    printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: databases}\n'
    database_service postgres "$POSTGRES_SERVICE_ADDRESS" 5432
    database_service pgbouncer "$PGBOUNCER_SERVICE_ADDRESS" 6432
  } | kubectl apply -f - >/dev/null
}
