"""All of it with the keyboard alone."""

import re

from playwright.sync_api import expect

from conftest import wait_for


def focused(page):
    return page.evaluate("document.activeElement.tagName + ' ' + (document.activeElement.textContent || '').trim()")


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def go_to(page, key, title):
    """Presses g and the key until it is there: the g is forgotten after a second, in which a busy machine may not come to
    the key."""
    heading = page.get_by_role("heading", level=1)
    for _ in range(20):
        press(page, "g", key)
        try:
            return expect(heading).to_have_text(title, timeout=5_000)
        except AssertionError:
            continue
    expect(heading).to_have_text(title)


def test_why_last_nights_emails_failed_and_one_is_fixed(broker, browser):
    """The story of the issue: find the error, fix a payload, run it again and see it succeed."""
    for index in range(4):
        broker.enqueue("email:welcome", f'{{"to":"user{index}.example.org","template":"hello"}}', "mail", "--retry", "0", "--retention", "1h")
    broker.enqueue("email:welcome", '{"to":"fine@example.org"}', "mail", "--retention", "1h")
    ui = broker.ui()
    broker.work("mail")
    wait_for("all have ended", lambda: (ui.queue("mail")["archived"], ui.queue("mail")["completed"]) == (4, 1))

    page = browser.open(ui.url)
    expect(page.locator(".queues").get_by_role("link", name="mail")).to_be_visible()
    press(page, "j")
    expect(page.locator(".queues a", has_text="mail")).to_be_focused()
    press(page, "Enter")
    expect(page.locator(".chip.archived")).to_contain_text("4")
    # To the archived ones, and their errors by message.
    press(page, "Control+k")
    page.keyboard.type("mail arch")
    expect(page.locator("dialog [role=option]").first).to_contain_text("mail archived")
    press(page, "Enter")
    expect(page.locator(".tasks tbody tr")).to_have_count(4)
    press(page, "v")
    expect(page.locator(".errors tbody tr")).to_contain_text("550 5.1.3 the address has no @")
    press(page, "j", "Enter")
    expect(page.locator(".tasks tbody tr")).to_have_count(4)
    press(page, "j", "Enter")
    panel = page.locator(".panel")
    expect(panel).to_contain_text('"to": "user')
    expect(panel).to_contain_text("the address has no @")
    broken = page.url.split("/tasks/")[1].split("?")[0]
    press(page, "e")
    area = page.locator("dialog textarea")
    expect(area).to_be_focused()
    press(page, "Control+a")
    page.keyboard.insert_text('{"to":"user@example.org","template":"hello"}')
    press(page, "Control+Enter")
    expect(page.locator("dialog")).to_have_count(0)
    expect(page.locator(".panel-title")).to_have_text(re.compile("completed"))
    expect(panel).to_contain_text("user@example.org")
    fixed = page.url.split("/tasks/")[1].split("?")[0]
    assert fixed != broken
    assert ui.call("GET", f"queues/mail/tasks/{fixed}")["state"] == "completed"
    assert ui.queue("mail")["archived"] == 3, "the original is gone"
    press(page, "Escape")
    expect(panel).to_be_hidden()
    expect(page.locator(".tasks tbody tr")).to_have_count(3)


