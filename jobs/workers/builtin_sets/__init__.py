"""The built-in instruction data sets, one module each: what it teaches and how its rows are made."""
