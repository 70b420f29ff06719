#!/bin/sh
# Print the folder of a working interpreter of the functions' runtime, or say in one line that there is none.
set -eu
version=$(sed -n 's/^.*[ {]Runtime: python\([0-9.]*\).*/\1/p' template.yaml | head -n 1)
for candidate in "${PYENV_ROOT:-${HOME:-/root}/.pyenv}"/versions/"$version".*/bin/python"$version" \
    "python$version" /usr/local/bin/python"$version" /opt/homebrew/bin/python"$version" \
    "${HOME:-/root}"/.local/share/uv/python/cpython-"$version"*/bin/python"$version"; do
    if "$candidate" -c "import sys, ssl; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" >/dev/null 2>&1; then
        dirname "$("$candidate" -c 'import sys; print(sys.executable)')"
        exit 0
    fi
done
echo "exchange: sam build needs Python $version, the functions' runtime, and there is none on this machine" >&2
exit 1
