"""The report's page in a real Chromium, opened from disk without network: clicks, keys, sizes, no complaint.

Skipped where no Chromium is installed (Debian: ``apt-get install chromium``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import EXECUTABLE, Browser
from fake_results import METHODS, make_run
from PIL import Image
from test_figures_pictures import with_samples

from paper_figures import claims, convergence, table1, table1_full
from paper_figures.report import builder

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = with_samples(make_run(tmp_path_factory.mktemp("runs") / "demo", METHODS))
    for path in (run.folder / "swinir/seed0/samples").iterdir():
        path.unlink()  # one method without pictures
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builder, "_modules", lambda: {m.NAME: m for m in (table1, convergence, claims, table1_full)})
        built = builder.build(run)
    assert built.html is not None
    return built.html


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as opened:
        yield opened


@pytest.fixture
def page(browser: Browser, file: Path) -> Iterator[Browser]:
    browser.resize(1280, 900)
    browser.open(file)
    yield browser
    assert browser.errors == [] and browser.requests == []


SORTED = """(() => { const t = document.querySelectorAll("#table1_full table")[0]; return {
    rows: [...t.tBodies[0].rows].map(r => r.cells[0].firstChild.textContent.trim()),
    last: t.tBodies[1].rows[0].cells[0].textContent.trim(),
    sorts: [...t.querySelectorAll("thead th")].map(h => h.getAttribute("aria-sort")),
    said: document.querySelector("#said").textContent }; })()"""


def test_a_table_is_sorted_by_click_and_by_keyboard(page: Browser) -> None:
    before = page.run(SORTED)
    assert before["rows"][0] == "Bicubic" and set(before["sorts"]) == {None}
    psnr = "#table1_full table thead th:nth-child(4) button"
    page.click(psnr)
    down = page.run(SORTED)
    assert down["rows"][:3] == ["MSRN", "PECL", "TBSRN"] and down["rows"][-1] == "ESRGAN"
    assert down["sorts"][3] == "descending" and down["sorts"].count(None) == len(down["sorts"]) - 1
    assert down["last"].startswith("HR") and down["said"] == "Sorted by PSNR (dB), descending."
    page.press("Enter")  # the heading has the focus
    up = page.run(SORTED)
    assert up["rows"] == down["rows"][::-1] and up["sorts"][3] == "ascending"
    page.press(" ")
    assert page.run(SORTED)["rows"] == before["rows"]
    page.click("#table1_full table thead th:nth-child(5) button")  # the paper's column
    assert page.run(SORTED)["rows"][:4] == ["PECL", "TBSRN", "SwinIR", "ESPCN"]
    page.click("#table1_full table thead th:nth-child(2) button")
    assert page.run(SORTED)["rows"][:2] == ["ESRGAN", "SwinIR"]  # 16.7M before 12.0M before 6.23M


SHOWN = """new Promise(done => setTimeout(() => done({
    plates: [...document.querySelectorAll(".plate:not([hidden])")].map(p => p.id),
    choice: document.querySelector("#plate-choice").value,
    pressed: [...document.querySelectorAll(".thumbs button")].findIndex(b => b.ariaPressed === "true"),
    pixels: [...document.querySelectorAll(".plate:not([hidden]) img")].every(i => i.complete && i.naturalWidth > 0)
}), 100))"""


def test_plates_are_picked_with_buttons_keys_list_and_pictures(page: Browser) -> None:
    def at(place: int) -> dict[str, Any]:
        name = ["plate-0", "plate-3", "plate-7"][place]
        return {"plates": [name], "choice": name, "pressed": place, "pixels": True}

    page.run("document.querySelector('#plates').scrollIntoView(); new Promise(r => setTimeout(r, 300))")
    assert page.run(SHOWN) == at(0)
    page.click("[data-step='1']")
    assert page.run(SHOWN) == at(1)
    page.press("ArrowRight")
    assert page.run(SHOWN) == at(2)
    page.press("ArrowRight", 2)  # round the end
    assert page.run(SHOWN) == at(1)
    page.press("ArrowLeft")
    assert page.run(SHOWN) == at(0)
    page.click(".thumbs button:nth-child(3)")
    assert page.run(SHOWN) == at(2)
    page.run("document.querySelector('#plate-choice').focus()")
    page.press("ArrowUp")
    assert page.run(SHOWN) == at(1)
    assert page.run("document.querySelector('#said').textContent") == "Plate 2 of 3: plate 3: 皖A12345"


def test_an_address_leads_to_its_plate(page: Browser, file: Path) -> None:
    page.open(file, "#plate-7")
    assert page.run(SHOWN)["plates"] == ["plate-7"]


SLIDER = """(() => { const v = document.querySelector(".duel-view"), r = v.querySelector("input"); return {
    clip: v.querySelector(".over").style.clipPath, handle: v.querySelector(".handle").style.left, value: r.value,
    words: r.ariaValueText, note: document.querySelector(".duel-note").textContent,
    same: v.querySelector(".over").src === document.querySelector(".plate:not([hidden]) [data-key=bicubic] img").src,
    fits: Math.abs(v.querySelector(".over").getBoundingClientRect().height
        - v.querySelector(".under").getBoundingClientRect().height) < 0.5 }; })()"""


def test_the_slider_moves_by_mouse_and_keyboard_and_shows_what_is_chosen(page: Browser) -> None:
    start = page.run(SLIDER)
    assert (start["value"], start["handle"], start["same"], start["fits"]) == ("50", "50%", True, True)
    assert start["words"] == "50 % Bicubic, the rest PECL"
    page.run("document.querySelector('#duel-share').focus()")
    page.press("ArrowRight", 3)
    moved = page.run(SLIDER)
    assert (moved["value"], moved["handle"]) == ("53", "53%") and "47%" in moved["clip"]
    page.press("Home")
    assert page.run(SLIDER)["handle"] == "0%"
    assert page.run(SHOWN)["plates"] == ["plate-0"]  # the arrows stayed with the slider
    page.click("#duel-share")
    page.press("ArrowRight", 50 - int(page.run(SLIDER)["value"]))
    assert page.run(SLIDER)["value"] == "50"
    page.click("#duel-swap")
    assert page.run(SLIDER)["words"].endswith("PECL, the rest Bicubic")
    page.run("(() => { const s = document.querySelector('#duel-left'); s.value = 'hr';"
             " s.dispatchEvent(new Event('change')); })()")  # fmt: skip
    assert page.run(SLIDER)["words"] == "50 % HR, the rest Bicubic"
    assert page.run("[...document.querySelector('#duel-left').options].every(o => o.value !== 'swinir')")


DIFFERENCES = """new Promise(done => setTimeout(() => {
    const at = (id) => document.querySelector(id), card = (key) => at(`.plate:not([hidden]) [data-key=${key}] canvas`);
    const pixel = (canvas) => {
        const copy = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
        copy.drawImage(canvas, -5, -7);
        return [...copy.getImageData(0, 0, 1, 1).data];
    };
    const right = at("#difference-right"), caption = (side) => at(`#difference-${side} + figcaption`).textContent;
    done({ left: caption("left"), right: caption("right"), pixel: pixel(right), size: [right.width, right.height],
        largest: Number(at("#difference-largest").textContent), card: card("pecl")?.hidden ?? null,
        zero: card("hr") && pixel(card("hr")) }); }, 500))"""


def test_differences_to_hr_stand_beside_the_slider_on_one_scale(page: Browser, file: Path) -> None:
    seen = page.run(DIFFERENCES)
    folder = file.parents[1]
    outputs = {path.parent.parent.parent.name: np.array(Image.open(path)).astype(int)
               for path in folder.glob("*/seed0/samples/0000.png")}  # fmt: skip
    width = outputs["pecl"].shape[1] // 3
    maps = {name: np.abs(p[:, width : 2 * width] - p[:, 2 * width :]).sum(axis=2) for name, p in outputs.items()}
    largest = max(each.max() for each in maps.values())
    assert seen["left"] == f"Bicubic: mean {maps['bicubic'].mean() / 3:.1f}"
    assert seen["right"] == f"PECL: mean {maps['pecl'].mean() / 3:.1f}"
    assert seen["largest"] == round(largest / 3) and seen["size"] == [width, outputs["pecl"].shape[0]]
    level = round(255 * maps["pecl"][7, 5] / largest)
    share = level / 255 * 4
    stops = np.array([[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]])
    expected = [np.interp(share, range(5), channel) for channel in stops.T]
    assert np.allclose(seen["pixel"][:3], expected, atol=1) and seen["pixel"][3] == 255
    page.click("#show-differences")
    everywhere = page.run(DIFFERENCES)
    assert everywhere["card"] is False and everywhere["zero"] == [0, 0, 4, 255]
    page.click("[data-step='1']")
    assert page.run(DIFFERENCES)["card"] is False
    page.click("#show-differences")
    assert page.run(DIFFERENCES)["card"] is True


def test_a_command_is_copied_by_a_button(page: Browser) -> None:
    page.click("#convergence .copy")
    said = page.run("new Promise(done => setTimeout(() => done(document.querySelector('#said').textContent), 200))")
    assert said in ("Copied.", "The command is selected.")
    assert page.run("getSelection().toString()").endswith("--only convergence")


def test_the_list_of_contents_fits_a_screen_and_opens_the_theme_where_one_is(page: Browser) -> None:
    page.resize(1280, 720)
    page.run("document.querySelector('#plates').scrollIntoView(); new Promise(r => setTimeout(r, 300))")
    height = page.run("document.querySelector('.contents').scrollHeight")
    assert height <= 720
    opened = page.run("[...document.querySelectorAll('.theme')].filter(t => t.open).map(t => t.firstChild.textContent)")
    assert opened == ["Pictures"]


def test_nothing_leaves_the_page_at_any_width(page: Browser) -> None:
    for width in (360, 390, 768, 1280, 2000):
        page.resize(width, 900)
        assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run("document.querySelector('.contents').open") is True
    page.resize(390, 800)
    assert page.run("new Promise(r => setTimeout(() => r(document.querySelector('.contents').open), 100))") is False


def test_without_network_the_page_is_whole_in_light_and_dark(file: Path, tmp_path: Path) -> None:
    sizes = []
    for dark in (False, True):
        with Browser(390, 800, dark=dark) as opened:
            opened.open(file)
            picture = tmp_path / f"{dark}.png"
            opened.screenshot(picture)
            sizes.append(picture.stat().st_size)
            paper = opened.run("getComputedStyle(document.body).backgroundColor")
            assert (paper == "rgb(19, 22, 25)") is dark
            assert opened.errors == [] and opened.requests == []
    assert min(sizes) > 10_000


def test_the_policy_stops_what_is_not_the_pages_own(page: Browser) -> None:
    page.run("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.run = 1'}))")
    assert page.run("window.run") is None
    refused = page.run("fetch('https://example.org/').then(() => 'fetched', () => 'refused')")
    assert refused == "refused"
    assert any("Content Security Policy" in error for error in page.errors)
    page.errors.clear()
    page.requests.clear()


def test_it_can_be_printed_with_everything_unfolded(page: Browser, tmp_path: Path) -> None:
    page.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    assert page.run("[...document.querySelectorAll('details')].every(d => d.open)")
