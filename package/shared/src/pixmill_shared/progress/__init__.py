"""How far a job is, told to those who watch while it is worked on."""
