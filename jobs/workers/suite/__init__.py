"""A suite answered by one base model and its adapters: `python -m jobs.workers.suite <suite run's folder>`."""
