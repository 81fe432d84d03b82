"""The page in a real browser: Chromium, light and dark, on a phone and on a desk."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

REQUIRED = "EDGESR_REQUIRE_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome")
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTHS = (360, 1280)

CONTRAST = """() => {
  const channel = v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    throw new Error("no ground");
  };
  const found = [];
  for (const element of document.body.querySelectorAll("*")) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!own || element.tagName === "SCRIPT" || element.tagName === "title") continue;
    const style = getComputedStyle(element);
    const ink = parse(element.tagName === "text" ? style.fill : style.color);
    const [dark, light] = [luminance(ink), luminance(ground(element))].sort((a, b) => a - b);
    found.push([(light + .05) / (dark + .05), element.textContent.trim().slice(0, 40)]);
  }
  return found.sort((a, b) => a[0] - b[0]);
}"""


@dataclass
class Visit:
    """An open page, what it asked for and what the console said."""

    page: Any
    requests: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)

    def go(self, file: Path) -> None:
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.console.append(message.text))
        self.page.on("pageerror", lambda error: self.console.append(str(error)))
        self.page.goto(file.as_uri())


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    missing, api = [], None
    try:
        import playwright.sync_api as api
    except ImportError:
        missing.append("pip install playwright")
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        missing.append("apt-get install chromium")
    if missing and REQUIRED in os.environ:
        pytest.fail(f"{REQUIRED} is set and a browser is missing: {'; '.join(missing)}")
    if api is None or program is None:
        pytest.skip(f"needs Chromium and playwright to drive it: {'; '.join(missing)}")
    alone = ["--no-sandbox"] if os.geteuid() == 0 else []  # the sandbox is not for root
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=alone)
        yield browser
        browser.close()


@pytest.fixture(params=[(scheme, width) for scheme in SCHEMES for width in WIDTHS], ids=str)
def visit(browser: Any, request: pytest.FixtureRequest) -> Iterator[Visit]:
    scheme, width = request.param
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
    yield Visit(context.new_page())
    context.close()


@pytest.fixture
def plain(browser: Any) -> Iterator[Visit]:
    context = browser.new_context(viewport={"width": 800, "height": 800})
    yield Visit(context.new_page())
    context.close()


def test_opens_without_network_and_complaints(visit: Visit, planted: Path) -> None:
    visit.go(planted)
    assert visit.requests == [planted.as_uri()]
    assert visit.console == []
    assert visit.page.title().startswith("lffn-s<script>"), "nothing that was planted ran"
    assert visit.page.locator("script").count() == 1
    assert visit.page.locator("h2").all_inner_texts() == [
        "Verdict",
        "Before and after",
        "Parity matrix",
        "Errors",
        "What is in the file",
        "Sensitivity",
        "Latency",
        "Origin",
    ]
    images = visit.page.evaluate("[...document.images].map(i => [i.complete, i.naturalWidth, i.alt])")
    assert len(images) == 5
    assert all(complete and width and alt for complete, width, alt in images)


def test_fits_the_window_and_can_be_read(visit: Visit, planted: Path) -> None:
    visit.go(planted)
    for summary in visit.page.locator("summary").all():
        summary.click()
    wide, window = visit.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= window
    ratios = visit.page.evaluate(CONTRAST)
    assert len(ratios) > 100
    assert ratios[0][0] >= 4.5, "WCAG 2.2, 1.4.3"
    dark = visit.page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    paper = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(paper.removeprefix("rgb(").split(",")[0]) < 64) is dark


def test_the_slider_moves(visit: Visit, planted: Path) -> None:
    visit.go(planted)
    slider = visit.page.get_by_role("slider", name="Bicubic on the left, this file on the right")
    pair = visit.page.locator("#compare")
    shots = {}
    for key in ("Home", "End"):
        slider.press(key)
        shots[key] = pair.screenshot()
    assert slider.get_attribute("aria-valuetext") == "100 % bicubic"
    assert shots["Home"] != shots["End"]
    box = pair.bounding_box()
    visit.page.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    assert slider.input_value() == "25"
    slider.press("ArrowRight")
    assert slider.input_value() == "26"
    clip = visit.page.evaluate("getComputedStyle(document.querySelector('#compare figure')).clipPath")
    assert "74%" in clip


def test_the_graph_scrolls_in_its_own_box_and_says_what_is_pointed_at(
    visit: Visit, planted: Path
) -> None:
    visit.go(planted)
    box = visit.page.get_by_role("region", name="Graph of the operators")
    inner, outer = box.evaluate("box => [box.scrollHeight, box.clientHeight]")
    assert outer < 600 < inner
    box.focus()
    visit.page.keyboard.press("End")
    for _ in range(100):  # it scrolls smoothly; the page's policy forbids playwright's own waiting
        if box.evaluate("box => box.scrollTop") > 0:
            break
        visit.page.wait_for_timeout(50)
    assert box.evaluate("box => box.scrollTop") > 0
    step = box.locator(".step").last
    step.scroll_into_view_if_needed()
    ground = "step => getComputedStyle(step.querySelector('.hit')).fill"
    before = step.evaluate(ground)
    step.locator("text").hover()
    assert step.evaluate(ground) != before
    assert step.locator("title").text_content().startswith("SR ")
    operators = box.locator(".step").count() - 2
    assert box.locator(".edge").count() > operators
    inside = "box => [...box.querySelectorAll('text')].every(t => t.getBBox().x > 0 && "
    inside += "t.getBBox().x + t.getBBox().width <= t.ownerSVGElement.viewBox.baseVal.width)"
    assert box.evaluate(inside), "no name is cut off"


def test_without_javascript(browser: Any, planted: Path) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1280, "height": 800})
    visit = Visit(context.new_page())
    visit.go(planted)
    before, after = (visit.page.locator(f"img.{name}").bounding_box() for name in ("before", "after"))
    assert before["x"] + before["width"] <= after["x"], "side by side"
    assert not visit.page.locator("#split").is_visible()
    assert visit.page.locator("figcaption").first.is_visible()
    assert (visit.requests, visit.console) == ([planted.as_uri()], [])
    context.close()


def test_a_page_that_asked_would_be_seen(plain: Visit, planted: Path, tmp_path: Path) -> None:
    """What the first test rests on: a request is noticed, and the policy stops it."""
    text = planted.read_text(encoding="utf-8")
    asking = text.replace("<main>", '<main><img src="http://127.0.0.1:9/a.png"><script>let a;</script>')
    stopped, free = tmp_path / "stopped.html", tmp_path / "free.html"
    stopped.write_text(asking, encoding="utf-8")
    free.write_text(asking.replace("Content-Security-Policy", "x"), encoding="utf-8")
    plain.go(stopped)
    assert len(plain.console) == 2
    assert all("Content Security Policy" in said for said in plain.console)
    plain.page.goto(free.as_uri())
    assert plain.requests[-1] == "http://127.0.0.1:9/a.png"
