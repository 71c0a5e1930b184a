"""Judges the Compose files of a tree."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hardening.rules.compose.inline import judge_inline
from hardening.rules.compose.nodes import Node
from hardening.rules.compose.project import Project, load
from hardening.rules.compose.service import (
    BuildPlan,
    build_plan,
    read_build,
    running,
    unexplained_capabilities,
)
from hardening.rules.dockerfile.build import Build
from hardening.rules.files import relative
from hardening.rules.options import Options
from hardening.rules.rule import Found
from hardening.rules.running import Health, judge
from hardening.rules.sheet import Sheet
from restoreproof.errors import Inconclusive

_OVERRIDE = re.compile(r"(.+)\.override\.(ya?ml)")
_ENDED = "service_completed_successfully"
_MAIN = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")


def scan_into(sheet: Sheet, root: Path, paths: Sequence[Path], options: Options) -> list[BuildPlan]:
    """Judge each file, an override together with what it overrides; gives what they build."""
    plans: list[BuildPlan] = []
    for path in paths:
        name = relative(path, root)
        try:
            project = load(_merged_with(path, paths), root, options)
            if _is_fragment(project) and (base := _main_beside(path, paths)):
                project = load([base, path], root, options)
            if not project.services and path.name not in _MAIN:
                sheet.scanned.append(name)
                continue
            if not project.services:
                raise Inconclusive("it has no services")
            found = [
                one for service in project.services for one in _judged(project, service, plans)
            ]
        except Inconclusive as error:
            sheet.missed(name, error)
            continue
        sheet.scanned.append(name)
        sheet.found(name, found)
        judge_inline(sheet, project)
    return plans


def scan_together(sheet: Sheet, root: Path, paths: Sequence[Path], options: Options) -> None:
    """Judge files that are given to Compose together, later ones over earlier ones."""
    name = ", ".join(relative(path, root) for path in paths)
    try:
        project = load(paths, root, options)
        if not project.services:
            raise Inconclusive("it has no services")
        found = [one for service in project.services for one in _judged(project, service, [])]
    except Inconclusive as error:
        sheet.missed(name, error)
        return
    sheet.scanned += [relative(path, root) for path in paths]
    sheet.found(relative(paths[0], root), found)
    judge_inline(sheet, project)


def _judged(project: Project, name: str, plans: list[BuildPlan]) -> list[Found]:
    service = project.services[name]
    plan = build_plan(service)
    if plan is not None:
        plans.append(plan)
    container = running(name, service, _built(project, plan), project.root, project.shared)
    if container.health is Health.MISSING and name in _awaited(project):
        container = replace(container, health=Health.ENDS)
    found = list(judge(container, "C"))
    for capability, item in unexplained_capabilities(service, project.lines):
        path = relative(item.file, project.root.resolve())
        found.append(Found("RP-C020", f"cap_add {capability}", item.line, name, capability, path))
    return found


def _awaited(project: Project) -> set[str]:
    """The services whose end others wait for: nobody asks those for their health."""
    return {
        name
        for service in project.services.values()
        if (needed := service.get("depends_on")) is not None
        for name, how in needed.mapping.items()
        if (condition := how.get("condition")) is not None and condition.text == _ENDED
    }


def _built(project: Project, plan: BuildPlan | None) -> Build | None:
    """The evaluated Dockerfile; None where it cannot be read here, which is reported for itself."""
    if plan is None:
        return None
    try:
        return read_build(project, plan)
    except Inconclusive:
        return None


def _merged_with(path: Path, paths: Sequence[Path]) -> list[Path]:
    """``compose.override.yaml`` goes over ``compose.yaml`` beside it."""
    override = _OVERRIDE.fullmatch(path.name)
    if override:
        for suffix in ("yaml", "yml"):
            base = path.with_name(f"{override[1]}.{suffix}")
            if base in paths:
                return [base, path]
    return [path]


def _is_fragment(project: Project) -> bool:
    if not project.services:
        return any(project.shared.values())
    return any(not _starts_something(service) for service in project.services.values())


def _starts_something(service: Node) -> bool:
    return service.get("image") is not None or service.get("build") is not None


def _main_beside(path: Path, paths: Sequence[Path]) -> Path | None:
    for name in _MAIN:
        if path.with_name(name) in paths and name != path.name:
            return path.with_name(name)
    return None
