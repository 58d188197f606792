#!/bin/sh
# Makes a signed APT repository of /build/repo/pool.
#
# usage: index.sh SUITE
# The signing key lives for this build only: whoever can write the directory could sign anew anyway,
# and a key that is gone cannot leak.
set -eu
suite=$1
arch=$(dpkg --print-architecture)
cd /build/repo
dist=dists/$suite
mkdir -p "$dist/main/binary-$arch"
apt-ftparchive packages pool > "$dist/main/binary-$arch/Packages"
gzip -9kf "$dist/main/binary-$arch/Packages"
apt-ftparchive -o APT::FTPArchive::Release::Origin=pgstead-mirror \
  -o APT::FTPArchive::Release::Label=pgstead-mirror \
  -o APT::FTPArchive::Release::Suite="$suite" -o APT::FTPArchive::Release::Codename="$suite" \
  -o APT::FTPArchive::Release::Components=main -o APT::FTPArchive::Release::Architectures="$arch" \
  release "$dist" > Release.new
mv Release.new "$dist/Release"
GNUPGHOME=$(mktemp -d); export GNUPGHOME
gpg --batch --quiet --passphrase '' --quick-generate-key 'pgstead mirror' ed25519 sign never
gpg --batch --quiet --armor --export > pgstead-mirror.asc
gpg --batch --quiet --yes --clearsign -o "$dist/InRelease" "$dist/Release"
gpg --batch --quiet --with-colons --fingerprint | sed -n 's/^fpr:*\([0-9A-F]*\):/\1/p' | head -n 1 > fingerprint
rm -rf "$GNUPGHOME"
chmod -R a+rX .
