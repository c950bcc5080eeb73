#!/bin/sh
# Makes an environment and installs into it, the CPU build of torch first: a bare `pip install
# torch` brings gigabytes of CUDA on Linux. Knows nothing of what is installed.
#
#   deploy/install.sh ENVIRONMENT REQUIREMENT...     deploy/install.sh .venv -e '.[dev]'
#
# PYTHON   the interpreter to build on (default: python3)
# TORCH    the build of torch (default: the pinned version, on Linux its CPU build; TORCH=torch==X
#          for the CUDA build)
set -eu

[ $# -ge 2 ] || { echo "usage: deploy/install.sh ENVIRONMENT REQUIREMENT..." >&2; exit 2; }
python=${PYTHON:-python3}
constraints=$(cd "$(dirname "$0")" && pwd -P)/constraints.txt
torch_index=https://download.pytorch.org/whl/cpu
mkdir -p "$1"
venv=$(cd "$1" && pwd -P)
name=$1
log=$venv/setup.log
shift
job=
trap '[ -z "$job" ] || kill "$job" 2>/dev/null; exit 130' INT TERM
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_PROGRESS_BAR=off

die() {
    printf 'set-up: %s\n' "$*" >&2
    exit 1
}

# What pip does now, from its log: "34 of 96 packages: Downloading faiss_cpu-1.15.1.whl (23 MB)".
doing() {
    count=$(tail -n "+$from" "$log" | grep -cE '^(Collecting|Processing) ' || true)
    [ "$count" -gt 0 ] || return 0
    last=$(tail -n "+$from" "$log" |
        grep -E '^ *(Collecting|Downloading|Processing|Installing|Building|Preparing)' | tail -n 1 |
        sed -E 's/^ +//; s/ \(from .*//; s|/[^ ]*/||; s/^(Installing collected packages).*/\1/' |
        cut -c1-60)
    printf '%s of %s packages: %s' "$count" "$pinned" "$last"
}

report() {
    if [ -t 1 ]; then
        printf '\r\033[K         %3d s  %s' "$1" "$2"
    elif [ "$1" -gt 0 ] && [ $(($1 % 10)) -eq 0 ]; then
        printf '         %3d s  %s\n' "$1" "$2"
    fi
}

# attempt TITLE COMMAND...: a line when it starts, what it does while it runs, a line when it ends.
attempt() {
    printf 'set-up: %s\n' "$1"
    shift
    printf '\n$ %s\n' "$*" >>"$log"
    from=$(($(wc -l <"$log") + 1))
    seconds=0
    "$@" >>"$log" 2>&1 &
    job=$!
    while kill -0 "$job" 2>/dev/null; do
        report "$seconds" "$(doing)"
        sleep 1
        seconds=$((seconds + 1))
    done
    status=0
    wait "$job" || status=$?
    job=
    [ ! -t 1 ] || printf '\r\033[K'
    [ "$status" -ne 0 ] || printf '         done in %d s\n' "$seconds"
    return "$status"
}

# step ADVICE TITLE COMMAND...: an attempt that must succeed.
step() {
    advice=$1
    shift
    attempt "$@" && return
    # pip warns of every location it was told of and did not find.
    grep -v '^WARNING: Location' "$log" | tail -n 40 | sed 's/^/    /' >&2
    die "that failed; above is the end of $log; $advice"
}

version() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

# An environment cannot be moved: its scripts name the folder it was made in.
usable() {
    case $(sed -n 's/^command = //p' "$venv/pyvenv.cfg" 2>/dev/null) in
    *" $venv") [ "$(version "$venv/bin/python")" = "$wanted" ] && "$venv/bin/python" -m pip --version >/dev/null 2>&1 ;;
    *) false ;;
    esac
}

wanted=$(version "$python") ||
    die "'$python' is no Python that runs; name one of version 3.11 or newer, as in: make PYTHON=python3.12"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    die "'$python' is Python $wanted and Lethe needs 3.11 or newer; name one, as in: make PYTHON=python3.12"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    die "'$python' comes without venv; on Debian and Ubuntu: apt install python3-venv"

pinned=$(grep -c '==' "$constraints")
if [ -z "${TORCH:-}" ]; then
    TORCH=torch==$(sed -n 's/^torch==//p' "$constraints")
    [ "$(uname -s)" != Linux ] || TORCH=$TORCH+cpu
fi

if ! usable; then
    [ -f "$venv/pyvenv.cfg" ] || [ -z "$(ls -A "$venv")" ] ||
        die "$name holds something else than an environment; name another folder"
    "$python" -m venv --clear "$venv"
    echo "set-up: $name is a new environment of Python $wanted"
fi
: >"$log"
# A local wheel or a mirror may have the build; PyPI has no CPU build for Linux, PyTorch's index has.
attempt "$TORCH, where pip looks by itself" \
    "$venv/bin/python" -m pip install "$TORCH" -c "$constraints" ||
    step "where PyTorch's index cannot be reached, take PyPI's build: make TORCH=${TORCH%+cpu}" \
        "$TORCH, from PyTorch's own index (some 200 MB)" \
        "$venv/bin/python" -m pip install "$TORCH" -c "$constraints" --extra-index-url "$torch_index"
step "mend that and run it again: what is installed stays" \
    "$* and what it needs" "$venv/bin/python" -m pip install "$@" -c "$constraints"
