# shellcheck shell=bash
# Building commands of pinned Go modules; sourced by the recipes that do so.
set -euo pipefail
parts=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# The checkout is only read; the same pins give the same bytes; no C compiler is needed.
export GOFLAGS='-mod=readonly -trimpath -buildvcs=false' GOWORK=off CGO_ENABLED=0
unset GOOS GOARCH GOEXPERIMENT

# use_pins NAME MODULE VERSION: works in go/NAME from here on, which must pin that version.
use_pins() {
  cd "$parts/go/$1"
  if ! grep -qF "$2 $3 " go.mod; then
    echo "go/$1/go.mod does not pin $2 $3: make it and versions.env agree" >&2
    exit 1
  fi
}

# build OUT PACKAGE [LDFLAGS [FLAG...]]
build() { go build -o "$1" -ldflags "-s -w ${3:-}" "${@:4}" "$2"; }
