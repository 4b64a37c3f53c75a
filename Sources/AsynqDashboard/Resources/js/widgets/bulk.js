import { announce, data, fill, h } from "../dom.js";
import { actionTexts, count, plural } from "../format.js";
import { api, messageOf } from "../api.js";
import { openDialog } from "./dialog.js";
import { ofEach } from "./taskactions.js";
import { fail, toast } from "./toast.js";

/** @typedef {import("../types.js").Filter} Filter @typedef {import("../types.js").BulkJob} BulkJob */

/** @param {number} milliseconds */
const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * What a filter says, in words.
 * @param {Filter} filter
 */
export function describe(filter) {
    const parts = [];
    if (filter.id) parts.push(`id contains “${filter.id}”`);
    if (filter.type) parts.push(`type “${filter.type}”`);
    if (filter.text) parts.push(`text “${filter.text}”`);
    if (filter.error !== undefined) parts.push(filter.error === "" ? "without an error" : `error “${filter.error}”`);
    if (filter.older_than) parts.push(`older than ${filter.older_than / 3600} h`);
    if (filter.newer_than) parts.push(`newer than ${filter.newer_than / 3600} h`);
    return parts.join(", ");
}

/** @param {HTMLElement} parent @param {string} label */
function progress(parent, label) {
    const bar = h("progress", { max: 1, "aria-label": label });
    const text = h("p", { class: "progress-text", role: "status" });
    fill(parent, bar, text);
    return {
        /** @param {number} part @param {number} whole @param {string} words */
        show(part, whole, words) {
            bar.max = Math.max(1, whole);
            bar.value = part;
            text.textContent = words;
        },
    };
}

/**
 * Does something to all tasks that match: counts them first, asks, and shows how far it is. It goes on when the dialog is closed.
 * @param {{queue: string, state: import("../types.js").State, group?: string, filter: Filter, action: import("../types.js").Action, done: () => void}} job
 */
export function bulkDialog(job) {
    const texts = actionTexts[job.action];
    const what = describe(job.filter);
    const body = h("div", { class: "bulk" });
    const foot = h("div", { class: "dialog-foot" });
    let open = true;
    /** The job that runs at the server. */
    let running = "";
    let acting = false;
    const stop = async () => {
        if (running === "") return;
        try {
            await api.stopBulk(running);
        } catch (error) {
            fail("Could not stop it", error);
        }
    };
    const dialog = openDialog(`${texts.title} all that match`, () => [
        h("p", null, "Tasks that are ", h("b", null, job.state), " in ", data(job.queue, "name"), job.group ? [", group ", data(job.group, "name")] : null, what ? [": ", data(what)] : null, "."),
        body, foot,
    ], {
        closed: () => {
            open = false;
            if (!acting) void stop();
        },
    });

    /** @param {string} action @param {(state: BulkJob) => void} show @returns {Promise<BulkJob>} */
    async function follow(action, show) {
        const { id } = await api.bulk(job.queue, { action, state: job.state, group: job.group || undefined, filter: job.filter });
        running = id;
        for (let delay = 60; ; delay = Math.min(400, delay * 1.4)) {
            const state = await api.bulkJob(id);
            show(state);
            if (state.finished || state.stopped) {
                running = "";
                return state;
            }
            await wait(delay);
        }
    }

    const close = () => dialog.close();
    const closeButton = () => h("button", { type: "button", "data-first": true, onclick: close }, "Close");
    /** @param {unknown} error */
    const failed = (error) => {
        running = "";
        if (!open) {
            fail(`${texts.title} all that match`, error);
            return;
        }
        fill(body, h("p", { class: "error-text", role: "alert" }, messageOf(error)));
        fill(foot, closeButton());
        foot.querySelector("button")?.focus();
    };

    async function preview() {
        const shown = progress(body, "Counting");
        fill(foot, h("button", { type: "button", onclick: close }, "Stop counting"));
        foot.querySelector("button")?.focus();
        const state = await follow("preview", (state) => shown.show(state.scanned, state.total, `Counting: ${count(state.scanned)} of ${count(state.total)} read, ${count(state.matched)} match`));
        if (!open) return;
        if (state.error) {
            failed(new Error(state.error));
        } else if (state.matched === 0) {
            fill(body, h("p", null, "No task matches any more."));
            fill(foot, closeButton());
            foot.querySelector("button")?.focus();
        } else {
            fill(body, h("p", { class: "big" }, h("b", null, count(state.matched)), state.matched === 1 ? " task matches." : " tasks match."), h("p", { class: "dim" }, ofEach(texts.explain)));
            const yes = h("button", { type: "button", class: job.action === "delete" ? "danger" : "primary", onclick: () => void act(state.matched).catch(failed) }, `${texts.title} ${plural(state.matched, "task")}`);
            const no = h("button", { type: "button", onclick: close }, "Keep as it is");
            fill(foot, no, yes);
            (job.action === "delete" ? no : yes).focus();
            announce(`${plural(state.matched, "task")} match`);
        }
    }

    /** @param {number} expected */
    async function act(expected) {
        acting = true;
        const shown = progress(body, texts.title);
        const stopButton = h("button", { type: "button", class: "danger", onclick: () => void stop() }, "Stop");
        fill(foot, h("button", { type: "button", onclick: close }, "Go on in the background"), stopButton);
        stopButton.focus();
        const state = await follow(job.action, (state) => shown.show(state.done + state.failed, Math.max(expected, state.matched),
            `${count(state.done)} of ${count(Math.max(expected, state.matched))} ${texts.done}${state.failed > 0 ? `, ${count(state.failed)} could not be` : ""}`));
        job.done();
        const rest = state.failed > 0 ? ` ${count(state.failed)} could not be: they have moved on, or are being worked on.` : "";
        const words = `${plural(state.done, "task")} ${texts.done}${state.stopped ? ", then stopped" : ""}.${rest}`;
        if (state.error) {
            failed(new Error(`${state.error} ${words}`));
        } else if (open) {
            fill(body, h("p", { class: "big" }, words));
            fill(foot, closeButton());
            foot.querySelector("button")?.focus();
            announce(words);
        } else {
            toast(words);
        }
    }
    preview().catch(failed);
}
