import { api, isAbort, messageOf } from "../api.js";
import { data, fill, h } from "../dom.js";
import { count } from "../format.js";
import { moment } from "../times.js";
import { empty, Table } from "./table.js";

/** @typedef {import("../types.js").ErrorGroup} ErrorGroup @typedef {import("../types.js").State} State */

/**
 * The errors of the tasks of a state, by message.
 * @param {string} queue @param {State} state @param {(message: string) => void} choose
 */
export function errorList(queue, state, choose) {
    /** @type {Map<string, ErrorGroup>} */
    const groups = new Map();
    const table = new Table("Errors by message", /** @type {import("./table.js").Column<ErrorGroup>[]} */ ([
        { title: "Tasks", className: "num", cell: (group) => count(group.count) },
        {
            title: "Error", className: "text", header: true, update: () => {},
            cell: (group) => h("button", { type: "button", class: "link failure", title: group.message, onclick: () => choose(group.message) }, group.message ? data(group.message) : "(no message)"),
        },
        { title: "Types", className: "type", cell: (group) => data(group.task_types.join(", ")) },
        { title: "Last failed", className: "time", cell: (group) => moment(group.last_failed_at) },
    ]), (group) => group.message, { className: "rows errors" });
    const status = h("p", { class: "dim", role: "status" });
    const more = h("button", { type: "button", hidden: true, onclick: () => void read() }, "Go on");
    const nothing = h("div", { hidden: true });
    const element = h("div", { class: "error-groups" }, table.element, nothing, h("div", { class: "list-foot" }, status, more));
    /** @type {string|null} */
    let cursor = null;
    const control = new AbortController();

    async function read() {
        more.hidden = true;
        status.textContent = "Reading…";
        try {
            const page = await api.errors(queue, state, cursor, control.signal);
            cursor = page.cursor;
            for (const group of page.errors) merge(group);
            table.show([...groups.values()].sort((one, other) => other.count - one.count));
            const none = groups.size === 0 && cursor === null;
            table.element.hidden = groups.size === 0;
            nothing.hidden = !none;
            if (none) fill(nothing, empty(`No task is ${state} in this queue`, h("p", null, "So there is no error to show.")));
            status.textContent = none ? "" : `${groups.size === 1 ? "1 message" : `${count(groups.size)} messages`}; ${count(page.scanned)} of ${count(page.total)} tasks read`;
            more.hidden = cursor === null;
        } catch (error) {
            if (isAbort(error)) return;
            status.textContent = messageOf(error);
            more.hidden = false;
        }
    }

    /** @param {ErrorGroup} group */
    function merge(group) {
        const known = groups.get(group.message);
        groups.set(group.message, !known ? group : {
            ...known, count: known.count + group.count,
            last_failed_at: known.last_failed_at > group.last_failed_at ? known.last_failed_at : group.last_failed_at,
            task_types: [...new Set([...known.task_types, ...group.task_types])],
        });
    }
    void read();
    return {
        element,
        end: () => control.abort(),
        /** @param {number} by */
        step(by) {
            const buttons = [...table.body.querySelectorAll("button")];
            const at = buttons.findIndex((button) => button === document.activeElement);
            buttons[at < 0 ? 0 : Math.max(0, Math.min(buttons.length - 1, at + by))]?.focus();
        },
    };
}
