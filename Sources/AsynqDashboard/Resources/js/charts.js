import { fill, h, newID, svg } from "./dom.js";
import { clockTime } from "./times.js";

/**
 * @typedef {object} Series
 * @property {string} name
 * @property {string} color class that sets the colour: `c-0`…`c-7`, or a state
 * @property {(number|null)[]} values one for each place of the axis; null where nothing is known
 */

/**
 * @typedef {object} Chart
 * @property {string} title
 * @property {"line"|"columns"} kind columns are stacked
 * @property {string[]} labels of the places, for the table and on hover
 * @property {(index: number) => string} axis a short label of a place
 * @property {Series[]} series
 * @property {(value: number) => string} format
 * @property {number} [height]
 * @property {boolean} [seconds] the values are lengths of time
 * @property {boolean} [untitled] the title stands elsewhere; here only for screen readers
 */

/**
 * Round numbers that divide the axis.
 * @param {number} highest @param {number} wanted @returns {number[]}
 */
export function ticks(highest, wanted) {
    if (!(highest > 0)) return [0, 1];
    const raw = highest / wanted;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= raw * 0.999) ?? 10) * power;
    const result = [];
    for (let value = 0; value < highest + step * 0.999; value += step) result.push(Number(value.toPrecision(12)));
    return result;
}

/** Steps of time in which people count, in seconds. */
const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400];

/**
 * As `ticks`, for lengths of time.
 * @param {number} highest seconds @param {number} wanted
 */
function timeTicks(highest, wanted) {
    if (highest < wanted) return ticks(highest, wanted);
    const step = steps.find((step) => step >= highest / wanted);
    if (step === undefined) return ticks(highest / 86_400, wanted).map((days) => days * 86_400);
    return Array.from({ length: Math.ceil(highest / step) + 1 }, (_, index) => index * step);
}

/**
 * A chart with axes, a legend, values on hover and with the arrow keys, and the same as a table.
 * @param {Chart} first
 */
