"""``pixmill demo``: real pictures through a real stack, seen by a person."""
