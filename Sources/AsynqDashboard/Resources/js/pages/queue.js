import { api } from "../api.js";
import { announce, fill, h } from "../dom.js";
import { count, states } from "../format.js";
import { bind } from "../keys.js";
import { go, here, href } from "../router.js";
import { onSettings, settings } from "../settings.js";
import { mayWrite, snapshotOf, subscribe } from "../store.js";
import { bulkDialog, describe } from "../widgets/bulk.js";
import { bulkBar } from "../widgets/bulkbar.js";
import { chooseAction } from "../widgets/choose.js";
import { editDialog, enqueueDialog } from "../widgets/enqueue.js";
import { errorList } from "../widgets/errorlist.js";
import { filterBar, filterOf, isEmpty } from "../widgets/filterbar.js";
import { emptyList, listFoot, troubleView } from "../widgets/listfoot.js";
import { deleteQueue, setPaused } from "../widgets/queueactions.js";
import { queueHead } from "../widgets/queuehead.js";
import { Refresher } from "../widgets/refresher.js";
import { actOnTasks } from "../widgets/taskactions.js";
import { taskPanel } from "../widgets/taskpanel.js";
import { TaskSource } from "../widgets/tasksource.js";
import { TaskTable } from "../widgets/tasktable.js";
import { fail, toast } from "../widgets/toast.js";
import { queueKeys } from "./queuekeys.js";

/** @typedef {import("../types.js").State} State @typedef {import("../types.js").Action} Action @typedef {import("../types.js").TaskRow} TaskRow */
/** @typedef {import("../types.js").TaskDetail} TaskDetail @typedef {import("../widgets/tasksource.js").View} View */

/** @param {import("../router.js").Place} place @returns {import("../main.js").Page} */
export const open = (place) => new QueuePage(place.parts[1] ?? "", place);

/** The tasks of a queue: its states, a list, and the task that is open beside it. */
export class QueuePage {
    /** @param {string} queue @param {import("../router.js").Place} place */
    constructor(queue, place) {
        this.queue = queue;
        this.title = queue;
        /** @type {View} */
        this.view = { state: "pending", group: "", page: 1, size: settings.pageSize, filter: {} };
        this.begun = false;
        this.byError = false;
        /** Whether an action waits for its answer. */
        this.busy = false;
        /** @type {ReturnType<typeof errorList>|null} */
        this.errors = null;
        /** @type {import("../types.js").Group[]} */
        this.groups = [];
        this.table = this.makeTable("pending");
        this.source = new TaskSource(queue, () => this.drawList());
        this.head = queueHead(queue, { pause: () => void this.togglePaused(), enqueue: () => this.enqueue(), remove: () => void this.remove() });
        this.panel = taskPanel({
            queue, close: () => this.closeTask(), act: (action, task) => void this.act(action, [task], task.state, task.group),
            follow: (task) => this.follow(task),
        });
        this.filter = filterBar((filter) => this.change({ filter, page: 1 }));
        this.foot = listFoot({
            change: (changes) => this.change(changes), goOn: () => void this.source.goOn(this.view), all: () => this.selectMatching(),
            stop: () => { this.source.stop(); this.drawList(); },
        });
        this.groupSelect = h("select", { "aria-label": "Group", onchange: () => this.change({ group: this.groupSelect.value, page: 1 }) });
        this.groupField = h("div", { class: "group-field", hidden: true }, this.groupSelect);
        this.errorButton = h("button", { type: "button", "aria-pressed": "false", title: "Group by error message (v)", onclick: () => this.showErrors(!this.byError) }, "By error");
        this.bulk = bulkBar({ act: (action) => void this.actOnSelection(action), all: () => this.selectMatching(), clear: () => this.clearSelection() });
        this.list = h("div", { class: "list" });
        this.refresher = new Refresher(this.list, {
            version: () => this.versionNow(), wanted: () => !this.byError && isEmpty(this.view.filter), free: () => !this.busy && !this.source.loading,
            read: () => void (this.view.state === "aggregating" ? this.readGroups() : this.reload(true)),
        });
        this.split = h("div", { class: "split" }, h("div", { class: "list-side" }, this.bulk.element, this.list, this.foot.element), this.panel.element);
        this.element = h("div", { class: "page queue-page" }, this.head.elements,
            h("div", { class: "tools" }, this.groupField, this.filter.element, this.errorButton), this.split);
        this.move(place);
        const ends = [subscribe(() => { this.drawHead(); this.refresher.changed(); }), onSettings(() => this.table.draw()), bind(queueKeys(this))];
        this.end = () => {
            for (const end of [...ends, () => this.errors?.end()]) end();
            for (const part of [this.source, this.panel, this.refresher]) part.end();
        };
    }

