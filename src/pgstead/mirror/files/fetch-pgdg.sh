#!/bin/sh
# Downloads PostgreSQL's packages from PGDG, and every package they need that a bare node of this
# release lacks.
#
# usage: fetch-pgdg.sh URI SUITE KEY PACKAGE...   (KEY: a path in here; "-" is the key of postgresql-common)
# writes /work/repo/pool/*.deb
set -eu
uri=$1 suite=$2 key=$3; shift 3
export DEBIAN_FRONTEND=noninteractive
if [ "$key" = - ]; then
  key=/usr/share/postgresql-common/pgdg/apt.postgresql.org.asc
  # Only the key is wanted here: unpacked, not installed, so that its dependencies are still downloaded below.
  cd /tmp && apt-get download -q postgresql-common && dpkg-deb -x postgresql-common_*.deb / && rm postgresql-common_*.deb
fi
cat > /etc/apt/sources.list.d/pgdg.sources <<SOURCE
Types: deb
URIs: $uri
Suites: $suite
Components: main
Signed-By: $key
SOURCE
apt-get update -q -o APT::Update::Error-Mode=any
mkdir -p /work/repo/pool/partial
apt-get install -qy --download-only --no-install-recommends -o Dir::Cache::archives=/work/repo/pool "$@"
rm -rf /work/repo/pool/partial /work/repo/pool/lock
ls /work/repo/pool
