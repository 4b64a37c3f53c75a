import { actionTexts } from "../format.js";
import { mayWrite } from "../store.js";
import { copy } from "../widgets/toast.js";

/** @typedef {import("../types.js").Action} Action */

/**
 * The keys of the page of a queue.
 * @param {import("./queue.js").QueuePage} page @returns {import("../keys.js").Binding[]}
 */
export function queueKeys(page) {
    const select = () => {
        const task = page.table.current;
        if (task) page.table.select(task.id, !page.table.selection.has(task.id));
    };
    const edit = () => {
        const task = page.table.current;
        if (page.panel.task && !page.table.focused) page.panel.edit();
        else if (task) void page.edit(task);
    };
    const reading = [
        { keys: "j", title: "Next task", group: "Move", act: () => page.step(1) },
        { keys: "k", title: "Previous task", group: "Move", act: () => page.step(-1) },
        { keys: "l", title: "Next state", group: "Move", act: () => page.turnState(1) },
        { keys: "h", title: "Previous state", group: "Move", act: () => page.turnState(-1) },
        { keys: "n", title: "Next page", group: "Move", act: () => page.foot.turn(1) },
        { keys: "b", title: "Previous page", group: "Move", act: () => page.foot.turn(-1) },
        { keys: "/", title: "Search", group: "Move", act: () => page.filter.focus() },
        { keys: "v", title: "Errors by message", group: "Move", act: () => page.canGroup && page.showErrors(!page.byError) },
        { keys: "Escape", title: "Back", group: "Move", act: () => page.back() },
        { keys: "Enter", title: "Open the task", group: "Tasks", act: () => page.table.current && page.openTask(page.table.current.id, true) },
        { keys: "y", title: "Copy the id", group: "Tasks", act: () => page.table.current && void copy(page.table.current.id, "id") },
    ];
    if (!mayWrite()) return reading;
    return [
        ...reading,
        { keys: "x", title: "Select", group: "Tasks", act: select },
        { keys: "X", title: "Select all on this page", group: "Tasks", act: () => page.table.selectPage(!page.table.all.checked) },
        { keys: "A", title: "All that match", group: "Tasks", act: () => page.selectMatching() },
        ...(/** @type {Action[]} */ (["run", "archive", "delete", "cancel"])).map((action) => ({
            keys: actionTexts[action].key, title: `${actionTexts[action].title} what is selected`, group: "Tasks", act: () => page.actByKey(action),
        })),
        { keys: "e", title: "Edit the payload and enqueue again", group: "Tasks", act: edit },
        { keys: "N", title: "Enqueue a task", group: "Queue", act: () => page.enqueue() },
        { keys: "P", title: "Pause or resume the queue", group: "Queue", act: () => void page.togglePaused() },
    ];
}