    /** @param {State} state */
    makeTable(state) {
        return new TaskTable(state, this.queue, {
            open: (id, focus) => this.openTask(id, focus),
            act: (action, tasks) => void this.act(action, tasks, this.view.state, this.view.group),
            edit: (task) => void this.edit(task),
            selected: () => this.drawBulkBar(),
        });
    }

    // Where it is

    /** @param {import("../router.js").Place} place */
    move(place) {
        const [, queue, kind, task] = place.parts;
        if (queue !== this.queue) return false;
        const wanted = place.query.get("state");
        const open = kind === "tasks" ? task ?? "" : "";
        const state = states.find((state) => state === wanted) ?? (open === "" ? this.firstState() : null);
        if (state === null) {
            // A link that names only the task: its list is that of the state it is in.
            api.task(this.queue, open).then((found) => found.state, () => this.firstState())
                .then((state) => go(href(place.parts, { state }), { replace: true }));
            this.openPanel(open, false);
            return true;
        }
        const byError = place.query.get("by") === "error";
        const page = Math.max(1, Math.floor(Number(place.query.get("page"))) || 1);
        const group = place.query.get("group") ?? (state === this.view.state ? this.view.group : "");
        /** @type {View} */
        const next = { state, group, page, size: settings.pageSize, filter: filterOf(place.query) };
        if (!this.begun || byError !== this.byError || JSON.stringify(next) !== JSON.stringify(this.view)) this.showView(next, byError);
        if (open !== "") this.openPanel(open, false);
        else this.hidePanel();
        return true;
    }

    /** @returns {State} the first state in which there is a task */
    firstState() {
        const snapshot = snapshotOf(this.queue);
        return (snapshot && states.find((state) => snapshot[state] > 0)) ?? "pending";
    }

    get canGroup() {
        return this.view.state === "retry" || this.view.state === "archived";
    }

    /** @param {View} view @param {boolean} byError */
    showView(view, byError) {
        if (!this.begun || view.state !== this.view.state || view.group !== this.view.group) {
            this.begun = true;
            this.table = this.makeTable(view.state);
            this.source.tasks = [];
            this.source.loaded = false;
        }
        this.view = view;
        this.byError = byError && this.canGroup;
        this.filter.show(view.filter, view.state);
        this.foot.clear();
        this.drawHead();
        this.drawBulkBar();
        if (this.byError) this.showErrors(true);
        else if (view.state === "aggregating") void this.readGroups();
        else void this.reload(false);
    }

    /** @param {Partial<View>} changes */
    change(changes) {
        this.showView({ ...this.view, ...changes }, false);
        go(this.address(this.panel.id), { silent: true });
    }

    /** @param {string} task the open one, or none */
    address(task) {
        const { state, group, page, filter } = this.view;
        return href(task === "" ? ["queues", this.queue] : ["queues", this.queue, "tasks", task], {
            state, group: state === "aggregating" ? group : null, page: page > 1 ? page : null, by: this.byError ? "error" : null, ...filter,
        });
    }