export function chart(first) {
    let chart = first;
    let at = -1;
    const plot = h("div", { class: "plot", tabIndex: 0 });
    const tip = h("div", { class: "tip", hidden: true });
    const legend = h("ul", { class: "legend" });
    const body = h("div", { class: "scroll" });
    const table = h("details", { class: "as-table", ontoggle: () => drawTable() }, h("summary", null, "As a table"), body);
    const heading = newID();
    const element = h("figure", { class: "chart", "aria-labelledby": heading },
        h("figcaption", { id: heading, class: first.untitled ? "sr" : null }, first.title), legend, h("div", { class: "plot-box" }, plot, tip), table);
    let width = 0;
    new ResizeObserver(() => {
        if (plot.clientWidth !== width) draw();
    }).observe(plot);

    const left = 46;
    const bottom = 18;
    const top = 6;
    /** @type {(index: number) => number} */
    let x = () => 0;

    function draw() {
        width = plot.clientWidth;
        if (width < 40) return;
        const height = chart.height ?? 160;
        const n = chart.labels.length;
        const stacked = chart.kind === "columns";
        const sums = chart.labels.map((_, index) => {
            const values = chart.series.map((series) => series.values[index] ?? 0);
            return stacked ? values.reduce((sum, value) => sum + value, 0) : Math.max(0, ...values);
        });
        const marks = (chart.seconds ? timeTicks : ticks)(Math.max(0, ...sums), 4);
        const highest = marks[marks.length - 1] ?? 1;
        const inner = width - left - 8;
        const y = (/** @type {number} */ value) => top + (height - top - bottom) * (1 - value / highest);
        const slot = inner / Math.max(1, n);
        x = stacked ? (index) => left + slot * (index + 0.5) : (index) => left + (n < 2 ? inner / 2 : (inner * index) / (n - 1));
        const picture = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": summary() });
        for (const mark of marks) {
            const line = Math.round(y(mark)) + 0.5;
            picture.append(svg("line", { class: mark === 0 ? "axis" : "grid", x1: left, x2: width - 8, y1: line, y2: line }),
                svg("text", { class: "tick", x: left - 6, y: line + 3.5, "text-anchor": "end" }, chart.format(mark)));
        }
        const every = Math.max(1, Math.ceil(n / Math.max(1, Math.floor(inner / 72))));
        for (let index = stacked ? (n - 1) % every : 0; index < n; index += every) {
            const end = index === n - 1 && !stacked;
            if (!stacked && !end && x(n - 1) - x(index) < 30) continue;
            picture.append(svg("text", { class: "tick", x: x(index), y: height - 4, "text-anchor": !stacked && index === 0 ? "start" : end ? "end" : "middle" }, chart.axis(index)));
        }
        if (stacked) drawColumns(picture, y, slot);
        else drawLines(picture, y);
        picture.append(svg("line", { class: "cursor", y1: top, y2: height - bottom, visibility: "hidden" }));
        fill(plot, picture);
        if (at >= 0) point(Math.min(at, n - 1));
    }

    /** @param {SVGElement} picture @param {(value: number) => number} y @param {number} slot */
    function drawColumns(picture, y, slot) {
        const wide = Math.max(1, Math.min(28, slot - Math.min(3, slot / 4)));
        chart.labels.forEach((_, index) => {
            let below = 0;
            for (const series of chart.series) {
                const value = series.values[index] ?? 0;
                if (value <= 0) continue;
                const from = y(below);
                below += value;
                const high = Math.max(0.75, from - y(below) - (from - y(below) > 3 ? 1 : 0));
                picture.append(svg("rect", { class: `area ${series.color}`, x: x(index) - wide / 2, y: from - high, width: wide, height: high }));
            }
        });
    }

    /** @param {SVGElement} picture @param {(value: number) => number} y */
    function drawLines(picture, y) {
        chart.series.forEach((series, order) => {
            let path = "";
            let pen = false;
            series.values.forEach((value, index) => {
                if (value === null) {
                    pen = false;
                    return;
                }
                const alone = !pen && (series.values[index + 1] ?? null) === null;
                path += `${pen ? "L" : "M"}${x(index).toFixed(1)} ${y(value).toFixed(1)}${alone ? "h.1" : ""}`;
                pen = true;
            });
            picture.append(svg("path", { class: `line ${series.color} dash-${order % 4}`, d: path }));
        });
    }

    function summary() {
        const last = chart.labels.length - 1;
        const now = chart.series.slice(0, 8).map((series) => {
            const value = series.values[last];
            return `${series.name} ${value === null || value === undefined ? "unknown" : chart.format(value)}`;
        });
        return `${chart.title}. ${last < 0 ? "Nothing recorded yet." : `${chart.labels[0]} to ${chart.labels[last]}. Last: ${now.join(", ")}.`}`;
    }

    /** @param {number} index -1: nowhere */
    function point(index) {
        at = index;
        const line = plot.querySelector(".cursor");
        if (index < 0 || index >= chart.labels.length) {
            tip.hidden = true;
            line?.setAttribute("visibility", "hidden");
            return;
        }
        line?.setAttribute("visibility", "visible");
        line?.setAttribute("x1", String(x(index)));
        line?.setAttribute("x2", String(x(index)));
        const rows = chart.series.map((series) => ({ series, value: series.values[index] ?? null }))
            .filter(({ value }, _, all) => value !== null && (value !== 0 || all.length < 9)).slice(0, 12);
        fill(tip, h("div", { class: "tip-title" }, chart.labels[index] ?? ""),
            rows.map(({ series, value }) => h("div", { class: "tip-row" }, swatch(series, chart), h("bdi", null, series.name), h("b", null, chart.format(value ?? 0)))));
        tip.hidden = false;
        const place = x(index) + 10;
        tip.style.left = `${Math.max(0, place + tip.offsetWidth > width ? x(index) - tip.offsetWidth - 10 : place)}px`;
    }

    plot.addEventListener("pointermove", (event) => {
        const offset = event.clientX - plot.getBoundingClientRect().left;
        const n = chart.labels.length;
        let best = -1;
        for (let index = 0; index < n; index++) {
            if (best < 0 || Math.abs(x(index) - offset) < Math.abs(x(best) - offset)) best = index;
        }
        point(best);
    });
    plot.addEventListener("pointerleave", () => point(-1));
    plot.addEventListener("blur", () => point(-1));
    plot.addEventListener("keydown", (event) => {
        const last = chart.labels.length - 1;
        const next = { ArrowLeft: at < 0 ? last : Math.max(0, at - 1), ArrowRight: at < 0 ? 0 : Math.min(last, at + 1), Home: 0, End: last }[event.key];
        if (next === undefined) return;
        event.preventDefault();
        point(next);
    });

    function drawTable() {
        if (!table.open) return;
        fill(body, h("table", { class: "table small" }, h("caption", { class: "sr" }, chart.title),
            h("thead", null, h("tr", null, h("th", { scope: "col" }, "When"), chart.series.map((series) => h("th", { scope: "col", class: "num" }, h("bdi", null, series.name))))),
            h("tbody", null, chart.labels.map((label, index) => h("tr", null, h("th", { scope: "row" }, label),
                chart.series.map((series) => {
                    const value = series.values[index];
                    return h("td", { class: "num" }, value === null || value === undefined ? "–" : chart.format(value));
                }))).reverse())));
    }

    /** @param {Chart} next */
    function update(next) {
        chart = next;
        plot.setAttribute("aria-label", `${chart.title}: values with the arrow keys`);
        plot.setAttribute("role", "group");
        fill(legend, chart.series.length > 1 ? chart.series.map((series) => h("li", null, swatch(series, chart), h("bdi", null, series.name))) : null);
        draw();
        drawTable();
    }
    update(first);
    return { element, update };
}

/** @param {Series} series @param {Chart} chart */
function swatch(series, chart) {
    const order = chart.series.indexOf(series);
    return svg("svg", { class: "swatch", width: 16, height: 10, "aria-hidden": "true" }, chart.kind === "line"
        ? svg("path", { class: `line ${series.color} dash-${order % 4}`, d: "M0 5h16" })
        : svg("rect", { class: `area ${series.color}`, x: 3, width: 10, height: 10, rx: 2 }));
}

/**
 * A bar of parts, each as wide as its share of `whole`.
 * @param {{name: string, value: number, color: string}[]} parts @param {number} whole @param {string} label
 */
export function bar(parts, whole, label) {
    const picture = svg("svg", { class: "bar", role: "img", "aria-label": label, preserveAspectRatio: "none", viewBox: "0 0 1000 10" });
    let from = 0;
    for (const part of parts) {
        if (part.value <= 0) continue;
        // Also one task of a million is seen.
        const wide = Math.max(5, (1000 * part.value) / Math.max(1, whole));
        picture.append(svg("rect", { class: `area ${part.color}`, x: from, width: Math.max(1, wide - 2), height: 10 },
            svg("title", null, `${part.name}: ${part.value.toLocaleString("en")}`)));
        from += wide;
    }
    return picture;
}

/**
 * Labels of moments.
 * @param {number[]} seconds
 */
export function timeAxis(seconds) {
    const span = (seconds[seconds.length - 1] ?? 0) - (seconds[0] ?? 0);
    return (/** @type {number} */ index) => clockTime(seconds[index] ?? 0, span > 172_800);
}
