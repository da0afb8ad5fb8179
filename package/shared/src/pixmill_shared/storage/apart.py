"""From one store into another: obstore reads what it writes from inside its runtime, which allows no other request."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor


def read_apart(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same chunks, none of them empty, each read by a thread of its own. What ``chunks`` raises comes out."""
    with ThreadPoolExecutor(1, thread_name_prefix="reader") as reader:
        while chunk := reader.submit(next, chunks, b"").result():
            yield chunk
