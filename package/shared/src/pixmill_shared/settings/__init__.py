"""All settings, one small class per subject. ``os.environ`` is read nowhere else.

A process builds the classes that it uses at its start and no others, so that a worker needs no variable of
Flower's. ``.env.example`` lists every variable; a drift test compares it with these classes.
"""
