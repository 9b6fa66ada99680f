"""Room on the disk: what takes how much of it, and what may go."""
