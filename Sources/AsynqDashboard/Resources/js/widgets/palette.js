import { data, fill, h, newID } from "../dom.js";
import { compact, states } from "../format.js";
import { allBindings } from "../keys.js";
import { go, href } from "../router.js";
import { store } from "../store.js";
import { openDialog } from "./dialog.js";

/** @typedef {{title: string, hint: string, act: () => void}} Choice */

/**
 * All that can be gone to or done from here.
 * @returns {Choice[]}
 */
function choices() {
    /** @type {Choice[]} */
    const list = [];
    for (const binding of allBindings()) {
        if (binding.keys !== "Ctrl-k" && !["Move", "Tasks"].includes(binding.group)) {
            list.push({ title: binding.group === "Go to" ? `Go to ${binding.title}` : binding.title, hint: binding.keys, act: binding.act });
        }
    }
    for (const queue of store.queues ?? []) {
        list.push({ title: queue.queue, hint: `queue · ${compact(queue.size)} tasks`, act: () => go(href(["queues", queue.queue])) });
        for (const state of states) {
            if (queue[state] > 0) {
                list.push({ title: `${queue.queue} ${state}`, hint: `${compact(queue[state])} tasks`, act: () => go(href(["queues", queue.queue], { state })) });
            }
        }
    }
    return list;
}

/**
 * How well words are found in a text; null when one of them is not.
 * @param {string} text @param {string[]} words
 */
function score(text, words) {
    const lower = text.toLowerCase();
    let sum = lower.length / 100;
    for (const word of words) {
        const at = lower.indexOf(word);
        if (at < 0) return null;
        sum += at === 0 ? 0 : /[\s:._-]/.test(lower[at - 1] ?? "") ? 1 : 3;
    }
    return sum;
}

export function openPalette() {
    const all = choices();
    /** @type {Choice[]} */
    let found = [];
    let at = 0;
    const list = h("ul", { role: "listbox", id: newID(), class: "palette-list", "aria-label": "Found" });
    const input = h("input", {
        type: "text", role: "combobox", "aria-expanded": "true", "aria-controls": list.id, "aria-autocomplete": "list",
        "aria-label": "Queue, state or action", placeholder: "Queue, state or action", autocomplete: "off", spellcheck: "false", maxlength: 200,
    });
    const dialog = openDialog("Go to", () => [input, list]);
    dialog.classList.add("palette");

    function show() {
        const words = input.value.toLowerCase().split(/\s+/).filter((word) => word !== "");
        const scored = [];
        for (const choice of all) {
            const value = score(`${choice.title} ${choice.hint}`, words);
            if (value !== null) scored.push({ choice, value });
        }
        if (words.length > 0) scored.sort((one, other) => one.value - other.value);
        found = scored.slice(0, 50).map(({ choice }) => choice);
        at = 0;
        fill(list, found.length === 0 ? h("li", { class: "dim none" }, "Nothing is called so") : found.map((choice, index) => h("li", {
            role: "option", id: `${list.id}-${index}`, "aria-selected": String(index === 0), onclick: () => take(choice),
        }, data(choice.title), h("span", { class: "dim" }, choice.hint))));
        point(0);
    }

    /** @param {number} index */
    function point(index) {
        list.children[at]?.setAttribute("aria-selected", "false");
        at = found.length === 0 ? 0 : (index + found.length) % found.length;
        const option = list.children[at];
        if (found.length > 0) option?.setAttribute("aria-selected", "true");
        option?.scrollIntoView({ block: "nearest" });
        if (found.length > 0) input.setAttribute("aria-activedescendant", `${list.id}-${at}`);
        else input.removeAttribute("aria-activedescendant");
    }

    /** @param {Choice|undefined} choice */
    function take(choice) {
        if (!choice) return;
        dialog.close();
        choice.act();
    }

    input.addEventListener("input", show);
    input.addEventListener("keydown", (event) => {
        if (event.key === "ArrowDown") point(at + 1);
        else if (event.key === "ArrowUp") point(at - 1);
        else if (event.key === "Enter") take(found[at]);
        else return;
        event.preventDefault();
    });
    show();
    input.focus();
}
