import { api, messageOf } from "../api.js";
import { data, fill, h } from "../dom.js";
import { bind } from "../keys.js";
import { href } from "../router.js";
import { moment, parse } from "../times.js";
import { openDialog } from "../widgets/dialog.js";
import { code, empty, Table } from "../widgets/table.js";

/** @typedef {import("../types.js").Entry} Entry */

/** @returns {import("../main.js").Page} */
export function open() {
    const table = new Table("Entries of schedulers", /** @type {import("../widgets/table.js").Column<Entry>[]} */ ([
        { title: "Schedule", className: "type mono", header: true, cell: (entry) => data(entry.spec) },
        { title: "Type", className: "type", cell: (entry) => data(entry.task_type) },
        { title: "Payload", className: "text payload", cell: (entry) => data(entry.task_payload, "mono") },
        { title: "Options", className: "text", cell: (entry) => data([entry.options].flat().join(", ")) },
        { title: "Next", className: "time", cell: (entry) => moment(entry.next_enqueue_at) },
        { title: "Last", className: "time", cell: (entry) => moment(entry.prev_enqueue_at) },
        { title: "History", quiet: true, className: "menu-cell wide", update: () => {}, cell: (entry) => h("button", { type: "button", "aria-label": `History of ${entry.task_type}, ${entry.spec}`, onclick: () => showHistory(entry) }, "History") },
    ]), (entry) => entry.id, { className: "rows entries" });
    const list = h("div", { class: "list" }, h("p", { class: "dim" }, "Reading…"));
    const element = h("div", { class: "page" }, h("header", { class: "page-head" }, h("h1", null, "Schedulers")), list);

    async function read() {
        try {
            const { entries } = await api.entries();
            const next = (/** @type {Entry} */ entry) => parse(entry.next_enqueue_at)?.getTime() ?? Infinity;
            table.show([...entries].sort((one, other) => next(one) - next(other)));
            if (entries.length > 0) list.replaceChildren(table.element);
            else fill(list, empty("No scheduler is running", h("p", null, "A scheduler enqueues tasks at the times of its entries. In Swift:"), code("try scheduler.register(\"0 6 * * *\", NightlyReport())\ntry await scheduler.run()")));
        } catch (error) {
            fill(list, empty("The entries could not be read", h("p", { role: "alert" }, messageOf(error)), h("button", { type: "button", onclick: () => void read() }, "Read them again")));
        }
    }
    void read();
    const timer = setInterval(() => document.hidden || void read(), 10_000);
    const unbind = bind([
        { keys: "j", title: "Next entry", group: "Move", act: () => step(list, 1) },
        { keys: "k", title: "Previous entry", group: "Move", act: () => step(list, -1) },
    ]);
    return { title: "Schedulers", element, end: () => { clearInterval(timer); unbind(); } };
}

/** @param {HTMLElement} list @param {number} by */
function step(list, by) {
    const buttons = [...list.querySelectorAll("tbody button")];
    const at = buttons.indexOf(/** @type {Element} */ (document.activeElement));
    const next = buttons[at < 0 ? (by > 0 ? 0 : buttons.length - 1) : Math.max(0, Math.min(buttons.length - 1, at + by))];
    if (next instanceof HTMLElement) next.focus();
}

/** @param {Entry} entry */
async function showHistory(entry) {
    const body = h("div", { class: "history" }, h("p", { class: "dim" }, "Reading…"));
    openDialog("History", () => [h("p", null, data(entry.task_type, "name"), " at ", data(entry.spec, "mono")), body]);
    try {
        const { events } = await api.enqueueEvents(entry.id);
        const queue = /queue\(?["“']?([^"”')]+)/i.exec([entry.options].flat().join(" "))?.[1] ?? "default";
        fill(body, events.length === 0 ? empty("It has not enqueued anything yet") : h("table", { class: "table small" }, h("caption", { class: "sr" }, "Tasks that were enqueued"),
            h("thead", null, h("tr", null, h("th", { scope: "col" }, "Enqueued"), h("th", { scope: "col" }, "Task"))),
            h("tbody", null, events.map((event) => h("tr", null, h("td", null, moment(event.enqueued_at)),
                h("td", null, h("a", { class: "mono", href: href(["queues", queue, "tasks", event.task_id]), onclick: () => document.querySelector("dialog")?.close() }, data(event.task_id))))))));
    } catch (error) {
        fill(body, h("p", { class: "error-text", role: "alert" }, messageOf(error)));
    }
}
