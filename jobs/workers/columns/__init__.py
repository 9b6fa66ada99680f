"""Columns: the answers of a question on their way, from the line where they wait to the proof of who wrote them."""
