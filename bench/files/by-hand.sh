#!/bin/sh
# What the packages cost without pgstead: their source, and apt-get. Run as root on a fresh node.
set -eu
export DEBIAN_FRONTEND=noninteractive
. /etc/os-release
cat > /etc/apt/sources.list.d/by-hand.sources <<SOURCE
Types: deb
URIs: file:///srv/pgstead-mirror
Suites: $VERSION_CODENAME-pgdg
Components: main
Signed-By: /srv/pgstead-mirror/pgstead-mirror.asc
SOURCE
apt-get update -q
apt-get install -qy --no-install-recommends postgresql-16 postgresql-client-16 postgresql-16-pgvector \
  postgresql-common python3-psycopg2 pgbouncer
