"""Watching jobs: one hub a process hears what changes, and any number of streams tell it."""
