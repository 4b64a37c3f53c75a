import { api } from "../api.js";
import { data, h } from "../dom.js";
import { plural } from "../format.js";
import { snapshotOf, store, update, updateQueue } from "../store.js";
import { confirm } from "./dialog.js";
import { fail, toast } from "./toast.js";

/** @typedef {import("../types.js").Snapshot} Snapshot */

/**
 * Shown as done at once, and undone when it fails.
 * @param {Snapshot} queue @param {boolean} paused
 */
export async function setPaused(queue, paused) {
    updateQueue({ ...queue, paused });
    try {
        await api.setPaused(queue.queue, paused);
        toast(paused ? `Paused ${queue.queue}: servers take no more of its tasks` : `Resumed ${queue.queue}`);
    } catch (error) {
        updateQueue({ ...(snapshotOf(queue.queue) ?? queue), paused: queue.paused });
        fail(`Could not ${paused ? "pause" : "resume"} ${queue.queue}`, error);
    }
}

/** @param {Snapshot} queue @returns {Promise<boolean>} whether it is gone */
export async function deleteQueue(queue) {
    const sure = await confirm({
        title: "Delete this queue?", text: queue.size === 0 ? "It is empty. The history of what it did goes too." : `It holds ${plural(queue.size, "task")}; only an empty queue can be deleted. Delete its tasks first.`,
        detail: h("p", { class: "named" }, data(queue.queue)), button: "Delete", danger: true,
    });
    if (!sure) return false;
    try {
        await api.deleteQueue(queue.queue);
    } catch (error) {
        fail(`Could not delete ${queue.queue}`, error);
        return false;
    }
    update({ queues: (store.queues ?? []).filter((other) => other.queue !== queue.queue) });
    toast(`Deleted ${queue.queue}`);
    return true;
}
