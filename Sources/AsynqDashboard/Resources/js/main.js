import { api, APIError, messageOf, whenLoginNeeded } from "./api.js";
import { fill, h } from "./dom.js";
import { endLive, startLive } from "./live.js";
import { go, here, href, startRouter } from "./router.js";
import { buildShell, showPlace } from "./shell.js";
import { store, update } from "./store.js";

/**
 * A page is built once for a place; `move` is asked whether it can show another place itself.
 * @typedef {object} Page
 * @property {string} title of the window
 * @property {HTMLElement} element
 * @property {(place: import("./router.js").Place) => boolean} [move]
 * @property {() => void} [end]
 */

/** @type {Record<string, () => Promise<{open: (place: import("./router.js").Place) => Page}>>} */
const pages = {
    queues: () => import("./pages/queues.js"),
    queue: () => import("./pages/queue.js"),
    servers: () => import("./pages/servers.js"),
    schedulers: () => import("./pages/schedulers.js"),
    redis: () => import("./pages/redis.js"),
    metrics: () => import("./pages/metrics.js"),
    settings: () => import("./pages/settings.js"),
    audit: () => import("./pages/audit.js"),
    login: () => import("./pages/login.js"),
};

/** @type {Page|null} */
let page = null;
let name = "";
let visit = 0;

/** @param {import("./router.js").Place} place */
function nameOf(place) {
    const [first, second] = place.parts;
    if (first === undefined) return "queues";
    if (first === "queues") return second === undefined ? "queues" : "queue";
    // `/metrics` itself is what Prometheus reads.
    return first === "charts" || first === "queue_metrics" ? "metrics" : first;
}

/** @param {import("./router.js").Place} place */
async function show(place) {
    const wanted = nameOf(place);
    if (!store.session && wanted !== "login") {
        await begin();
        if (!store.session) return;
    }
    showPlace(wanted);
    if (page && wanted === name && page.move?.(place)) {
        document.title = `${page.title} · asynq`;
        return;
    }
    const turn = ++visit;
    const main = /** @type {HTMLElement} */ (document.getElementById("main"));
    try {
        const load = pages[wanted];
        const module = await load?.();
        if (turn !== visit) return;
        const first = page === null;
        page?.end?.();
        page = module ? module.open(place) : missing();
        name = wanted;
        document.title = `${page.title} · asynq`;
        fill(main, page.element);
        main.scrollTop = 0;
        if (!first && (document.activeElement === document.body || document.activeElement?.closest(".nav"))) main.focus({ preventScroll: true });
    } catch (error) {
        if (turn !== visit) return;
        fill(main, h("div", { class: "page" }, h("h1", null, "This page could not be loaded"), h("p", null, messageOf(error)),
            h("button", { type: "button", onclick: () => location.reload() }, "Load it again")));
    }
}

/** @returns {Page} */
function missing() {
    return {
        title: "Not found",
        element: h("div", { class: "page" }, h("h1", null, "There is no such page"), h("p", null, h("a", { href: href([]) }, "Go to the queues"))),
    };
}

async function begin() {
    try {
        const session = await api.session();
        update({ session });
        buildShell();
        endLive();
        startLive();
        if (!store.queues) {
            const { queues } = await api.queues();
            if (!store.queues) update({ queues });
        }
    } catch (error) {
        if (error instanceof APIError && error.status === 401) return;
        if (store.session) {
            update({ trouble: messageOf(error) });
            return;
        }
        const main = document.getElementById("main");
        if (main) {
            fill(main, h("div", { class: "page" }, h("h1", null, "The dashboard does not answer"), h("p", null, messageOf(error)),
                h("button", { type: "button", class: "primary", onclick: () => show(here()) }, "Try again")));
        }
    }
}

whenLoginNeeded(() => {
    endLive();
    if (nameOf(here()) !== "login") {
        const from = location.pathname + location.search;
        go(href(["login"], { from }), { replace: true });
    }
});
startRouter(show);
