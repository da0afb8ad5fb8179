"""The local stack: everything of pixmill on one machine, with a Postgres and a Redis of its own.

``stack.py`` wires it together, ``processes.py`` lists what runs, ``supervisor.py`` keeps it running.
"""
