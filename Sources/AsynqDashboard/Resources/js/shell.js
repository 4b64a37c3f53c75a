import { api } from "./api.js";
import { fill, h, icon } from "./dom.js";
import { allBindings, bind } from "./keys.js";
import { endLive, togglePaused } from "./live.js";
import { go, href } from "./router.js";
import { settings } from "./settings.js";
import { mayWrite, store, subscribe, update } from "./store.js";
import { openDialog } from "./widgets/dialog.js";
import { openPalette } from "./widgets/palette.js";
import { fail } from "./widgets/toast.js";

/** @returns {{name: string, title: string, icon: string, key: string, parts: string[]}[]} */
export function places() {
    const redis = store.session?.broker.kind !== "sqlite" && store.session?.broker.kind !== "memory";
    const list = [
        { name: "queues", title: "Queues", icon: "queues", key: "q", parts: [] },
        { name: "servers", title: "Servers", icon: "servers", key: "s", parts: ["servers"] },
        { name: "schedulers", title: "Schedulers", icon: "schedulers", key: "c", parts: ["schedulers"] },
        { name: "redis", title: redis ? "Redis" : "Storage", icon: "broker", key: "r", parts: ["redis"] },
        { name: "metrics", title: "Metrics", icon: "metrics", key: "m", parts: ["charts"] },
        { name: "settings", title: "Settings", icon: "settings", key: "t", parts: ["settings"] },
    ];
    if (store.session?.role === "admin") list.push({ name: "audit", title: "Audit", icon: "audit", key: "a", parts: ["audit"] });
    return list;
}

const liveTexts = { connecting: "Connecting", live: "Live", reconnecting: "Reconnecting", paused: "Paused" };
let built = false;
let bound = () => {};

export function buildShell() {
    const nav = document.getElementById("nav");
    if (!nav || !store.session) return;
    const session = store.session;
    const live = h("button", { type: "button", class: "live", onclick: togglePaused }, h("span", { class: "dot" }), h("span", { class: "label" }));
    const trouble = h("p", { class: "trouble", role: "alert", hidden: true });
    fill(nav,
        h("a", { class: "brand", href: href([]), "aria-label": "asynq: queues" }, h("img", { src: "icons/asynq.svg", alt: "", width: 20, height: 20 }), h("span", null, "asynq")),
        h("ul", null, places().map((place) => h("li", null, h("a", { href: href(place.parts), "data-place": place.name }, icon(place.icon), h("span", null, place.title))))),
        h("div", { class: "nav-foot" },
            live,
            h("button", { type: "button", class: "nav-item", onclick: () => openPalette(), title: "Go to a queue or an action (Ctrl-K)" }, icon("search"), h("span", null, "Go to…"), h("kbd", { "aria-hidden": "true" }, "Ctrl K")),
            h("button", { type: "button", class: "nav-item", onclick: showHelp, title: "Keys (?)" }, icon("help"), h("span", null, "Keys"), h("kbd", { "aria-hidden": "true" }, "?")),
            session.authentication === "password" && h("button", { type: "button", class: "nav-item", onclick: logout }, icon("logout"), h("span", null, "Log out")),
            h("p", { class: "about" }, session.user && h("bdi", null, session.user), !mayWrite() && h("b", { class: "tag" }, "read-only"),
                h("bdi", { title: session.broker.address }, session.broker.address), h("span", null, `asynq ${session.version}`))));
    document.getElementById("trouble")?.remove();
    trouble.id = "trouble";
    nav.after(trouble);
    showPlace(current);
    const showLive = () => {
        live.dataset.state = store.live;
        const label = live.querySelector(".label");
        if (label && label.textContent !== liveTexts[store.live]) label.textContent = liveTexts[store.live];
        live.title = store.live === "paused" ? "Nothing is read until you go on (p)" : "Pause the live view (p)";
        live.setAttribute("aria-label", `${liveTexts[store.live]}. ${store.live === "paused" ? "Go on" : "Pause"}`);
        trouble.hidden = !store.trouble;
        const text = store.trouble ? `The broker does not answer: ${store.trouble}` : "";
        if (trouble.textContent !== text) trouble.textContent = text;
    };
    showLive();
    bound();
    const unsubscribe = subscribe(showLive);
    const unbind = bind([
        ...places().map((place) => ({ keys: `g ${place.key}`, title: place.title, group: "Go to", act: () => go(href(place.parts)) })),
        { keys: "Ctrl-k", title: "Queue, state or action by name", group: "Everywhere", act: () => openPalette() },
        { keys: "?", title: "Keys", group: "Everywhere", act: showHelp },
        { keys: "p", title: "Pause or go on with the live view", group: "Everywhere", act: togglePaused },
    ]);
    bound = () => {
        unsubscribe();
        unbind();
    };
    if (!built) {
        built = true;
        document.getElementById("skip")?.addEventListener("click", (event) => {
            event.preventDefault();
            document.getElementById("main")?.focus();
        });
    }
}

let current = "";
/** @param {string} name of the page that is shown */
export function showPlace(name) {
    current = name === "queue" ? "queues" : name;
    document.body.classList.toggle("at-login", name === "login");
    for (const link of document.querySelectorAll(".nav a[data-place]")) {
        const here = link instanceof HTMLElement && link.dataset.place === current;
        if (here) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
    }
}

function showHelp() {
    const groups = new Map();
    for (const binding of allBindings()) groups.set(binding.group, [...(groups.get(binding.group) ?? []), binding]);
    openDialog("Keys", () => [
        h("div", { class: "help", tabIndex: 0, "data-first": true, role: "region", "aria-label": "Keys" }, [...groups].map(([group, list]) => h("section", null, h("h3", null, group),
            h("dl", null, list.map((/** @type {import("./keys.js").Binding} */ binding) => [
                h("dt", null, binding.keys.split(" ").map((key) => h("kbd", null, key.replace("Ctrl-k", "Ctrl K").replace("Escape", "Esc")))), h("dd", null, binding.title),
            ]).flat())))),
        settings.shortcuts ? null : h("p", { class: "dim" }, "Single keys are turned off in the settings."),
    ], { wide: true });
}

async function logout() {
    try {
        await api.logout();
    } catch (error) {
        fail("Could not log out", error);
        return;
    }
    endLive();
    update({ session: null, queues: null, servers: null });
    go(href(["login"]));
}
