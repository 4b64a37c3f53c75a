import { store, update } from "./store.js";

/** @typedef {import("./types.js").State} State @typedef {import("./types.js").Filter} Filter */

/** What the server answered instead of what was asked for; `message` is a sentence for the viewer. */
export class APIError extends Error {
    /** @param {number} status 0: no answer at all @param {string} message @param {number} [retryAfter] seconds */
    constructor(status, message, retryAfter) {
        super(message);
        this.status = status;
        this.retryAfter = retryAfter ?? 0;
    }
}

/** @param {unknown} error */
export const isAbort = (error) => error instanceof DOMException && error.name === "AbortError";

/** @param {unknown} error */
export const messageOf = (error) => (error instanceof Error ? error.message : String(error));

let onLogin = () => {};
/**
 * What to do when the server wants to know who looks.
 * @param {() => void} action
 */
export function whenLoginNeeded(action) {
    onLogin = action;
}

const base = new URL(document.baseURI).pathname;

/**
 * The path of the API; for the stream of events.
 * @param {string} path
 */
export const apiURL = (path) => `${base}api/${path}`;

/**
 * @param {string} method @param {string} path below `api/` @param {{body?: unknown, signal?: AbortSignal}} [options]
 * @returns {Promise<any>}
 */
async function call(method, path, options = {}) {
    /** @type {Record<string, string>} */
    const headers = { Accept: "application/json" };
    if (method !== "GET" && store.session?.csrf) headers["X-CSRF-Token"] = store.session.csrf;
    /** @type {string|undefined} */
    let body;
    if (options.body !== undefined) {
        headers["Content-Type"] = "application/json";
        body = JSON.stringify(options.body);
    }
    let response;
    try {
        response = await fetch(apiURL(path), { method, headers, body, signal: options.signal, credentials: "same-origin" });
    } catch (error) {
        if (isAbort(error)) throw error;
        throw new APIError(0, "The dashboard's server does not answer. Check that “asynq ui” is running.");
    }
    if (!response.ok) {
        const text = (await response.text()).trim();
        if (response.status === 401 && path !== "login") {
            if (store.session) update({ session: null });
            onLogin();
        }
        throw new APIError(response.status, text || `The server answered ${response.status}.`, Number(response.headers.get("Retry-After")));
    }
    if (response.status === 204) return null;
    const text = await response.text();
    try {
        return text === "" ? null : JSON.parse(text);
    } catch {
        throw new APIError(response.status, "The answer is not JSON: a proxy between the browser and the dashboard may have answered.");
    }
}

const e = encodeURIComponent;
/**
 * What is empty is left out, but for the error: that of tasks without one.
 * @param {Record<string, string|number|null|undefined>} values
 */
function query(values) {
    const pairs = Object.entries(values).filter(([name, value]) => value !== undefined && value !== null && (value !== "" || name === "error"));
    return pairs.length === 0 ? "" : `?${pairs.map(([name, value]) => `${name}=${e(String(value))}`).join("&")}`;
}

/**
 * The path of the tasks of a state; those that aggregate are found by their group.
 * @param {string} queue @param {State} state @param {string} [group]
 */
const tasksPath = (queue, state, group) =>
    `queues/${e(queue)}/${state === "aggregating" ? `groups/${e(group ?? "")}/` : ""}${state}_tasks`;

