"""Versions on the pages: rows that are searched and edited, the history of a data set, and mending it from an answer.

rows.py     search rows, edit them, save the edits as the next version       rows_view.py    how they are drawn
history.py  the versions, what changed between two, restore, download        history_view.py how they are drawn
forms.py    a row as a form in the browser, and back                         mending.py      the dialog below an answer
"""
