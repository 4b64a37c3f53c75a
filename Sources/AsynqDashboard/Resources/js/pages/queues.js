import { api, messageOf } from "../api.js";
import { chart } from "../charts.js";
import { data, fill, h, icon } from "../dom.js";
import { bytes, compact, count, percent, plural, states } from "../format.js";
import { bind } from "../keys.js";
import { go, href } from "../router.js";
import { mayWrite, store, subscribe } from "../store.js";
import { enqueueDialog } from "../widgets/enqueue.js";
import { menuButton } from "../widgets/menu.js";
import { deleteQueue, setPaused } from "../widgets/queueactions.js";
import { stateBar, stateLegend } from "../widgets/states.js";
import { code, empty, Table } from "../widgets/table.js";
import { toast } from "../widgets/toast.js";

/** @typedef {import("../types.js").Snapshot} Snapshot */

const example = `try await client.enqueue(WelcomeEmail(userID: 42), .queue("mail"))`;

/** How many queues the bars show. */
const most = 10;

/** @returns {import("../main.js").Page} */
export function open() {
    const totals = h("dl", { class: "strip" });
    const bars = h("div", { class: "bars" });
    const filter = h("input", { type: "search", placeholder: "Filter queues", "aria-label": "Filter queues by name", spellcheck: "false", autocomplete: "off", oninput: () => draw() });
    const table = new Table("Queues", /** @type {import("../widgets/table.js").Column<Snapshot>[]} */ ([
        { title: "State", className: "status-cell", cell: (queue) => h("span", { class: queue.paused ? "status warning" : "status" }, icon(queue.paused ? "pause" : "resume"), queue.paused ? "paused" : "running"), sort: (queue) => Number(queue.paused) },
        { title: "Queue", className: "name", header: true, cell: (queue) => h("a", { href: href(["queues", queue.queue]) }, data(queue.queue)), update: () => {}, sort: (queue) => queue.queue },
        { title: "Size", className: "num", cell: (queue) => count(queue.size), sort: (queue) => queue.size },
        { title: "By state", className: "mix", cell: (queue) => stateBar(queue, queue.size) },
        { title: "Memory", className: "num", cell: (queue) => bytes(queue.memory_usage_bytes), sort: (queue) => queue.memory_usage_bytes },
        { title: "Latency", className: "num", cell: (queue) => queue.display_latency, sort: (queue) => queue.latency_msec },
        { title: "Processed", className: "num", cell: (queue) => count(queue.processed), sort: (queue) => queue.processed },
        { title: "Failed", className: "num", cell: (queue) => (queue.failed > 0 ? h("a", { href: href(["queues", queue.queue], { state: queue.retry > 0 ? "retry" : "archived", by: "error" }), title: "The errors by message" }, count(queue.failed)) : "0"), sort: (queue) => queue.failed },
        { title: "Error rate", className: "num", cell: (queue) => percent(queue.failed, queue.processed), sort: (queue) => (queue.processed > 0 ? queue.failed / queue.processed : -1) },
        {
            title: "Actions", quiet: true, className: "menu-cell", update: () => {},
            cell: (queue) => menuButton(`Actions on queue ${queue.queue}`, () => menu(store.queues?.find((other) => other.queue === queue.queue) ?? queue)),
        },
    ]), (queue) => queue.queue, { className: "rows queues" });
    const list = h("div", { class: "list" });
    const days = h("select", { "aria-label": "Time of the chart", onchange: () => drawHistory() },
        [7, 30, 90].map((number) => h("option", { value: number }, `${number} days`)));
    const history = h("section", { class: "card", "aria-label": "Processed and failed" });
    const body = h("div", null,
        totals,
        h("div", { class: "pair" }, h("section", { class: "card", "aria-labelledby": "sizes" }, h("div", { class: "card-head" }, h("h2", { id: "sizes" }, "Sizes by state"), stateLegend()), bars), history),
        h("div", { class: "tools" }, filter, h("span", { class: "grow" }), mayWrite() && h("button", { type: "button", onclick: enqueue, title: "Enqueue a task (N)" }, icon("add"), "Enqueue")), list);
    const nothing = h("div", null);
    const element = h("div", { class: "page" }, h("header", { class: "page-head" }, h("h1", null, "Queues")), body, nothing);
    /** @type {Record<string, import("../types.js").Daily[]>|null} */
    let stats = null;
    /** @type {ReturnType<typeof chart>|null} */
    let graph = null;
    table.sortBy(1, false);

    /** @param {Snapshot} queue @returns {import("../widgets/menu.js").MenuItem[]} */
    function menu(queue) {
        const items = [{ title: "Open", icon: "queues", key: "↵", act: () => go(href(["queues", queue.queue])) }];
        if (!mayWrite()) return items;
        return [...items, { title: queue.paused ? "Resume" : "Pause", icon: queue.paused ? "resume" : "pause", key: "P", act: () => void setPaused(queue, !queue.paused) },
            { title: "Enqueue a task…", icon: "add", act: () => enqueueDialog(queue.queue, shown) },
            { title: "Delete…", icon: "delete", danger: true, act: () => void deleteQueue(queue) }];
    }

    function enqueue() {
        if (mayWrite()) enqueueDialog(null, shown);
    }

    /** @param {import("../types.js").TaskDetail} task */
    function shown(task) {
        toast("Enqueued", { link: { title: "Show it", act: () => go(href(["queues", task.queue, "tasks", task.id])) } });
    }

    function draw() {
        const queues = store.queues;
        if (!queues) return;
        body.hidden = queues.length === 0;
        nothing.hidden = queues.length > 0;
        if (queues.length === 0) {
            if (nothing.children.length === 0) {
                fill(nothing, empty("There is no queue yet", h("p", null, "A queue is there as soon as a task is put into it. On the command line:"),
                    code(`asynq task enqueue -t email:welcome -l '{"user":42}' --queue mail`), h("p", null, "or in Swift:"), code(example),
                    mayWrite() ? h("p", null, h("button", { type: "button", class: "primary", onclick: enqueue }, icon("add"), "Enqueue a task here")) : ""));
            }
            return;
        }
        const sum = (/** @type {(queue: Snapshot) => number} */ value) => queues.reduce((total, queue) => total + value(queue), 0);
        const [processed, failed] = [sum((queue) => queue.processed), sum((queue) => queue.failed)];
        const facts = [["Queues", count(queues.length)], ["Tasks", count(sum((queue) => queue.size))],
            ...states.filter((state) => state !== "completed").map((state) => [state[0]?.toUpperCase() + state.slice(1), compact(sum((queue) => queue[state]))]),
            ["Processed today", count(processed)], ["Failed today", count(failed)], ["Error rate", percent(failed, processed)]];
        fill(totals, facts.map(([name, value]) => h("div", null, h("dt", null, name ?? ""), h("dd", null, value ?? ""))));
        const largest = [...queues].sort((one, other) => other.size - one.size).slice(0, most);
        const whole = Math.max(1, largest[0]?.size ?? 1);
        fill(bars, h("ul", { class: "bar-list" }, largest.map((queue) => h("li", null, data(queue.queue, "bar-name"), stateBar(queue, whole), h("span", { class: "num" }, compact(queue.size))))),
            queues.length > most && h("p", { class: "dim" }, `The ${most} largest of ${plural(queues.length, "queue")}`));
        const words = filter.value.toLowerCase();
        table.show(queues.filter((queue) => queue.queue.toLowerCase().includes(words)));
        const part = table.body.children.length === 0 ? empty("No queue is called so") : table.element;
        if (list.firstElementChild !== part) list.replaceChildren(part);
    }

    function drawHistory() {
        if (!stats) return;
        const wanted = Number(days.value);
        /** @type {Map<string, {succeeded: number, failed: number}>} */
        const sums = new Map();
        for (let back = wanted - 1; back >= 0; back--) sums.set(new Date(Date.now() - back * 86_400_000).toISOString().slice(0, 10), { succeeded: 0, failed: 0 });
        for (const day of Object.values(stats).flat()) {
            const known = sums.get(day.date);
            if (!known) continue;
            known.failed += day.failed;
            known.succeeded += day.processed - day.failed;
        }
        const labels = [...sums.keys()];
        /** @type {import("../charts.js").Chart} */
        const next = {
            title: "Succeeded and failed by day (UTC)", kind: "columns", labels, height: 150, untitled: true, format: compact,
            axis: (index) => (labels[index] ?? "").slice(5),
            series: [{ name: "succeeded", color: "ok", values: [...sums.values()].map((day) => day.succeeded) },
                { name: "failed", color: "archived", values: [...sums.values()].map((day) => day.failed) }],
        };
        if (graph) {
            graph.update(next);
        } else {
            graph = chart(next);
            fill(history, h("div", { class: "card-head" }, h("h2", null, "Succeeded and failed by day (UTC)"), days), graph.element);
        }
    }

    async function readHistory() {
        try {
            stats = (await api.queueStats()).stats;
            drawHistory();
        } catch (error) {
            fill(history, h("h2", null, "Processed and failed"), h("p", { class: "error-text" }, messageOf(error)));
        }
    }

    /** @param {number} by */
    function move(by) {
        const links = [...list.querySelectorAll("tbody th a")];
        const row = document.activeElement?.closest("tr");
        const at = row ? links.findIndex((link) => row.contains(link)) : -1;
        const link = links[at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.max(0, Math.min(links.length - 1, at + by))];
        if (link instanceof HTMLElement) link.focus();
    }

    /** @returns {Snapshot|null} */
    function focused() {
        const row = document.activeElement?.closest(".queues tbody tr");
        return row ? table.itemOf(row) : null;
    }

    draw();
    void readHistory();
    let processed = "";
    let read = Date.now();
    const unsubscribe = subscribe(() => {
        draw();
        const now = (store.queues ?? []).map((queue) => `${queue.processed} ${queue.failed}`).join();
        if (now !== processed && Date.now() - read > 30_000) {
            read = Date.now();
            void readHistory();
        }
        processed = now;
    });
    const unbind = bind([
        { keys: "j", title: "Next queue", group: "Move", act: () => move(1) },
        { keys: "k", title: "Previous queue", group: "Move", act: () => move(-1) },
        { keys: "/", title: "Filter queues", group: "Move", act: () => filter.focus() },
        ...(mayWrite() ? [
            { keys: "N", title: "Enqueue a task", group: "Queue", act: enqueue },
            { keys: "P", title: "Pause or resume the queue", group: "Queue", act: () => { const queue = focused(); if (queue) void setPaused(queue, !queue.paused); } },
            { keys: "d", title: "Delete the queue", group: "Queue", act: () => { const queue = focused(); if (queue) void deleteQueue(queue); } },
        ] : []),
    ]);
    return { title: "Queues", element, move: () => true, end: () => { unsubscribe(); unbind(); } };
}
