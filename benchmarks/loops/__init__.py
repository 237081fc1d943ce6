"""Event loops side by side: what `benchmarks/loop.py` is made of."""
