"""Work in the API's own process: without a broker always, with one while it is down. ``pixmill-api[inline]``."""
