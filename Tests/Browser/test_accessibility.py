"""Rules in the manner of axe, on each page in both themes and widths; and that a phone scrolls in one direction only."""

import json
import pathlib

import pytest
from playwright.sync_api import expect

from conftest import wait_for

RULES = (pathlib.Path(__file__).parent / "accessibility.js").read_text()


@pytest.fixture
def filled(sqlite):
    """Tasks in each state, and a server that works on one."""
    for index in range(3):
        sqlite.enqueue("email:welcome", json.dumps({"to": f"user{index}.example.org"}), "mail", "--retry", "0")
        sqlite.enqueue("email:digest", json.dumps({"to": f"user{index}.example.org"}), "mail", "--retry", "9")
        sqlite.enqueue("report:build", json.dumps({"day": index}), "mail", "--retention", "1h")
        sqlite.enqueue("report:build", json.dumps({"day": index, "note": "long " * 60}), "mail", "--process-in", "1h")
        sqlite.enqueue("report:join", "x", "mail", "--group", "tenant:7")
    sqlite.enqueue("hang", "x", "mail", "--id", "endless")
    ui = sqlite.ui()
    sqlite.work("mail")
    wait_for("all are where they belong", lambda: all(
        ui.queue("mail")[state] == count for state, count in [("archived", 3), ("retry", 3), ("completed", 3), ("active", 1), ("scheduled", 3), ("aggregating", 3)]))
    ui.fill("a queue of a very-long-name-that-does-not-end-soon:" + "x" * 60, 2)
    return ui


PAGES = [
    ("queues", "/", ".queues tbody tr"),
    ("archived", "/queues/mail?state=archived", ".tasks tbody tr"),
    ("retry", "/queues/mail?state=retry", ".tasks tbody tr"),
    ("active", "/queues/mail?state=active", ".tasks tbody tr"),
    ("aggregating", "/queues/mail?state=aggregating", ".tasks tbody tr"),
    ("scheduled", "/queues/mail?state=scheduled", ".tasks tbody tr"),
    ("completed", "/queues/mail?state=completed", ".tasks tbody tr"),
    ("empty", "/queues/mail?state=pending", ".empty"),
    ("errors", "/queues/mail?state=retry&by=error", ".errors tbody tr"),
    ("search", "/queues/mail?state=scheduled&text=day", ".tasks tbody tr"),
    ("task", "/queues/mail/tasks/endless", ".panel .facts"),
    ("servers", "/servers", ".workers tbody tr"),
    ("schedulers", "/schedulers", ".empty"),
    ("storage", "/redis", ".card"),
    ("metrics", "/charts", ".main .page > p, figure"),
    ("settings", "/settings", ".settings"),
    ("audit", "/audit", ".audit tbody tr"),
    ("missing", "/nowhere", "h1"),
]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_each_page_keeps_the_rules(filled, browser, theme, width):
    page = browser.open(filled.url, width=width, theme=theme)
    broken = {}
    for name, path, ready in PAGES:
        page.goto(filled.url + path)
        expect(page.locator(ready).first).to_be_visible()
        problems = page.evaluate(RULES)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth || document.querySelector('main').scrollWidth > document.querySelector('main').clientWidth"):
            problems.append("the page scrolls sideways")
        if problems:
            broken[name] = problems
    # What opens above the pages.
    page.goto(filled.url + "/queues/mail?state=archived")
    expect(page.locator(".tasks tbody tr").first).to_be_visible()
    steps = {
        "menu": (lambda: page.locator(".tasks [aria-haspopup]").first.click(), "[role=menu]"),
        "confirm": (lambda: (page.keyboard.press("j"), page.keyboard.press("d")), "dialog"),
        "edit": (lambda: (page.keyboard.press("j"), page.keyboard.press("e")), "dialog textarea"),
        "enqueue": (lambda: page.keyboard.press("N"), "dialog form"),
        "palette": (lambda: page.keyboard.press("Control+k"), "dialog [role=option]"),
        "help": (lambda: page.keyboard.press("?"), "dialog dl"),
        "all": (lambda: page.keyboard.press("A"), "dialog"),
    }
    for name, (act, ready) in steps.items():
        act()
        expect(page.locator(ready).first).to_be_visible()
        problems = page.evaluate(RULES)
        if problems:
            broken[name] = problems
        page.keyboard.press("Escape")
        expect(page.locator("dialog, [role=menu]")).to_have_count(0)
    assert not broken, json.dumps(broken, indent=1)


def test_the_login_keeps_the_rules(sqlite, browser):
    ui = sqlite.ui("--user", "ops", env={"ASYNQ_UI_PASSWORD": "a long password"})
    browser.expect_trouble("401")
    for theme in ["light", "dark"]:
        page = browser.open(ui.url, width=360, theme=theme)
        expect(page.get_by_label("User")).to_be_visible()
        assert page.evaluate(RULES) == []


@pytest.mark.parametrize("width", [360, 768, 1280, 3840])
def test_it_fits_from_a_phone_to_a_wall(filled, browser, width):
    page = browser.open(f"{filled.url}/queues/mail?state=archived", width=width, height=800)
    page.locator(".tasks tbody a").first.click()
    expect(page.locator(".panel")).to_be_visible()
    box = page.locator(".panel").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width >= 1280:
        expect(page.locator(".tasks tbody tr").first).to_be_visible()


def test_a_screen_reader_is_told_what_happened(filled, browser):
    page = browser.open(f"{filled.url}/queues/mail?state=archived")
    expect(page.locator(".tasks tbody tr")).to_have_count(3)
    page.keyboard.press("j")
    page.keyboard.press("d")
    page.keyboard.press("y")
    expect(page.locator("#announce")).to_have_text("Task deleted")
