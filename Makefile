# make studio: start it.  make test: all tests.  Both make .venv first, and again only when the requirements changed.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
WORKERS ?= 2

.PHONY: studio test test-fast demo screenshots lint clean

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

lint: $(VENV)/.tests
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

clean:
	rm -rf $(VENV)
