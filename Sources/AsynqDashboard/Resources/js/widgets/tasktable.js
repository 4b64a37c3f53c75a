import { data, h } from "../dom.js";
import { actionsOf, actionTexts, duration, shortID } from "../format.js";
import { href } from "../router.js";
import { mayWrite } from "../store.js";
import { moment } from "../times.js";
import { menuButton } from "./menu.js";
import { Table } from "./table.js";
import { copy } from "./toast.js";

/** @typedef {import("../types.js").TaskRow} TaskRow @typedef {import("../types.js").State} State @typedef {import("../types.js").Action} Action */
/** @typedef {import("./table.js").Column<TaskRow>} TaskColumn */

/**
 * @typedef {object} Hooks
 * @property {(id: string, focus: boolean) => void} open
 * @property {(action: Action, tasks: TaskRow[]) => void} act
 * @property {(task: TaskRow) => void} edit
 * @property {() => void} selected after each change of the selection
 */

/** @type {Record<string, TaskColumn>} */
const columns = {
    error: { title: "Error", className: "text failure", cell: (task) => (task.error_message ? data(task.error_message) : "") },
    due: { title: "Runs", className: "time", cell: (task) => moment(task.next_process_at) },
    failedAt: { title: "Failed", className: "time", cell: (task) => moment(task.last_failed_at) },
    started: {
        title: "Started", className: "time",
        cell: (task) => (task.is_orphaned ? h("span", { class: "warning", title: "Its server is gone; another one takes it up again" }, "orphaned") : moment(task.start_time)),
    },
    deadline: { title: "Deadline", className: "time", cell: (task) => moment(task.deadline) },
    completed: { title: "Completed", className: "time", cell: (task) => moment(task.completed_at) },
    kept: { title: "Kept for", className: "time", cell: (task) => (task.ttl_seconds ? duration(task.ttl_seconds) : "–") },
    result: { title: "Result", className: "text", cell: (task) => (task.result ? data(task.result) : "") },
    attempts: { title: "Tried", className: "num tried", cell: (task) => `${task.retried}/${task.max_retry}` },
};

/** @type {Record<State, TaskColumn[]>} */
const columnsOf = /** @type {any} */ ({
    active: [columns.attempts, columns.started, columns.deadline],
    pending: [columns.attempts],
    aggregating: [columns.attempts],
    scheduled: [columns.attempts, columns.due],
    retry: [columns.error, columns.attempts, columns.due],
    archived: [columns.error, columns.attempts, columns.failedAt],
    completed: [columns.result, columns.completed, columns.kept],
});

/** The table of tasks of a state, with its selection. */
export class TaskTable {
    /** @param {State} state @param {string} queue @param {Hooks} hooks */
    constructor(state, queue, hooks) {
        this.state = state;
        this.hooks = hooks;
        /**
         * Ids that are selected, also those on other pages.
         * @type {Set<string>}
         */
        this.selection = new Set();
        /**
         * Ids that an action is about to take away.
         * @type {Set<string>}
         */
        this.leaving = new Set();
        /** @type {TaskRow[]} */
        this.items = [];
        /** The task in the panel. */
        this.opened = "";
        this.all = h("input", { type: "checkbox", "aria-label": "Select all on this page", title: "Select all on this page (X)", onchange: () => this.selectPage(this.all.checked) });
        const select = /** @type {TaskColumn} */ ({
            title: "Select", quiet: true, className: "check",
            cell: (task) => h("input", { type: "checkbox", "aria-label": `Select task ${task.id}`, onchange: (/** @type {Event} */ event) => this.select(task.id, /** @type {HTMLInputElement} */ (event.target).checked) }),
            update: () => {},
        });
        const id = /** @type {TaskColumn} */ ({
            title: "Id", className: "id", header: true,
            cell: (task) => h("a", {
                href: href(["queues", queue, "tasks", task.id], { state }), title: task.id, class: "mono",
                onclick: (/** @type {MouseEvent} */ event) => {
                    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
                    event.preventDefault();
                    hooks.open(task.id, true);
                },
            }, data(shortID(task.id))),
            update: () => {},
        });
        const menu = /** @type {TaskColumn} */ ({
            title: "Actions", quiet: true, className: "menu-cell",
            cell: (task) => menuButton(`Actions on task ${task.id}`, () => this.menu(task)),
            update: () => {},
        });
        const writes = mayWrite();
        this.table = new Table(`Tasks that are ${state}`, [
            ...(writes ? [select] : []), id,
            { title: "Type", className: "type", cell: (task) => data(task.type) },
            { title: "Payload", className: "text payload", cell: (task) => data(task.payload, "mono") },
            ...columnsOf[state], menu,
        ], (task) => task.id, {
            className: `tasks rows of-${state}`,
            header: (cell, index) => writes && index === 0 && cell.replaceChildren(this.all),
        });
        this.element = this.table.element;
        this.element.addEventListener("click", (event) => {
            if (!(event.target instanceof Element) || event.target.closest("a, button, input, label") || !getSelection()?.isCollapsed) return;
            const row = event.target.closest("tbody tr");
            if (!row) return;
            if (event.target.closest(".check")) this.select(this.table.itemOf(row).id, !this.selection.has(this.table.itemOf(row).id));
            else hooks.open(this.table.itemOf(row).id, false);
        });
        this.element.addEventListener("keydown", (event) => {
            const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
            if (!by || event.ctrlKey || event.metaKey || event.altKey || /** @type {Element} */ (event.target).closest("[aria-haspopup]")) return;
            event.preventDefault();
            this.move(by);
        });
    }

