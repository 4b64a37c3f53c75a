import { h, icon } from "../dom.js";
import { count, states } from "../format.js";
import { bar } from "../charts.js";

/** @typedef {import("../types.js").State} State */

/**
 * A state: always the same colour and the same sign.
 * @param {State} state
 */
export const stateTag = (state) => h("span", { class: `state ${state}` }, icon(state), state);

/**
 * The sizes of a queue by state.
 * @param {import("../types.js").Snapshot} queue @param {number} whole
 */
export function stateBar(queue, whole) {
    const parts = states.map((state) => ({ name: state, value: queue[state], color: state }));
    const words = parts.filter((part) => part.value > 0).map((part) => `${count(part.value)} ${part.name}`).join(", ");
    return bar(parts, whole, words || "no tasks");
}

/** What the colours of the states are. */
export const stateLegend = () => h("ul", { class: "legend" }, states.map((state) => h("li", null, stateTag(state))));
