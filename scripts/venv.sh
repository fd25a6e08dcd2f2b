# Sourced by demo.sh and test.sh: goes to the top of the clone, and makes .venv
# there when it is missing.  Gives `installed MARK pip-arguments...`.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Some bare machines have no HOME, which pip, virtualenv and Twisted ask for.
: "${HOME:=$(getent passwd "$(id -u)" | cut -d: -f6)}"
export HOME
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# The first Python >= 3.11 on this machine.
find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.11 python3.12 python3.13 /usr/bin/python3}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

# Debian keeps the parts that make a virtual environment in a package of their own.
install_python() {
    if ! command -v apt-get >/dev/null; then
        echo "Mycorrizal needs Python 3.11 or later with its venv module." >&2
        exit 1
    fi
    echo "Installing python3 and python3-venv with apt-get"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends python3 python3-venv >/dev/null
}

make_venv() {
    local python
    if .venv/bin/python -m pip --version >/dev/null 2>&1; then return; fi
    rm -rf .venv
    if python=$(find_python) && "$python" -m venv .venv >/dev/null 2>&1; then return; fi
    rm -rf .venv
    install_python
    python=$(find_python) || {
        echo "Mycorrizal needs Python 3.11 or later." >&2
        exit 1
    }
    "$python" -m venv .venv
}

# pip install into .venv, unless that was done already for these arguments, this
# folder and this metadata.
installed() {
    local mark=.venv/installed-$1 now
    shift
    now=$(echo "$PWD" "$@" | cat - setup.cfg pyproject.toml | sha256sum)
    if [ -f "$mark" ] && [ "$(cat "$mark")" = "$now" ]; then return; fi
    echo "Installing into .venv: $*"
    .venv/bin/python -m pip install --quiet "$@"
    echo "$now" > "$mark"
}

make_venv
