"""blackbox_exporter, asked for each target once a period as Prometheus would; measured is the exporter alone, not this driver of it.

Settings: those of `asking`, and `{"exporter": PATH, "port": 9115}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from bench.lines import settings
from bench.subjects.asking import ask_all

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIGURATION = Path(__file__).resolve().parents[1] / "baselines" / "blackbox.yml"
PATIENCE = 10.0
KEPT = 100


@contextlib.contextmanager
def exporter(program: str, port: int) -> Iterator[int]:
    """Runs it; its process id."""
    guard = Path(__file__).resolve().parents[2] / "rig/guard.py"
    process = subprocess.Popen(  # noqa: S603 (the command is ours)
        [
            *(sys.executable, "-I", "-S", str(guard), str(os.getpid()), program),
            *(f"--config.file={CONFIGURATION}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"),
        ]
    )
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def mark_of(pid: int) -> dict[str, Any]:
    """Another process now, in the same terms as `process_mark`."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return {
        "time": time.monotonic(),
        "cpu": ticks / os.sysconf("SC_CLK_TCK"),
        "rss": pages * resource.getpagesize() // 1024,
        "files": sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
    }


async def main() -> None:
    given = settings()
    with exporter(given["exporter"], given["port"]) as pid:
        url = f"http://127.0.0.1:{given['port']}"
        async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=KEPT)) as session:
            await _listening(session)

            async def ask(model: dict[str, Any]) -> bool:
                asked = {"module": "model_ready", "target": model["base_url"] + f"/v2/models/{model['name']}/ready"}
                async with session.get("/probe", params=asked) as response:
                    return b"\nprobe_success 1\n" in await response.read()

            await ask_all(ask, given, lambda: mark_of(pid))


async def _listening(session: aiohttp.ClientSession) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(aiohttp.ClientConnectionError):
            async with session.get("/-/healthy"):
                return
        if time.monotonic() > end:
            raise TimeoutError("the exporter does not listen")
        await asyncio.sleep(0.1)


if __name__ == "__main__":
    asyncio.run(main())
