# Two commands set everything up on a machine with only Python 3.11, gcc and make:
#   make demo    convert the sample that ships with the project, compare every value, search in it with Milvus Lite
#   make test    run all tests
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml setup.py $(wildcard native/*)
NATIVE_MODULES := $(patsubst native/%.pyx,vecmill._native.%,$(wildcard native/*.pyx))

.PHONY: demo test test-plain test-asan check tables bench bench-quick build clean

demo: $(VENV)/.installed-demo
	$(BIN)/python tests/support/demo.py

# Engines leave threads and signal handlers in the process that has started them: their tests have one of their own.
ENGINES := tests/integrations/test_ray.py tests/integrations/test_scale_doc.py tests/writer/test_tasks.py

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 4 --dist loadgroup --durations 15 $(foreach one,$(ENGINES),--ignore $(one))
	$(BIN)/python -m pytest $(ENGINES)

# Tests that run the kernels. Each flavour is a whole package in build/NAME; setup.py tells what it is built with.
KERNEL_TESTS := tests/native tests/types tests/encode tests/formats/test_golden.py
# Fewer examples than tests try otherwise: it is the same code in four flavours.
VECMILL_EXAMPLES ?= 25
FLAVOUR = PYTHONPATH=build/$(1) VECMILL_EXAMPLES=$(VECMILL_EXAMPLES) $(2) $(BIN)/python -m pytest -n 2 $(KERNEL_TESTS)

# The code paths of other CPUs: portable, SSE2, AVX2.
test-plain: $(VENV)/.installed-test $(VENV)/.installed-flavours
	VECMILL_PLAIN=1 $(BIN)/python setup.py -q build
	$(call FLAVOUR,plain)
	VECMILL_NO_AVX2=1 $(BIN)/python setup.py -q build
	$(call FLAVOUR,sse2)
	VECMILL_NO_AVX512=1 $(BIN)/python setup.py -q build
	$(call FLAVOUR,avx2)

# Reads and writes outside of memory, and undefined behaviour, stop the tests.
SANITIZERS = LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libstdc++.so)" PYTHONMALLOC=malloc \
	ASAN_OPTIONS=detect_leaks=0 PYCRYPTODOME_DISABLE_DEEPBIND=1

test-asan: $(VENV)/.installed-test $(VENV)/.installed-flavours
	VECMILL_SANITIZE=1 $(BIN)/python setup.py -q build
	$(call FLAVOUR,sanitize,$(SANITIZERS)) tests/sources/test_text_mutations.py

check: $(VENV)/.installed-check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest $(NATIVE_MODULES) --mypy-config-file pyproject.toml
	$(BIN)/lint-imports
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cython-lint native

# What is printed from the code: pages and tables of docs/, and the client without asyncio. Tests compare it.
tables: $(VENV)/.installed-test
	$(BIN)/python tests/support/print_modules.py
	$(BIN)/python tests/support/print_client.py
	$(BIN)/python -m vecmill.schema.carriage > docs/formats.md
	$(BIN)/python -m vecmill.validate.document > docs/rules.md

bench: $(VENV)/.installed-bench
	$(BIN)/python benchmarks/bench_kernels.py
	$(BIN)/python benchmarks/bench_writer.py
	$(BIN)/python benchmarks/bench_parquet.py
	$(BIN)/python benchmarks/bench_memory.py
	$(BIN)/python benchmarks/bench_scaling.py
	$(BIN)/python benchmarks/bench_import.py
	$(BIN)/python benchmarks/bench_remote.py

bench-quick: $(VENV)/.installed-bench
	$(BIN)/python benchmarks/bench_writer.py --quick
	$(BIN)/python benchmarks/bench_parquet.py --quick

# sdist, then the wheel from the sdist: what PyPI would get.
build: $(VENV)/.installed-check
	$(BIN)/python -m build

$(VENV)/.venv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	touch $@

$(VENV)/.installed: $(VENV)/.venv $(SOURCES)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-%: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group $*
	touch $@

clean:
	rm -rf build dist demo src/*.egg-info src/vecmill/_native/*.so
