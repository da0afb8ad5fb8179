"""What crosses between services, and nothing else: names, queues, payloads, error codes, events.

A name that is in use is superseded, never renamed: messages with the old one may still be on their way.
"""
