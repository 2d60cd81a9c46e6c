"""Adapters to AWS, one noun a file. Small enough to read at once: what to do is decided in the core."""
