# Few words to remember. `make demo` and `make test` work on a fresh machine with Python, git and make.
# PYTHON=/path/to/python3 chooses the interpreter; ARGS="..." goes to the program that the target runs.

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast e2e check format docs bench plugin image image-test lock clean

BIN := .venv/bin
# The C compiler's cache, which otherwise lands in the home directory.
export ZIG_GLOBAL_CACHE_DIR := $(CURDIR)/build/zig-cache

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install all that development and tests need
	@tools/setup.sh test

demo: ## bring up a VPC with two nodes on this machine and show that pods reach everything
	@tools/setup.sh demo
	@echo "setup: compiling the plugin, unless it is current"
	@$(BIN)/python -m vpc_cni.plugin.build --arch $(shell uname -m) >/dev/null
	@tools/demo.sh $(ARGS)

test: ## set up, check and run every test; prints the time of each stage
	@tools/run-tests.sh all

test-fast: ## unit and property tests only: no root, under a minute
	@tools/run-tests.sh fast

e2e: ## tests with a real Kubernetes in the lab; root; builds Kubernetes first (10 minutes, once)
	@PYTEST_ARGS="$(ARGS)" tools/run-tests.sh e2e

check: ## format, lint, types, layers, shell scripts
	@tools/run-tests.sh check

format: setup ## rewrite the sources in the project's format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: setup ## rewrite what is generated in docs/ and deploy/
	@$(BIN)/python tools/settings_doc.py --write
	@$(BIN)/python tools/deploy_files.py --write

bench: setup plugin ## compare ADD and DEL with Debian's ptp plugin; root
	@$(BIN)/python -m bench $(ARGS)

plugin: setup ## compile the plugin for both architectures
	@$(BIN)/python -m vpc_cni.plugin.build

image: setup plugin ## build the container image without a registry; root, buildah and debootstrap
	@$(BIN)/python tools/build_image.py $(ARGS)

image-test: setup plugin ## build the image and run its containers; root, buildah, debootstrap and runc
	@$(BIN)/python -m pytest -m image tests/functional/image $(ARGS)

lock: setup ## choose package versions anew and write the locks
	@.tools/bin/python tools/lock.py $(ARGS)

clean: ## remove everything that can be made again
	rm -rf .venv .tools .wheelhouse build dist src/vpc_cni/plugin/bin
