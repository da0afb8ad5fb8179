"""One command per file; `cli.py` registers them."""
