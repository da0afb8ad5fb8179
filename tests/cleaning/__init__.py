"""A clean-up of many old rows, beside jobs that are made, claimed and completed meanwhile."""
