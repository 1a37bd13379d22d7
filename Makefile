.PHONY: parts

# The real parts that the tests run against, all or PARTS="envoy dex": integration/parts/README.md.
PARTS ?= all
parts:
	integration/parts/get $(PARTS)
