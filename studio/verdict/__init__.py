"""The verdict on a training: what the held-out rows say of its adapter against the base, how sure that is, and which step to keep."""
