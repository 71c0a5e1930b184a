"""What every piece of work is handed: who listens, the clock, the limits, where to put files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from restoreproof.clock import SYSTEM_CLOCK, Clock
from restoreproof.events import Listener, silent
from restoreproof.process import Cancellation
from restoreproof.scratch import scratch_folder


@dataclass(frozen=True, slots=True)
class Work:
    """The circumstances of one run.

    Attributes:
        emit: where events go.
        clock: wall and monotonic time.
        cancel: set when the run is to stop; whoever waits, waits on it too.
        stall_timeout: seconds without any progress after which a child or server counts as stuck.
        jobs: how much may run in parallel.
        scratch: an existing folder for temporary files, on a disk with room.
    """

    emit: Listener = silent
    clock: Clock = SYSTEM_CLOCK
    cancel: Cancellation = field(default_factory=Cancellation)
    stall_timeout: float = 600.0
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    scratch: Path = field(default_factory=lambda: Path(tempfile.gettempdir()))

    @contextmanager
    def own_scratch(self) -> Iterator[Work]:
        """The same with a scratch folder of its own, which the next run sweeps if we are killed.

        Raises:
            NoSpace, Unreachable: it cannot be made.
        """
        with scratch_folder(self.scratch) as folder:
            yield replace(self, scratch=folder)