    /** @param {number} by */
    turnState(by) {
        const next = states[(states.indexOf(this.view.state) + by + states.length) % states.length];
        if (next) go(href(["queues", this.queue], { state: next }));
    }

    /** Escape: from the innermost to the outermost. */
    back() {
        if (this.panel.id !== "") this.closeTask();
        else if (this.table.selection.size > 0) this.clearSelection();
        else if (this.byError) this.showErrors(false);
        else if (!isEmpty(this.view.filter)) this.change({ filter: {}, page: 1 });
        else go(href([]));
    }

    /** @param {number} by */
    step(by) {
        if (this.byError) this.errors?.step(by);
        else this.table.move(by);
    }

    // What it shows

    async readGroups() {
        try {
            this.groups = (await api.groups(this.queue)).groups ?? [];
        } catch (error) {
            fail("Could not read the groups", error);
        }
        if (this.view.state !== "aggregating") return;
        if (this.view.group === "") this.view.group = this.groups[0]?.group ?? "";
        fill(this.groupSelect, this.groups.map((group) => h("option", { value: group.group, selected: group.group === this.view.group }, `${group.group} (${count(group.size)})`)));
        if (this.view.group !== "") {
            await this.reload(false);
        } else {
            this.source.tasks = [];
            this.source.loaded = true;
            this.drawList();
        }
    }

    /** @param {boolean} quiet whether what is shown stays until the new is there */
    async reload(quiet) {
        this.refresher.reading();
        this.errors?.end();
        this.errors = null;
        const { table } = this;
        const leaving = this.busy ? [] : [...table.leaving];
        await this.source.load(this.view, quiet);
        // What was on its way out when this was asked for is gone by now, or has stayed.
        for (const id of leaving) table.leaving.delete(id);
        if (leaving.length > 0) this.drawList();
    }

    /** Changes when the list of this state may have changed. */
    versionNow() {
        const snapshot = snapshotOf(this.queue);
        return snapshot ? `${snapshot[this.view.state]} ${snapshot.processed} ${snapshot.failed}` : "";
    }

    drawHead() {
        this.head.draw(this.view.state);
        this.groupField.hidden = this.view.state !== "aggregating" || this.groups.length === 0;
        this.errorButton.hidden = !this.canGroup;
        this.errorButton.setAttribute("aria-pressed", String(this.byError));
    }

    drawList() {
        const { source, table, list, view } = this;
        if (this.byError) return;
        list.setAttribute("aria-busy", String(source.loading));
        table.show(source.tasks);
        const none = source.loaded && !source.loading && table.shown.length === 0;
        const vacant = snapshotOf(this.queue)?.size === 0;
        const part = source.error ? troubleView(source, () => void this.reload(false)) : none ? emptyList(this.queue, view, source, vacant, (changes) => this.change(changes)) : table.element;
        if (source.error || none || list.firstElementChild !== part) list.replaceChildren(part);
        if (!isEmpty(view.filter)) {
            this.foot.scan(source);
            return;
        }
        const snapshot = snapshotOf(this.queue) ?? source.stats;
        const total = view.state === "aggregating" ? this.groups.find((group) => group.group === view.group)?.size ?? 0 : snapshot?.[view.state] ?? 0;
        this.foot.pages(view, Math.max(total, source.tasks.length));
    }

    /** @param {boolean} on */
    showErrors(on) {
        this.errors?.end();
        this.errors = null;
        this.byError = on;
        if (!on) {
            this.change({ filter: {}, page: 1 });
            return;
        }
        this.source.stop();
        this.hidePanel();
        this.clearSelection();
        this.errors = errorList(this.queue, this.view.state, (message) => {
            this.change({ filter: { error: message }, page: 1 });
            document.getElementById("main")?.focus();
        });
        this.list.replaceChildren(this.errors.element);
        this.foot.clear();
        this.drawHead();
        go(this.address(""), { silent: true, replace: here().query.get("by") === "error" });
    }

    // The selection

