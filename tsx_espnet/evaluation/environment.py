"""Where results come from: versions, the state of the recipe's repository, the machine."""

import datetime
import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Dict, Optional

PACKAGES = ("espnet", "torch", "numpy", "tsx_espnet")


def describe_environment(repository: Path) -> Dict[str, str]:
    """Name -> value: date, versions, git commit of ``repository``, CPU and GPU, where known."""
    facts: Dict[str, Optional[str]] = {
        "date": datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %z"),
        "python": platform.python_version(),
    }
    for package in PACKAGES:
        facts[package] = package_version(package)
    facts["git commit"] = git_commit(repository)
    facts["system"] = f"{platform.system()} {platform.machine()}"
    facts["CPU"] = cpu_name()
    facts["GPU"] = gpu_name()
    return {name: value for name, value in facts.items() if value}


def package_version(package: str) -> Optional[str]:
    """The installed version; None if it runs from a source tree that was never installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def git_commit(directory: Path) -> Optional[str]:
    """Short hash of the commit checked out around ``directory``; None outside of git.

    "+ changes" where tracked files differ from it: the hash alone would not give these results.
    """
    commit = _git(directory, "rev-parse", "--short=12", "HEAD")
    if not commit:
        return None
    changes = _git(directory, "status", "--porcelain", "--untracked-files=no")
    return f"{commit} + changes" if changes else commit


def cpu_name() -> Optional[str]:
    """The processor as Linux names it, else what Python knows of it."""
    path = Path("/proc/cpuinfo")
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or None


def gpu_name() -> str:
    """The GPUs PyTorch can use here."""
    try:
        import torch
    except ImportError:
        return "unknown (no PyTorch)"
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return ", ".join(names) or "none"


def _git(directory: Path, *arguments: str) -> Optional[str]:
    try:
        result = subprocess.run(
            ["git", "-C", str(directory), *arguments], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None
