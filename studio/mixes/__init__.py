"""Mixes: several data sets of one kind as a new one, each with a weight, the same rows whenever it is made again."""
