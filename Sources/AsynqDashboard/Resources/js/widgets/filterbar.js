import { h, icon } from "../dom.js";

/** @typedef {import("../types.js").Filter} Filter */

const ages = [["", "any age"], ["newer:3600", "newer than 1 h"], ["newer:86400", "newer than 1 day"], ["newer:604800", "newer than 7 days"],
    ["older:3600", "older than 1 h"], ["older:86400", "older than 1 day"], ["older:604800", "older than 7 days"]];

/**
 * The bar in which tasks are looked for.
 * @param {(filter: Filter) => void} search
 */
export function filterBar(search) {
    const text = h("input", { type: "search", class: "grow", placeholder: "Payload, error or result contains…", "aria-label": "Text in payload, error or result", spellcheck: "false", autocomplete: "off" });
    const type = h("input", { type: "search", placeholder: "Type", "aria-label": "Type of the task", spellcheck: "false", autocomplete: "off" });
    const id = h("input", { type: "search", placeholder: "Id", "aria-label": "Id of the task", spellcheck: "false", autocomplete: "off" });
    const age = h("select", { "aria-label": "Age" }, ages.map(([value, title]) => h("option", { value }, title)));
    const error = h("button", { type: "button", class: "pill", hidden: true, title: "Show tasks with other errors too", onclick: () => { exact = null; submit(); } });
    const clear = h("button", { type: "button", hidden: true, onclick: () => { show({}); search({}); text.focus(); } }, "Clear");
    /** @type {string|null} */
    let exact = null;
    const submit = () => search(read());
    const form = h("form", { class: "filter", role: "search", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); submit(); } },
        text, error, type, id, age, h("button", { type: "submit" }, icon("search"), "Search"), clear);
    age.addEventListener("change", submit);

    /** @returns {Filter} */
    function read() {
        /** @type {Filter} */
        const filter = {};
        if (text.value.trim() !== "") filter.text = text.value.trim();
        if (type.value.trim() !== "") filter.type = type.value.trim();
        if (id.value.trim() !== "") filter.id = id.value.trim();
        if (exact !== null) filter.error = exact;
        const [kind, seconds] = age.hidden ? [] : age.value.split(":");
        if (kind === "newer") filter.newer_than = Number(seconds);
        if (kind === "older") filter.older_than = Number(seconds);
        return filter;
    }

    /**
     * @param {Filter} filter @param {import("../types.js").State} [state] of the list; only what ended has an age
     */
    function show(filter, state) {
        if (state) age.hidden = !["retry", "archived", "completed"].includes(state);
        text.value = filter.text ?? "";
        type.value = filter.type ?? "";
        id.value = filter.id ?? "";
        exact = filter.error ?? null;
        age.value = filter.newer_than ? `newer:${filter.newer_than}` : filter.older_than ? `older:${filter.older_than}` : "";
        error.hidden = exact === null;
        error.replaceChildren(icon("archived"), h("bdi", null, exact || "no error"), icon("close"));
        error.setAttribute("aria-label", `Error is “${exact ?? ""}”: show tasks with other errors too`);
        clear.hidden = isEmpty(filter);
    }
    return { element: form, show, focus: () => { text.focus(); text.select(); } };
}

/** @param {Filter} filter */
export const isEmpty = (filter) => Object.keys(filter).length === 0;

/** @param {URLSearchParams} query @returns {Filter} */
export function filterOf(query) {
    /** @type {Filter} */
    const filter = {};
    for (const name of /** @type {const} */ (["id", "type", "text"])) {
        const value = query.get(name);
        if (value) filter[name] = value;
    }
    const error = query.get("error");
    if (error !== null) filter.error = error;
    for (const name of /** @type {const} */ (["older_than", "newer_than"])) {
        const value = Number(query.get(name));
        if (value > 0) filter[name] = value;
    }
    return filter;
}
