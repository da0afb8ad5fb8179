"""Is a process ready? Asked over its own port, never through the broker."""

import asyncio


async def http_ready(host: str, port: int, path: str) -> bool:
    """Does ``GET path`` answer 200? Anything else, a refused connection included, is not ready yet."""
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        status_line = await reader.readline()
    except (OSError, ValueError):
        return False
    finally:
        writer.close()
    return status_line.split(b" ")[1:2] == [b"200"]


def probe_host(bind: str) -> str:
    """Where to reach a server that listens on ``bind``."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "localhost": "127.0.0.1"}.get(bind, bind)  # noqa: S104


def url_of(bind: str, port: int) -> str:
    """The base URL of a server that listens on ``bind``."""
    host = probe_host(bind)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
