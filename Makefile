# The front door. `make help` lists what there is. Set-up happens by itself: missing Debian
# packages, the virtual environment .venv, the build (tools/setup.sh says what it does).

PYTHON ?=
VENV ?= .venv
APP ?= demo:application
BIND ?= 127.0.0.1:8000
WORKERS ?= 2
ARGS ?=
FUZZ_SECONDS ?= 600
SECONDS ?= 1800
TSAN_REPEAT ?= 20
# Which programs of `make real-software`: a pytest expression.
SOFTWARE ?=
JOBS ?= $(shell nproc)
# Python tests wait more than they work.
TEST_PROCESSES ?= 3

TSAN_FOLDERS := base board os log session engine

# What `make test` runs, in this order; the first failure ends it. pytest is the last, so its
# closing line is too.
TEST_STAGES := lint-format lint-python types stubs test-cpp test-python
QUICK_TESTS := tests/meta tests/unit/test_config.py tests/unit/test_app_loading.py tests/unit/test_profiles.py

BIN := $(VENV)/bin
# From PyPI, pinned in tools/requirements.txt: every version formats differently.
CLANG_FORMAT ?= $(BIN)/clang-format
CPP_FILES = $(shell find src fuzz tests bench -name '*.cpp' -o -name '*.hpp' | sort)
PY_DIRS := python tests examples tools bench
BUILD_INPUTS := $(shell find src python cmake -type f ! -name '*_test.cpp' ! -name '*.pyc') \
    CMakeLists.txt pyproject.toml

export PYTHON VENV TEST_PROCESSES
export CMAKE_BUILD_PARALLEL_LEVEL = $(JOBS)

.DEFAULT_GOAL := help
.PHONY: help run test check fmt fuzz docs clean setup test-pythons soak-lifecycle autobahn tsan
.PHONY: $(TEST_STAGES) quick test-quick coverage tidy real-software soak-deadlines soak-certificates test-sanitized soak-hostile test-core
.PHONY: h2spec soak-protocols

help:  ## This list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sort | \
	    awk -F ':.*## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'
	@echo "  make bench          Speed and memory beside other servers (bench/bench.mk)"

run: $(VENV)/.installed  ## Serve examples/, or APP=module:app, on BIND=127.0.0.1:8000
	@echo "http://$(BIND)  (Ctrl-C stops)"
	@PYTHONPATH="$(CURDIR):$(CURDIR)/examples$${PYTHONPATH:+:$$PYTHONPATH}" \
	    $(BIN)/monoceros --bind $(BIND) --workers $(WORKERS) $(ARGS) $(APP)

test: setup  ## All tests: style, types, C++ under sanitizers, Python
	@for stage in $(TEST_STAGES); do tools/stage.sh $$stage $(MAKE) $$stage || exit 1; done

setup: $(VENV)/.tested  ## Packages, .venv, build and test requirements, without running anything

quick: setup  ## What most mistakes fail in: style, rules, unit tests; below a minute
	@for stage in lint-format lint-python test-quick; do \
	    tools/stage.sh $$stage $(MAKE) $$stage || exit 1; done

check: setup lint-format lint-python types stubs tidy  ## Every linter, clang-tidy included

fmt: setup  ## Format C++ and Python in place
	@$(CLANG_FORMAT) -i $(CPP_FILES)
	@$(BIN)/ruff check --quiet --fix $(PY_DIRS)
	@$(BIN)/ruff format --quiet $(PY_DIRS)

fuzz:  ## Run every libFuzzer target for FUZZ_SECONDS=600 each
	@tools/setup.sh packages test  # clang, by whose version the next names its package
	@tools/setup.sh packages fuzz
	@cmake --preset fuzz > /dev/null
	@cmake --build --preset fuzz --target fuzz/all
	@tools/fuzz.sh build/fuzz/fuzz $(FUZZ_SECONDS)

soak-lifecycle: setup  ## Reloads, upgrades, recycles, restarts, kills under load: whole numbers
	@MONO_SOAK=1 $(BIN)/python -m pytest tests/lifecycle --durations=0

soak-certificates: setup  ## 100 certificates replaced under load; 2 minutes
	@MONO_SOAK=1 $(BIN)/python -m pytest tests/integration/test_tls.py -k replaced --timeout 600

soak-deadlines: setup  ## 200 requests late at once, 20 times in each worker class; 15 minutes
	@MONO_LATE_ROUNDS=20 $(BIN)/python -m pytest tests/integration/test_late_crowds.py \
	    --timeout 900 --durations=0

test-sanitized: setup  ## Live servers with ASan and UBSan in the Python module, every worker class
	@tools/sanitized.sh build
	@tools/sanitized.sh test

