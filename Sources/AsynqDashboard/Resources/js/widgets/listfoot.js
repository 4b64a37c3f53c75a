import { fill, h } from "../dom.js";
import { count, plural } from "../format.js";
import { href } from "../router.js";
import { change, settings } from "../settings.js";
import { mayWrite } from "../store.js";
import { describe } from "./bulk.js";
import { isEmpty } from "./filterbar.js";
import { code, empty } from "./table.js";

/** @typedef {import("./tasksource.js").View} View @typedef {import("./tasksource.js").TaskSource} TaskSource */

const sizes = [20, 50, 100, 200];

/**
 * What stands below a list: its pages, or how far a search has come.
 * @param {{change: (changes: Partial<View>) => void, stop: () => void, goOn: () => void, all: () => void}} acts
 */
export function listFoot(acts) {
    const element = h("div", { class: "list-foot" });
    let shown = "";

    /**
     * Draws anew, and keeps the focus on the control of the same name.
     * @param {(import("../dom.js").Child)[]} parts
     */
    function draw(parts) {
        const focused = element.contains(document.activeElement) ? document.activeElement?.getAttribute("data-name") : null;
        fill(element, parts);
        if (!focused) return;
        const again = element.querySelector(`[data-name="${focused}"]:not(:disabled)`) ?? element.querySelector("button:not(:disabled)");
        if (again instanceof HTMLElement) again.focus();
    }

    return {
        element,
        clear() {
            shown = "";
            fill(element);
        },
        /** @param {TaskSource} source */
        scan(source) {
            shown = "";
            const ended = source.cursor === null && !source.loading;
            draw([
                h("progress", { max: Math.max(1, source.total), value: ended ? Math.max(1, source.total) : source.scanned, "aria-label": "Searched" }),
                h("span", { role: "status" }, source.progress),
                source.loading ? h("button", { type: "button", "data-name": "scan", onclick: acts.stop }, "Stop")
                    : source.cursor !== null && h("button", { type: "button", class: "primary", "data-name": "scan", onclick: acts.goOn }, "Go on"),
                h("span", { class: "grow" }),
                mayWrite() && !source.loading && (source.tasks.length > 0 || source.cursor !== null)
                    && h("button", { type: "button", "data-name": "all", title: "Act on all that match (A)", onclick: acts.all }, "All that match…"),
            ]);
        },
        /** @param {View} view @param {number} total */
        pages(view, total) {
            const { page, size } = view;
            const pages = Math.max(1, Math.ceil(total / size));
            const key = JSON.stringify([page, size, total]);
            if (shown === key) return;
            shown = key;
            draw([
                h("nav", { class: "pager", "aria-label": "Pages of tasks" },
                    h("button", { type: "button", "data-name": "previous", disabled: page <= 1, title: "Previous page (b)", onclick: () => acts.change({ page: page - 1 }) }, "Previous"),
                    h("span", null, `Page ${count(page)} of ${count(pages)}`),
                    h("button", { type: "button", "data-name": "next", disabled: page >= pages, title: "Next page (n)", onclick: () => acts.change({ page: page + 1 }) }, "Next")),
                h("span", { class: "dim" }, plural(total, "task")), h("span", { class: "grow" }),
                h("label", null, "Rows ", h("select", {
                    "data-name": "size",
                    onchange: (/** @type {Event} */ event) => {
                        change({ pageSize: Number(/** @type {HTMLSelectElement} */ (event.target).value) });
                        acts.change({ size: settings.pageSize, page: 1 });
                    },
                }, sizes.map((value) => h("option", { value, selected: value === size }, String(value))))),
            ]);
        },
        /** @param {number} by */
        turn(by) {
            const button = element.querySelector(`[data-name="${by > 0 ? "next" : "previous"}"]`);
            if (button instanceof HTMLButtonElement && !button.disabled) button.click();
        },
    };
}

const nothing = {
    active: "No server is working on a task of this queue now.", pending: "All that was enqueued has been taken up.",
    aggregating: "No task waits for others of its group.", scheduled: "No task waits for its time.", retry: "No task waits for another attempt.",
    archived: "No task has used up its attempts, and none was archived by hand.", completed: "Tasks stay here after success when they are enqueued with a retention.",
};

/**
 * What stands in place of a list without tasks.
 * @param {string} queue @param {View} view @param {TaskSource} source @param {boolean} vacant whether the queue holds no task at all @param {(changes: Partial<View>) => void} change
 */
export function emptyList(queue, view, source, vacant, change) {
    if (!isEmpty(view.filter)) {
        if (source.cursor !== null) return empty("Nothing found so far", h("p", null, "Go on with the search, below."));
        return empty("No task matches", h("p", null, describe(view.filter)), h("button", { type: "button", onclick: () => change({ filter: {}, page: 1 }) }, "Clear the filter"));
    }
    if (view.page > 1) return empty("This page is empty", h("button", { type: "button", onclick: () => change({ page: 1 }) }, "Go to the first page"));
    const command = `asynq task enqueue -t email:welcome -l '{"user":42}' --queue '${queue.replace(/'/g, "'\\''")}'`;
    return empty(`No task is ${view.state}`, h("p", null, nothing[view.state]), view.state === "pending" && vacant ? code(command) : "");
}

/**
 * What stands in place of a list that could not be read.
 * @param {TaskSource} source @param {() => void} again
 */
export function troubleView(source, again) {
    if (source.status === 404) {
        return empty("There is no such queue", h("p", null, "It has been deleted, or no task has ever been put into it. ", h("a", { href: href([]) }, "Go to the queues")));
    }
    return empty("The tasks could not be read", h("p", { role: "alert" }, source.error ?? ""), h("button", { type: "button", onclick: again }, "Read them again"));
}
