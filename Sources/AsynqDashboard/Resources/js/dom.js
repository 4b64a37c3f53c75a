/** @typedef {Node|string|number|null|undefined|false} Child */

/** What is set as a property, because the attribute means something else or only the beginning. */
const properties = new Set(["value", "checked", "disabled", "hidden", "selected", "indeterminate", "tabIndex", "htmlFor"]);

/** @param {Element} element @param {Record<string, any>} attributes */
export function set(element, attributes) {
    for (const [name, value] of Object.entries(attributes)) {
        if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
        else if (properties.has(name)) /** @type {any} */ (element)[name] = value;
        else if (value === null || value === undefined || value === false) element.removeAttribute(name);
        else element.setAttribute(name, value === true ? "" : String(value));
    }
}

/** @param {Element} parent @param {(Child|Child[])[]} children */
function append(parent, children) {
    for (const child of children.flat()) {
        if (child !== null && child !== undefined && child !== false) {
            parent.append(child instanceof Node ? child : String(child));
        }
    }
}

/**
 * An element. Children are nodes or text, never markup: what comes from tasks cannot become an element.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>|null} [attributes] `on…` are listeners
 * @param {...(Child|Child[])} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, attributes, ...children) {
    const element = document.createElement(tag);
    append(element, children);
    if (attributes) set(element, attributes);
    return element;
}

/**
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>|null} [attributes]
 * @param {...(Child|Child[])} children
 * @returns {SVGElementTagNameMap[K]}
 */
export function svg(tag, attributes, ...children) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    append(element, children);
    if (attributes) set(element, attributes);
    return element;
}

/** @param {Element} element @param {...(Child|Child[])} children */
export function fill(element, ...children) {
    element.replaceChildren();
    append(element, children);
}

/**
 * Text of users: kept to itself, so that text that runs from right to left does not turn round what stands beside it.
 * @param {string} text @param {string} [className]
 */
export function data(text, className) {
    return h("bdi", className ? { class: className } : null, text);
}

/**
 * Children of `parent` become those of `items`, with elements kept by key: the focus and the selection stay where they are.
 * @template T
 * @param {Element} parent
 * @param {T[]} items
 * @param {(item: T) => string} key
 * @param {(item: T) => HTMLElement} create
 * @param {(element: HTMLElement, item: T) => void} update
 */
export function reconcile(parent, items, key, create, update) {
    /** @type {Map<string, HTMLElement>} */
    const old = new Map();
    for (const child of parent.children) {
        const element = /** @type {HTMLElement} */ (child);
        old.set(element.dataset.key ?? "", element);
    }
    /** @type {Element|null} */
    let next = parent.firstElementChild;
    for (const item of items) {
        const name = key(item);
        let element = old.get(name);
        if (element) {
            old.delete(name);
            update(element, item);
        } else {
            element = create(item);
            element.dataset.key = name;
        }
        if (element === next) next = next.nextElementSibling;
        else parent.insertBefore(element, next);
    }
    for (const element of old.values()) element.remove();
}

/**
 * Says something to a screen reader.
 * @param {string} text
 */
export function announce(text) {
    const region = document.getElementById("announce");
    if (region) region.textContent = text;
}

let lastID = 0;
/** A new id of an element. */
export const newID = () => `e${++lastID}`;

/** @type {Record<string, string>} */
const icons = {
    active: "M5 3.5v9l7-4.5z",
    pending: "M8 4.2a3.8 3.8 0 1 0 0 7.6 3.8 3.8 0 0 0 0-7.6z",
    aggregating: "M3 3h4v4H3zM9 3h4v4H9zM3 9h4v4H3zM9 9h4v4H9z",
    scheduled: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM8 5v3.2l2.2 1.4",
    retry: "M12.8 8A4.8 4.8 0 1 1 11 4.3M12.6 2v3.2H9.4",
    archived: "M8 2 14.5 13.5h-13zM8 6.5v3.2M8 11.4v.4",
    completed: "m3 8.5 3.2 3.3L13 4.5",
    queues: "M2.5 4h11M2.5 8h11M2.5 12h7",
    servers: "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.1M5 11h.1",
    schedulers: "M2.5 4h11v9.5h-11zM2.5 7h11M5.5 2v3M10.5 2v3",
    broker: "M3 4c0-2 10-2 10 0v8c0 2-10 2-10 0zM3 4c0 2 10 2 10 0M3 8c0 2 10 2 10 0",
    metrics: "M2.5 2.5v11h11M5 10l2.5-3 2 2 3.5-4.5",
    settings: "M2.5 5h6M11.5 5h2M2.5 11h2M7.5 11h6M10 3.2v3.6M6 9.2v3.6",
    audit: "M4 2h8v12H4zM6 5h4M6 8h4M6 11h2",
    logout: "M6 2.5H3v11h3M7 8h7M11.5 5 14 8l-2.5 3",
    pause: "M5.5 3.5v9M10.5 3.5v9",
    resume: "M5 3.5v9l7-4.5z",
    delete: "M3 4.5h10M6.2 4.5v-2h3.6v2M4.3 4.5l.6 9h6.2l.6-9",
    run: "M5 3.5v9l7-4.5z",
    archive: "M2.5 3h11v3h-11zM3.5 6v7h9V6M6.5 9h3",
    cancel: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM4.2 4.2l7.6 7.6",
    more: "M3.5 8h.1M8 8h.1M12.5 8h.1",
    close: "M4 4l8 8M12 4l-8 8",
    add: "M8 3v10M3 8h10",
    edit: "M3 13l.6-2.8L11 2.8l2.2 2.2-7.4 7.4z",
    search: "M7 3a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM10 10l3.5 3.5",
    copy: "M5.5 5.5h8v8h-8zM3.5 10.5h-1v-8h8v1",
    help: "M6 6.2c0-3 4.2-2.8 4.2-.2 0 1.600-2.200 1.700-2.200 3.600M8 12.300v.2",
};

/**
 * A picture that says nothing a screen reader needs.
 * @param {string} name @param {string} [className]
 */
export function icon(name, className) {
    return svg("svg", { viewBox: "0 0 16 16", class: `icon ${className ?? ""}`, "aria-hidden": "true", focusable: "false" },
        svg("path", { d: icons[name] ?? "" }));
}
