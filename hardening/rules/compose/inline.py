"""Dockerfiles that stand in a Compose file (``dockerfile_inline``), judged as any other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from hardening.rules.compose.nodes import Node
from hardening.rules.compose.project import Project
from hardening.rules.compose.service import build_plan, read_build
from hardening.rules.context.judge import judge as judge_context
from hardening.rules.dockerfile.judge import judge
from hardening.rules.files import relative
from hardening.rules.rule import Found
from hardening.rules.sheet import Sheet
from restoreproof.errors import Inconclusive


def judge_inline(sheet: Sheet, project: Project) -> None:
    """All that stand in a project's files, with their contexts; each is told with its service."""
    for service, node in project.services.items():
        plan = build_plan(node)
        if plan is None or plan.inline is None:
            continue
        name = relative(plan.inline.file, project.root.resolve())
        try:
            build = read_build(project, plan)
        except Inconclusive as error:
            sheet.missed(f"{name} ({service}: dockerfile_inline)", error)
            continue
        sheet.found(name, _placed(judge(build), service, plan.inline))
        try:
            found = list(judge_context(build, plan.inline.file, plan.context, project.root))
        except Inconclusive as error:
            sheet.missed(f"build context of {name} ({service})", error)
            continue
        sheet.found(name, _placed(found, service, plan.inline))


def _placed(found: Iterable[Found], service: str, key: Node) -> Iterator[Found]:
    """At the line of the key: lines within a quoted text say nothing about the file's."""
    for one in found:
        subject = f"{service}: {one.subject}" if one.subject else service
        yield replace(one, line=key.line, subject=subject)