    /** @param {TaskRow} task @returns {import("./menu.js").MenuItem[]} */
    menu(task) {
        const items = [{ title: "Open", icon: "more", key: "↵", act: () => this.hooks.open(task.id, true) }];
        items.push({ title: "Copy the id", icon: "copy", key: "y", act: () => void copy(task.id, "id") });
        if (!mayWrite()) return items;
        for (const action of actionsOf[this.state]) {
            items.push({ title: actionTexts[action].title, icon: action, key: actionTexts[action].key, act: () => this.hooks.act(action, [task]), ...(action === "delete" ? { danger: true } : {}) });
        }
        items.push({ title: "Edit and enqueue again…", icon: "edit", key: "e", act: () => this.hooks.edit(task) });
        return items;
    }

    /** @param {TaskRow[]} items */
    show(items) {
        this.items = items;
        this.draw();
    }

    get shown() {
        return this.items.filter((task) => !this.leaving.has(task.id));
    }

    draw() {
        const row = this.focused;
        const index = row ? this.rows.indexOf(row) : -1;
        this.table.show(this.shown);
        if (index >= 0 && !row?.isConnected) {
            const next = this.rows[Math.min(index, this.rows.length - 1)];
            if (next) next.querySelector("a")?.focus();
            else document.getElementById("main")?.focus();
        }
        this.mark();
    }

    mark() {
        let here = 0;
        for (const row of this.rows) {
            const { id } = this.table.itemOf(row);
            const selected = this.selection.has(id);
            if (selected) here++;
            row.classList.toggle("selected", selected);
            row.classList.toggle("opened", id === this.opened);
            const box = row.querySelector("input");
            if (box) box.checked = selected;
            const link = row.querySelector("a");
            if (id === this.opened) link?.setAttribute("aria-current", "true");
            else link?.removeAttribute("aria-current");
        }
        this.all.checked = here > 0 && here === this.rows.length;
        this.all.indeterminate = here > 0 && here < this.rows.length;
    }

    /** @param {string} id @param {boolean} on */
    select(id, on) {
        if (on) this.selection.add(id);
        else this.selection.delete(id);
        this.mark();
        this.hooks.selected();
    }

    /** @param {boolean} on */
    selectPage(on) {
        for (const { id } of this.shown) {
            if (on) this.selection.add(id);
            else this.selection.delete(id);
        }
        this.mark();
        this.hooks.selected();
    }

    get rows() {
        return /** @type {HTMLElement[]} */ ([...this.table.body.children]);
    }

    /** The row in which the focus is. */
    get focused() {
        return this.rows.find((row) => row.contains(document.activeElement)) ?? null;
    }

    /**
     * The task that keys act on: the one with the focus, else the one in the panel.
     * @returns {TaskRow|null}
     */
    get current() {
        const row = this.focused ?? this.rows.find((row) => this.table.itemOf(row).id === this.opened);
        return row ? this.table.itemOf(row) : null;
    }

    /** @param {number} by */
    move(by) {
        const rows = this.rows;
        const current = this.current;
        const at = rows.findIndex((row) => this.table.itemOf(row).id === current?.id);
        const row = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.max(0, Math.min(rows.length - 1, at + by))];
        row?.querySelector("a")?.focus();
        row?.scrollIntoView({ block: "nearest" });
        if (row && this.opened !== "") this.hooks.open(this.table.itemOf(row).id, false);
    }

    /** @param {string} id */
    focus(id) {
        const row = this.rows.find((row) => this.table.itemOf(row).id === id) ?? this.rows[0];
        if (row) row.querySelector("a")?.focus();
        else document.getElementById("main")?.focus();
    }
}
