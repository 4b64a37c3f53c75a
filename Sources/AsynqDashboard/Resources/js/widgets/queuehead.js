import { data, fill, h, icon } from "../dom.js";
import { bytes, compact, count, percent, states } from "../format.js";
import { go, href } from "../router.js";
import { mayWrite, snapshotOf, store } from "../store.js";
import { menuButton } from "./menu.js";

/** @typedef {import("../types.js").State} State @typedef {import("../types.js").Snapshot} Snapshot */

/**
 * What stands above the tasks of a queue: where one is, the facts, and the states with their counts.
 * @param {string} queue @param {{pause: () => void, enqueue: () => void, remove: () => void}} acts
 */
export function queueHead(queue, acts) {
    const switcher = h("select", { class: "switcher", "aria-label": "Queue", onchange: () => go(href(["queues", switcher.value])) });
    const pauseButton = h("button", { type: "button", onclick: acts.pause });
    const facts = h("dl", { class: "strip" });
    const chips = h("nav", { class: "chips", "aria-label": "States" }, states.map((state) =>
        h("a", { href: href(["queues", queue], { state }), class: `chip ${state}`, "data-state": state }, icon(state, state), h("span", null, state), " ", h("b", null))));
    const elements = [
        h("h1", { class: "sr" }, "Queue ", data(queue)),
        h("header", { class: "page-head" },
            h("nav", { class: "crumbs", "aria-label": "Breadcrumb" }, h("a", { href: href([]) }, "Queues"), h("span", { "aria-hidden": "true" }, "/"), switcher),
            h("div", { class: "head-actions" }, mayWrite() && [
                pauseButton,
                h("button", { type: "button", title: "Enqueue a task (N)", onclick: acts.enqueue }, icon("add"), "Enqueue"),
                menuButton("More on this queue", () => [{ title: "Delete the queue…", icon: "delete", danger: true, act: acts.remove }]),
            ])),
        facts, chips,
    ];
    let shownNames = "";
    let shownFacts = "";

    /** @param {State} current */
    function draw(current) {
        const snapshot = snapshotOf(queue);
        const names = (store.queues ?? []).map((known) => known.queue);
        if (!names.includes(queue)) names.unshift(queue);
        if (JSON.stringify(names) !== shownNames) {
            shownNames = JSON.stringify(names);
            fill(switcher, names.map((name) => h("option", { value: name, selected: name === queue }, name)));
        }
        const known = snapshot ? factsOf(snapshot) : [];
        if (JSON.stringify(known) !== shownFacts) {
            shownFacts = JSON.stringify(known);
            fill(facts, known.map(([name, value]) => h("div", { class: value === "paused" ? "warning" : null }, h("dt", null, name), h("dd", null, value))));
        }
        const paused = snapshot?.paused ?? false;
        if (pauseButton.dataset.paused !== String(paused)) {
            pauseButton.dataset.paused = String(paused);
            pauseButton.title = `${paused ? "Resume" : "Pause"} the queue (P)`;
            fill(pauseButton, icon(paused ? "resume" : "pause"), paused ? "Resume" : "Pause");
        }
        for (const chip of chips.children) {
            const state = /** @type {State} */ (/** @type {HTMLElement} */ (chip).dataset.state);
            const number = chip.querySelector("b");
            const text = !snapshot ? "" : snapshot[state] < 100_000 ? count(snapshot[state]) : compact(snapshot[state]);
            if (number && number.textContent !== text) number.textContent = text;
            chip.classList.toggle("none", snapshot !== null && snapshot[state] === 0);
            if (state !== current) {
                chip.removeAttribute("aria-current");
            } else if (!chip.hasAttribute("aria-current")) {
                chip.setAttribute("aria-current", "true");
                requestAnimationFrame(() => chip.scrollIntoView({ block: "nearest", inline: "nearest" }));
            }
        }
    }
    return { elements, draw };
}

/** @param {Snapshot} snapshot @returns {[string, string][]} */
function factsOf(snapshot) {
    return [
        ["Status", snapshot.paused ? "paused" : "running"], ["Size", count(snapshot.size)], ["Memory", bytes(snapshot.memory_usage_bytes)],
        ["Latency", snapshot.display_latency], ["Processed today", count(snapshot.processed)], ["Failed today", count(snapshot.failed)],
        ["Error rate", percent(snapshot.failed, snapshot.processed)],
    ];
}
