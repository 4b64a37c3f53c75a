import { data, h, icon } from "../dom.js";
import { actionsOf, actionTexts } from "../format.js";
import { openDialog } from "./dialog.js";

/**
 * What to do to all that match.
 * @param {import("../types.js").State} state @param {string} what the filter in words
 * @param {(action: import("../types.js").Action) => void} chosen
 */
export function chooseAction(state, what, chosen) {
    openDialog("All that match", (close) => [
        h("p", null, `All tasks that are ${state}`, what === "" ? null : [": ", data(what)], ". They are counted before anything is done."),
        h("div", { class: "dialog-foot" }, actionsOf[state].map((action) => h("button", {
            type: "button", class: action === "delete" ? "danger-text" : null,
            onclick: () => {
                close();
                chosen(action);
            },
        }, icon(action), `${actionTexts[action].title} all…`))),
    ]);
}
