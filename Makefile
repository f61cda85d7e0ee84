# All set-up is done by the targets themselves: Python 3.11, make and the package registries are enough, and for `make test`
# chromium.
PYTHON ?= python3.11
UV_VERSION := 0.13.9
UV := .uv/bin/uv
BIN := .venv/bin
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := .venv
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# What was compiled is kept: the tests start hundreds of processes, each of which would compile the project anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo browser test soak mutate ui plan cluster lint types check bench clean stop preferences

setup: .venv/.ready

$(UV):
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed as '$(PYTHON)'; name another with make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet "uv==$(UV_VERSION)"

.venv/.ready: pyproject.toml uv.lock | $(UV)
	$(UV) sync --locked --quiet --python $(PYTHON)
	@touch $@

demo: setup
	$(BIN)/crm-intake demo $(ARGS)

# Pages are tested in the real browser of the system.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || { echo "Tests of pages need the Debian package 'chromium': apt-get install chromium" >&2; exit 1; }

# Three workers on two cores: much of the time they wait for a server, a browser or a clock.
test: setup browser
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

# Takes hours: the same tests, each at the size that it gives for a night.
soak: setup browser
	INTAKE_TESTS=night $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

# Which changes of a module no test notices: make mutate TARGET=schemas/consent.py TESTS=tests/schemas/test_consent.py
mutate: setup
	$(BIN)/python -m tests.mutating $(TARGET) $(TESTS)

ui: setup
	$(BIN)/crm-intake ui --sandbox $(ARGS)

# What a run would write, and nothing is written: make plan ARGS="--from 2026-11-01 --rows"
plan: setup
	$(BIN)/crm-intake plan $(ARGS)

# The UI, the daemon and workers as on several machines: make cluster ARGS="--workers 4"
cluster: setup
	$(BIN)/crm-intake cluster --sandbox $(ARGS)

preferences: setup
	$(BIN)/crm-intake preferences serve $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy schemas connectors pipelines preferences sandbox benchmarks

check: lint types test

# The peers it is measured against live in an environment of their own.
benchmarks/.peers/.ready: benchmarks/peers/pyproject.toml benchmarks/peers/uv.lock | $(UV)
	UV_PROJECT_ENVIRONMENT=$(CURDIR)/benchmarks/.peers $(UV) sync --project benchmarks/peers --locked --quiet --python $(PYTHON)
	@touch $@

bench: setup benchmarks/.peers/.ready
	$(BIN)/python -m benchmarks $(NAME) $(ARGS)

stop: setup
	$(BIN)/crm-intake store stop

clean:
	rm -rf .venv .uv .pytest_cache .mypy_cache .ruff_cache .hypothesis
