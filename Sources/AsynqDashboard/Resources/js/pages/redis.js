import { api, messageOf } from "../api.js";
import { data, fill, h } from "../dom.js";
import { bytes, compact, count, duration } from "../format.js";
import { bind } from "../keys.js";
import { store } from "../store.js";
import { empty } from "../widgets/table.js";

/**
 * The figures that come first, where the broker has them.
 * @type {[string, string, (value: string) => string][]}
 */
const first = [
    ["redis_version", "Version", (value) => value], ["sqlite_version", "SQLite", (value) => value], ["redis_mode", "Mode", (value) => value],
    ["uptime_in_seconds", "Up", (value) => duration(Number(value))], ["connected_clients", "Clients", (value) => count(Number(value))],
    ["used_memory", "Memory", (value) => bytes(Number(value))], ["used_memory_peak", "Peak", (value) => bytes(Number(value))],
    ["maxmemory", "Limit", (value) => (Number(value) > 0 ? bytes(Number(value)) : "none")], ["maxmemory_policy", "When full", (value) => value],
    ["mem_fragmentation_ratio", "Fragmentation", (value) => value], ["instantaneous_ops_per_sec", "Commands/s", (value) => compact(Number(value))],
    ["aof_enabled", "Append-only file", (value) => (value === "1" ? "on" : "off")], ["rdb_last_bgsave_status", "Last snapshot", (value) => value],
    ["role", "Role", (value) => value], ["connected_slaves", "Replicas", (value) => value], ["evicted_keys", "Evicted", (value) => count(Number(value))],
];

/** @returns {import("../main.js").Page} */
export function open() {
    const redis = store.session?.broker.kind === "redis";
    const title = redis ? "Redis" : "Storage";
    const address = h("p", { class: "dim" });
    const facts = h("dl", { class: "strip" });
    const warnings = h("div", { class: "warnings" });
    const more = h("div", { class: "cards" });
    const filter = h("input", { type: "search", placeholder: "Filter figures", "aria-label": "Filter figures by name", spellcheck: "false", oninput: () => draw() });
    const element = h("div", { class: "page" }, h("header", { class: "page-head" }, h("h1", null, title), address), warnings, facts, h("div", { class: "tools" }, filter), more);
    /** @type {import("../types.js").RedisInfo|null} */
    let info = null;

    function draw() {
        if (!info) return;
        const values = info.info ?? {};
        fill(address, data(info.address), info.cluster ? " · cluster" : "");
        fill(warnings, values.maxmemory_policy && values.maxmemory_policy !== "noeviction" && Number(values.maxmemory) > 0
            && h("p", { class: "notice" }, `Redis may evict keys when it is full (${values.maxmemory_policy}): tasks would be lost. Set maxmemory-policy to noeviction.`));
        fill(facts, first.filter(([key]) => values[key] !== undefined).map(([key, name, show]) => h("div", null, h("dt", null, name), h("dd", null, show(values[key] ?? "")))));
        const words = filter.value.toLowerCase();
        const sections = sectionsOf(info.raw_info, values).map(({ name, lines }) => ({ name, lines: lines.filter(([key, value]) => `${key} ${value}`.toLowerCase().includes(words)) })).filter(({ lines }) => lines.length > 0);
        fill(more,
            info.queue_locations && info.queue_locations.length > 0 && h("section", { class: "card" }, h("h2", null, "Where the queues are"), h("table", { class: "table small" },
                h("thead", null, h("tr", null, h("th", { scope: "col" }, "Queue"), h("th", { scope: "col", class: "num" }, "Slot"), h("th", { scope: "col" }, "Nodes"))),
                h("tbody", null, info.queue_locations.map((location) => h("tr", null, h("th", { scope: "row" }, data(location.queue)), h("td", { class: "num" }, String(location.keyslot)), h("td", null, data([location.nodes].flat().join(", ")))))))),
            sections.map(({ name, lines }) => h("section", { class: "card info" }, h("h2", null, data(name)), h("dl", { class: "facts" }, lines.map(([key, value]) => [h("dt", null, data(key ?? "")), h("dd", { class: "mono" }, data(value ?? ""))]).flat()))),
            sections.length === 0 && empty("No figure is called so"),
            info.raw_cluster_nodes && h("section", { class: "card" }, h("h2", null, "Nodes"), h("pre", { class: "text", tabIndex: 0, role: "region", "aria-label": "Nodes" }, info.raw_cluster_nodes)));
    }

    async function read() {
        try {
            info = await api.redisInfo();
            draw();
        } catch (error) {
            if (!info) fill(more, empty("The figures could not be read", h("p", { role: "alert" }, messageOf(error)), h("button", { type: "button", onclick: () => void read() }, "Read them again")));
        }
    }
    void read();
    const timer = setInterval(() => document.hidden || element.contains(getSelection()?.isCollapsed === false ? getSelection()?.anchorNode ?? null : null) || void read(), 10_000);
    const unbind = bind([{ keys: "/", title: "Filter figures", group: "Move", act: () => filter.focus() }]);
    return { title, element, end: () => { clearInterval(timer); unbind(); } };
}

/** @param {string} raw @param {Record<string, string>} values @returns {{name: string, lines: string[][]}[]} */
function sectionsOf(raw, values) {
    /** @type {{name: string, lines: string[][]}[]} */
    const sections = [];
    for (const line of (raw ?? "").split(/\r?\n/)) {
        if (line.startsWith("#")) sections.push({ name: line.slice(1).trim(), lines: [] });
        const at = line.indexOf(":");
        if (at > 0 && !line.startsWith("#")) {
            if (sections.length === 0) sections.push({ name: "Figures", lines: [] });
            sections[sections.length - 1]?.lines.push([line.slice(0, at), line.slice(at + 1)]);
        }
    }
    return sections.length > 0 ? sections : [{ name: "Figures", lines: Object.entries(values).map(([key, value]) => [key, String(value)]) }];
}
