#!/bin/sh
# Install what the project needs on this machine: system packages, the tools in .tools, and the environment in .venv.
#
#   tools/setup.sh demo    what the lab and its demo need
#   tools/setup.sh test    that, and what all tests need (a container runtime among others)
#
# Runs again at no cost: what is there already is left alone, and the second run ends within a second.
# Installs system packages only as root on Debian or Ubuntu; otherwise it prints the line to run and stops.
# PYTHON=/path/to/python chooses the interpreter.
set -eu

cd "$(dirname "$0")/.."

OLDEST_PYTHON=11 # of 3.x: see requires-python in pyproject.toml
NEWEST_PYTHON=14 # the newest that the lock has wheels for: see PYTHONS in tools/lock.py

DEMO_PACKAGES="nftables libnftables1 iproute2 iputils-ping containernetworking-plugins libcap2-bin"
# gcc is for the sanitizers only: the plugin itself is compiled by what the wheels bring.
TEST_PACKAGES="conntrack iptables containerd runc busybox-static openssl curl gcc libc6-dev postgresql"

say() { printf 'setup: %s\n' "$*"; }

fail() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

# Print those of the given Debian packages that are not installed.
missing_packages() {
    for package in "$@"; do
        state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$state" = installed ] || printf '%s ' "$package"
    done
}

install_packages() {
    if ! command -v dpkg-query >/dev/null; then
        [ -e build/packages-noted ] || say "not a Debian system; the tests need what Debian calls: $*"
        : >build/packages-noted
        return 0
    fi
    missing=$(missing_packages "$@")
    missing=${missing% }
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        fail "missing system packages; run this, then try again:" "  sudo apt-get install -y $missing"
    fi
    say "installing system packages: $missing"
    # Other tools may hold the lock of dpkg for a moment on a fresh machine.
    # shellcheck disable=SC2086 # a list of words
    if ! { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 \
        install --no-install-recommends $missing; } >build/apt.log 2>&1 </dev/null; then
        tail -n 20 build/apt.log >&2
        fail "apt-get failed; the whole output is in build/apt.log"
    fi
}

# Print the first usable interpreter: one of a supported version.
find_python() {
    for candidate in ${PYTHON:-} /usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c "import sys; sys.exit(not (3, $OLDEST_PYTHON) <= sys.version_info[:2] <= (3, $NEWEST_PYTHON))" \
            2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail "no Python 3.$OLDEST_PYTHON to 3.$NEWEST_PYTHON found; run: apt-get install -y python3 python3-venv" \
        "or name one: make setup PYTHON=/path/to/python3"
}

# Print the package that gives interpreter $1 its modules for environments; nothing when it has them.
venv_package() {
    ! "$1" -c 'import ensurepip, venv' 2>/dev/null || return 0
    # Debian keeps these modules of its own Python in a package; another Python needs its own cure.
    [ "$1" = /usr/bin/python3 ] || fail "$1 lacks the modules venv and ensurepip; install them or set PYTHON"
    "$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'
}

# Print a line that changes whenever one of the given files, the interpreter or the place of the checkout does.
fingerprint() {
    python=$1
    shift
    { "$python" -VV; printf '%s\n' "$python" "$PWD"; cat "$@"; } | sha256sum
}

# Whether folder $1 was made from what fingerprint $2 stands for.
is_current() { [ "$(cat "$1/.stamp" 2>/dev/null)" = "$2" ]; }

install_tools() {
    stamp=$(fingerprint "$1" tools/uv.txt)
    ! is_current .tools "$stamp" || return 0
    say "installing uv into .tools"
    "$1" -m venv --clear .tools
    pip install -r tools/uv.txt
    printf '%s\n' "$stamp" >.tools/.stamp
}

download_wheels() {
    stamp=$(fingerprint "$1" tools/wheelhouse.txt)
    ! is_current .wheelhouse "$stamp" || return 0
    say "downloading Python packages into .wheelhouse (about 170 MB)"
    mkdir -p .wheelhouse
    pip download --dest .wheelhouse -r tools/wheelhouse.txt
    printf '%s\n' "$stamp" >.wheelhouse/.stamp
}

# pip takes files from the index, mirror or folder that it is configured for, and only those with the right digest.
pip() {
    command=$1
    shift
    .tools/bin/python -m pip --disable-pip-version-check "$command" --quiet --require-hashes --no-deps \
        --only-binary :all: "$@"
}

make_environment() {
    say "making .venv"
    # The lock alone decides: no index, and no other environment that happens to be active.
    env -u VIRTUAL_ENV -u UV_PROJECT_ENVIRONMENT UV_PYTHON_DOWNLOADS=never \
        .tools/bin/uv sync --quiet --frozen --offline --no-cache --all-extras --python "$1"
    printf '%s\n' "$2" >.venv/.stamp
}

main() {
    case ${1:-test} in
        demo) packages=$DEMO_PACKAGES ;;
        test) packages="$DEMO_PACKAGES $TEST_PACKAGES" ;;
        *) fail "usage: tools/setup.sh [demo|test]" ;;
    esac
    mkdir -p build
    # Two targets of make at once, or two terminals: the second one waits and then finds everything done.
    exec 9>build/setup.lock
    ! command -v flock >/dev/null || flock 9
    python=$(find_python)
    packages="$packages $(venv_package "$python")"
    # shellcheck disable=SC2086 # a list of words
    install_packages $packages
    wanted=$(fingerprint "$python" pyproject.toml uv.lock tools/wheelhouse.txt tools/uv.txt)
    ! { is_current .venv "$wanted" && .venv/bin/python -c pass 2>/dev/null; } || return 0
    started=$(date +%s)
    install_tools "$python"
    download_wheels "$python"
    make_environment "$python" "$wanted"
    say "ready after $(($(date +%s) - started)) s"
}

main "$@"
