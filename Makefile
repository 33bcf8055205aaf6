# SPDX-License-Identifier: GPL-2.0-only
VENV ?= .venv
ARGS ?=
export VENV

HARNESS = $(VENV)/bin/harness
TOX = $(VENV)/bin/tox run
# The checks that need neither an emulator nor a kernel.
QUICK = lint,format,type,unit,integration

.PHONY: help run check test proof bench doctor clean

help: # list these targets
	@sed -n 's/^\([a-z]*\):.*# \(.*\)/make \1	\2/p' Makefile | expand -t 14

run: $(VENV)/ready # from nothing to a report: host packages, kernels, guests
	$(HARNESS) doctor --install --brief
	$(HARNESS) run $(ARGS)

check: $(VENV)/ready-dev # the quick ones of the project's own tests: no QEMU, no kernel
	$(TOX) -e $(QUICK) $(ARGS)

test: $(VENV)/ready-dev # the project's own tests: check, browser, and guests on ten kernels
	$(HARNESS) doctor --install --brief --tests
	$(TOX) $(ARGS)

proof: $(VENV)/ready-dev # tests that take further kernels, or long: for a night, or a release
	$(HARNESS) doctor --install --brief
	$(TOX) -e proof $(ARGS)

bench: $(VENV)/ready # how fast it is, against its peers: bench/README.md
	$(HARNESS) doctor --install --brief
	$(VENV)/bin/python -m bench $(ARGS)

doctor: $(VENV)/ready # what this host has and lacks
	$(HARNESS) doctor

clean: # remove what make and tox made here; kernels are kept: harness cache prune
	rm -rf $(VENV) .tox build *.egg-info

$(VENV)/ready: pyproject.toml .ci/bootstrap
	.ci/bootstrap $(VENV)

$(VENV)/ready-dev: pyproject.toml .ci/bootstrap
	.ci/bootstrap $(VENV) dev
