from __future__ import annotations

import pytest

from restoreproof.process import ChildFailed, clean_env, run


def test_data_goes_in_and_comes_out() -> None:
    taken = bytearray()

    finished = run(["cat"], env=clean_env(), stdin=[b"one ", b"two"], stdout=taken.extend)

    assert bytes(taken) == b"one two"
    assert (finished.bytes_in, finished.bytes_out, finished.returncode) == (7, 7, 0)


def test_a_failure_says_what_the_child_said_and_not_its_arguments() -> None:
    with pytest.raises(ChildFailed) as caught:
        run(["sh", "-c", "echo 'sh: error: no such table' >&2; exit 3"], env=clean_env())

    assert caught.value.message == "sh ended with exit code 3: no such table"
    assert (caught.value.returncode, caught.value.signal) == (3, None)
