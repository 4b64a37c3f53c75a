import { api, APIError, isAbort, messageOf } from "../api.js";
import { data, fill, h, icon } from "../dom.js";
import { actionsOf, actionTexts, bytes, decode, duration, prettyJSON } from "../format.js";
import { moment } from "../times.js";
import { mayWrite, snapshotOf, subscribe } from "../store.js";
import { editDialog } from "./enqueue.js";
import { stateTag } from "./states.js";

/** @typedef {import("../types.js").TaskDetail} TaskDetail @typedef {import("../types.js").Action} Action */

/**
 * The task in full, beside the list.
 * @param {{queue: string, close: () => void, act: (action: Action, task: TaskDetail) => void, follow: (task: TaskDetail) => void}} options
 */
export function taskPanel(options) {
    const title = h("h2", { class: "panel-title", tabIndex: -1, id: "panel-title" });
    const body = h("div", { class: "panel-body" });
    const buttons = h("div", { class: "panel-actions" });
    const element = h("section", { class: "panel", "aria-labelledby": "panel-title", hidden: true },
        h("header", { class: "panel-head" }, title, h("button", { type: "button", class: "quiet square", "aria-label": "Close the task", title: "Close (Esc)", onclick: () => options.close() }, icon("close"))),
        buttons, body);
    let id = "";
    let seen = "";
    /** @type {TaskDetail|null} */
    let task = null;
    /** @type {AbortController|null} */
    let request = null;
    let last = 0;
    /** @type {number|undefined} */
    let timer;

    async function load() {
        request?.abort();
        const mine = (request = new AbortController());
        last = Date.now();
        try {
            const loaded = await api.task(options.queue, id, mine.signal);
            if (mine === request) show(loaded);
        } catch (error) {
            if (isAbort(error) || mine !== request) return;
            if (error instanceof APIError && error.status === 404) gone();
            else note(messageOf(error));
        }
    }

    /** @param {string} text */
    function note(text) {
        seen = "";
        fill(body, h("p", { class: "error-text", role: "alert" }, text), h("button", { type: "button", onclick: () => void load() }, "Read it again"));
    }

    function gone() {
        if (seen === "gone") return;
        const before = task?.state;
        seen = "gone";
        fill(buttons);
        const finished = before === "active" || before === "pending";
        fill(title, finished ? "This task has left the queue" : "There is no such task");
        fill(body, h("p", { role: "status" }, finished
            ? "It has succeeded, and has no retention: such tasks are not kept. Had it failed, it would stand under retry or archived."
            : "It has been deleted, or has succeeded and was not kept."), h("p", { class: "mono" }, data(id)));
    }

    /** @param {TaskDetail} loaded */
    function show(loaded) {
        const text = JSON.stringify(loaded);
        if (text === seen) return;
        seen = text;
        task = loaded;
        const focused = element.contains(document.activeElement) ? document.activeElement?.getAttribute("data-name") : null;
        const scroll = body.scrollTop;
        fill(title, stateTag(loaded.state), data(loaded.type, "name"));
        fill(buttons, mayWrite() ? [
            ...(loaded.actions ?? actionsOf[loaded.state]).map((action) => h("button", {
                type: "button", "data-name": action, class: action === "delete" ? "danger-text" : null, title: `${actionTexts[action].title} (${actionTexts[action].key})`,
                onclick: () => task && options.act(action, task),
            }, icon(action), actionTexts[action].title)),
            h("button", { type: "button", "data-name": "edit", class: "primary", title: "Edit the payload and enqueue it again (e)", onclick: edit }, icon("edit"), "Edit and enqueue again"),
        ] : null);
        fill(body, details(loaded));
        body.scrollTop = scroll;
        if (focused) {
            const again = element.querySelector(`[data-name="${focused}"]`) ?? title;
            if (again instanceof HTMLElement) again.focus();
        }
    }

    function edit() {
        if (task && mayWrite()) editDialog(task, options.follow);
    }

    /** @returns {string} changes whenever a task of the queue may have moved */
    const version = () => {
        const { timestamp, latency_msec, display_latency, memory_usage_bytes, ...counts } = snapshotOf(options.queue) ?? /** @type {any} */ ({});
        return JSON.stringify(counts);
    };
    let known = version();
    const unsubscribe = subscribe(() => {
        const now = version();
        if (now === known || id === "") return;
        known = now;
        clearTimeout(timer);
        timer = window.setTimeout(() => id !== "" && seen !== "gone" && void load(), Math.max(0, 1000 - (Date.now() - last)));
    });

    return {
        element,
        /** @param {string} wanted @param {boolean} [focus] */
        open(wanted, focus) {
            if (wanted !== id) {
                id = wanted;
                seen = "";
                task = null;
                fill(title, data(wanted, "mono"));
                fill(buttons);
                fill(body, h("p", { class: "dim" }, "Reading…"));
                void load();
            }
            element.hidden = false;
            if (focus) title.focus();
        },
        close() {
            request?.abort();
            clearTimeout(timer);
            id = "";
            element.hidden = true;
        },
        edit,
        reload: () => void (id !== "" && load()),
        get id() {
            return id;
        },
        get task() {
            return element.hidden ? null : task;
        },
        end() {
            unsubscribe();
            request?.abort();
            clearTimeout(timer);
        },
    };
}

