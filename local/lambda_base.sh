#!/bin/sh
# Stand in for AWS's base image of a Lambda runtime where no image registry can be reached: `lambda_base.sh 3.13`.
# Made of this machine's own CPython, the libraries that it and a wheel need, a shell, and AWS's runtime client.
# The image carries the names that `sam local invoke --skip-pull-image` asks for. It installs nothing on this machine.
set -eu
version="${1:?the version of Python}"
name="public.ecr.aws/lambda/python:$version"
case "$(uname -m)" in
x86_64) architecture=x86_64 loader=/lib64/ld-linux-x86-64.so.2 ;;
aarch64) architecture=arm64 loader=/lib/ld-linux-aarch64.so.1 ;;
*) echo "lambda base: no image for $(uname -m)" >&2 && exit 1 ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
python="$(sh "$here/runtime_python.sh")/python$version"
made_of=$({ cat "$0"; "$python" -VV; } | sha256sum | cut -c1-16)
if [ "$(docker image inspect -f '{{index .Config.Labels "made-of"}}' "$name-$architecture" 2>/dev/null || true)" = "$made_of" ]; then
	exit 0
fi
echo "making $name of $python …" >&2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root="$work/root"
mkdir -p "$root/bin" "$root/usr/bin" "$root/usr/lib" "$root/etc/ssl/certs" "$root/var/task" "$root/var/runtime" \
	"$root/var/rapid" "$root/var/lang/bin" "$root/var/lang/lib" "$root/opt" "$root/proc" "$root/dev" "$root/sys" "$root$(dirname $loader)"
mkdir -m 1777 "$root/tmp"
[ -e "$root/lib" ] || ln -s usr/lib "$root/lib"

prefix=$("$python" -c 'import sys; print(sys.base_prefix)')
tar -C "$prefix" -cf - --exclude=__pycache__ --exclude="lib/python$version/test" --exclude="lib/python$version/idlelib" \
	--exclude="lib/python$version/tkinter" --exclude="lib/python$version/config-*" --exclude="*/site-packages" \
	--exclude="*/dist-packages" --exclude='_tkinter*' "lib/python$version" | tar -C "$root/var/lang" -xf -
mkdir -p "$root/var/lang/lib/python$version/site-packages"
cp -L "$python" "$root/var/lang/bin/python$version"
cp -L "$prefix"/lib/libpython"$version".so* "$root/var/lang/lib/" 2>/dev/null || true
ln -s "python$version" "$root/var/lang/bin/python3"
# The runtime client and boto3 belong to AWS's image; these are the versions that the local run has pinned.
pins=$(sed -n 's/^\(\(awslambdaric\|boto3\)==[^ ;\\]*\).*/\1/p' "$here/../requirements/local.txt")
"$python" -m pip install -q --disable-pip-version-check --root-user-action=ignore --no-compile --target "$root/var/runtime" $pins

for tool in sh env cat cp mv rm ln ls mkdir chmod touch sed grep tar find id sleep date uname; do
	path=$(command -v "$tool") && case "$path" in /*) cp -L "$path" "$root/bin/$tool" ;; esac
done
ln -sf /bin/env "$root/usr/bin/env"
{
	find "$root/bin" "$root/var/lang" "$root/var/runtime" -type f \( -perm -u+x -o -name '*.so*' \) \
		-exec env LD_LIBRARY_PATH="$prefix/lib" ldd {} + 2>/dev/null | awk '/=> \//{print $3}'
	ldconfig -p | awk '$1 ~ /^lib(c|m|dl|pthread|rt|util|resolv|nss_files|nss_dns|gcc_s|stdc\+\+|z)\.so/ && /x86-64|AArch64/ {print $NF}'
} | sort -u | while read -r library; do
	case "$library" in "$root"/* | "$prefix"/lib/libpython*) ;; *) cp -nL "$library" "$root/usr/lib/" ;; esac
done
cp -L "$loader" "$root$loader"
echo /usr/lib >"$root/etc/ld.so.conf"
ldconfig -r "$root"
printf 'root:x:0:0:root:/root:/bin/sh\nsbx_user1051:x:993:990::/tmp:/bin/false\n' >"$root/etc/passwd"
printf 'root:x:0:\nsbx_user1051:x:990:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/" 2>/dev/null || true

cat >"$root/lambda-entrypoint.sh" <<'END'
#!/bin/sh
# As in AWS's image: the handler is the only argument; without a Runtime API the emulator of one is started.
export _HANDLER="$1"
if [ -z "${AWS_LAMBDA_RUNTIME_API:-}" ]; then exec /var/rapid/aws-lambda-rie /var/runtime/bootstrap; fi
exec /var/runtime/bootstrap
END
cat >"$root/var/runtime/bootstrap" <<END
#!/bin/sh
export PYTHONPATH="/opt/python:/opt/python/lib/python$version/site-packages:/var/runtime:\${PYTHONPATH:-}"
exec /var/lang/bin/python$version -m awslambdaric "\$_HANDLER"
END
chmod 755 "$root/lambda-entrypoint.sh" "$root/var/runtime/bootstrap"
cat >"$work/Dockerfile" <<END
FROM scratch
ADD root.tar /
LABEL made-of=$made_of
ENV PATH=/var/lang/bin:/usr/bin:/bin LD_LIBRARY_PATH=/var/lang/lib:/lib:/usr/lib:/var/runtime:/var/task:/opt/lib \\
    LANG=en_US.UTF-8 TZ=:/etc/localtime LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime
WORKDIR /var/task
ENTRYPOINT ["/lambda-entrypoint.sh"]
END
tar -C "$root" -cf "$work/root.tar" .
rm -rf "$root"
docker build -q -t "$name" -t "$name-$architecture" "$work" >/dev/null
docker run --rm --entrypoint "/var/lang/bin/python$version" "$name" -c 'import ssl, sqlite3, ctypes, sys; sys.path.insert(0, "/var/runtime"); import awslambdaric' ||
	{ docker rmi -f "$name" "$name-$architecture" >/dev/null; echo "lambda base: what was made does not run" >&2; exit 1; }
