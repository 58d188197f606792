#!/bin/sh
# Downloads PostgreSQL's packages from PGDG, and every package they need that a bare node of this
# release lacks.
#
# usage: fetch-pgdg.sh URI SUITE PACKAGE...
# reads /build/pgdg.asc, the signing key; writes /build/repo/pool/*.deb
set -eu
uri=$1 suite=$2; shift 2
export DEBIAN_FRONTEND=noninteractive
install -m 644 /build/pgdg.asc /usr/share/keyrings/pgdg.asc  # where APT's own user can read it
cat > /etc/apt/sources.list.d/pgdg.sources <<SOURCE
Types: deb
URIs: $uri
Suites: $suite
Components: main
Signed-By: /usr/share/keyrings/pgdg.asc
SOURCE
apt-get update -q -o APT::Update::Error-Mode=any
mkdir -p /build/repo/pool/partial
apt-get install -qy --download-only --no-install-recommends -o Dir::Cache::archives=/build/repo/pool "$@"
rm -rf /build/repo/pool/partial /build/repo/pool/lock
ls /build/repo/pool
