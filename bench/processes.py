"""What a server's processes cost, as the kernel counts it (`proc(5)`)."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")

_PARENT, _TIMES = 1, slice(11, 15)
"""Fields of `/proc/PID/stat` behind the program's name: parent; user, system, and both of the
children that have ended."""


def family(pid: int) -> list[int]:
    """The process and everything that descends from it, parents first."""
    children = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children[int(fields[_PARENT])].append(int(entry.name))
    found = [pid]
    for parent in found:
        found += children[parent]
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of the process and its descendants so far, ended ones included."""
    return sum(sum(map(int, _stat(member)[_TIMES])) for member in family(pid)) / _TICKS


def peak_memory(pid: int) -> int:
    """The most resident memory, in bytes, that any one process of the family has had."""
    return max(_peak(member) for member in family(pid))


def socket_owners(pid: int, port: int) -> dict[int, int]:
    """For each connection to 127.0.0.1:`port`: the client's port, and the process of the family
    that holds the server's end."""
    inodes = _accepted(port)
    return {
        inodes[inode]: member
        for member in family(pid)
        for inode in _open_sockets(member)
        if inode in inodes
    }


def _stat(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()


def _peak(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _accepted(port: int) -> dict[str, int]:
    """Inode of the server's end of each connection, and the client's port."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[9]: int(row[2][-4:], 16) for row in rows if int(row[1][-4:], 16) == port}


def _open_sockets(pid: int) -> list[str]:
    names = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            names.append(os.readlink(entry))
        except FileNotFoundError:
            continue
    return [name[8:-1] for name in names if name.startswith("socket:[")]
