import { h, icon } from "../dom.js";

/** @typedef {{title: string, icon?: string, key?: string, danger?: boolean, act: () => void}} MenuItem */

/** @type {(() => void)|null} */
let closeOpen = null;

/**
 * A button that opens a menu below itself.
 * @param {string} label @param {() => MenuItem[]} items read when it opens
 */
export function menuButton(label, items) {
    const button = h("button", {
        type: "button", class: "quiet square", "aria-label": label, title: label, "aria-haspopup": "menu", "aria-expanded": "false",
        onclick: () => openMenu(button, items()),
        onkeydown: (/** @type {KeyboardEvent} */ event) => {
            if (event.key === "ArrowDown") {
                event.preventDefault();
                openMenu(button, items());
            }
        },
    }, icon("more"));
    return button;
}

/** @param {HTMLElement} button @param {MenuItem[]} items */
export function openMenu(button, items) {
    closeOpen?.();
    const menu = h("div", { class: "menu", role: "menu", "aria-label": button.getAttribute("aria-label") });
    /** @param {boolean} back whether the focus goes back to the button */
    const close = (back) => {
        menu.remove();
        button.setAttribute("aria-expanded", "false");
        document.removeEventListener("pointerdown", away, true);
        window.removeEventListener("resize", gone);
        window.removeEventListener("scroll", gone, true);
        closeOpen = null;
        if (back) button.focus();
    };
    const gone = () => close(true);
    /** @param {Event} event */
    const away = (event) => {
        if (event.target instanceof Node && !menu.contains(event.target)) close(false);
    };
    for (const item of items) {
        menu.append(h("button", {
            type: "button", role: "menuitem", tabIndex: -1, class: item.danger ? "danger-text" : null,
            onclick: () => { close(true); item.act(); },
        }, icon(item.icon ?? ""), h("span", null, item.title), item.key && h("kbd", { "aria-hidden": "true" }, item.key)));
    }
    menu.addEventListener("keydown", (event) => {
        const entries = [...menu.querySelectorAll("button")];
        const index = entries.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
        const move = { ArrowDown: index + 1, j: index + 1, ArrowUp: index - 1, k: index - 1, Home: 0, End: entries.length - 1 }[event.key];
        if (move !== undefined) entries[(move + entries.length) % entries.length]?.focus();
        else if (event.key === "Escape" || event.key === "Tab") close(true);
        else return;
        event.preventDefault();
        event.stopPropagation();
    });
    document.body.append(menu);
    button.setAttribute("aria-expanded", "true");
    const box = button.getBoundingClientRect();
    menu.style.left = `${Math.max(8, Math.min(box.right - menu.offsetWidth, innerWidth - menu.offsetWidth - 8))}px`;
    menu.style.top = `${box.bottom + menu.offsetHeight + 8 < innerHeight ? box.bottom + 2 : Math.max(8, box.top - menu.offsetHeight - 2)}px`;
    document.addEventListener("pointerdown", away, true);
    window.addEventListener("resize", gone);
    window.addEventListener("scroll", gone, true);
    closeOpen = () => close(false);
    menu.querySelector("button")?.focus();
}
