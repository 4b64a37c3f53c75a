import { api, isAbort, messageOf } from "../api.js";
import { chart, timeAxis } from "../charts.js";
import { data, fill, h } from "../dom.js";
import { bytes, compact, duration } from "../format.js";
import { go, here, href } from "../router.js";
import { onSettings } from "../settings.js";
import { store } from "../store.js";
import { absolute } from "../times.js";
import { empty } from "../widgets/table.js";

/** @typedef {import("../types.js").MetricAnswer} MetricAnswer */

/** @type {[string, string, (value: number) => string][]} */
const graphs = [
    ["queue_size", "Size", compact],
    ["queue_latency_seconds", "Latency", duration],
    ["tasks_processed_per_second", "Processed per second", compact],
    ["tasks_failed_per_second", "Failed per second", compact],
    ["error_rate", "Error rate", (value) => `${compact(value * 100)}%`],
    ["pending_tasks_by_queue", "Pending", compact],
    ["retry_tasks_by_queue", "Retry", compact],
    ["archived_tasks_by_queue", "Archived", compact],
    ["queue_memory_usage_approx_bytes", "Memory", bytes],
];
const spans = [["3600", "1 hour"], ["10800", "3 hours"], ["21600", "6 hours"], ["86400", "1 day"], ["604800", "7 days"]];
/** How many queues a chart shows: more colours than these cannot be told apart. */
const most = 8;

