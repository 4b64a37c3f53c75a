/** @typedef {import("./types.js").Session} Session @typedef {import("./types.js").Snapshot} Snapshot */

/**
 * What all pages share: who looks, and the newest snapshot of the queues and servers.
 * @typedef {object} Shared
 * @property {Session|null} session
 * @property {Snapshot[]|null} queues null until the first answer
 * @property {import("./types.js").Server[]|null} servers
 * @property {"connecting"|"live"|"reconnecting"|"paused"} live
 * @property {string|null} trouble what keeps the broker from answering
 */

/** @type {Shared} */
export const store = { session: null, queues: null, servers: null, live: "connecting", trouble: null };

/** @type {Set<() => void>} */
const listeners = new Set();

/** @param {Partial<Shared>} changes */
export function update(changes) {
    Object.assign(store, changes);
    for (const listener of [...listeners]) listener();
}

/** @param {() => void} listener called after each change @returns {() => void} ends it */
export function subscribe(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
}

/** Whether this viewer may change anything. */
export const mayWrite = () => store.session !== null && !store.session.read_only && store.session.role === "admin";

/** @param {string} name */
export const snapshotOf = (name) => store.queues?.find((queue) => queue.queue === name) ?? null;

/**
 * One changed queue, until the next snapshot says more.
 * @param {Snapshot} snapshot
 */
export function updateQueue(snapshot) {
    const queues = store.queues ?? [];
    const known = queues.some((queue) => queue.queue === snapshot.queue);
    update({ queues: known ? queues.map((queue) => (queue.queue === snapshot.queue ? snapshot : queue)) : [...queues, snapshot] });
}
