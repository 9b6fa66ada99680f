"""`python app.py` as it is, but for the trainer: a stub stands in its place."""

import sys

import app

if __name__ == "__main__":
    sys.exit(app.main(sys.argv[1:], runner="tests.stub_runner"))
