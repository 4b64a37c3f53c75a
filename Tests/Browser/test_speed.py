"""What is transferred and how soon something is seen. Bytes are asserted; times belong to the benchmarks."""

from playwright.sync_api import expect

BUDGET = 150 * 1024


def test_all_pages_together_stay_within_the_budget(sqlite, browser):
    sqlite.enqueue("t", "p", "mail")
    ui = sqlite.ui()
    page = browser.open("about:blank")
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    sizes = {}
    names = {}
    session.on("Network.requestWillBeSent", lambda event: names.__setitem__(event["requestId"], event["request"]["url"]))
    session.on("Network.loadingFinished", lambda event: sizes.__setitem__(names.get(event["requestId"], "?"), event["encodedDataLength"]))
    page.goto(ui.url)
    expect(page.locator(".queues tbody tr")).to_have_count(1)
    first = sum(size for name, size in sizes.items() if "/api/" not in name)
    for name in ["Servers", "Schedulers", "Storage", "Metrics", "Settings", "Audit", "Queues"]:
        page.locator(".nav").get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
    page.locator(".queues").get_by_role("link", name="mail").click()
    expect(page.locator(".tasks tbody tr")).to_have_count(1)
    page.keyboard.press("Control+k")
    expect(page.locator("dialog [role=option]").first).to_be_visible()
    total = sum(size for name, size in sizes.items() if "/api/" not in name)
    assert 10_000 < first <= BUDGET, sizes
    assert total <= BUDGET, sizes


def test_a_second_visit_transfers_no_file_again(sqlite, browser):
    sqlite.enqueue("t", "p", "mail")
    ui = sqlite.ui()
    page = browser.open(ui.url)
    expect(page.locator(".queues tbody tr")).to_have_count(1)
    answers = []
    page.on("response", lambda response: "/js/" in response.url and answers.append(response))
    page.goto(f"{ui.url}/servers")
    expect(page.get_by_role("heading", level=1)).to_have_text("Servers")
    again = [response.url for response in answers if response.request.sizes()["responseBodySize"] > 0 and "servers.js" not in response.url]
    assert again == []


def test_a_viewer_who_looks_away_asks_for_nothing(sqlite, browser):
    sqlite.enqueue("t", "p", "mail")
    ui = sqlite.ui()
    page = browser.open(ui.url)
    expect(page.locator(".live")).to_have_attribute("data-state", "live")
    expect(page.locator("figure")).to_be_visible()
    page.evaluate("""() => {
        Object.defineProperty(document, 'hidden', { configurable: true, get: () => true });
        document.dispatchEvent(new Event('visibilitychange'));
    }""")
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    sqlite.enqueue("t", "p", "other")
    page.wait_for_timeout(1500)
    assert requests == []
    page.evaluate("() => { delete document.hidden; document.dispatchEvent(new Event('visibilitychange')); }")
    expect(page.locator(".queues").get_by_role("link", name="other")).to_be_visible()
