# make demo   sets everything up and runs egs/mini: sounds, mixtures, training, table
# make test   sets everything up, lints, runs the tests
# make test-unit   sets everything up, runs the tests of the package, without those of the recipes
# make test-slurm   runs the recipe's jobs through its own Slurm, which it installs if permitted
#   PYTHON=python3.11 selects the interpreter, VENV=DIR the location of the environment.
PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=
bin := $(abspath $(VENV))/bin
in_venv := PATH="$(bin):$$PATH" VIRTUAL_ENV="$(abspath $(VENV))"
scripts := tools/*.sh egs/TEMPLATE/*.sh egs/*/run*.sh egs/*/local/*.sh egs/TEMPLATE/utils/*.sh .ci/run

.PHONY: demo test test-unit test-slurm lint install clean

demo: install
	cd egs/mini && $(in_venv) ./run.sh

test: install lint
	$(in_venv) python -m pytest $(PYTEST_ARGS)

test-unit: install
	$(in_venv) python -m pytest --ignore test/recipes $(PYTEST_ARGS)

test-slurm: install
	@tools/slurm_node.sh install || true # the tests are skipped then, and say why
	$(in_venv) TSX_TEST_SLURM=1 python -m pytest test/recipes/slurm $(PYTEST_ARGS)

lint: install
	$(in_venv) ruff check .
	$(in_venv) python tools/check_claims.py
	@if command -v shellcheck >/dev/null; then set -x; shellcheck $(scripts); \
	else echo "shellcheck is not installed: the scripts are not checked"; fi

install:
	@PYTHON="$(PYTHON)" VENV="$(VENV)" tools/install.sh

clean:
	rm -rf build *.egg-info .pytest_cache .ruff_cache .hypothesis
	rm -rf egs/*/data egs/*/dump egs/*/exp egs/*/downloads
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
