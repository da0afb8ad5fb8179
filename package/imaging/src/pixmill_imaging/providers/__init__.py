"""Who draws the pictures of generate jobs, a module for each.

``protocol.py`` is what they have in common, ``wiring.py`` says which there are in this process.
"""
