#!/bin/sh
# install.sh FOLDER REQUIREMENTS: make the virtual environment FOLDER and install the locked REQUIREMENTS into it.
set -eu
folder=$1 requirements=$2

works() { # a pyenv shim may exist and yet run nothing; ensurepip is what Debian leaves out of a bare python3
    "$1" -c 'import sys, ssl, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for candidate in "${PYTHON:-}" \
        "${PYENV_ROOT:-${HOME:-/root}/.pyenv}"/versions/3.13.*/bin/python3.13 \
        python3.13 /usr/local/bin/python3.13 /opt/homebrew/bin/python3.13 \
        "${HOME:-/root}"/.local/share/uv/python/cpython-3.13*/bin/python3.13 \
        python3 python3.14 python3.12 python3.11 /usr/bin/python3; do
        [ -n "$candidate" ] && works "$candidate" && { command -v "$candidate"; return; }
    done
    return 1
}

if ! { [ -x "$folder/bin/python" ] && works "$folder/bin/python"; }; then
    python=$(find_python) || {
        echo "exchange: no working Python 3.11 or later with venv was found: install python3 and python3-venv, or set PYTHON" >&2
        exit 1
    }
    echo "making $folder with $python …"
    rm -rf "$folder"
    "$python" -m venv "$folder"
fi

unset PYTHONDONTWRITEBYTECODE VIRTUAL_ENV # imports without byte code take twice as long
echo "installing $requirements into $folder …"
export PIP_DISABLE_PIP_VERSION_CHECK=1 UV_NO_PROGRESS=1
if "$folder/bin/python" -m pip install --quiet uv 2>/dev/null &&
    "$folder/bin/python" -m uv pip install --quiet --compile-bytecode --python "$folder/bin/python" -r "$requirements" 2>/dev/null; then
    exit 0
fi
# uv reads no pip.conf: where only pip's configuration knows the way to packages, pip is slower but works.
"$folder/bin/python" -m pip install --quiet --requirement "$requirements" || {
    echo "exchange: the packages of $requirements cannot be installed: is a package index within reach?" >&2
    exit 1
}
"$folder/bin/python" -m compileall -q -j 0 "$folder"/lib/python*/site-packages >/dev/null || true
