# make studio: start it.  make test: all tests.  Both make .venv first, and again only when the requirements changed.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
WORKERS ?= 2

.PHONY: studio test test-fast demo screenshots lint clean bench-train bench-memory bench-chat bench-llamafactory

studio: $(VENV)/.studio
	$(RUN) app.py

$(VENV)/.studio: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.tests: tests/requirements.txt $(VENV)/.studio
	$(RUN) -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	touch $@

test: $(VENV)/.tests
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(WORKERS) --dist loadscope $(PYTEST)

test-fast: $(VENV)/.tests
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(WORKERS) --dist loadscope -m "not training and not browser and not gpu" $(PYTEST)

demo: $(VENV)/.studio
	$(RUN) -m jobs.demo

screenshots: $(VENV)/.tests
	$(RUN) -m tests.browser.screenshots

$(VENV)/.bench: benchmarks/requirements.txt $(VENV)/.studio
	$(RUN) -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	touch $@

bench-train: $(VENV)/.bench
	$(RUN) -m benchmarks.training --results benchmarks/results/training.md $(BENCH)

# LLaMA-Factory for bench-train, in an environment of its own: it needs older libraries than the studio. Its torchvision
# and torchaudio are for pictures and sound, and do not load beside every build of torch.
bench-llamafactory:
	$(PYTHON) -m venv .venv-llamafactory
	.venv-llamafactory/bin/python -m pip install --quiet -r benchmarks/requirements-llamafactory.txt
	.venv-llamafactory/bin/python -m pip uninstall --quiet --yes torchvision torchaudio

bench-memory: $(VENV)/.studio
	$(RUN) -m benchmarks.memory --results benchmarks/results/memory.md $(BENCH)

bench-chat: $(VENV)/.studio
	$(RUN) -m benchmarks.chat $(BENCH)

lint: $(VENV)/.tests
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

clean:
	rm -rf $(VENV) .venv-llamafactory
