# Two commands matter: `make up` and `make test`. Everything they need they set up themselves.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PGSTEAD := .venv/bin/pgstead
SANDBOX := -i sandbox

.PHONY: help up down status test test-full check lint unit contract molecule again bench docs dist clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/.complete: pyproject.toml galaxy.yml tools/bootstrap.sh
	@sh tools/bootstrap.sh

up: .venv/.complete ## A sandbox node on this machine: deployed, verified, its two URLs
	@$(PGSTEAD) sandbox up $(SANDBOX)
	@$(PGSTEAD) deploy $(SANDBOX)
	@$(PGSTEAD) verify $(SANDBOX)

down: ## Remove everything that make up created
	@if [ -x $(PGSTEAD) ]; then $(PGSTEAD) sandbox down $(SANDBOX) --clean; else echo "nothing to remove"; fi

status: .venv/.complete ## The sandbox's nodes
	@$(PGSTEAD) sandbox status

test: .venv/.complete ## Lint, unit, contract and molecule tests
	@.venv/bin/python tools/test.py lint unit contract molecule

test-full: .venv/.complete ## test, and what takes long
	@.venv/bin/python tools/test.py lint unit contract molecule long

check: .venv/.complete ## Lint, unit, contract, and the scenarios that your change touches
	@.venv/bin/python tools/test.py $@

lint unit contract: .venv/.complete ## One part of the tests
	@.venv/bin/python tools/test.py $@

molecule: .venv/.complete ## Tests on nodes: all, or SCENARIO="x y"; KEEP=1 leaves the nodes
	@.venv/bin/python tools/test.py $@

again: .venv/.complete ## Tests on a node that KEEP=1 left: SCENARIO=x TESTS=path::name, CONVERGE=1 deploys first
	@.venv/bin/python tools/test.py $@

bench: .venv/.complete ## Speed, as ratios against peers and baselines
	@.venv/bin/python -m bench

docs: .venv/.complete ## Regenerate what is generated: role READMEs, docs/reference
	@.venv/bin/python tools/generate.py

dist: .venv/.complete ## The wheel, the sdist, the collection's archive and their checksums, in dist/
	@rm -rf dist
	@.venv/bin/python -m build --no-isolation
	@.venv/bin/ansible-galaxy collection build --output-path dist
	@cd dist && sha256sum * > SHA256SUMS && cat SHA256SUMS

clean: down ## down, and the virtual environment, caches and logs; vault passwords stay
	@rm -rf .venv dist .pgstead/cache .pgstead/logs .pgstead/junit
