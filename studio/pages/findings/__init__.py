"""What the checks found in a data set's rows, on its page: section.py wires it, view.py draws it."""
