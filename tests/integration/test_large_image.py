"""The real Trivy over an image of almost 2 GiB: what it cannot do in time is not judged."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hardening.config import load
from hardening.model import Cause
from hardening.services.scan import Options, Report, scan_and_judge
from restoreproof.verdict import Verdict
from tests.harness.image_archive import debian, write_image
from tests.harness.trivy_db import OS_CRITICAL, write_database

MIB = 1 << 20


@pytest.mark.usefixtures("scanner_tools")
def test_scanner_times_out_on_a_large_image_and_says_how_to_raise_its_limit(
    tmp_path: Path,
) -> None:
    write_database(tmp_path / "cache", OS_CRITICAL, updated=datetime.now(UTC))
    zeros = {f"data/{number}.txt": 128 * MIB for number in range(15)}
    image = write_image(tmp_path / "image.tar", debian({"openssl": "3.0.99-1"}), zeros=zeros)
    assert image.stat().st_size > 1900 * MIB
    assert image.stat().st_blocks * 512 < 100 * MIB  # of it on the disk

    def judged(limit: str) -> Report:
        configuration = tmp_path / "restoreproof.toml"
        configuration.write_text(
            f'[scanner.image]\nkind = "trivy"\nmode = "image"\narchive = "{image}"\n'
            f'cache = "{tmp_path / "cache"}"\nlimit = "{limit}"\n'
        )
        return scan_and_judge(load(configuration), Options(offline=True))

    report = judged("1s")
    assert report.verdict is Verdict.INCONCLUSIVE
    assert {gap.what.cause for gap in report.judgement.gaps} == {Cause.TIME}
    first = report.judgement.gaps[0].what
    assert first.reason == "it did not end within its time limit of 1s"
    assert first.hint == 'set limit = "4s" in its table'
    assert report.judgement.scans[0].scanned == ()
    assert judged("5m").verdict is Verdict.PASSED
    image.unlink()
