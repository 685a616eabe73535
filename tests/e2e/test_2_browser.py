"""What people look at: the page, Airflow's DAG and MLflow's model, in a real browser."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.e2e.platform import Platform

pytestmark = pytest.mark.timeout(300)

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
CHROMIUM_FLAGS += ["--disable-component-update", "--disable-sync"]


@pytest.fixture
def page(platform: Platform) -> Iterator[Page]:
    """A page in the machine's Chromium."""
    path = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        # For MLflow, which asks as HTTP does.
        account = {"username": platform.setting("MLFLOW_USER"), "password": platform.setting("MLFLOW_PASSWORD")}
        tab = browser.new_page(http_credentials=account)  # type: ignore[arg-type]
        tab.set_default_timeout(60_000)
        yield tab
        browser.close()


def test_page_predicts(platform: Platform, page: Page) -> None:
    page.goto(platform.url("NGINX_PORT"))
    page.get_by_role("textbox").fill("The plot is a mess and I wanted my evening back.")
    page.get_by_role("button").first.click()
    expect(page.locator("body")).to_contain_text("negative")
    expect(page.locator("body")).to_contain_text("version", ignore_case=True)


def test_airflow_shows_the_pipeline(platform: Platform, page: Page) -> None:
    page.goto(platform.url("AIRFLOW_PORT", "/auth/login/"))
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", "admin")
    page.locator("input[type=submit], button[type=submit]").first.click()
    page.wait_for_url(lambda url: "login" not in url)
    page.goto(platform.url("AIRFLOW_PORT", "/dags/machine-learning-training-pipeline"))
    for task in ("Training_Data_Update", "Train_Model", "Switch_Latest_Model"):
        expect(page.get_by_text(task).first).to_be_visible()


def test_mlflow_shows_the_champion(platform: Platform, page: Page) -> None:
    page.goto(platform.url("MLFLOW_PORT", "/#/models/sample"))
    expect(page.get_by_text("champion", exact=False).first).to_be_visible()
