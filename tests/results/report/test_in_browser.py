"""The report in Chromium, with the whole library: it complains of nothing, asks for nothing, and works by keyboard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from support.browser import CHROMIUM, Page, chromium

from results.evidence import Evidence
from results.report.drawing import draw
from results.report.facts import Facts
from results.report.page import build

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")

HOSTILE = "<script>window.stolen = 1</script><img src=x onerror='window.stolen = 2'>"
FIRST_COLUMN = "Array.from(document.querySelectorAll('#table-1 tbody tr'), row => row.cells[1].textContent.trim())"
DRAWN = """Array.from(document.querySelectorAll(".plot"))
  .filter((plot) => plot.querySelector(".main-svg .trace, .main-svg .hm")).map((plot) => plot.dataset.figure)"""
RANGE = "document.querySelector('.plot').layout.xaxis.range.map(Number)"


def test_the_report_in_a_browser(report: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(report(HOSTILE), encoding="utf-8")

    async def look() -> None:
        async with chromium(tmp_path / "profile") as page:
            await page.open(path)
            for part in (_drawn, _nothing_stolen, _sorts_by_keyboard, _zooms_by_keyboard, _saves, _skips, _dark, _fits):
                await part(page)
            assert page.complaints() == []

    asyncio.run(look())


def test_every_figure_of_a_sweep_is_drawn_wide_and_narrow(
    evidence: Evidence, make_facts: Callable[..., Facts], tmp_path: Path
) -> None:
    drawings = draw(evidence)
    path = tmp_path / "report.html"
    path.write_text(build(evidence, [], drawings, make_facts(evidence)), encoding="utf-8")
    names = [figure.name for figure in drawings.drawn]
    assert len(names) >= 4

    async def look() -> None:
        async with chromium(tmp_path / "profile") as page:
            await page.open(path)
            assert await page.ask(DRAWN) == names
            await page.resize(360, 800)
            await _until(page, "document.querySelector('.plot').layout.legend.yref === 'container'")
            await _until(page, "document.documentElement.scrollWidth === 360")
            assert await page.ask(DRAWN) == names
            assert page.complaints() == []

    asyncio.run(look())


async def _drawn(page: Page) -> None:
    assert await page.ask("document.querySelectorAll('.plot .scatterlayer .trace').length") == 2
    assert await page.ask("document.querySelector('.deeds').hidden") is False


async def _nothing_stolen(page: Page) -> None:
    assert await page.ask("typeof window.stolen") == "undefined"
    assert await page.ask("document.querySelectorAll('img').length") == 0


async def _sorts_by_keyboard(page: Page) -> None:
    sort = "document.querySelectorAll('#table-1 th')[1].getAttribute('aria-sort')"
    assert await page.ask(FIRST_COLUMN) == ["81.17 ± 1.26", "1/3", "9.10 ± 0.10"]
    await page.ask("document.querySelectorAll('#table-1 thead button')[1].focus()")
    await page.press("Enter")
    assert await page.ask(sort) == "ascending"
    assert await page.ask(FIRST_COLUMN) == ["9.10 ± 0.10", "81.17 ± 1.26", "1/3"]
    await page.press("Space")
    assert await page.ask(sort) == "descending"
    assert await page.ask(FIRST_COLUMN) == ["81.17 ± 1.26", "9.10 ± 0.10", "1/3"]
    assert await page.ask("document.getElementById('told').textContent") == "Sorted by test perplexity, descending."
    assert await page.ask("document.activeElement.textContent") == "test perplexity"


async def _zooms_by_keyboard(page: Page) -> None:
    low, high = await page.ask(RANGE)
    await page.ask("document.querySelector('[data-deed=in]').focus()")
    await page.press("Enter")
    closer = await page.ask(RANGE)
    assert low < closer[0] < closer[1] < high
    await page.ask("document.querySelector('[data-deed=all]').focus()")
    await page.press("Enter")
    assert await page.ask(RANGE) == pytest.approx([low, high])


async def _saves(page: Page) -> None:
    for kind, head in (("svg", "data:image/svg+xml"), ("png", "data:image/png;base64")):
        picture = f"Plotly.toImage(document.querySelector('.plot'), {{format: '{kind}'}})"
        assert str(await page.ask(picture)).startswith(head)


async def _skips(page: Page) -> None:
    await page.ask("document.activeElement.blur(), window.scrollTo(0, 0)")
    await page.ask("document.querySelector('.skip').focus()")
    assert await page.ask("document.querySelector('.skip').getBoundingClientRect().left") >= 0
    await page.press("Enter")
    assert await page.ask("document.activeElement.id") == "main"


async def _dark(page: Page) -> None:
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    await page.call("Emulation.setEmulatedMedia", features=features)
    ink = "getComputedStyle(document.body).color"
    line = "document.querySelector('.plot .scatterlayer .trace path').style.stroke"
    await _until(page, f"{line} === {ink}")
    await page.call("Emulation.setEmulatedMedia", features=[])
    await _until(page, f"{line} === 'rgb(0, 0, 0)'")


BEYOND = """Array.from(document.querySelectorAll("body *"))
  .filter((one) => !one.closest(".scroll, .unseen, .skip, .plot") && one.getBoundingClientRect().right > innerWidth + 1)
  .map((one) => one.outerHTML.slice(0, 80))"""


async def _fits(page: Page) -> None:
    for width in (360, 390, 768, 1400):
        await page.resize(width, 800)
        await _until(page, f"document.documentElement.clientWidth === {width}")
        await _until(page, f"document.documentElement.scrollWidth === {width}")
        assert await page.ask(BEYOND) == []


async def _until(page: Page, expression: str) -> None:
    for _ in range(100):
        if await page.ask(expression):
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"never true: {expression}")
