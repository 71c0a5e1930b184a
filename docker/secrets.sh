#!/bin/sh
# Makes passwords and certificates for docker/compose.yaml, into docker/secrets. Needs openssl.
# What is there already is kept. Compose gives files to containers with the owners and modes they
# have here. So run it as root: all then belongs to root, and is readable for the group SECRETS_GID
# that the services are in (PostgreSQL wants a key that is root's or its own). Without root it is
# readable for you alone, and the services are not able to start.
set -eu
umask 077
cd "$(dirname "$0")"
mkdir -p secrets
cd secrets

password() {
    [ -s "$1" ] || openssl rand -hex 24 | tr -d '\n' >"$1"
}

certificate() { # name, what for, then the names that it answers to
    name=$1
    usage=$2
    shift 2
    [ -s "$name.crt" ] && return
    alternatives=DNS:localhost
    for other; do alternatives="$alternatives,DNS:$other"; done
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" \
        -keyout "$name.key" -out "$name.csr" 2>/dev/null
    {
        printf 'subjectAltName=%s\nextendedKeyUsage=%s\n' "$alternatives" "$usage"
        # strict readers (Python from 3.13) want these too
        printf 'basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n'
        printf 'subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n'
    } >"$name.ext"
    openssl x509 -req -in "$name.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 397 \
        -extfile "$name.ext" -out "$name.crt" 2>/dev/null
    rm "$name.csr" "$name.ext"
}

[ -s ca.crt ] || {
    printf '%s\n' '[req]' distinguished_name=name x509_extensions=ca '[name]' '[ca]' \
        basicConstraints=critical,CA:TRUE keyUsage=critical,keyCertSign,cRLSign \
        subjectKeyIdentifier=hash >ca.cnf
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1825 \
        -subj "/CN=restoreproof stack" -config ca.cnf -keyout ca.key -out ca.crt 2>/dev/null
    rm ca.cnf
}
certificate app serverAuth app-blue app-green
certificate front serverAuth haproxy
certificate postgres serverAuth postgres
certificate neo4j serverAuth neo4j
certificate qdrant serverAuth qdrant
certificate opensearch serverAuth,clientAuth opensearch
certificate valkey serverAuth valkey
certificate toolbox clientAuth
[ -s front.pem ] || cat front.crt front.key >front.pem

password postgres_password
password neo4j_password
password valkey_password
[ -s neo4j_auth ] || printf 'neo4j/%s' "$(cat neo4j_password)" >neo4j_auth
[ -s valkey_acl ] ||
    printf 'user default off\nuser orders on >%s ~* &* +@all\n' "$(cat valkey_password)" >valkey_acl
chmod 644 ./*.crt
[ "$(id -u)" != 0 ] || {
    chown "0:${SECRETS_GID:-10001}" ./*
    chmod g+r ./*
    chown 0:0 ca.key && chmod 600 ca.key # no service needs it
}
