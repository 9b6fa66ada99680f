"""Programs that load torch or write data: each runs in a process of its own."""
