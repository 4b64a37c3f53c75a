import { h } from "./dom.js";
import { onSettings, settings, isZone } from "./settings.js";

/** @type {Intl.DateTimeFormat|null} */
let formatter = null;
/** @type {Intl.DateTimeFormat|null} */
let clock = null;
onSettings(() => {
    formatter = clock = null;
    tick();
});

/** @returns {Intl.DateTimeFormatOptions} */
function zone() {
    return settings.zone === "local" || !isZone(settings.zone) ? {} : { timeZone: settings.zone };
}

/**
 * Day, time and zone.
 * @param {Date} date
 */
export function absolute(date) {
    formatter ??= new Intl.DateTimeFormat("en-GB", {
        year: "numeric", month: "short", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
        timeZoneName: "short", ...zone(),
    });
    return formatter.format(date);
}

/**
 * Hours and minutes; with the day where a chart is longer than a day.
 * @param {number} seconds since 1970 @param {boolean} days
 */
export function clockTime(seconds, days) {
    if (days) {
        return new Intl.DateTimeFormat("en-GB", { month: "short", day: "numeric", ...zone() }).format(new Date(seconds * 1000));
    }
    clock ??= new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", ...zone() });
    return clock.format(new Date(seconds * 1000));
}

/** @param {string|number|null|undefined} value RFC 3339 or seconds since 1970 @returns {Date|null} null where there is no time */
export function parse(value) {
    if (value === null || value === undefined || value === "" || value === "-" || value === 0) return null;
    const date = new Date(typeof value === "number" ? value * 1000 : value);
    return Number.isNaN(date.getTime()) || date.getFullYear() <= 1 ? null : date;
}

/** @param {Date} date @param {number} now in milliseconds */
export function relative(date, now) {
    const seconds = Math.round((date.getTime() - now) / 1000);
    const away = Math.abs(seconds);
    const text = away < 60 ? `${away}s`
        : away < 3600 ? `${Math.floor(away / 60)}m${away < 600 ? ` ${away % 60}s` : ""}`
        : away < 86400 ? `${Math.floor(away / 3600)}h ${Math.floor((away % 3600) / 60)}m`
        : `${Math.floor(away / 86400)}d${away < 864000 ? ` ${Math.floor((away % 86400) / 3600)}h` : ""}`;
    return away === 0 ? "now" : seconds > 0 ? `in ${text}` : `${text} ago`;
}

/**
 * A moment: how long ago, with day and time on hover. It goes on counting.
 * @param {string|number|null|undefined} value
 */
export function moment(value) {
    const date = parse(value);
    if (!date) return h("span", { class: "dim" }, "–");
    const element = h("time", { datetime: date.toISOString() });
    show(element, date);
    return element;
}

/** @param {HTMLTimeElement} element @param {Date} date */
function show(element, date) {
    const long = absolute(date);
    const short = relative(date, Date.now());
    const [text, title] = settings.times === "absolute" ? [long, short] : [short, long];
    if (element.textContent !== text) element.textContent = text;
    if (element.title !== title) element.title = title;
}

function tick() {
    if (document.hidden) return;
    for (const element of document.querySelectorAll("time")) {
        const date = parse(element.getAttribute("datetime"));
        if (date) show(element, date);
    }
}
setInterval(tick, 1000);
document.addEventListener("visibilitychange", tick);