test-core: setup  ## Every allocation of the Python module fails once: debug Python, sanitizers
	@tools/core.sh

soak-hostile: setup  ## Hostile clients of every kind on each worker class, for SECONDS=1800
	@MONO_HOSTILE_SECONDS=$$(( $(SECONDS) / 5 )) $(BIN)/python -m pytest -s \
	    tests/integration/test_hostile.py

tsan: setup  ## What threads and processes share, under ThreadSanitizer: C++, and a live server
	@cmake --preset tsan > /dev/null
	@cmake --build --preset tsan --target $(TSAN_FOLDERS:%=%_test)
	@for folder in $(TSAN_FOLDERS); do \
	    build/tsan/src/$$folder/$${folder}_test --gtest_brief=1 || exit 1; done
	@build/tsan/src/engine/engine_test --gtest_brief=1 --gtest_repeat=$(TSAN_REPEAT) \
	    --gtest_filter='Threads.*:Standby.*:Drain.*:Handles.*'
	@tools/tsan_module.sh

real-software: setup  ## Real programs (Flask-SocketIO, MLflow ...) on monoceros, HUP and TERM under load
	@tools/setup.sh packages software
	@MONO_SOFTWARE=1 $(BIN)/python -m pytest tests/software -k '$(SOFTWARE)'

autobahn: setup  ## WebSocket conformance: autobahntestsuite against our servers (Python 2.7)
	@tools/autobahn.sh

soak-protocols: setup  ## 20 HUPs and 5 USR2 under TLS and HTTP/2 load, in every worker class
	@MONO_SOAK=1 $(BIN)/python -m pytest tests/lifecycle/test_protocols.py --durations=0

h2spec: setup  ## HTTP/2 conformance: h2spec, strict, every worker class, TLS and cleartext (Go)
	@tools/h2spec.sh

test-pythons: setup  ## Build the wheel and try it under every Python >= 3.10 found
	@tools/test_pythons.sh

docs: setup  ## Generate the generated pages of docs/
	@for tool in tools/gen_*.py; do \
	    [ ! -e "$$tool" ] || { echo "$$tool"; $(BIN)/python "$$tool" || exit 1; }; done

clean:  ## Remove everything that was built, .venv included
	rm -rf build dist $(VENV) .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- stages of `make test` ---

lint-format:
	@$(CLANG_FORMAT) --dry-run -Werror $(CPP_FILES)

lint-python:
	@$(BIN)/ruff check $(PY_DIRS)
	@$(BIN)/ruff format --check --quiet $(PY_DIRS) || \
	    { echo "run: make fmt"; $(BIN)/ruff format --check $(PY_DIRS); }

types:
	@$(BIN)/mypy

stubs:
	@$(BIN)/stubtest monoceros._core monoceros._secure --mypy-config-file pyproject.toml

test-cpp:
	@cmake --preset asan > /dev/null
	@cmake --build --preset asan
	@ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1 \
	    ctest --test-dir build/asan --output-on-failure --timeout 600 -j $(JOBS) --progress

test-python:
	@$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

test-quick:
	@$(BIN)/python -m pytest -q -n $(TEST_PROCESSES) $(QUICK_TESTS)

coverage: setup  ## Lines of C++ that the C++ tests reach: build/coverage/report/index.html
	@cmake --preset coverage > /dev/null
	@cmake --build --preset coverage
	@ctest --test-dir build/coverage --output-on-failure --timeout 600 -j $(JOBS) --progress
	@$(BIN)/python -m pip install --quiet 'gcovr>=8,<9'
	@mkdir -p build/coverage/report
	@$(BIN)/gcovr --root . --filter src/ --exclude '.*_test\.[ch]pp' --print-summary \
	    --html-details build/coverage/report/index.html build/coverage

tidy:
	@cmake --preset dev > /dev/null
	@cmake --build --preset dev
	@run-clang-tidy -quiet -p build/dev -j $(JOBS) "$(CURDIR)/(src|fuzz|tests)/.*\.cpp" 2>&1 | \
	    tools/tidy_filter.sh

# --- what make can skip when nothing changed ---

$(VENV)/.installed: $(BUILD_INPUTS)
	@tools/setup.sh packages build
	@tools/setup.sh venv
	@tools/setup.sh install
	@touch $@

$(VENV)/.tested: $(VENV)/.installed tests/requirements.txt tools/requirements.txt
	@tools/setup.sh packages test
	@tools/setup.sh requirements
	@touch $@

ifneq ($(wildcard bench/bench.mk),)
include bench/bench.mk
endif
