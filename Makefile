# `make run` and `make test` are all the set-up there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PRETRAINED := $(VENV)/.installed-pretrained
ONNX := $(VENV)/.installed-onnx
REMOTE := $(VENV)/.installed-remote
POOLS := $(VENV)/.installed-pools
RUNNERS := $(VENV)/.installed-runners
DEV := $(VENV)/.installed-dev
# Without other instructions everything that runs is written to ./.lmcore.
export DO_NOT_TRACK := true

.PHONY: run pretrained up test test-long check bench clean up-servers down-servers backup
.PHONY: lint format types imports spelling docs docs-serve coverage

run: $(STAMP)
	$(BIN)/lmcore run

# Prefect, MLflow, schedules and dashboard until Ctrl-C: make up CONFIGS="--config my.yaml"
up: $(STAMP)
	$(BIN)/lmcore up $(CONFIGS)

# One process a core, each with one thread: more threads than cores would wait for each other.
SIDE_BY_SIDE := --numprocesses auto --dist loadfile --no-loadscope-reorder
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(SIDE_BY_SIDE)
TESTED := $(STAMP) $(PRETRAINED) $(ONNX) $(REMOTE) $(POOLS) $(RUNNERS) $(DEV)

test: $(TESTED)
	$(PYTEST) -m "not long"

# Several hosts, workers that take turns, a corpus larger than the memory, a real small model, kills in
# every step, the pages that are walked.
test-long: $(TESTED)
	$(PYTEST) -m long

# The longest first: two at a time they take as long as the types alone.
CHECKS := types docs lint format imports spelling

check: $(STAMP) $(DEV)
	@$(MAKE) --no-print-directory --jobs 2 $(CHECKS)

lint: $(STAMP)
	$(BIN)/ruff check .

format: $(STAMP)
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

imports: $(STAMP)
	$(BIN)/lint-imports

spelling: $(STAMP) $(DEV)
	$(BIN)/typos

# A link into nothing, or a page that no menu names, is an error. Written to build/site.
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs

docs: $(STAMP) $(DEV)
	$(MKDOCS) build --strict --quiet

# On http://127.0.0.1:8001 until Ctrl-C, built again whenever a page changes.
docs-serve: $(STAMP) $(DEV)
	$(MKDOCS) serve --dev-addr 127.0.0.1:8001

# Counting lines takes a fifth to a half more of the processor, so this is not `make test`.
# TESTS names a part of them, which no floor is asked of.
TESTS ?=
coverage: $(TESTED)
	rm -rf build/coverage
	mkdir -p build/coverage
	OMP_NUM_THREADS=1 $(BIN)/coverage run -m pytest $(SIDE_BY_SIDE) $(TESTS)
	# What a killed process left is no data file, and is left out.
	$(BIN)/coverage combine --quiet 2>/dev/null
	$(BIN)/coverage report $(if $(TESTS),--fail-under=0)

# Peers are compared with where a checkout of them is given; in full this takes some sixteen hours,
# seven of them in the tasks:
#   make bench NANOGPT=/path/to/nanoGPT WORD_LANGUAGE_MODEL=/path/to/examples/word_language_model \
#     LLAMA=/path/to/bin/python DATATROVE=/path/to/bin/python
NANOGPT ?=
WORD_LANGUAGE_MODEL ?=
WITH_NANOGPT := $(if $(NANOGPT),--nanogpt $(NANOGPT))
WITH_WORDS := $(if $(WORD_LANGUAGE_MODEL),--word-language-model $(WORD_LANGUAGE_MODEL))
# The Python of an environment with llama-cpp-python.
LLAMA ?=
WITH_LLAMA := $(if $(LLAMA),--llama $(LLAMA))
# The Python of an environment with datatrove[processing].
DATATROVE ?=
WITH_DATATROVE := $(if $(DATATROVE),--datatrove $(DATATROVE))

