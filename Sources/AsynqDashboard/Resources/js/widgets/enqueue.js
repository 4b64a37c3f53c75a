import { api, messageOf } from "../api.js";
import { data, h, newID } from "../dom.js";
import { decode, prettyJSON } from "../format.js";
import { store } from "../store.js";
import { openDialog } from "./dialog.js";

/** @typedef {import("../types.js").TaskDetail} TaskDetail */

/** @param {string} title @param {HTMLInputElement|HTMLTextAreaElement|HTMLSelectElement} control @param {string} [hint] */
export function field(title, control, hint) {
    control.id ||= newID();
    const label = h("label", { for: control.id }, title);
    if (!hint) return h("div", { class: "field" }, label, control);
    const note = h("p", { class: "hint", id: newID() }, hint);
    control.setAttribute("aria-describedby", note.id);
    return h("div", { class: "field" }, label, control, note);
}

/**
 * A text area for a payload, which says whether it is JSON.
 * @param {string} text
 */
function payloadArea(text) {
    const area = h("textarea", { rows: 12, spellcheck: "false", class: "mono", value: text, dir: "auto" });
    const note = h("p", { class: "hint", id: newID(), role: "status" });
    const was = prettyJSON(text) !== null;
    area.setAttribute("aria-describedby", note.id);
    const check = () => {
        let problem = "";
        if (was || /^\s*[[{]/.test(area.value)) {
            try {
                JSON.parse(area.value);
            } catch (error) {
                problem = `Not JSON: ${messageOf(error)}`;
            }
        }
        const say = problem || (was ? "JSON" : "Text, stored as it stands");
        if (note.textContent !== say) note.textContent = say;
        note.classList.toggle("warning", problem !== "");
    };
    area.addEventListener("input", check);
    check();
    return { area, note };
}

/** @param {HTMLElement} form @param {string} button @param {() => Promise<void>} send @param {() => void} close */
function footer(form, button, send, close) {
    const error = h("p", { class: "error-text", role: "alert", hidden: true });
    const submit = h("button", { type: "submit", class: "primary" }, button);
    form.append(error, h("div", { class: "dialog-foot" }, h("button", { type: "button", onclick: close }, "Close without enqueuing"), submit));
    form.addEventListener("submit", async (event) => {
        event.preventDefault();
        submit.disabled = true;
        error.hidden = true;
        try {
            await send();
            close();
        } catch (problem) {
            error.textContent = messageOf(problem);
            error.hidden = false;
        }
        submit.disabled = false;
    });
    form.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            submit.click();
        }
    });
}

/**
 * The payload of a task, changed, as a new task.
 * @param {TaskDetail} task @param {(created: TaskDetail) => void} done
 */
export function editDialog(task, done) {
    const text = task.payload_base64 === undefined ? task.payload : decode(task.payload_base64);
    const pretty = text === null ? null : prettyJSON(text);
    const { area, note } = payloadArea(pretty ?? text ?? task.payload_base64 ?? "");
    const mayDelete = task.state !== "active";
    const remove = h("input", { type: "checkbox", checked: mayDelete, disabled: !mayDelete });
    openDialog("Edit and enqueue again", (close) => {
        area.setAttribute("data-first", "");
        const form = h("form", null,
            h("p", null, "A new ", data(task.type, "name"), " in ", data(task.queue, "name"), ", with the headers, retries and time-outs of ", data(task.id, "name mono"), "."),
            field(text === null ? "Payload in base64: its bytes are not text" : "Payload", area), text === null ? null : note,
            h("label", { class: "check" }, remove, mayDelete ? "Delete the original task" : "The original task is being worked on and stays"));
        footer(form, "Enqueue", async () => {
            // Unchanged JSON goes back as it was, without the new lines that only the eye needs.
            const value = pretty !== null && area.value === pretty ? text ?? "" : pretty !== null ? compactJSON(area.value, text ?? "") : area.value;
            const payload = text === null ? { payload_base64: area.value.replace(/\s/g, "") } : { payload: value };
            done(await api.enqueueAgain(task.queue, task.id, { ...payload, delete_original: mayDelete && remove.checked }));
        }, close);
        return [form];
    }, { wide: true });
}

/**
 * JSON as densely as the original was.
 * @param {string} text @param {string} original
 */
function compactJSON(text, original) {
    return /\n/.test(original) || prettyJSON(text) === null ? text : JSON.stringify(JSON.parse(text));
}

/** @param {string|null} queue the one to begin with @param {(created: TaskDetail) => void} done */
export function enqueueDialog(queue, done) {
    const names = newID();
    const queueInput = h("input", { type: "text", required: true, value: queue ?? store.queues?.[0]?.queue ?? "default", list: names, autocomplete: "off", maxlength: 255 });
    const type = h("input", { type: "text", required: true, placeholder: "email:welcome", autocomplete: "off", spellcheck: "false" });
    const { area, note } = payloadArea("");
    area.rows = 7;
    const id = h("input", { type: "text", autocomplete: "off", spellcheck: "false", placeholder: "a random one" });
    const delay = h("input", { type: "number", min: 0, step: "any", placeholder: "0" });
    const retry = h("input", { type: "number", min: 0, step: 1, placeholder: "25" });
    const timeout = h("input", { type: "number", min: 0, step: 1, placeholder: "1800" });
    const retention = h("input", { type: "number", min: 0, step: 1, placeholder: "0" });
    const unique = h("input", { type: "number", min: 0, step: 1, placeholder: "0" });
    const group = h("input", { type: "text", autocomplete: "off" });
    const headers = h("textarea", { rows: 2, class: "mono", spellcheck: "false", placeholder: "name: value, one a line" });
    openDialog("Enqueue a task", (close) => {
        if (queue !== null) type.setAttribute("data-first", "");
        const form = h("form", null,
            h("datalist", { id: names }, (store.queues ?? []).map((known) => h("option", { value: known.queue }))),
            h("div", { class: "fields" }, field("Queue", queueInput), field("Type", type)),
            field("Payload", area), note,
            h("details", { class: "more" }, h("summary", null, "Options"),
                h("div", { class: "fields" },
                    field("Run in, seconds", delay), field("Retries", retry), field("Time-out, seconds", timeout),
                    field("Keep when completed, seconds", retention), field("Unique for, seconds", unique), field("Group", group), field("Id", id)),
                field("Headers", headers)));
        footer(form, "Enqueue", async () => {
            /** @type {Record<string, unknown>} */
            const task = { type: type.value, payload: area.value };
            /** @type {[string, HTMLInputElement][]} */
            const figures = [["process_in_seconds", delay], ["max_retry", retry], ["timeout_seconds", timeout], ["retention_seconds", retention], ["unique_seconds", unique]];
            for (const [name, input] of figures) if (input.value !== "") task[name] = Number(input.value);
            if (id.value !== "") task.id = id.value;
            if (group.value !== "") task.group = group.value;
            const lines = headers.value.split("\n").filter((line) => line.trim() !== "");
            if (lines.length > 0) task.headers = Object.fromEntries(lines.map(headerOf));
            done(await api.enqueue(queueInput.value, task));
        }, close);
        return [form];
    }, { wide: true });
}

/** @param {string} line */
function headerOf(line) {
    const at = line.indexOf(":");
    if (at < 1) throw new Error(`The header “${line}” is not of the form “name: value”.`);
    return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
}
