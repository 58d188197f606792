#!/bin/sh
# Adds a package from Debian testing to the pool where it installs on this release as it is: PGDG
# carries current versions of PgBouncer, and the sandbox should too. Elsewhere the release's own serves.
#
# usage: fetch-testing.sh MIRROR PACKAGE
set -eu
mirror=$1 package=$2
mkdir -p /build/repo/pool /build/testing && cd /build/testing
echo "deb $mirror testing main" > /etc/apt/sources.list.d/testing.list
if ! apt-get update -q -o APT::Update::Error-Mode=any; then
  echo "the mirror has no testing: the release's own $package serves"
  exit 0
fi
apt-get download -q "$package/testing"
rm /etc/apt/sources.list.d/testing.list
apt-get update -q
if apt-get install -s --no-install-recommends ./"$package"_*.deb > /dev/null; then
  mv "$package"_*.deb /build/repo/pool/
else
  echo "$package from testing does not install on this release: left out"
fi
