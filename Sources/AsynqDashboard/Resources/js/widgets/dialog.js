import { h, icon, newID } from "../dom.js";

/**
 * A dialog above the page. Escape and the cross close it; the focus goes back to where it was.
 * @param {string} title @param {(close: () => void) => (Node|null|false)[]} build @param {{wide?: boolean, closed?: () => void}} [options]
 */
export function openDialog(title, build, options = {}) {
    const heading = newID();
    const before = document.activeElement;
    const dialog = h("dialog", { class: options.wide ? "dialog wide" : "dialog", "aria-labelledby": heading });
    const close = () => dialog.close();
    dialog.append(h("header", { class: "dialog-head" },
        h("h2", { id: heading }, title),
        h("button", { type: "button", class: "quiet square", "aria-label": "Close", onclick: close }, icon("close"))));
    for (const part of build(close)) if (part) dialog.append(part);
    dialog.addEventListener("click", (event) => {
        // Only the backdrop is the dialog itself.
        if (event.target === dialog && event.offsetX >= 0 && outside(dialog, event)) close();
    });
    dialog.addEventListener("close", () => {
        dialog.remove();
        options.closed?.();
        if (before instanceof HTMLElement && before.isConnected) before.focus();
        else if (document.activeElement === document.body) document.getElementById("main")?.focus();
    });
    document.body.append(dialog);
    dialog.showModal();
    const first = dialog.querySelector("[data-first]") ?? dialog.querySelector("input, textarea, select, .dialog-foot button");
    if (first instanceof HTMLElement) first.focus();
    return dialog;
}

/** @param {HTMLElement} dialog @param {MouseEvent} event */
function outside(dialog, event) {
    const box = dialog.getBoundingClientRect();
    return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
}

/**
 * Asks. `y` and `n` answer too.
 * @param {{title: string, text: string, detail?: Node, button: string, danger?: boolean}} question @returns {Promise<boolean>}
 */
export function confirm(question) {
    return new Promise((resolve) => {
        let answer = false;
        const dialog = openDialog(question.title, (close) => {
            const yes = () => {
                answer = true;
                close();
            };
            return [
                h("p", null, question.text),
                question.detail ?? null,
                h("div", { class: "dialog-foot" },
                    h("button", { type: "button", onclick: close, "data-first": question.danger ? true : null }, "Keep as it is"),
                    h("button", { type: "button", class: question.danger ? "danger" : "primary", "data-first": question.danger ? null : true, onclick: yes },
                        question.button, h("kbd", { "aria-hidden": "true" }, "y"))),
            ];
        }, { closed: () => resolve(answer) });
        dialog.addEventListener("keydown", (event) => {
            if (event.ctrlKey || event.metaKey || event.altKey) return;
            if (event.key === "y") {
                answer = true;
                event.preventDefault();
                dialog.close();
            } else if (event.key === "n") {
                event.preventDefault();
                dialog.close();
            }
        });
    });
}
