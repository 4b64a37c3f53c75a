"""What comes from tasks is text, whatever it says. Each page is watched: no script, no dialog, no breach of the policy."""

import json
import urllib.parse

from playwright.sync_api import expect

from conftest import wait_for

MARKUP = "<img src=x onerror=alert(1)>"
SCRIPT = "</script><script>alert(2)</script>"
QUEUE = '"><svg onload=alert(3)>/../&?#:'
BIDI = "\u202egnp.exe مرحبا"


def test_hostile_names_payloads_and_errors_stay_text(broker, browser):
    ui = broker.ui()
    path = urllib.parse.quote(QUEUE, safe="")
    ui.call("POST", f"queues/{path}/tasks", {"type": MARKUP, "payload": json.dumps({"html": SCRIPT}), "id": f"{MARKUP}/:run", "headers": {MARKUP: SCRIPT}})
    ui.call("POST", f"queues/{path}/tasks", {"type": BIDI, "payload_base64": "AP/+Cg==", "id": "bytes"})
    ui.call("POST", f"queues/{path}/tasks", {"type": "javascript:alert(4)", "payload": MARKUP + "x" * 5000, "group": SCRIPT, "id": "javascript:alert(5)"})
    page = browser.open(ui.url)
    link = page.locator(".queues tbody a").first
    expect(link).to_have_text(QUEUE)
    link.click()
    expect(page.locator(".tasks")).to_be_visible()
    page.locator(".chip.pending").click()
    expect(page.locator(".tasks tbody tr")).to_have_count(2)
    expect(page.locator(".tasks")).to_contain_text(MARKUP)
    page.locator(".tasks tbody a", has_text=MARKUP).click()
    expect(page.locator(".panel")).to_contain_text(SCRIPT)
    expect(page.locator(".panel")).to_contain_text(MARKUP)
    page.reload()
    expect(page.locator(".panel")).to_contain_text(SCRIPT)
    page.locator(".panel").get_by_role("button", name="Archive").click()
    page.locator("dialog").get_by_role("button", name="Archive").click()
    expect(page.locator(".tasks tbody tr")).to_have_count(1)
    page.locator(".tasks tbody a", has_text="bytes").click()
    expect(page.locator(".panel")).to_contain_text("bytes that are not text, 4 B")
    page.locator(".chip.aggregating").click()
    expect(page.locator(".tasks tbody tr")).to_have_count(1)
    page.keyboard.press("Control+k")
    page.keyboard.type("svg")
    expect(page.locator("dialog [role=option]").first).to_contain_text(QUEUE)
    page.keyboard.press("Escape")
    page.goto(f"{ui.url}/audit")
    expect(page.locator(".audit tbody tr").first).to_contain_text(QUEUE)
    # Only what the pages are made of: no element of users.
    assert page.evaluate("document.querySelectorAll('img:not([src=\"icons/asynq.svg\"]), script:not([src]), iframe, svg[onload]').length") == 0


def test_hostile_errors_and_results_stay_text(sqlite, browser):
    ui = sqlite.ui()
    ui.fill("mail", 1)
    page = browser.open(f"{ui.url}/queues/mail?state=pending")
    browser.expect_trouble("400")
    text = SCRIPT + MARKUP
    page.route("**/api/queues/mail/retry_tasks*", lambda route: route.fulfill(json={"tasks": [
        {"id": MARKUP, "type": MARKUP, "payload": SCRIPT, "queue": "mail", "max_retry": 3, "retried": 1, "error_message": text, "next_process_at": "<b>soon</b>"}], "stats": ui.queue("mail")}))
    page.route("**/api/queues/mail/tasks/*", lambda route: route.fulfill(status=400, body=text))
    page.goto(f"{ui.url}/queues/mail?state=retry")
    expect(page.locator(".tasks td.failure")).to_have_text(text)
    page.locator(".tasks tbody a").click()
    expect(page.locator(".panel").get_by_role("alert")).to_have_text(text)


def test_a_link_cannot_lead_out_of_the_dashboard_after_the_login(sqlite, browser):
    sqlite.enqueue("t", "p")
    ui = sqlite.ui("--user", "ops", env={"ASYNQ_UI_PASSWORD": "a long password"})
    for away in ["//example.org/", "https://example.org/", "/\\example.org", "javascript:alert(1)"]:
        page = browser.open(f"{ui.url}/login?from={urllib.parse.quote(away, safe='')}")
        page.get_by_label("User").fill("ops")
        page.get_by_label("Password").fill("a long password")
        page.keyboard.press("Enter")
        expect(page.locator(".queues tbody tr")).to_have_count(1)
        assert page.url.startswith(ui.url)