/** @param {import("../router.js").Place} place @returns {import("../main.js").Page} */
export function open(place) {
    let span = Number(place.query.get("duration")) || 3600;
    let chosen = (place.query.get("queues") ?? "").split(",").filter((name) => name !== "").map(decodeURIComponent);
    const grid = h("div", { class: "charts" });
    const note = h("p", { class: "dim", role: "status" });
    const select = h("select", { "aria-label": "Time shown", onchange: () => { span = Number(select.value); moved(); } }, spans.map(([value, title]) => h("option", { value, selected: Number(value) === span }, title ?? "")));
    const picker = h("details", { class: "picker" }, h("summary", null, "Queues"), h("div", { class: "picker-list" }));
    const element = h("div", { class: "page" }, h("header", { class: "page-head" }, h("h1", null, "Metrics"), h("div", { class: "head-actions" }, picker, select)), note, grid);
    /** @type {Map<string, ReturnType<typeof chart>>} */
    const shown = new Map();
    /** @type {AbortController|null} */
    let request = null;
    /** @type {Record<string, MetricAnswer>|null} */
    let answers = null;

    function moved() {
        go(href(["charts"], { duration: span, queues: chosen.map(encodeURIComponent).join(",") }), { replace: true, silent: true });
        void read();
    }

    function drawPicker() {
        const names = (store.queues ?? []).map((queue) => queue.queue);
        const summary = picker.querySelector("summary");
        if (summary) summary.textContent = chosen.length === 0 ? "All queues" : `${chosen.length} of ${names.length} queues`;
        const list = picker.querySelector(".picker-list");
        if (list) fill(list, names.map((name) => h("label", { class: "check" }, h("input", {
            type: "checkbox", checked: chosen.includes(name),
            onchange: (/** @type {Event} */ event) => {
                chosen = /** @type {HTMLInputElement} */ (event.target).checked ? [...chosen, name] : chosen.filter((other) => other !== name);
                if (summary) summary.textContent = chosen.length === 0 ? "All queues" : `${chosen.length} of ${names.length} queues`;
                moved();
            },
        }), data(name))));
    }

    /** @param {MetricAnswer|undefined} answer @param {string} title @param {(value: number) => string} format @param {string[]} order @returns {import("../charts.js").Chart} */
    function chartOf(answer, title, format, order) {
        const series = (answer?.data?.result ?? []).filter((one) => order.includes(one.metric.queue ?? ""));
        const moments = spread([...new Set(series.flatMap((one) => one.values.map(([at]) => at)))].sort((one, other) => one - other));
        return {
            title, kind: "line", height: 150, format, seconds: format === duration, axis: timeAxis(moments), labels: moments.map((at) => absolute(new Date(at * 1000))),
            series: order.map((queue, index) => {
                const values = new Map(series.find((one) => one.metric.queue === queue)?.values ?? []);
                return { name: queue, color: `c-${index}`, values: moments.map((at) => number(values.get(at))) };
            }).filter((one) => one.values.some((value) => value !== null)),
        };
    }

    function draw() {
        if (!answers) return;
        const last = new Map();
        for (const series of answers.queue_size?.data?.result ?? []) if (series.values.length > 0) last.set(series.metric.queue ?? "", number(series.values[series.values.length - 1]?.[1]) ?? 0);
        for (const answer of Object.values(answers)) for (const series of answer.data?.result ?? []) if (series.values.length > 0 && !last.has(series.metric.queue ?? "")) last.set(series.metric.queue ?? "", 0);
        const largest = [...last].sort((one, other) => other[1] - one[1]).map(([queue]) => queue);
        // The colours go by name, so that a queue keeps its own when another one grows.
        const order = largest.slice(0, most).sort();
        note.textContent = largest.length > most ? `The ${most} largest of ${largest.length} queues; choose others above.` : store.session?.metrics === "own" ? "From the dashboard's own samples since it was started; give it a Prometheus for a longer history." : "From Prometheus.";
        const problem = Object.values(answers).find((answer) => answer.status !== "success")?.error;
        if (problem) note.textContent = `Prometheus answered: ${problem}`;
        if (largest.length === 0 && !problem) {
            shown.clear();
            fill(grid, empty("Nothing has been recorded yet", h("p", null, "The dashboard takes a sample every few seconds: come back in a minute.")));
            return;
        }
        if (shown.size === 0) fill(grid);
        for (const [key, title, format] of graphs) {
            const next = chartOf(answers[key], title, format, order);
            const known = shown.get(key);
            if (known) {
                known.update(next);
            } else {
                const made = chart(next);
                shown.set(key, made);
                grid.append(h("section", { class: "card", "aria-label": title }, made.element));
            }
        }
    }

    async function read() {
        request?.abort();
        const mine = (request = new AbortController());
        try {
            answers = await api.metrics(span, chosen, mine.signal);
            draw();
        } catch (error) {
            if (isAbort(error)) return;
            if (answers) note.textContent = messageOf(error);
            else fill(grid, empty("The metrics could not be read", h("p", { role: "alert" }, messageOf(error)), h("button", { type: "button", onclick: () => void read() }, "Read them again")));
        }
    }
    picker.addEventListener("toggle", () => picker.open && drawPicker());
    drawPicker();
    void read();
    const timer = setInterval(() => document.hidden || store.live === "paused" || void read(), 10_000);
    const unsettle = onSettings(draw);
    return {
        title: "Metrics", element, move: () => here().parts[0] === "charts",
        end: () => {
            clearInterval(timer);
            unsettle();
            request?.abort();
        },
    };
}

/** @param {string|undefined} text */
function number(text) {
    const value = Number(text);
    return text === undefined || !Number.isFinite(value) ? null : value;
}

/**
 * With places for what was not recorded, so that a gap is as wide as it was long.
 * @param {number[]} moments in order
 */
function spread(moments) {
    const steps = moments.slice(1).map((at, index) => at - (moments[index] ?? 0)).sort((one, other) => one - other);
    const step = steps[Math.floor(steps.length / 2)] ?? 0;
    /** @type {number[]} */
    const result = [];
    for (const at of moments) {
        let last = result[result.length - 1];
        while (steps.length > 8 && step > 0 && last !== undefined && at - last > 2.5 * step && result.length < 2000) result.push((last += step));
        result.push(at);
    }
    return result;
}
