# SPDX-License-Identifier: GPL-2.0-only
# make run    from nothing to a report: virtual environment, host packages, kernels, guests
# make test   the project's own tests
# make bench  how fast it is, against its peers: bench/README.md
VENV ?= .venv
ARGS ?=

.PHONY: run test bench doctor clean

run: $(VENV)/ready
	$(VENV)/bin/harness doctor --install --brief
	$(VENV)/bin/harness run $(ARGS)

test: $(VENV)/ready
	$(VENV)/bin/harness doctor --install --brief --tests
	$(VENV)/bin/tox $(ARGS)

bench: $(VENV)/ready
	$(VENV)/bin/harness doctor --install --brief
	$(VENV)/bin/python -m bench $(ARGS)

doctor: $(VENV)/ready
	$(VENV)/bin/harness doctor

$(VENV)/ready: pyproject.toml .ci/bootstrap
	.ci/bootstrap $(VENV)
	touch $@

clean:
	rm -rf $(VENV) .tox build *.egg-info
