"""What the system tells of a process, by the names that Prometheus's own clients have for it."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, ProcessCollector

from agents.metrics.instruments import Gauge

CPU_SECONDS = "process_cpu_seconds_total"
"""The one of them that only grows."""

_TEXTS = {
    CPU_SECONDS: "CPU time, of the user and of the system.",
    "process_virtual_memory_bytes": "Virtual memory.",
    "process_resident_memory_bytes": "Resident memory.",
    "process_open_fds": "Open files and sockets.",
    "process_max_fds": "How many files and sockets one process may have open.",
    "process_start_time_seconds": "When the process began, in seconds since 1970.",
}
_LEAST = ("process_max_fds", "process_start_time_seconds")
PROCESS_GAUGES = {name: Gauge(name, text, merge=min if name in _LEAST else sum) for name, text in _TEXTS.items()}

_collector = ProcessCollector(registry=CollectorRegistry())


def process_readings() -> dict[str, float]:
    """The values of this process; nothing where the system does not tell them."""
    samples = (sample for family in _collector.collect() for sample in family.samples)
    return {sample.name: sample.value for sample in samples if sample.name in PROCESS_GAUGES}
