# One entry point for people and for CI. PYTHON=... picks the interpreter; each has its own environment.
#
#   make demo     build cuvee and serve the example on http://127.0.0.1:8000
#   make test     everything that the tests need, then the tests (TESTS=folder, ARGS="-k name")
#   make check    formatting, lint, layers, types, stubs
#   make format   rewrite what `make check` would complain about
#   make c-test   the C units under ASan and UBSan
#   make asan     the Python tests under ASan and UBSan
#   make fuzz     what parses, what writes and the connection, fuzzed (FUZZ_SECONDS=20 for each)
#   make leaks    the leak scenarios
#   make autobahn all of Autobahn's WebSocket cases
#   make full     all that CI leaves out: the last five in full, and the tests that take minutes
#   make measure  cuvee beside its peers (ARGS: benchmarks/run.py has options)
#   make measure-loops  cuvee's event loop beside others (ARGS: benchmarks/loop.py has options)
#   make bench    the numbers of the README from benchmarks/results
#   make sdist wheel clean

PYTHON_FOUND := $(shell sh tools/find_python.sh)
PYTHON ?= $(PYTHON_FOUND)
ifeq ($(origin PYTHON), file)
VENV ?= .venv
else
VENV ?= .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d%s" % (*sys.version_info[:2], sys.abiflags))')
endif

BIN := $(VENV)/bin
DEMO_PORT ?= 8000
# Programs that some tests need: without one they are skipped, with the reason.
SYSTEM_TOOLS ?= chromium postgresql redis-server rabbitmq-server nginx haproxy systemd
# What tests/libraries imports, the same way; empty where it can't be installed.
LIBRARIES ?= requirements/libraries.txt
ARGS ?=
TESTS ?= tests examples
# How long each target is fuzzed, and which ones, if not all.
FUZZ_SECONDS ?= 20
FUZZ_TARGETS ?=
# Tests that take minutes are no reason to print where every thread is.
PATIENT := -o faulthandler_timeout=0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