    drawBulkBar() {
        this.bulk.show(this.view.state, this.byError ? 0 : this.table.selection.size);
    }

    clearSelection() {
        this.table.selection.clear();
        this.table.mark();
        this.drawBulkBar();
    }

    /** Asks what to do to all that match, which only the server can count. */
    selectMatching() {
        if (!mayWrite() || this.byError) return;
        const { state, group, filter } = this.view;
        chooseAction(state, describe(filter), (action) => bulkDialog({
            queue: this.queue, state, group: state === "aggregating" ? group : undefined, filter, action,
            done: () => {
                this.clearSelection();
                void this.reload(true);
            },
        }));
    }

    // Actions

    /** @param {Action} action */
    async actOnSelection(action) {
        const known = new Map(this.source.tasks.map((task) => [task.id, task]));
        const tasks = [...this.table.selection].map((id) => known.get(id) ?? /** @type {TaskRow} */ ({ id, type: "" }));
        await this.act(action, tasks, this.view.state, this.view.group);
    }

    /** @param {Action} action */
    actByKey(action) {
        const { task } = this.panel;
        const row = this.table.current;
        if (this.byError) return;
        if (this.table.selection.size > 0) void this.actOnSelection(action);
        else if (task && (!this.table.focused || !row)) void this.act(action, [task], task.state, task.group);
        else if (row) void this.act(action, [row], this.view.state, this.view.group);
    }

    /** @param {Action} action @param {(TaskRow|TaskDetail)[]} tasks @param {State} state @param {string|undefined} group */
    async act(action, tasks, state, group) {
        const { table } = this;
        await actOnTasks({ queue: this.queue, action, tasks, state, group }, {
            leave: (ids) => {
                this.busy = true;
                for (const id of ids) table.leaving.add(id);
                this.drawList();
            },
            stay: (ids) => {
                this.busy = false;
                for (const id of ids) table.leaving.delete(id);
                for (const { id } of tasks) if (!ids.includes(id)) table.selection.delete(id);
                this.drawBulkBar();
                this.panel.reload();
                void this.reload(true);
            },
        });
    }

    /** @param {TaskRow} task */
    async edit(task) {
        try {
            editDialog(await api.task(this.queue, task.id), (created) => this.follow(created));
        } catch (error) {
            fail("Could not read the task", error);
        }
    }

    /**
     * Shows a task that has just been made.
     * @param {TaskDetail} task
     */
    follow(task) {
        announce(`Enqueued as ${task.id}`);
        if (task.queue === this.queue) {
            this.openTask(task.id, true);
            if (!this.byError) void this.reload(true);
        }
        toast("Enqueued", task.queue === this.queue ? {} : { link: { title: "Show it", act: () => go(href(["queues", task.queue, "tasks", task.id])) } });
    }

    enqueue() {
        if (mayWrite()) enqueueDialog(this.queue, (task) => this.follow(task));
    }

    async togglePaused() {
        const snapshot = snapshotOf(this.queue);
        if (snapshot && mayWrite()) await setPaused(snapshot, !snapshot.paused);
    }

    async remove() {
        const snapshot = snapshotOf(this.queue);
        if (snapshot && await deleteQueue(snapshot)) go(href([]));
    }

    // The open task

    /** @param {string} id @param {boolean} focus */
    openTask(id, focus) {
        const was = this.panel.id;
        this.openPanel(id, focus);
        go(this.address(id), { silent: true, replace: was !== "" });
    }

    /** @param {string} id @param {boolean} focus */
    openPanel(id, focus) {
        this.split.classList.add("open");
        this.panel.open(id, focus);
        this.table.opened = id;
        this.table.mark();
    }

    hidePanel() {
        this.split.classList.remove("open");
        this.panel.close();
        this.table.opened = "";
        this.table.mark();
    }

    closeTask() {
        const { id } = this.panel;
        this.hidePanel();
        go(this.address(""), { silent: true, replace: true });
        this.table.focus(id);
    }
}
