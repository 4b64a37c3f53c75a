import { settings } from "./settings.js";

/**
 * @typedef {object} Binding
 * @property {string} keys one key or two after each other: `j`, `g q`, `Ctrl-k`
 * @property {string} title
 * @property {string} group heading in the help
 * @property {() => void} act
 */

/** @type {Set<Binding>} */
const bindings = new Set();

/** @param {Binding[]} list @returns {() => void} ends them */
export function bind(list) {
    for (const binding of list) bindings.add(binding);
    return () => list.forEach((binding) => bindings.delete(binding));
}

export const allBindings = () => [...bindings];

/** What was pressed just before, while it may be the first of two. */
let prefix = "";
/** @type {number|undefined} */
let timer;

/** @param {KeyboardEvent} event */
function nameOf(event) {
    const name = event.key === " " ? "Space" : event.key;
    return (event.ctrlKey || event.metaKey) && !event.altKey ? `Ctrl-${name.toLowerCase()}` : event.altKey ? "" : name;
}

/**
 * Whether keys are letters of a text here.
 * @param {EventTarget|null} target
 */
function takesText(target) {
    return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement
        || (target instanceof HTMLInputElement && !["checkbox", "radio", "button", "submit"].includes(target.type));
}

document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open], [role=menu]")) return;
    const name = nameOf(event);
    const typing = takesText(event.target);
    if (name === "Escape" && typing && event.target instanceof HTMLElement) {
        event.target.blur();
        event.preventDefault();
        return;
    }
    // What a key does to a control by itself, it goes on doing.
    if ((name === "Enter" || name === "Space") && event.target instanceof Element && event.target.closest("a, button, summary, input")) return;
    const special = name.startsWith("Ctrl-") || name === "Escape";
    if (typing && !special) return;
    if (!settings.shortcuts && !special && name.length === 1) return;
    const sequence = prefix && !special ? `${prefix} ${name}` : name;
    clearTimeout(timer);
    prefix = "";
    // What was bound last stands before: a page before the whole.
    const found = [...bindings].reverse().find((binding) => binding.keys === sequence);
    if (found) {
        event.preventDefault();
        found.act();
    } else if ([...bindings].some((binding) => binding.keys.startsWith(`${name} `))) {
        prefix = name;
        timer = window.setTimeout(() => (prefix = ""), 1200);
    }
});