/** @param {string} name @param {Node|string|null} value */
const fact = (name, value) => (value === null || value === "" ? [] : [h("dt", null, name), h("dd", null, value)]);

/** @param {string} title @param {string} text @param {string|undefined} base64 */
function block(title, text, base64) {
    const exact = base64 === undefined ? text : decode(base64);
    const size = base64 === undefined ? null : Math.max(0, (base64.length * 3) / 4 - (base64.match(/=+$/)?.[0]?.length ?? 0));
    const pretty = exact === null ? null : prettyJSON(exact);
    return h("section", { class: "block" },
        h("h3", null, title, h("span", { class: "dim" }, ` ${pretty !== null ? "JSON" : exact === null ? "bytes that are not text" : "text"}${size === null ? "" : `, ${bytes(size)}`}`)),
        h("pre", { class: "text", tabIndex: 0, role: "region", "aria-label": title, dir: "auto" }, pretty ?? exact ?? text));
}

/** @param {TaskDetail} task */
function details(task) {
    const headers = Object.entries(task.headers ?? {});
    return [
        task.error_message !== "" && h("section", { class: "block failure" }, h("h3", null, "Error"),
            h("pre", { class: "text wrap", tabIndex: 0, role: "region", "aria-label": "Error", dir: "auto" }, task.error_message)),
        block("Payload", task.payload, task.payload_base64),
        task.result !== "" && block("Result", task.result, task.result_base64),
        h("section", { class: "block" }, h("h3", null, "Facts"), h("dl", { class: "facts" },
            ...fact("Id", data(task.id, "mono")),
            ...fact("Queue", data(task.queue)),
            ...fact("Group", task.group ? data(task.group) : null),
            ...fact("Retries", `${task.retried} of at most ${task.max_retry}`),
            ...fact("Last failed", task.last_failed_at ? moment(task.last_failed_at) : null),
            ...fact("Next attempt", task.next_process_at && task.state !== "pending" ? moment(task.next_process_at) : null),
            ...fact("Started", task.start_time && task.start_time !== "-" ? moment(task.start_time) : null),
            ...fact("Orphaned", task.is_orphaned ? "Yes: its server is gone; another one takes it up again" : null),
            ...fact("Completed", task.completed_at ? moment(task.completed_at) : null),
            ...fact("Kept for", task.state === "completed" && task.ttl_seconds > 0 ? duration(task.ttl_seconds) : null),
            ...fact("Time-out", task.timeout_seconds > 0 ? duration(task.timeout_seconds) : "none"),
            ...fact("Deadline", task.deadline ? moment(task.deadline) : null))),
        headers.length > 0 && h("section", { class: "block" }, h("h3", null, "Headers"),
            h("dl", { class: "facts" }, headers.map(([name, value]) => [h("dt", null, data(name)), h("dd", null, data(value, "mono"))]).flat())),
    ];
}
