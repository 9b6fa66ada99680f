"""Data sets of the Hugging Face Hub: fetched by a process of their own, then looked at and taken like any file that is brought."""
