"""What each page shows, and what can be done on it with a mouse."""

import json
import re

from playwright.sync_api import expect

from conftest import free_port, wait_for

BAD = '{"to":"ann.example.org"}'


def row(page, text):
    return page.locator("tbody tr", has_text=text)


def test_a_first_visit_says_how_to_enqueue_a_task_and_shows_it_live(broker, browser):
    ui = broker.ui()
    page = browser.open(ui.url)
    expect(page.get_by_text("There is no queue yet")).to_be_visible()
    expect(page.locator("code").first).to_contain_text("asynq task enqueue")
    broker.enqueue("email:welcome", '{"to":"ann@example.org"}', "mail")
    expect(page.locator(".queues").get_by_role("link", name="mail")).to_be_visible()
    expect(page.locator(".live")).to_have_attribute("data-state", "live")


def test_all_pages_are_reached_from_the_navigation(broker, browser):
    broker.enqueue("t", "p")
    page = browser.open(broker.ui().url)
    storage = "Redis" if broker.kind == "redis" else "Storage"
    for name in ["Queues", "Servers", "Schedulers", storage, "Metrics", "Settings", "Audit"]:
        page.locator(".nav").get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
        expect(page.locator(".nav a[aria-current=page]")).to_have_text(name)
        expect(page).to_have_title(f"{name} · asynq")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Settings")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Settings")


def test_it_works_below_a_path(sqlite, browser):
    sqlite.enqueue("t", "p", "mail")
    ui = sqlite.ui("--root-path", "/tools/asynq")
    page = browser.open(ui.url)
    page.locator(".queues").get_by_role("link", name="mail").click()
    expect(page.locator(".tasks tbody tr")).to_have_count(1)
    assert "/tools/asynq/queues/mail" in page.url
    page.reload()
    expect(page.locator(".tasks tbody tr")).to_have_count(1)


def test_a_queue_is_paused_and_resumed(broker, browser):
    broker.enqueue("t", "p", "mail")
    ui = broker.ui()
    page = browser.open(f"{ui.url}/queues/mail")
    page.get_by_role("button", name="Pause", exact=True).first.click()
    expect(page.locator(".strip")).to_contain_text("paused")
    wait_for("the queue is paused", lambda: ui.queue("mail")["paused"])
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".strip")).to_contain_text("running")
    wait_for("the queue runs", lambda: not ui.queue("mail")["paused"])


def test_what_fails_is_undone_and_said(sqlite, browser):
    sqlite.enqueue("t", "p", "mail")
    page = browser.open(f"{sqlite.ui().url}/queues/mail?state=pending")
    browser.expect_trouble("500")
    page.route("**/api/queues/mail:pause", lambda route: route.fulfill(status=500, body="the disk is full"))
    page.route("**/pending_tasks/*:archive", lambda route: route.fulfill(status=500, body="the disk is full"))
    page.get_by_role("button", name="Pause", exact=True).first.click()
    expect(page.get_by_role("alert")).to_contain_text("Could not pause mail: the disk is full.")
    expect(page.locator(".strip")).to_contain_text("running")
    page.get_by_role("button", name="Close the message").click()
    page.get_by_role("button", name="Actions on task").click()
    page.get_by_role("menuitem", name="Archive").click()
    page.get_by_role("button", name="Archive").last.click()
    expect(page.get_by_role("alert")).to_contain_text("the disk is full")
    expect(page.locator(".tasks tbody tr")).to_have_count(1)


def test_a_queue_is_deleted_when_it_is_empty(broker, browser):
    task = broker.enqueue("t", "p", "mail")
    ui = broker.ui()
    page = browser.open(f"{ui.url}/queues/mail")
    browser.expect_trouble("400")
    page.get_by_role("button", name="More on this queue").click()
    page.get_by_role("menuitem", name="Delete the queue").click()
    expect(page.locator("dialog")).to_contain_text("only an empty queue can be deleted")
    page.locator("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("alert")).to_contain_text("Could not delete mail")
    ui.call("DELETE", f"queues/mail/pending_tasks/{task['id']}")
    page.get_by_role("button", name="More on this queue").click()
    page.get_by_role("menuitem", name="Delete the queue").click()
    page.locator("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Queues")
    expect(page.get_by_text("There is no queue yet")).to_be_visible()


def test_twenty_tasks_and_more_are_seen_at_once(sqlite, browser):
    ui = sqlite.ui()
    ui.fill("mail", 40)
    page = browser.open(f"{ui.url}/queues/mail?state=pending")
    expect(page.locator(".tasks tbody tr")).to_have_count(40)
    seen = page.evaluate("""() => {
        const bottom = document.querySelector('.list').getBoundingClientRect().bottom;
        return [...document.querySelectorAll('.tasks tbody tr')].filter((row) => row.getBoundingClientRect().bottom <= bottom + 1).length;
    }""")
    assert seen >= 20


def test_pages_and_their_size(sqlite, browser):
    ui = sqlite.ui()
    ui.fill("mail", 45)
    page = browser.open(f"{ui.url}/queues/mail?state=pending")
    page.get_by_label("Rows").select_option("20")
    expect(page.get_by_text("Page 1 of 3")).to_be_visible()
    expect(page.locator(".tasks tbody tr")).to_have_count(20)
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("Page 3 of 3")).to_be_visible()
    expect(page.locator(".tasks tbody tr")).to_have_count(5)
    page.go_back()
    expect(page.get_by_text("Page 2 of 3")).to_be_visible()


