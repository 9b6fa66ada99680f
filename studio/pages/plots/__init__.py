"""How a data set is spread, drawn as bars: token lengths, turns, languages and copies."""
