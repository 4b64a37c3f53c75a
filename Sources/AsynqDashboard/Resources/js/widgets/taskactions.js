import { api } from "../api.js";
import { data, h } from "../dom.js";
import { actionsOf, actionTexts, plural } from "../format.js";
import { mayWrite } from "../store.js";
import { confirm } from "./dialog.js";
import { fail, toast } from "./toast.js";

/** @typedef {import("../types.js").TaskRow} TaskRow @typedef {import("../types.js").TaskDetail} TaskDetail */

/**
 * How an explanation of one task reads for several.
 * @param {string} text
 */
export const ofEach = (text) => text.replace(/^It goes/, "Each goes").replace(/^It is/, "Each is");

/**
 * What may be done: the server says it of a task in full.
 * @param {TaskRow|TaskDetail} task @param {import("../types.js").State} state
 */
const allowed = (task, state) => ("actions" in task && task.actions) || actionsOf[state];

/**
 * Asks, shows it as done, does it, and puts back what could not be done.
 * @param {{queue: string, action: import("../types.js").Action, tasks: (TaskRow|TaskDetail)[], state: import("../types.js").State, group: string|undefined}} job
 * @param {{leave: (ids: string[]) => void, stay: (ids: string[]) => void}} list `leave` before it is known whether it can be done; `stay`, in the end, with those that are still there
 */
export async function actOnTasks(job, list) {
    const { queue, action, tasks, state, group } = job;
    const first = tasks[0];
    if (!first || !mayWrite() || !allowed(first, state).includes(action)) return;
    const texts = actionTexts[action];
    const one = tasks.length === 1;
    const ids = tasks.map((task) => task.id);
    const name = one ? `${first.type || "task"} ${first.id}` : plural(tasks.length, "task");
    const named = one ? name : ids.slice(0, 5).join("\n") + (ids.length > 5 ? `\nand ${ids.length - 5} more` : "");
    const sure = await confirm({
        title: `${texts.title} ${one ? "this task" : name}?`, text: one ? texts.explain : ofEach(texts.explain),
        detail: h("p", { class: "mono named" }, data(named)), button: texts.title, danger: action === "delete",
    });
    if (!sure) return;
    if (action !== "cancel") list.leave(ids);
    /** @type {string[]} */
    let failed = [];
    try {
        if (one) await api.act(queue, state, group, first.id, action);
        else failed = await api.actOnAll(queue, state, group, ids, action);
        if (failed.length > 0) fail(`${plural(failed.length, "task")} could not be ${action === "run" ? "run" : texts.done}`, new Error("they have left this state, or are being worked on"));
        if (failed.length < ids.length) toast(one ? `Task ${texts.done}` : `${plural(ids.length - failed.length, "task")} ${texts.done}`);
    } catch (error) {
        failed = ids;
        fail(`Could not ${action} ${name}`, error);
    }
    list.stay(action === "cancel" ? ids : failed);
}
