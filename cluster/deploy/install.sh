#!/bin/sh
# Install the engine from this folder, without a network.  从本目录离线安装。
#
#   ./install.sh [PREFIX]        PREFIX is /opt/grouper by default; no root is needed elsewhere
#   ./install.sh --service       the same at /opt/grouper, with the systemd service (as root)
#
# PYTHON names the Python to use (3.11 or newer); python3 by default.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
python=${PYTHON:-python3}
service=no
prefix=/opt/grouper
case "${1:-}" in
    --service) service=yes ;;
    "") ;;
    -*) echo "install.sh: unknown option $1" >&2; exit 2 ;;
    *) prefix=$1 ;;
esac

cd "$here"
sha256sum --quiet --check SHA256SUMS || {
    echo "install.sh: the folder is not as it was made (see above); copy it again" >&2
    exit 1
}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "install.sh: Python 3.11 or newer is needed: PYTHON=/path/to/python3.11 ./install.sh" >&2
    exit 1
}
if [ -e "$prefix" ] && [ ! -x "$prefix/bin/python" ]; then
    echo "install.sh: $prefix is there and is no installation; name another folder" >&2
    exit 1
fi

[ -x "$prefix/bin/python" ] || "$python" -m venv "$prefix"
offline="--no-index --disable-pip-version-check --quiet --no-deps"
"$prefix/bin/python" -m pip install $offline --require-hashes --find-links wheels -r requirements.lock
"$prefix/bin/python" -m pip install $offline --force-reinstall ./drg_grouper-*.whl
mkdir -p "$prefix/share"
cp -R README.md README.zh-CN.md docs LICENSE requirements.lock "$prefix/share/"
"$prefix/bin/grouper" warmup

if [ "$service" = yes ]; then
    id grouper >/dev/null 2>&1 || useradd --system --home-dir /var/lib/grouper --shell /usr/sbin/nologin grouper
    mkdir -p /etc/grouper/secrets /var/lib/grouper /var/cache/grouper /var/backups/grouper
    chown grouper:grouper /var/lib/grouper /var/cache/grouper /var/backups/grouper
    # Settings that are there already are the user's.
    [ -e /etc/grouper/server.toml ] || sed 's|"/data"|"/var/lib/grouper"|' server.toml >/etc/grouper/server.toml
    [ -e /etc/grouper/secrets/principals.toml ] || install -m 640 -g grouper principals.example.toml /etc/grouper/secrets/principals.toml
    cp systemd/grouper*.service systemd/grouper*.timer /etc/systemd/system/
    systemctl daemon-reload
    echo "next: put certificates into /etc/grouper/secrets, see /etc/grouper/server.toml, then"
    echo "      systemctl enable --now grouper grouper-backup.timer"
else
    echo "installed: $prefix/bin/grouper --help"
fi
