"""Ways to start a worker, one file each."""
