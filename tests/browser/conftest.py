# SPDX-License-Identifier: GPL-2.0-only
"""The report in a real browser: Chromium without a window, driven through its own driver."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from harness.host.packages import BROWSER, install_command, missing_packages
from harness.model.results import RunRecord
from harness.report import write_html, write_json
from tests.unit.sample_run import make_run

Open = Callable[..., Chrome]


@contextmanager
def browser(*, scripts: bool = True, width: int = 1500, height: int = 1000) -> Iterator[Chrome]:
    """Run Chromium while inside; without ``scripts`` it runs no JavaScript of pages."""
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    options.add_argument("--headless=new")
    options.add_argument(f"--window-size={width},{height}")
    options.add_argument("--disable-dev-shm-usage")  # a container's /dev/shm is small
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium refuses root's otherwise
    if not scripts:
        setting = {"profile.managed_default_content_settings.javascript": 2}
        options.add_experimental_option("prefs", setting)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options, Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture(scope="session", autouse=True)
def _needs_chromium() -> None:
    """Skip where a person has no Chromium; a CI that lost it must not look green."""
    missing = missing_packages(BROWSER)
    if missing and not os.environ.get("CI"):
        pytest.skip(f"no Chromium here: {install_command(missing)}")


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunRecord, Path]:
    """The sample run's record and its page."""
    folder = tmp_path_factory.mktemp("browser") / "run"
    record = make_run(folder)
    write_json(record, folder)
    return record, write_html(record, folder)


@pytest.fixture(scope="session")
def _chromium(_needs_chromium: None) -> Iterator[Chrome]:
    with browser() as driver:
        yield driver


@pytest.fixture
def page(_chromium: Chrome, sample: tuple[RunRecord, Path]) -> Chrome:
    """The sample's page, freshly opened."""
    _chromium.get("about:blank")
    _chromium.get(sample[1].as_uri())
    return _chromium
