#!/usr/bin/env bash
# Installs Mycorrizal into .venv and runs `pulse demo`, or `pulse` with the
# arguments given: "bash scripts/demo.sh status".

source "$(dirname "$0")/venv.sh"
installed pulse -e ".[pulse]"
export PATH="$PWD/.venv/bin:$PATH"
[ $# -gt 0 ] || set -- demo
exec pulse "$@"
