"""Checks of rows that can be read but may not say what was meant: what they find, on disk beside the rows, and the fixes.

kinds/      one file for each kind of finding          check.py       what every kind declares, and what it sees of a row
looking.py  all kinds over the rows of one pass        findings.py    what they found, a file for each kind
mending.py  what a fix makes of a row                  left_out.py    the rows that could not be used, with the reason
"""
