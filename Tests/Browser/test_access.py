"""Login, roles and read-only."""

import pytest
from playwright.sync_api import expect

PASSWORD = {"ASYNQ_UI_PASSWORD": "a long password"}


def log_in(page, user="ops", password="a long password"):
    page.get_by_label("User").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def test_a_login_leads_back_to_where_one_wanted_to_go(broker, browser):
    broker.enqueue("t", "p", "mail")
    ui = broker.ui("--user", "ops", env=PASSWORD)
    browser.expect_trouble("401")
    page = browser.open(f"{ui.url}/queues/mail?state=pending")
    expect(page.get_by_role("heading", name="asynq")).to_be_visible()
    expect(page.get_by_label("User")).to_be_focused()
    log_in(page, password="wrong")
    expect(page.get_by_role("alert")).to_have_text("The user or the password is wrong.")
    log_in(page)
    expect(page.locator(".tasks tbody tr")).to_have_count(1)
    assert page.url.endswith("/queues/mail?state=pending")
    # A write with the token of the session.
    with page.expect_response("**/api/queues/mail:pause") as answer:
        page.get_by_role("button", name="Pause", exact=True).first.click()
    assert answer.value.status == 204
    expect(page.locator(".strip")).to_contain_text("paused")
    expect(page.get_by_role("alert")).to_have_count(0)
    cookies = page.context.cookies()
    assert [(cookie["httpOnly"], cookie["sameSite"]) for cookie in cookies] == [(True, "Strict")]
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("User")).to_be_visible()
    page.goto(f"{ui.url}/queues/mail")
    expect(page.get_by_label("User")).to_be_visible()


def test_too_many_attempts_are_told_to_wait(sqlite, browser):
    ui = sqlite.ui("--user", "ops", env=PASSWORD)
    browser.expect_trouble("401")
    browser.expect_trouble("429")
    page = browser.open(ui.url)
    expect(page.get_by_label("User")).to_be_visible()
    for _ in range(50):
        with page.expect_response("**/api/login") as answer:
            log_in(page, password="guess")
        if answer.value.status == 429:
            break
    expect(page.get_by_role("alert")).to_contain_text("Too many attempts. Try again")


@pytest.mark.parametrize("way", ["option", "role"])
def test_a_reader_sees_no_way_to_write(sqlite, browser, way, tmp_path):
    sqlite.enqueue("t", "p", "mail", "--id", "one")
    if way == "option":
        ui = sqlite.ui("--read-only")
        page = browser.open(ui.url)
    else:
        users = tmp_path / "users"
        users.write_text("admin:ops:a long password\nread_only:guest:another password\n")
        users.chmod(0o600)
        ui = sqlite.ui("--users-file", users)
        browser.expect_trouble("401")
        page = browser.open(ui.url)
        log_in(page, "guest", "another password")
    expect(page.locator(".nav")).to_contain_text("read-only")
    expect(page.locator(".queues tbody tr")).to_have_count(1)
    expect(page.get_by_role("button", name="Enqueue", exact=True)).to_have_count(0)
    page.locator(".queues").get_by_role("link", name="mail").click()
    expect(page.locator(".tasks tbody tr")).to_have_count(1)
    for name in ["Pause", "Enqueue", "More on this queue"]:
        expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)
    expect(page.locator(".tasks input")).to_have_count(0)
    page.locator(".tasks tbody a").click()
    expect(page.locator(".panel")).to_contain_text("Payload")
    expect(page.locator(".panel-actions button")).to_have_count(0)
    for key in ["d", "r", "a", "x", "e", "N", "P", "A"]:
        page.keyboard.press(key)
    expect(page.locator("dialog")).to_have_count(0)
    assert ui.process.process.poll() is None
