# SPDX-License-Identifier: GPL-2.0-only
"""A person with a mouse and a keyboard in front of ``report.html``."""

from __future__ import annotations

from pathlib import Path

from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from harness.model.results import CellResult, RunRecord
from tests.browser.conftest import browser
from tests.unit.sample_run import find

PATIENCE_S = 20


def cell(page: Chrome, result: CellResult) -> WebElement:
    """Return the place of *result* in the matrix."""
    links = page.find_elements(By.CSS_SELECTOR, ".matrix .cell")
    (found,) = (e for e in links if e.get_dom_attribute("href") == f"#{result.cell.id}")
    return found


def panel(page: Chrome, result: CellResult) -> WebElement:
    """Return the panel of *result*, once it is to be seen."""
    found = page.find_element(By.ID, result.cell.id)
    WebDriverWait(page, PATIENCE_S).until(lambda _: found.is_displayed())
    return found


def focused(page: Chrome) -> str:
    return str(page.switch_to.active_element.get_dom_attribute("href"))


def test_a_click_on_a_cell_opens_its_evidence(page: Chrome, sample: tuple[RunRecord, Path]) -> None:
    result = find(sample[0], "vmalloc-hygiene", "x86_64", 3, "anon")
    cell(page, result).click()
    opened = panel(page, result)
    assert "12 vmalloc pages more than before the test" in opened.text
    assert cell(page, result).get_dom_attribute("aria-current") == "true"
    panels = page.find_elements(By.CLASS_NAME, "panel")
    assert [p.is_displayed() for p in panels].count(True) == 1


def test_a_click_on_a_tab_shows_that_log_alone(
    page: Chrome, sample: tuple[RunRecord, Path]
) -> None:
    result = find(sample[0], "vmalloc-scope", "arm64", 1)
    cell(page, result).click()
    opened = panel(page, result)
    (tab,) = (t for t in opened.find_elements(By.CSS_SELECTOR, "[role=tab]") if "console" in t.text)
    tab.click()
    shown = [p for p in opened.find_elements(By.CLASS_NAME, "pane") if p.is_displayed()]
    assert [p.get_dom_attribute("data-pane") for p in shown] == [tab.text]
    assert "boot message number 399" in shown[0].text


def test_keys_lead_through_the_matrix(page: Chrome, sample: tuple[RunRecord, Path]) -> None:
    start = find(sample[0], "vmalloc-scope", "x86_64", 0)
    below = find(sample[0], "vmalloc-scope", "x86_64", 1, "anon")
    page.execute_script("arguments[0].focus()", cell(page, start))
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    page.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    assert focused(page) == f"#{below.cell.id}"
    page.switch_to.active_element.send_keys(Keys.ENTER)
    opened = panel(page, below)
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    WebDriverWait(page, PATIENCE_S).until(lambda _: not opened.is_displayed())
    assert focused(page) == f"#{below.cell.id}"


def test_output_of_a_guest_has_no_effect(page: Chrome, sample: tuple[RunRecord, Path]) -> None:
    hostile = find(sample[0], "vmalloc-nofail-sweep", "x86_64", 2)
    cell(page, hostile).click()
    assert "document.title='owned'" in panel(page, hostile).text
    assert page.title != "owned"
    assert page.execute_script("return document.images.length") == 0
    # A style, script or picture against the page's own policy would be reported here.
    assert page.get_log("browser") == []


def test_panels_open_without_javascript(sample: tuple[RunRecord, Path]) -> None:
    result = find(sample[0], "kvmalloc-flags", "arm64", 4)
    with browser(scripts=False) as page:
        page.get(sample[1].as_uri())
        cell(page, result).click()
        assert "nofs_falls_back" in panel(page, result).text
        page.find_element(By.CSS_SELECTOR, ".panel:target .close").click()
        assert not page.find_elements(By.CSS_SELECTOR, ".panel:target")


def test_a_narrow_window_needs_no_sideways_scrolling(sample: tuple[RunRecord, Path]) -> None:
    with browser(width=500) as page:
        page.get(sample[1].as_uri())
        wide = page.execute_script(
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide == 0


def test_from_a_cell_to_its_plot(page: Chrome, sample: tuple[RunRecord, Path]) -> None:
    result = find(sample[0], "vmalloc-hygiene", "x86_64", 3, "anon")
    cell(page, result).click()
    opened = panel(page, result)
    (tab,) = (t for t in opened.find_elements(By.CSS_SELECTOR, "[role=tab]") if t.text == "plots")
    tab.click()
    lines = opened.find_element(By.CSS_SELECTOR, ".pane .lines")
    curve = lines.find_element(By.CSS_SELECTOR, ".curve")
    assert curve.is_displayed()
    assert curve.size["width"] > 300
    assert curve.size["height"] > 20
    titles = [
        flag.get_property("textContent") for flag in lines.find_elements(By.CLASS_NAME, "flag")
    ]
    assert titles == ["3.00 s, OOM kill of anon, asked by anon"]
    cases = [e.text for e in opened.find_elements(By.CSS_SELECTOR, ".bands li")]
    assert cases == ["zeroed", "pages_are_distinct", "no_leak"]


def test_pointing_at_a_plot_reads_off_its_values(
    page: Chrome, sample: tuple[RunRecord, Path]
) -> None:
    result = find(sample[0], "vmalloc-hygiene", "arm64", 4, "anon")
    cell(page, result).click()
    opened = panel(page, result)
    lines = opened.find_element(By.CSS_SELECTOR, ".pane .lines")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", lines)
    ActionChains(page).move_to_element(lines).perform()
    when = opened.find_element(By.CLASS_NAME, "when")
    WebDriverWait(page, PATIENCE_S).until(lambda _: when.text.startswith("At "))
    assert 2.7 < float(when.text.split()[1]) < 3.1  # the middle of six seconds, axis and all
    shown = opened.find_element(By.CSS_SELECTOR, ".keys b").text
    ActionChains(page).move_to_element(opened.find_element(By.TAG_NAME, "h2")).perform()
    WebDriverWait(page, PATIENCE_S).until(lambda _: not when.text.startswith("At "))
    assert opened.find_element(By.CSS_SELECTOR, ".keys b").text != shown
