import { api, messageOf } from "../api.js";
import { data, fill, h } from "../dom.js";
import { count, shortID } from "../format.js";
import { bind } from "../keys.js";
import { href } from "../router.js";
import { moment } from "../times.js";
import { empty, Table } from "../widgets/table.js";

/** @typedef {import("../types.js").AuditEntry} AuditEntry */

/** @returns {import("../main.js").Page} */
export function open() {
    const table = new Table("What was changed", /** @type {import("../widgets/table.js").Column<AuditEntry & {place: number}>[]} */ ([
        { title: "When", className: "time", cell: (entry) => moment(entry.at) },
        { title: "Who", className: "type", cell: (entry) => (entry.who ? data(entry.who) : "anyone") },
        { title: "From", className: "type", cell: (entry) => data(entry.address) },
        { title: "Action", className: "type", header: true, cell: (entry) => data(entry.action.replace(/_/g, " ")) },
        { title: "Queue", className: "type", cell: (entry) => (entry.queue ? h("a", { href: href(["queues", entry.queue]) }, data(entry.queue)) : "–") },
        { title: "Task", className: "id", cell: (entry) => (entry.task_id && entry.queue ? h("a", { class: "mono", title: entry.task_id, href: href(["queues", entry.queue, "tasks", entry.task_id]) }, data(shortID(entry.task_id))) : "–") },
        { title: "Tasks", className: "num", cell: (entry) => (entry.count === null || entry.count === undefined ? "–" : count(entry.count)) },
        { title: "Outcome", className: "text", cell: (entry) => data(entry.outcome) },
    ]), (entry) => `${entry.at} ${entry.place}`, { className: "rows audit" });
    const list = h("div", { class: "list" }, h("p", { class: "dim" }, "Reading…"));
    const filter = h("input", { type: "search", placeholder: "Filter", "aria-label": "Filter by who, action, queue or outcome", spellcheck: "false", oninput: () => draw() });
    const element = h("div", { class: "page" }, h("header", { class: "page-head" }, h("h1", null, "Audit")), h("div", { class: "tools" }, filter), list);
    /** @type {AuditEntry[]|null} */
    let entries = null;

    function draw() {
        if (!entries) return;
        const words = filter.value.toLowerCase();
        const all = entries.length;
        // The place from the oldest, which stays the same when newer ones come.
        table.show(entries.map((entry, index) => ({ ...entry, place: all - index })).filter((entry) => `${entry.who} ${entry.action} ${entry.queue} ${entry.task_id} ${entry.outcome} ${entry.address}`.toLowerCase().includes(words)));
        if (table.body.children.length > 0) list.replaceChildren(table.element);
        else fill(list, empty(all === 0 ? "Nothing has been changed yet" : "No entry matches", h("p", null, all === 0 ? "Each write through this dashboard stands here: who, what, when. Tasks' contents do not." : "")));
    }

    async function read() {
        try {
            entries = (await api.audit()).entries;
            draw();
        } catch (error) {
            fill(list, empty("The audit log could not be read", h("p", { role: "alert" }, messageOf(error)), h("button", { type: "button", onclick: () => void read() }, "Read it again")));
        }
    }
    void read();
    const timer = setInterval(() => document.hidden || void read(), 5000);
    const unbind = bind([{ keys: "/", title: "Filter", group: "Move", act: () => filter.focus() }]);
    return { title: "Audit", element, end: () => { clearInterval(timer); unbind(); } };
}
