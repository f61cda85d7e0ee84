"""A process of its own for what is read at arm's length: its memory and its time are limited, whatever it is given."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

OUT_OF_MEMORY = 3
_LOOK_EVERY_S = 0.02


@contextmanager
def bounded_child(
    script: Path, words: Sequence[str], *, memory: int, seconds: int
) -> Iterator["subprocess.Popen[bytes]"]:
    """A Python process that runs `script MEMORY SECONDS WORDS…`, with pipes; it is gone when the block ends.

    It sets itself the limits that its first arguments say (bytes, seconds of processor). Here it is ended once it holds
    more bytes than it may, or has run for twice the seconds: not every system keeps the limits that it is told.
    """
    child = subprocess.Popen(
        [sys.executable, "-I", str(script), str(memory), str(seconds), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    watch = threading.Thread(target=_watch, args=(child, memory, time.monotonic() + 2 * seconds), daemon=True)
    with child:
        watch.start()
        try:
            yield child
        finally:
            child.kill()
            watch.join()


def was_ended_by_its_limits(child: "subprocess.Popen[bytes]") -> bool:
    """Whether the process ended because it took more than it may; waits for its end."""
    ended = child.wait()
    return ended < 0 or ended == OUT_OF_MEMORY


def _watch(child: "subprocess.Popen[bytes]", memory: int, deadline: float) -> None:
    try:
        seen = psutil.Process(child.pid)
        while child.poll() is None:
            if seen.memory_info().rss > memory or time.monotonic() > deadline:
                child.kill()
            time.sleep(_LOOK_EVERY_S)
    except psutil.Error:
        return
