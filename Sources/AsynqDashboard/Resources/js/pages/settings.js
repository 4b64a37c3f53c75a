import { h, newID } from "../dom.js";
import { change, isZone, settings } from "../settings.js";
import { field } from "../widgets/enqueue.js";
import { moment } from "../times.js";

/** @returns {import("../main.js").Page} */
export function open() {
    /** @param {string} name @param {[string, string][]} options @param {string} value @param {(value: string) => void} set */
    const select = (name, options, value, set) => {
        const control = h("select", { onchange: () => set(control.value) }, options.map(([key, title]) => h("option", { value: key, selected: key === value }, title)));
        return field(name, control);
    };
    const zones = newID();
    const known = /** @type {any} */ (Intl).supportedValuesOf?.("timeZone") ?? [];
    const named = !["local", "UTC"].includes(settings.zone);
    const zone = h("input", {
        type: "text", list: zones, value: named ? settings.zone : "", placeholder: "Europe/Berlin", autocomplete: "off", spellcheck: "false",
        onchange: () => {
            const wrong = zone.value === "" || !isZone(zone.value);
            zone.setAttribute("aria-invalid", String(wrong));
            problem.hidden = !wrong;
            if (!wrong) change({ zone: zone.value });
        },
    });
    const problem = h("p", { class: "error-text", role: "alert", hidden: true }, "There is no such time zone.");
    const zoneField = h("div", { hidden: !named }, field("Name of the time zone", zone), problem, h("datalist", { id: zones }, known.map((/** @type {string} */ value) => h("option", { value }))));
    const shortcuts = h("input", { type: "checkbox", checked: settings.shortcuts, onchange: () => change({ shortcuts: shortcuts.checked }) });
    const element = h("div", { class: "page" }, h("header", { class: "page-head" }, h("h1", null, "Settings")),
        h("div", { class: "settings card" },
            h("p", { class: "dim" }, "Kept in this browser."),
            select("Theme", [["system", "as the system"], ["light", "light"], ["dark", "dark"]], settings.theme, (value) => change({ theme: /** @type {any} */ (value) })),
            select("Times", [["relative", "how long ago"], ["absolute", "day and time"]], settings.times, (value) => change({ times: /** @type {any} */ (value) })),
            select("Time zone", [["local", "this computer's"], ["UTC", "UTC"], ["named", "another one…"]], named ? "named" : settings.zone, (value) => {
                zoneField.hidden = value !== "named";
                if (value === "named") zone.focus();
                else change({ zone: value });
            }),
            zoneField,
            h("p", { class: "hint" }, "This page was opened ", moment(new Date().toISOString()), "."),
            select("Read a list again, at most every", [["1", "second"], ["2", "2 seconds"], ["5", "5 seconds"], ["10", "10 seconds"], ["30", "30 seconds"], ["60", "minute"]], String(settings.refresh), (value) => change({ refresh: Number(value) })),
            select("Rows of a list", [["20", "20"], ["50", "50"], ["100", "100"], ["200", "200"]], String(settings.pageSize), (value) => change({ pageSize: Number(value) })),
            h("label", { class: "check" }, shortcuts, "Single keys are shortcuts (? lists them)")));
    return { title: "Settings", element };
}
