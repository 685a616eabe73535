"""What people look at: the page, Airflow's DAG and MLflow's model, in a real browser."""

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.platform import Platform

pytestmark = pytest.mark.timeout(300)


def test_page_predicts(platform: Platform, page: Page) -> None:
    page.goto(platform.url("NGINX_PORT"))
    page.get_by_role("textbox").fill("The plot is a mess and I wanted my evening back.")
    page.get_by_role("button").first.click()
    expect(page.locator("body")).to_contain_text("negative")
    expect(page.locator("body")).to_contain_text("version", ignore_case=True)


def test_the_console_tells_what_is_served_and_why(platform: Platform, page: Page) -> None:
    page.goto(platform.url("NGINX_PORT"))
    page.get_by_role("link", name="Console").click()
    expect(page.locator("#served")).to_contain_text("Every replica serves it.")
    expect(page.locator("#served")).to_contain_text("macro F1")
    expect(page.locator("#ledger")).to_contain_text("First Champion")
    expect(page.locator("#rows")).to_contain_text("are covered by runs")
    picture = page.locator("#ledger img").first
    picture.scroll_into_view_if_needed()
    assert picture.evaluate("async (image) => { await image.decode(); return image.naturalWidth }") > 0


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
