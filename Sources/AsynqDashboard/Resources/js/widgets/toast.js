import { announce, h, icon } from "../dom.js";

/**
 * A message at the edge of the page, which goes by itself; an error stays until it is closed.
 * @param {string} text @param {{error?: boolean, link?: {title: string, act: () => void}}} [options]
 */
export function toast(text, options = {}) {
    const region = document.getElementById("toasts");
    if (!region) return;
    const close = () => {
        const focused = element.contains(document.activeElement);
        element.remove();
        if (focused) document.getElementById("main")?.focus();
    };
    const element = h("div", { class: options.error ? "toast error" : "toast", role: options.error ? "alert" : null },
        h("span", null, text),
        options.link && h("button", { type: "button", class: "link", onclick: () => { close(); options.link?.act(); } }, options.link.title),
        h("button", { type: "button", class: "quiet square", "aria-label": "Close the message", onclick: close }, icon("close")));
    region.append(element);
    while (region.children.length > 4) region.firstElementChild?.remove();
    if (!options.error) {
        announce(text);
        let timer = setTimeout(close, 6000);
        element.addEventListener("pointerenter", () => clearTimeout(timer));
        element.addEventListener("pointerleave", () => (timer = setTimeout(close, 3000)));
    }
}

/**
 * What could not be done, why, and what to do.
 * @param {string} what @param {unknown} error
 */
export function fail(what, error) {
    const message = error instanceof Error ? error.message : String(error);
    toast(`${what}: ${message}${/[.!?]$/.test(message) ? "" : "."}`, { error: true });
}

/** @param {string} text @param {string} name */
export async function copy(text, name) {
    try {
        await navigator.clipboard.writeText(text);
        toast(`Copied the ${name}`);
    } catch {
        fail(`Could not copy the ${name}`, new Error("the browser does not allow it on this page"));
    }
}
