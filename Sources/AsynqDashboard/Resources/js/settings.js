/**
 * What a viewer has chosen; kept in this browser.
 * @typedef {object} Settings
 * @property {"system"|"light"|"dark"} theme
 * @property {string} zone `local`, `UTC` or the name of a time zone
 * @property {"relative"|"absolute"} times
 * @property {number} refresh the least number of seconds between two reads of a list
 * @property {number} pageSize
 * @property {boolean} shortcuts
 */

/** @type {Settings} */
const defaults = { theme: "system", zone: "local", times: "relative", refresh: 2, pageSize: 50, shortcuts: true };
const key = "asynq.settings";

/** @returns {Settings} */
function read() {
    try {
        const stored = JSON.parse(localStorage.getItem(key) ?? "{}");
        /** @type {any} */
        const result = { ...defaults };
        for (const [name, value] of Object.entries(defaults)) {
            if (typeof stored[name] === typeof value) result[name] = stored[name];
        }
        return result;
    } catch {
        return { ...defaults };
    }
}

export const settings = read();
/** @type {Set<() => void>} */
const listeners = new Set();

/** @param {Partial<Settings>} changes */
export function change(changes) {
    Object.assign(settings, changes);
    try {
        localStorage.setItem(key, JSON.stringify(settings));
    } catch {
        // Without storage the choice holds until the page is closed.
    }
    applyTheme();
    for (const listener of listeners) listener();
}

/** @param {() => void} listener @returns {() => void} ends it */
export function onSettings(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
}

export function applyTheme() {
    if (settings.theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = settings.theme;
}

/** @param {string} zone */
export function isZone(zone) {
    if (zone === "local") return true;
    try {
        new Intl.DateTimeFormat("en", { timeZone: zone });
        return true;
    } catch {
        return false;
    }
}