def test_tasks_are_found_by_text_type_and_id(broker, browser):
    ui = broker.ui()
    ui.fill("mail", 60, payload=lambda index: json.dumps({"to": f"user{index}@example.org"}))
    wanted = ui.call("POST", "queues/mail/tasks", {"type": "image:resize", "payload": "needle in a haystack"})
    page = browser.open(f"{ui.url}/queues/mail?state=pending")
    page.get_by_label("Text in payload, error or result").fill("user5")
    page.keyboard.press("Enter")
    expect(page.locator(".tasks tbody tr")).to_have_count(11)
    expect(page.locator(".list-foot")).to_contain_text("11 found; all 61 read")
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("Type of the task").fill("resize")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator(".tasks tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("Id of the task").fill(wanted["id"])
    page.keyboard.press("Enter")
    expect(page.locator(".tasks tbody tr")).to_have_count(1)
    page.reload()
    expect(page.locator(".tasks tbody tr")).to_have_count(1)
    page.get_by_label("Text in payload, error or result").fill("nobody has this")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No task matches")).to_be_visible()


def test_a_long_search_says_how_far_it_is_and_goes_on(sqlite, browser):
    ui = sqlite.ui()
    ui.fill("mail", 3)
    page = browser.open(f"{ui.url}/queues/mail?state=pending")
    steps = []

    def answer(route):
        # As a queue of a million tasks answers.
        steps.append(route.request.url)
        scanned = 400_000 * len(steps)
        tasks = [{"id": f"t{len(steps)}", "type": "t", "payload": "x", "queue": "mail", "max_retry": 1, "retried": 0, "error_message": ""}] * (1 if len(steps) < 3 else 0)
        if len(steps) == 2:
            tasks += [{**tasks[0], "id": f"more{index}"} for index in range(49)]
        route.fulfill(json={"tasks": tasks, "scanned": min(scanned, 1_000_000), "total": 1_000_000, "cursor": str(scanned) if scanned < 1_000_000 else None})

    page.route("**/api/queues/mail/search*", answer)
    page.get_by_label("Text in payload, error or result").fill("x")
    page.keyboard.press("Enter")
    expect(page.locator(".list-foot")).to_contain_text("51 found; 800,000 of 1,000,000 read")
    expect(page.get_by_role("progressbar", name="Searched")).to_have_attribute("value", "800000")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(".list-foot")).to_contain_text("51 found; all 1,000,000 read")
    assert len(steps) == 3


