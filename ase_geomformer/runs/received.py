"""What a worker process has received for the tasks to come."""

from __future__ import annotations

RECEIVED: dict[str, bytes] = {}
"""Contents by their SHA-256."""
