"""Two receivers in a process of their own: one answers at once and notes when, one takes the request and says nothing.

``python -m bench.delivery_receivers FILE``: prints the two ports, then writes a line for each request that it answered,
the time of its arrival and the number in its ``data``.
"""

import asyncio
import json
import sys
import time

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


async def main(path: str) -> None:
    """Until it is killed."""
    with open(path, "a", buffering=1) as log:  # noqa: ASYNC230 - a line a request, on a local disk

        async def healthy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            body = json.loads(await reader.readexactly(int(lengths[0].split(b":")[1])))
            log.write(f"{time.time():.6f} {body['data'].get('number', -1)}\n")
            writer.write(_ANSWER)
            await writer.drain()
            writer.close()

        async def dead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        servers = [await asyncio.start_server(each, "127.0.0.1", 0) for each in (healthy, dead)]
        print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
        await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