def test_selected_tasks_are_deleted_and_the_selection_survives_new_tasks(broker, browser):
    ui = broker.ui()
    ui.fill("mail", 5)
    page = browser.open(f"{ui.url}/queues/mail?state=pending")
    expect(page.locator(".tasks tbody tr")).to_have_count(5)
    page.locator(".tasks tbody input").nth(1).check()
    page.locator(".tasks tbody input").nth(3).check()
    ui.fill("mail", 1)
    expect(page.locator(".tasks tbody tr")).to_have_count(6)
    expect(page.locator(".tasks tr.selected")).to_have_count(2)
    bar = page.get_by_role("group", name="Actions on the selected tasks")
    expect(bar).to_contain_text("2 selected")
    bar.get_by_role("button", name="Delete").click()
    page.locator("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".tasks tbody tr")).to_have_count(4)
    wait_for("two are deleted", lambda: ui.queue("mail")["pending"] == 4)
    expect(bar).to_be_hidden()


def test_all_that_match_are_counted_then_archived(broker, browser):
    ui = broker.ui()
    ui.fill("mail", 30, payload=lambda index: "odd" if index % 2 else "even")
    page = browser.open(f"{ui.url}/queues/mail?state=pending&text=odd")
    expect(page.locator(".tasks tbody tr")).to_have_count(15)
    page.get_by_role("button", name="All that match").click()
    page.get_by_role("button", name="Archive all").click()
    dialog = page.locator("dialog")
    expect(dialog).to_contain_text("15 tasks match.")
    assert ui.queue("mail")["archived"] == 0, "counting changes nothing"
    dialog.get_by_role("button", name="Archive 15 tasks").click()
    expect(dialog).to_contain_text("15 tasks archived.")
    dialog.get_by_role("button", name="Close").last.click()
    wait_for("they are archived", lambda: ui.queue("mail")["archived"] == 15 and ui.queue("mail")["pending"] == 15)


def test_a_bulk_action_shows_how_far_it_is_and_is_stopped(sqlite, browser):
    ui = sqlite.ui()
    ui.fill("mail", 2)
    page = browser.open(f"{ui.url}/queues/mail?state=pending")
    jobs = {"preview": {"scanned": 900_000, "matched": 900_000, "finished": True}, "delete": {"scanned": 300_000, "matched": 900_000, "done": 300_000}}
    stopped = []

    def start(route):
        route.fulfill(status=202, json={"id": route.request.post_data_json["action"]})

    def job(route):
        name = route.request.url.rsplit("/", 1)[1]
        if route.request.method == "DELETE":
            stopped.append(name)
            route.fulfill(status=204)
            return
        base = {"id": name, "action": name, "queue": "mail", "state": "pending", "scanned": 0, "total": 900_000, "matched": 0, "done": 0, "failed": 0, "finished": False, "stopped": False, "error": None}
        route.fulfill(json={**base, **jobs[name], **({"stopped": True, "finished": True} if name in stopped else {})})

    page.route("**/api/queues/mail/bulk", start)
    page.route("**/api/bulk/*", job)
    expect(page.locator(".tasks tbody tr")).to_have_count(2)
    page.keyboard.press("A")
    page.get_by_role("button", name="Delete all").click()
    page.get_by_role("button", name="Delete 900,000 tasks").click()
    expect(page.get_by_role("progressbar", name="Delete")).to_have_attribute("value", "300000")
    expect(page.locator("dialog")).to_contain_text("300,000 of 900,000 deleted")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("dialog")).to_contain_text("300,000 tasks deleted, then stopped.")
    assert stopped == ["delete"]


def test_errors_are_grouped_by_message(broker, browser):
    for index in range(3):
        broker.enqueue("email:welcome", BAD, "mail", "--retry", "0", "--id", f"bad-{index}")
    broker.enqueue("report:build", "by hand", "mail", "--id", "other")
    broker.asynq("task", "archive", "-q", "mail", "-i", "other")
    ui = broker.ui()
    broker.work("mail")
    wait_for("they have failed", lambda: ui.queue("mail")["archived"] == 4)
    page = browser.open(f"{ui.url}/queues/mail?state=archived")
    page.get_by_role("button", name="By error").click()
    expect(page.locator(".errors tbody tr")).to_have_count(2)
    expect(page.locator(".errors tbody tr").first).to_contain_text("3")
    page.get_by_role("button", name=re.compile("no @")).click()
    expect(page.locator(".tasks tbody tr")).to_have_count(3)
    expect(page.locator(".pill")).to_contain_text("550 5.1.3 the address has no @")
    page.locator(".pill").click()
    expect(page.locator(".tasks tbody tr")).to_have_count(4)
    page.get_by_role("button", name="By error").click()
    page.get_by_role("button", name="(no message)").click()
    expect(page.locator(".tasks tbody tr")).to_have_count(1)
    expect(page.locator(".tasks")).to_contain_text("other")


def test_a_new_task_is_enqueued_with_its_options(broker, browser):
    broker.enqueue("t", "p", "mail")
    ui = broker.ui()
    page = browser.open(f"{ui.url}/queues/mail")
    page.get_by_role("button", name="Enqueue").click()
    dialog = page.locator("dialog")
    dialog.get_by_label("Type").fill("image:resize")
    dialog.get_by_label("Payload").fill('{"width": 20')
    expect(dialog.get_by_text("Not JSON")).to_be_visible()
    dialog.get_by_label("Payload").fill('{"width": 20}')
    dialog.get_by_text("Options").click()
    dialog.get_by_label("Run in, seconds").fill("3600")
    dialog.get_by_label("Retries").fill("7")
    dialog.get_by_label("Id", exact=True).fill("picture-1")
    dialog.get_by_label("Headers").fill("trace: 12:34")
    dialog.get_by_role("button", name="Enqueue", exact=True).click()
    expect(page.locator(".panel")).to_contain_text("picture-1")
    task = ui.call("GET", "queues/mail/tasks/picture-1")
    assert (task["type"], task["state"], task["max_retry"], task["headers"]) == ("image:resize", "scheduled", 7, {"trace": "12:34"})
    page.get_by_role("button", name="Enqueue", exact=True).first.click()
    dialog.get_by_label("Type").fill("image:resize")
    dialog.get_by_text("Options").click()
    dialog.get_by_label("Id", exact=True).fill("picture-1")
    browser.expect_trouble("409")
    dialog.get_by_role("button", name="Enqueue", exact=True).click()
    expect(dialog.get_by_role("alert")).to_be_visible()


