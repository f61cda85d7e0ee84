"""Where and with what a benchmark ran, for its report; never a path of the machine."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from benchmarks.servers import ROOT

PEERS = ROOT / "benchmarks" / "peers"
PEERS_PYTHON = ROOT / "benchmarks" / ".peers" / "bin" / "python"


def machine(cores: int) -> dict[str, Any]:
    """The processor, the cores used and there, memory, and system."""
    return {
        "cpu": _cpu(),
        "cores_used": cores,
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
    }


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Versions of our own environment."""
    return {name: version(name) for name in packages} | {"python": platform.python_version()}


def pins() -> list[str]:
    """The peers as they are pinned."""
    lines = (PEERS / "pyproject.toml").read_text().splitlines()
    return [line.strip().strip(',"') for line in lines if "==" in line]


def require_peers() -> None:
    """RuntimeError where the peers' environment is missing."""
    if not PEERS_PYTHON.exists():
        raise RuntimeError("The peers' environment is not there: run `make bench`, or go without by --no-peers.")


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
