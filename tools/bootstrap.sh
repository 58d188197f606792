#!/bin/sh
# Makes .venv with everything in pyproject.toml, and this checkout a collection. Says what it does, and what to do where it cannot.
set -eu
cd "$(dirname "$0")/.."
start=$(date +%s)
elapsed() { echo "$(($(date +%s) - start)) s"; }
mkdir -p .pgstead/logs
chmod 700 .pgstead
log=.pgstead/logs/$(date -u +%Y%m%dT%H%M%SZ)-bootstrap.log

python=
for candidate in python3.13 python3.12 python3.11 python3; do
  if command -v "$candidate" > /dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  echo "error: Python 3.11 or later is needed (Debian 12 and Ubuntu 24.04 have it)" >&2
  echo "next: install python3, or a newer one, and run this again" >&2
  exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2> /dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    echo "  installing python3-venv: it is missing and you are root"
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy python3-venv; } >> "$log" 2>&1
  else
    echo "error: $python has no venv module" >&2
    echo "next: apt-get install python3-venv (as root), then run this again" >&2
    exit 1
  fi
fi
# Python and Ansible find pgstead.platform by this link; see dev-mode-dirs in pyproject.toml, collections_path in ansible.cfg.
mkdir -p .pgstead/collections/ansible_collections/pgstead
ln -sfn ../../../.. .pgstead/collections/ansible_collections/pgstead/platform
echo "  virtual environment .venv with $($python --version) ..."
"$python" -m venv .venv
echo "  Python packages: ansible, molecule and friends; about a minute ($(elapsed)) ..."
if ! .venv/bin/pip install --disable-pip-version-check -q -e '.[test]' >> "$log" 2>&1; then
  tail -n 5 "$log" >&2
  echo "error: pip could not install the packages" >&2
  echo "next: check this machine's way to PyPI; the whole output is in $log" >&2
  exit 1
fi
touch .venv/.complete
echo "✓ virtual environment .venv ($(elapsed))"