def test_servers_show_what_they_work_on_and_it_can_be_cancelled(broker, browser):
    broker.enqueue("hang", "p", "mail", "--id", "endless", "--retry", "0")
    ui = broker.ui()
    worker = broker.work("mail")
    worker.wait_for_line("start endless")
    page = browser.open(f"{ui.url}/servers")
    expect(page.locator(".workers tbody tr")).to_contain_text("endless")
    page.locator(".workers").get_by_role("link", name="endless").click()
    expect(page.locator(".panel")).to_contain_text("active")
    page.locator(".panel").get_by_role("button", name="Cancel").click()
    page.locator("dialog").get_by_role("button", name="Cancel").click()
    worker.wait_for_line("cancelled endless")
    expect(page.locator(".panel-title")).to_contain_text("archived")


def test_the_audit_log_names_each_write(sqlite, browser):
    sqlite.enqueue("t", "secret payload", "mail", "--id", "one")
    ui = sqlite.ui()
    page = browser.open(f"{ui.url}/queues/mail")
    page.get_by_role("button", name="Pause", exact=True).first.click()
    wait_for("the queue is paused", lambda: ui.queue("mail")["paused"])
    page.locator(".nav").get_by_role("link", name="Audit").click()
    expect(row(page, "pause")).to_contain_text("mail")
    assert "secret payload" not in page.content()


def test_metrics_have_a_picture_and_a_table(sqlite, browser):
    ui = sqlite.ui()
    ui.fill("mail", 3)
    page = browser.open(f"{ui.url}/charts")
    # A sample is taken every ten seconds.
    expect(page.locator("figure")).to_have_count(9)
    picture = page.get_by_role("img", name=re.compile("^Size"))
    expect(picture).to_be_visible()
    page.locator(".plot").first.focus()
    page.keyboard.press("End")
    expect(page.locator(".tip").first).to_contain_text("mail")
    page.get_by_text("As a table").first.click()
    expect(page.locator(".as-table table").first).to_contain_text("mail")


def test_settings_change_theme_times_and_zone(sqlite, browser):
    sqlite.enqueue("t", "p", "mail", "--process-at", "2030-01-02T03:04:05Z")
    ui = sqlite.ui()
    page = browser.open(f"{ui.url}/settings")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_label("Theme").select_option("dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.get_by_label("Times").select_option("absolute")
    page.get_by_label("Time zone", exact=True).select_option("UTC")
    page.goto(f"{ui.url}/queues/mail?state=scheduled")
    expect(page.locator(".tasks time")).to_have_text(re.compile("02 Jan 2030, 03:04:05 UTC"))
    page.goto(f"{ui.url}/settings")
    page.get_by_label("Time zone", exact=True).select_option("named")
    page.get_by_label("Name of the time zone").fill("Middle/Earth")
    page.keyboard.press("Enter")
    page.get_by_label("Name of the time zone").blur()
    expect(page.get_by_text("There is no such time zone")).to_be_visible()
    page.get_by_label("Name of the time zone").fill("Asia/Tokyo")
    page.get_by_label("Name of the time zone").blur()
    page.goto(f"{ui.url}/queues/mail?state=scheduled")
    expect(page.locator(".tasks time")).to_have_text(re.compile("02 Jan 2030, 12:04:05"))
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_the_live_view_comes_back_after_the_server(sqlite, browser):
    sqlite.enqueue("t", "p", "mail")
    # One that nothing else is given while the server is away.
    port = free_port()
    ui = sqlite.ui("--port", port)
    page = browser.open(ui.url)
    expect(page.locator(".live")).to_have_attribute("data-state", "live")
    browser.expect_trouble("")
    ui.process.stop()
    sqlite.processes.remove(ui.process)
    expect(page.locator(".live")).to_have_attribute("data-state", "reconnecting")
    sqlite.ui("--port", port)
    expect(page.locator(".live")).to_have_attribute("data-state", "live")
    page.keyboard.press("p")
    expect(page.locator(".live")).to_have_attribute("data-state", "paused")
    sqlite.enqueue("t", "p", "other")
    page.keyboard.press("p")
    expect(page.locator(".queues").get_by_role("link", name="other")).to_be_visible()
