#!/bin/sh
# Makes passwords and certificates for docker/compose.yaml, into docker/secrets. Needs openssl.
# What is there already is kept. Compose gives files to containers with the modes they have here:
# keys are readable for their owner and group only, so give the folder to who runs the engine, and
# set GID to the group that the containers' users share, where they are not root on this machine.
set -eu
umask 077
cd "$(dirname "$0")"
mkdir -p secrets
cd secrets

password() {
    [ -s "$1" ] || openssl rand -hex 24 | tr -d '\n' >"$1"
}

certificate() { # name, then the names that it answers to
    name=$1
    shift
    [ -s "$name.crt" ] && return
    alternatives=DNS:localhost
    for other; do alternatives="$alternatives,DNS:$other"; done
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" \
        -keyout "$name.key" -out "$name.csr" 2>/dev/null
    printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\n' "$alternatives" >"$name.ext"
    openssl x509 -req -in "$name.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 397 \
        -extfile "$name.ext" -out "$name.crt" 2>/dev/null
    rm "$name.csr" "$name.ext"
}

[ -s ca.crt ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1825 \
    -subj "/CN=restoreproof stack" -keyout ca.key -out ca.crt 2>/dev/null
certificate app app-blue app-green
certificate front
certificate postgres postgres
certificate qdrant qdrant
certificate valkey valkey
[ -s front.pem ] || cat front.crt front.key >front.pem

password postgres_password
password neo4j_password
password valkey_password
[ -s neo4j_auth ] || printf 'neo4j/%s' "$(cat neo4j_password)" >neo4j_auth
[ -s valkey_acl ] ||
    printf 'user default off\nuser orders on >%s ~* &* +@all\n' "$(cat valkey_password)" >valkey_acl
chmod 644 ./*.crt
[ -z "${GID:-}" ] || { chgrp "$GID" ./* && chmod g+r ./*; }
