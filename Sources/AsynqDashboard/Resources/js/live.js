import { api, apiURL } from "./api.js";
import { store, update } from "./store.js";

/** @type {EventSource|null} */
let source = null;
let paused = false;
let failures = 0;
/** @type {number|undefined} */
let timer;

function stop() {
    source?.close();
    source = null;
    clearTimeout(timer);
}

function listen() {
    stop();
    source = new EventSource(apiURL("events"));
    source.addEventListener("open", () => {
        failures = 0;
        update({ live: "live" });
    });
    source.addEventListener("snapshot", (event) => {
        const { queues, servers } = JSON.parse(event.data);
        update({ queues, servers, live: "live", trouble: null });
    });
    source.addEventListener("error", (event) => {
        if (event instanceof MessageEvent) {
            update({ trouble: JSON.parse(event.data).message });
            return;
        }
        if (store.live !== "paused") update({ live: "reconnecting" });
        // The browser tries again by itself after a broken connection, but not after an answer that is none.
        if (source?.readyState === EventSource.CLOSED) again();
    });
}

function again() {
    stop();
    const delay = Math.min(15_000, 500 * 2 ** failures++) * (0.75 + Math.random() / 2);
    timer = window.setTimeout(async () => {
        try {
            await api.session();
            listen();
        } catch {
            if (store.session) again();
        }
    }, delay);
}

/** Starts the stream of snapshots. A page that nobody sees asks for nothing. */
export function startLive() {
    follow();
    document.addEventListener("visibilitychange", follow);
}

function follow() {
    if (!store.session || paused || document.hidden) {
        stop();
        if (paused) update({ live: "paused" });
    } else if (!source) {
        listen();
    }
}

export function endLive() {
    stop();
    document.removeEventListener("visibilitychange", follow);
}

export function togglePaused() {
    paused = !paused;
    if (!paused) update({ live: "connecting" });
    follow();
}