def test_a_task_is_archived_run_and_deleted_with_keys(broker, browser):
    ui = broker.ui()
    ui.fill("mail", 4)
    page = browser.open(f"{ui.url}/queues/mail?state=pending")
    expect(page.locator(".tasks tbody tr")).to_have_count(4)
    press(page, "j", "j", "a")
    expect(page.locator("dialog")).to_contain_text("Archive this task?")
    press(page, "n")
    expect(page.locator("dialog")).to_have_count(0)
    expect(page.locator(".tasks tbody tr").nth(1).locator("a")).to_be_focused()
    press(page, "a", "y")
    expect(page.locator(".tasks tbody tr")).to_have_count(3)
    expect(page.locator(".tasks tbody tr").nth(1).locator("a")).to_be_focused()
    wait_for("it is archived", lambda: ui.queue("mail")["archived"] == 1)
    press(page, "x", "j", "x")
    expect(page.locator(".bulk-bar")).to_contain_text("2 selected")
    press(page, "d")
    expect(page.locator("dialog")).to_contain_text("Delete 2 tasks?")
    press(page, "y")
    expect(page.locator(".tasks tbody tr")).to_have_count(1)
    wait_for("two are deleted", lambda: ui.queue("mail")["pending"] == 1)
    page.goto(f"{ui.url}/queues/mail?state=archived")
    expect(page.locator(".tasks tbody tr")).to_have_count(1)
    press(page, "j", "r", "Enter")
    wait_for("it is pending", lambda: ui.queue("mail")["pending"] == 2)
    expect(page.get_by_text("No task is archived")).to_be_visible()


def test_pages_help_and_menus_with_keys(sqlite, browser):
    ui = sqlite.ui()
    ui.fill("mail", 3)
    page = browser.open(ui.url)
    expect(page.locator(".queues")).to_be_visible()
    for key, title in [("s", "Servers"), ("c", "Schedulers"), ("r", "Storage"), ("m", "Metrics"), ("t", "Settings"), ("a", "Audit"), ("q", "Queues")]:
        go_to(page, key, title)
    press(page, "?")
    expect(page.locator("dialog")).to_contain_text("Go to")
    press(page, "Escape")
    expect(page.locator("dialog")).to_have_count(0)
    press(page, "/")
    page.keyboard.type("nothing")
    expect(page.get_by_text("No queue is called so")).to_be_visible()
    press(page, "Control+a", "Delete", "Escape", "j", "Enter")
    expect(page.locator(".tasks tbody tr")).to_have_count(3)
    press(page, "j", "Tab")
    expect(page.locator("[aria-haspopup]:focus")).to_have_count(1)
    press(page, "Enter")
    expect(page.get_by_role("menuitem").first).to_be_focused()
    press(page, "ArrowDown")
    expect(page.get_by_role("menuitem").nth(1)).to_be_focused()
    press(page, "Escape")
    expect(page.locator("[aria-haspopup]:focus")).to_have_count(1)
    press(page, "Escape")
    expect(page.get_by_role("heading", level=1)).to_have_text("Queues")


def test_every_control_is_reached_with_tab_and_its_focus_is_seen(sqlite, browser):
    ui = sqlite.ui()
    ui.fill("mail", 2)
    page = browser.open(f"{ui.url}/queues/mail?state=pending")
    expect(page.locator(".tasks tbody tr")).to_have_count(2)
    page.evaluate("""() => {
        window.seen = new Set();
        window.unseen = [];
        document.addEventListener('focusin', ({ target }) => {
            window.seen.add(target);
            const style = getComputedStyle(target);
            if (style.outlineStyle === 'none' || parseFloat(style.outlineWidth) < 2) window.unseen.push(target.outerHTML.slice(0, 100));
        });
    }""")
    for _ in range(60):
        press(page, "Tab")
    missing = page.evaluate("""() => [...document.querySelectorAll('a[href], button, input, select')]
        .filter((element) => element.offsetParent && !element.disabled && !window.seen.has(element)).map((element) => element.outerHTML.slice(0, 100))""")
    assert missing == []
    assert page.evaluate("window.unseen") == []


def test_single_keys_can_be_turned_off(sqlite, browser):
    sqlite.enqueue("t", "p", "mail")
    ui = sqlite.ui()
    page = browser.open(f"{ui.url}/settings")
    page.get_by_label("Single keys are shortcuts").uncheck()
    page.get_by_role("heading", level=1).click()
    press(page, "g", "q", "?")
    expect(page.locator("dialog")).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_have_text("Settings")
    press(page, "Control+k")
    expect(page.locator("dialog")).to_be_visible()
