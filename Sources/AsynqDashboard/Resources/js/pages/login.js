import { api, APIError, messageOf } from "../api.js";
import { h } from "../dom.js";
import { go, href } from "../router.js";
import { field } from "../widgets/enqueue.js";

/** @param {import("../router.js").Place} place @returns {import("../main.js").Page} */
export function open(place) {
    const user = h("input", { type: "text", autocomplete: "username", required: true, spellcheck: "false", autocapitalize: "none" });
    const password = h("input", { type: "password", autocomplete: "current-password", required: true });
    const error = h("p", { class: "error-text", role: "alert", hidden: true });
    const button = h("button", { type: "submit", class: "primary" }, "Log in");
    const form = h("form", {
        class: "login", "aria-labelledby": "login-title",
        onsubmit: async (/** @type {Event} */ event) => {
            event.preventDefault();
            button.disabled = true;
            error.hidden = true;
            try {
                await api.login(user.value, password.value);
                const from = place.query.get("from") ?? "";
                // Only a place of this dashboard: never another site.
                go(from.startsWith("/") && !from.startsWith("//") && !from.includes("\\") && !from.startsWith(href(["login"])) ? from : href([]), { replace: true });
            } catch (problem) {
                error.textContent = explain(problem);
                error.hidden = false;
                password.focus();
                password.select();
            }
            button.disabled = false;
        },
    },
        h("img", { src: "icons/asynq.svg", alt: "", width: 36, height: 36 }), h("h1", { id: "login-title" }, "asynq"),
        field("User", user), field("Password", password), error, button);
    requestAnimationFrame(() => user.focus());
    return { title: "Log in", element: h("div", { class: "page login-page" }, form) };
}

/** @param {unknown} problem */
function explain(problem) {
    if (problem instanceof APIError && problem.status === 401) return "The user or the password is wrong.";
    if (problem instanceof APIError && problem.status === 429) {
        return `Too many attempts. Try again ${problem.retryAfter > 0 ? `in ${problem.retryAfter} seconds` : "later"}.`;
    }
    return messageOf(problem);
}
