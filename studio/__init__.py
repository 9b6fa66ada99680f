"""What people see and what we remember: services, records, pages and HTTP API. Never imports torch, never imports jobs."""

__version__ = "0.1.0"
