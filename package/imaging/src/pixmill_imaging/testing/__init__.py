"""What tests and benchmarks share: photo-like pictures made in code."""