export const api = {
    /** @returns {Promise<import("./types.js").Session>} */
    session: () => call("GET", "session"),
    /** @param {string} user @param {string} password */
    login: (user, password) => call("POST", "login", { body: { user, password } }),
    logout: () => call("POST", "logout"),
    /** @returns {Promise<{queues: import("./types.js").Snapshot[]}>} */
    queues: () => call("GET", "queues"),
    /** @param {string} queue @returns {Promise<{current: import("./types.js").Snapshot, history: import("./types.js").Daily[]}>} */
    queue: (queue) => call("GET", `queues/${e(queue)}`),
    /** @param {string} queue */
    deleteQueue: (queue) => call("DELETE", `queues/${e(queue)}`),
    /** @param {string} queue @param {boolean} paused */
    setPaused: (queue, paused) => call("POST", `queues/${e(queue)}:${paused ? "pause" : "resume"}`),
    /** @returns {Promise<{stats: Record<string, import("./types.js").Daily[]>}>} */
    queueStats: () => call("GET", "queue_stats"),
    /**
     * @param {string} queue @param {State} state @param {string} group @param {number} page @param {number} size @param {AbortSignal} [signal]
     * @returns {Promise<import("./types.js").TaskList>}
     */
    tasks: (queue, state, group, page, size, signal) => call("GET", tasksPath(queue, state, group) + query({ page, size }), { signal }),
    /** @param {string} queue @returns {Promise<{stats: import("./types.js").Snapshot, groups: import("./types.js").Group[]}>} */
    groups: (queue) => call("GET", `queues/${e(queue)}/groups`),
    /**
     * @param {string} queue @param {State} state @param {string} group @param {Filter} filter @param {string|null} cursor @param {number} limit
     * @param {AbortSignal} [signal] @returns {Promise<import("./types.js").SearchPage>}
     */
    search: (queue, state, group, filter, cursor, limit, signal) =>
        call("GET", `queues/${e(queue)}/search${query({ state, group, ...filter, cursor, limit })}`, { signal }),
    /**
     * @param {string} queue @param {State} state @param {string|null} cursor @param {AbortSignal} [signal]
     * @returns {Promise<import("./types.js").ErrorPage>}
     */
    errors: (queue, state, cursor, signal) => call("GET", `queues/${e(queue)}/errors${query({ state, cursor })}`, { signal }),
    /** @param {string} queue @param {string} id @param {AbortSignal} [signal] @returns {Promise<import("./types.js").TaskDetail>} */
    task: (queue, id, signal) => call("GET", `queues/${e(queue)}/tasks/${e(id)}`, { signal }),
    /** @param {string} queue @param {State} state @param {string|undefined} group @param {string} id @param {import("./types.js").Action} action */
    act: (queue, state, group, id, action) =>
        action === "delete"
            ? call("DELETE", `${tasksPath(queue, state, group)}/${e(id)}`)
            : call("POST", `${tasksPath(queue, state, group)}/${e(id)}:${action}`),
    /**
     * @param {string} queue @param {State} state @param {string|undefined} group @param {string[]} ids @param {import("./types.js").Action} action
     * @returns {Promise<string[]>} the ids of those to which it could not be done
     */
    actOnAll: async (queue, state, group, ids, action) => {
        const answer = await call("POST", `${tasksPath(queue, state, group)}:batch_${action}`, { body: { task_ids: ids } });
        return answer?.error_ids ?? answer?.failed_ids ?? [];
    },
    /**
     * @param {string} queue @param {{action: string, state: State, group?: string, filter: Filter}} job @returns {Promise<{id: string}>}
     */
    bulk: (queue, job) => call("POST", `queues/${e(queue)}/bulk`, { body: job }),
    /** @param {string} id @returns {Promise<import("./types.js").BulkJob>} */
    bulkJob: (id) => call("GET", `bulk/${e(id)}`),
    /** @param {string} id */
    stopBulk: (id) => call("DELETE", `bulk/${e(id)}`),
    /** @param {string} queue @param {Record<string, unknown>} task @returns {Promise<import("./types.js").TaskDetail>} */
    enqueue: (queue, task) => call("POST", `queues/${e(queue)}/tasks`, { body: task }),
    /**
     * @param {string} queue @param {string} id @param {{payload?: string, payload_base64?: string, delete_original: boolean}} changes
     * @returns {Promise<import("./types.js").TaskDetail>}
     */
    enqueueAgain: (queue, id, changes) => call("POST", `queues/${e(queue)}/tasks/${e(id)}:enqueue_again`, { body: changes }),
    /** @returns {Promise<{servers: import("./types.js").Server[]}>} */
    servers: () => call("GET", "servers"),
    /** @returns {Promise<{entries: import("./types.js").Entry[]}>} */
    entries: () => call("GET", "scheduler_entries"),
    /** @param {string} id @returns {Promise<{events: {task_id: string, enqueued_at: string}[]}>} */
    enqueueEvents: (id) => call("GET", `scheduler_entries/${e(id)}/enqueue_events`),
    /** @returns {Promise<import("./types.js").RedisInfo>} */
    redisInfo: () => call("GET", "redis_info"),
    /**
     * @param {number} duration seconds @param {string[]} queues all when empty @param {AbortSignal} [signal]
     * @returns {Promise<Record<string, import("./types.js").MetricAnswer>>}
     */
    metrics: (duration, queues, signal) =>
        call("GET", `metrics${query({ duration, endtime: Math.floor(Date.now() / 1000), queues: queues.join(",") })}`, { signal }),
    /** @returns {Promise<{entries: import("./types.js").AuditEntry[]}>} */
    audit: () => call("GET", "audit?limit=500"),
};
