"""Use-cases of the API. Each takes its ports as arguments; transactions are opened here, one a request."""