C_FILES := $(wildcard csrc/*.[ch] csrc/*/*.[ch])
BUILD_INPUTS := $(C_FILES) $(wildcard python/cuvee/*.py python/cuvee/*/*.py python/cuvee/*.pyi) \
	$(wildcard build_support/*.py) setup.py pyproject.toml
TEST_REQUIREMENTS := requirements/test.txt requirements/build.txt $(wildcard examples/*/requirements.txt)
FORMATTED_C := $(C_FILES) $(wildcard tests/c/*.[ch] tests/c/*/*.[ch] tests/fuzz/*.[ch]) $(wildcard benchmarks/native/*.[ch])

.PHONY: demo build test check lint layers c-rules c-format python-rules format types stubtest c-test asan fuzz leaks autobahn full measure measure-loops bench sdist wheel clean
.DEFAULT_GOAL := build

$(VENV)/.venv-made:
	@sh tools/make_venv.sh "$(PYTHON)" "$(VENV)"
	@touch $@

# Where zlib's header can't be installed, the build says what is missing.
$(VENV)/.build-tools: requirements/build.txt $(VENV)/.venv-made
	@echo '#include <zlib.h>' | $${CC:-cc} $$CPPFLAGS -E - >/dev/null 2>&1 || sh tools/system_tools.sh zlib1g-dev || true
	@$(BIN)/python -m pip install -qq -r requirements/build.txt
	@touch $@

# A real install, so that what is tested is what ships. The objects of the last build are kept.
$(VENV)/.built: $(BUILD_INPUTS) $(VENV)/.build-tools
	@rm -rf build/lib* python/cuvee.egg-info
	@$(BIN)/python -m pip install -qq --no-build-isolation --no-deps --force-reinstall .
	@touch $@

$(VENV)/.test-tools: $(TEST_REQUIREMENTS) $(VENV)/.build-tools
	@$(BIN)/python -m pip install -qq -r requirements/test.txt
	@touch $@

$(VENV)/.libraries: $(LIBRARIES) $(VENV)/.test-tools
	@$(BIN)/python -m pip install -qq -r $(LIBRARIES)
	@touch $@

# It is for Python 2.7: where there is none, its tests are skipped.
$(VENV)/.autobahn: requirements/autobahn.txt tools/autobahn.sh $(VENV)/.venv-made
	@sh tools/autobahn.sh $(BIN)/python $(VENV)/autobahn || true
	@touch $@

# A client of tests/web_sockets, which are skipped where npm could not install it.
$(VENV)/.node: requirements/node.txt $(VENV)/.venv-made
	@sh tools/system_tools.sh npm && npm install --silent --no-audit --no-fund --prefix $(VENV)/node $$(cat $<) || true
	@touch $@

$(VENV)/.lint-tools: requirements/lint.txt requirements/libraries.txt $(TEST_REQUIREMENTS) $(VENV)/.build-tools
	@$(BIN)/python -m pip install -qq -r requirements/lint.txt
	@touch $@

$(VENV)/.demo-tools: examples/fastapi_demo/requirements.txt $(VENV)/.venv-made
	@$(BIN)/python -m pip install -qq -r examples/fastapi_demo/requirements.txt
	@touch $@

build: $(VENV)/.built

demo: $(VENV)/.built $(VENV)/.demo-tools
	@exec $(BIN)/cuvee main:app --app-dir examples/fastapi_demo --port $(DEMO_PORT)

test: $(VENV)/.built $(VENV)/.test-tools $(VENV)/.autobahn $(VENV)/.node $(if $(LIBRARIES),$(VENV)/.libraries)
	@sh tools/system_tools.sh $(SYSTEM_TOOLS) || true
	@$(BIN)/python -m pytest $(TESTS) $(ARGS)

check: lint types stubtest

lint: layers c-rules c-format python-rules

layers: $(VENV)/.venv-made
	@$(BIN)/python tools/lint_layers.py

c-rules: $(VENV)/.build-tools
	@$(BIN)/python tools/lint_c.py

c-format: $(VENV)/.lint-tools
	@$(BIN)/clang-format --dry-run -Werror $(FORMATTED_C)

python-rules: $(VENV)/.lint-tools
	@$(BIN)/ruff format -q --check .
	@$(BIN)/ruff check -q .

format: $(VENV)/.lint-tools
	@$(BIN)/clang-format -i $(FORMATTED_C)
	@$(BIN)/ruff format -q .
	@$(BIN)/ruff check -q --fix .

types: $(VENV)/.lint-tools
	@$(BIN)/mypy

stubtest: $(VENV)/.built $(VENV)/.lint-tools
	@cd $(VENV) && bin/python -m mypy.stubtest cuvee._core

c-test: $(VENV)/.build-tools
	@CUVEE_SANITIZE=address,undefined CUVEE_WERROR=1 $(BIN)/python tools/c_test.py $(ARGS)

asan: $(VENV)/.test-tools
	@sh tools/asan.sh $(BIN)/python $(ARGS)

# Where there is no clang it says so, and that is all.
fuzz: $(VENV)/.venv-made
	@$(BIN)/python tools/fuzz.py run $(FUZZ_TARGETS) --seconds $(FUZZ_SECONDS) || [ $$? = 77 ]

leaks: $(VENV)/.built $(VENV)/.test-tools
	@$(BIN)/python -m pytest tests/leaks --full $(ARGS)

autobahn: $(VENV)/.built $(VENV)/.test-tools $(VENV)/.autobahn
	@$(BIN)/python -m pytest tests/conformance/autobahn --full -k test_all $(PATIENT) $(ARGS)

# What CI leaves out. A part that fails does not keep the others from being seen; the last is what measures time.
full: FUZZ_SECONDS = 300
full: check c-test $(VENV)/.test-tools $(VENV)/.autobahn $(VENV)/.node $(if $(LIBRARIES),$(VENV)/.libraries)
	@sh tools/system_tools.sh $(SYSTEM_TOOLS) slowhttptest || true
	@status=0; \
	$(MAKE) -s -k -j 2 --output-sync=target asan fuzz leaks autobahn FUZZ_SECONDS=$(FUZZ_SECONDS) || status=1; \
	$(BIN)/python -m pytest $(TESTS) --full -m full --ignore=tests/leaks --ignore=tests/conformance/autobahn \
		$(PATIENT) $(ARGS) || status=1; \
	exit $$status

measure: $(VENV)/.built
	@sh tools/system_tools.sh wrk nghttp2-client strace valgrind
	@$(BIN)/python -m pip install -qq -r benchmarks/peers.txt
	@$(BIN)/python benchmarks/run.py $(ARGS)

measure-loops: $(VENV)/.built
	@sh tools/system_tools.sh openssl postgresql redis-server
	@$(BIN)/python -m pip install -qq -r benchmarks/loop-peers.txt
	@$(BIN)/python benchmarks/loop.py $(ARGS)

bench:
	@$(PYTHON) benchmarks/render.py

# A wheel is built once and used often: its profile is worth a second compilation and a training run.
wheel: export CUVEE_PGO ?= 1
sdist wheel: $(VENV)/.build-tools
	@$(BIN)/python -m pip install -qq build
	@$(BIN)/python -m build -q --no-isolation --$@ .
	@ls dist

clean:
	rm -rf build dist third_party .venv* python/cuvee.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
