import { fill, h, icon } from "../dom.js";
import { actionsOf, actionTexts, count } from "../format.js";

/**
 * What can be done to the selected tasks.
 * @param {{act: (action: import("../types.js").Action) => void, all: () => void, clear: () => void}} acts
 */
export function bulkBar(acts) {
    const text = h("span", { role: "status" });
    const element = h("div", { class: "bulk-bar", role: "group", "aria-label": "Actions on the selected tasks", hidden: true });
    let shown = "";
    return {
        element,
        /** @param {import("../types.js").State} state @param {number} selected */
        show(state, selected) {
            const focused = element.contains(document.activeElement);
            element.hidden = selected === 0;
            if (element.hidden) {
                if (focused) document.getElementById("main")?.focus();
                return;
            }
            if (shown !== state) {
                shown = state;
                fill(element, text, actionsOf[state].map((action) => h("button", {
                    type: "button", class: action === "delete" ? "danger-text" : null, onclick: () => acts.act(action),
                }, icon(action), actionTexts[action].title)),
                    h("button", { type: "button", onclick: acts.all }, "All that match…"),
                    h("button", { type: "button", class: "quiet", onclick: acts.clear }, "Clear"));
            }
            text.textContent = `${count(selected)} selected`;
        },
    };
}
