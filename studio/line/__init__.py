"""The line before the devices: what fits where, who is next, and about when."""
