#!/usr/bin/env bash
# Installs what the tests need into .venv and .tox, and runs all of them; the
# stages, each with a description: "tox list" in .venv/bin.

source "$(dirname "$0")/venv.sh"
installed tox "tox>=4.20"

# The simulated clusters run once, in py; sim is for whoever wants them alone.
# Real sockets and processes come last and alone: they are the only tests that
# a busy machine can disturb, and their summary closes the run.
.venv/bin/tox run --colored no -e lint,types,py,docs,packaging "$@"
tests/integration/install.sh
.venv/bin/tox run --colored no -e integration --notest
exec .venv/bin/tox exec --colored no -qq -e integration -- \
    python -m pytest tests/contract tests/integration