# Minutes on two cores, in brackets with the peers: 10, 12, 5, 15, 15, 15, 1, 4, 2 (30), 6 (20), 33 (65), 8, 300, 1,
# 15, of those about pretrained models 7, 85 and 135, of odd input (benchmarks.fuzzing) 10, of faults 20, of stops
# 75, of repeats 240.
bench: $(STAMP) $(PRETRAINED) $(RUNNERS)
	$(BIN)/python -m benchmarks.pipeline
	$(BIN)/python -m benchmarks.operation
	$(BIN)/python -m benchmarks.tokenizing
	$(BIN)/python -m benchmarks.corpus $(WITH_DATATROVE)
	$(BIN)/python -m benchmarks.version_size
	$(BIN)/python -m benchmarks.readers
	$(BIN)/python -m benchmarks.copies $(WITH_DATATROVE)
	$(BIN)/python -m benchmarks.indexing
	$(BIN)/python -m benchmarks.scaling
	$(BIN)/python -m benchmarks.generation $(WITH_NANOGPT)
	$(BIN)/python -m benchmarks.characters $(WITH_NANOGPT)
	$(BIN)/python -m benchmarks.words $(WITH_WORDS)
	$(BIN)/python -m benchmarks.gpu
	$(BIN)/python -m benchmarks.tasks
	$(BIN)/python -m benchmarks.personal
	$(BIN)/python -m benchmarks.serving
	$(BIN)/python -m benchmarks.serving_pretrained $(WITH_LLAMA)
	$(BIN)/python -m benchmarks.pretrained
	$(BIN)/python -m benchmarks.pretrained_tasks
	$(BIN)/python -m benchmarks.pretrained_gpu
	$(BIN)/python -m benchmarks.fuzzing
	$(BIN)/python -m benchmarks.faults
	$(BIN)/python -m benchmarks.stops
	$(BIN)/python -m benchmarks.repeats

# The server tier in containers: docs/server.md.
up-servers:
	scripts/make_secrets
	docker compose up --build --wait --detach

# Volumes stay.
down-servers:
	docker compose down

backup:
	mkdir -p backups
	docker compose run --rm backup

# Only files that a lock names by hash, and nothing that no lock names: what builds is of a lock too.
# `scripts/install` runs pip, and says how far it is.
INSTALL := $(BIN)/python scripts/install --disable-pip-version-check --no-build-isolation --no-deps
PARTS := requirements-build.lock requirements-cpu.lock requirements-cuda.lock
LOCKED := $(INSTALL) --require-hashes --use-pep517

# A finished install leaves the stamp; an interrupted one is repeated.
$(STAMP): requirements.lock $(PARTS) pyproject.toml setup.py scripts/install
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing $$(grep -c == requirements.lock) packages into $(VENV) (2.5 GB, about 3 minutes)..."
	@$(LOCKED) -r requirements-build.lock
	@$(LOCKED) -r requirements-cpu.lock --if-found
	@$(LOCKED) -r requirements.lock
	@if $(BIN)/python -m pip show torch 2>/dev/null | grep -q '^Requires:.*triton'; then \
	  echo "Installing what this build of torch needs for GPUs (about 2 GB)..."; \
	  $(LOCKED) -r requirements-cuda.lock; fi
	@$(INSTALL) -e .
	@$(BIN)/python -m flows.home.prefect_template
	@touch $@

# What a start from a pretrained model needs: `make test` tries it, `make run` does not.
pretrained: $(PRETRAINED)

$(PRETRAINED): $(STAMP) requirements-pretrained.lock
	@echo "Installing what a start from a pretrained model needs..."
	@$(LOCKED) -r requirements-pretrained.lock
	@touch $@

# What builds the documentation, runs notebooks, and looks for misspelt words.
$(DEV): $(STAMP) requirements-dev.lock
	@echo "Installing what builds the documentation and runs the notebooks..."
	@$(LOCKED) -r requirements-dev.lock
	@touch $@

# What writes ONNX graphs, and what runs them in the tests.
$(ONNX): $(STAMP) requirements-onnx.lock
	@echo "Installing what writes and runs ONNX graphs..."
	@$(LOCKED) -r requirements-onnx.lock
	@touch $@

# What reads text from object stores.
$(REMOTE): $(STAMP) requirements-remote.lock
	@echo "Installing what reads text from object stores..."
	@$(LOCKED) -r requirements-remote.lock
	@touch $@

# What starts containers and jobs of a cluster.
$(POOLS): $(STAMP) requirements-pools.lock
	@echo "Installing what starts flow runs in containers..."
	@$(LOCKED) -r requirements-pools.lock
	@touch $@

# What reads the parts of a corpus on a cluster: Dask and Ray.
$(RUNNERS): $(STAMP) requirements-runners.lock
	@echo "Installing what reads a corpus on a cluster..."
	@$(LOCKED) -r requirements-runners.lock
	@touch $@

clean:
	rm -rf $(VENV) .lmcore build *.egg-info
