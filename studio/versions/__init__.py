"""Versions of a data set: edits of rows become a new frozen state beside the old ones, with who, when and why.

edits.py       what can be done to rows, checked
rewriting.py   a version's rows and edits become the next version's rows; the only part that runs in a worker too
lineage.py     the versions of a data set: list, look up, keep, restore
saving.py      edits in, a new version out, or nothing at all
"""
