# shellcheck shell=bash
# What a user of the databases is given: a Secret, as an application's operator would make it.

# target_secret NAMESPACE NAME
target_secret() {
  cat <<E
apiVersion: v1
kind: Secret
metadata: {name: $2, namespace: $1}
stringData:
  host: pgbouncer.databases.svc
  port: "6432"
  database: pulp
  user: pulp
  password: $(<"$CREDENTIALS/database-password")
  sslmode: verify-full
  ca.crt: |
$(sed 's/^/    /' "$CREDENTIALS/database-ca.crt")
E
}
