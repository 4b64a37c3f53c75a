/** @typedef {import("./types.js").State} State @typedef {import("./types.js").Action} Action */

/**
 * All states, in the order in which they are shown everywhere.
 * @type {readonly State[]}
 */
export const states = ["active", "pending", "aggregating", "scheduled", "retry", "archived", "completed"];

/**
 * What may be done to tasks in a state.
 * @type {Record<State, readonly Action[]>}
 */
export const actionsOf = {
    active: ["cancel"],
    pending: ["archive", "delete"],
    aggregating: ["run", "archive", "delete"],
    scheduled: ["run", "archive", "delete"],
    retry: ["run", "archive", "delete"],
    archived: ["run", "delete"],
    completed: ["delete"],
};

/** @type {Record<Action, {title: string, done: string, explain: string, key: string}>} */
export const actionTexts = {
    run: { title: "Run", done: "will run now", explain: "It goes to the end of its queue and runs when a server is free.", key: "r" },
    archive: { title: "Archive", done: "archived", explain: "It is kept, and does not run.", key: "a" },
    delete: { title: "Delete", done: "deleted", explain: "This cannot be undone.", key: "d" },
    cancel: { title: "Cancel", done: "asked to stop", explain: "The server that runs it is asked to stop; its handler decides when.", key: "c" },
};

const numbers = new Intl.NumberFormat("en");
/** @param {number} value */
export const count = (value) => numbers.format(value);

const compactNumbers = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
/** @param {number} value */
export const compact = (value) => (Math.abs(value) < 1 && value !== 0 ? String(Number(value.toPrecision(2))) : compactNumbers.format(value));

/** @param {number} n @param {string} noun */
export const plural = (n, noun) => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;

/** @param {number} value */
export function bytes(value) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0;
    while (value >= 1024 && unit < units.length - 1) {
        value /= 1024;
        unit++;
    }
    return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/**
 * A part as a percentage; nothing done is no rate at all.
 * @param {number} part @param {number} whole
 */
export function percent(part, whole) {
    if (whole <= 0) return "–";
    const value = (100 * part) / whole;
    return `${value === 0 || value >= 99.95 ? Math.round(value) : value < 0.01 ? "<0.01" : value < 10 ? value.toFixed(2) : value.toFixed(1)}%`;
}

/**
 * A length of time as Go writes it, in at most two units.
 * @param {number} seconds @returns {string}
 */
export function duration(seconds) {
    if (seconds < 0) return `-${duration(-seconds)}`;
    if (seconds < 1) return seconds === 0 ? "0s" : `${Math.max(1, Math.round(seconds * 1000))}ms`;
    if (seconds < 10) return `${Number(seconds.toFixed(1))}s`;
    const s = Math.round(seconds);
    if (s < 60) return `${s}s`;
    if (s < 3600) return `${Math.floor(s / 60)}m${s % 60}s`;
    if (s < 86400) return `${Math.floor(s / 3600)}h${Math.floor((s % 3600) / 60)}m`;
    return `${Math.floor(s / 86400)}d${Math.floor((s % 86400) / 3600)}h`;
}

/**
 * JSON with one member a line; null when the text is none.
 * @param {string} text
 */
export function prettyJSON(text) {
    if (!/^\s*[[{]/.test(text)) return null;
    try {
        const value = JSON.parse(text);
        const pretty = JSON.stringify(value, null, 2);
        // A number that JavaScript cannot hold would be shown as another one.
        return /\d{16}|\d[eE]/.test(text) && JSON.stringify(value) !== text.replace(/\s+/g, "") ? null : pretty;
    } catch {
        return null;
    }
}

/**
 * The text of bytes in base64; null when they are not UTF-8, or hold what cannot be typed.
 * @param {string} base64
 */
export function decode(base64) {
    try {
        const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)));
        return /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.test(text) ? null : text;
    } catch {
        return null;
    }
}

/**
 * An id for a narrow column: of a UUID its end, for ids of one time begin alike.
 * @param {string} id
 */
export const shortID = (id) => (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id) ? `…${id.slice(-12)}` : id);
