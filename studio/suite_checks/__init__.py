"""What an answer of a suite is checked for: each check is declared once in kinds.py, and decided by one function in judge.py."""
