"""`python app.py doctor`: look over a studio's data folder and database, mend what a crash or a stray hand left, and say so."""
