import { fill, h, icon, reconcile } from "../dom.js";

/**
 * @template T
 * @typedef {object} Column
 * @property {string} title
 * @property {string} [className] of the heading and the cells
 * @property {boolean} [quiet] the heading is for screen readers only
 * @property {boolean} [header] the cell names its row
 * @property {(item: T) => (Node|string)} cell
 * @property {(cell: HTMLElement, item: T) => void} [update] keeps what the cell has; without it the cell is made anew when its item has changed
 * @property {(item: T) => number|string} [sort] what the column is sorted by
 */

/**
 * A table whose rows stay the same elements as long as their items are there.
 * @template T
 */
export class Table {
    /**
     * @param {string} caption for screen readers @param {Column<T>[]} columns @param {(item: T) => string} key
     * @param {{className?: string, sorted?: (column: number, descending: boolean) => void, header?: (cell: HTMLElement, column: number) => void}} [options]
     */
    constructor(caption, columns, key, options = {}) {
        this.columns = columns;
        this.key = key;
        /** @type {T[]} */
        this.items = [];
        /** @type {{column: number, descending: boolean}|null} */
        this.order = null;
        this.sorted = options.sorted;
        this.headings = columns.map((column, index) => {
            const cell = h("th", { scope: "col", role: "columnheader", class: column.className });
            if (column.sort) {
                cell.append(h("button", { type: "button", class: "sort", onclick: () => this.sortBy(index) }, column.title, h("span", { class: "arrow", "aria-hidden": "true" })));
            } else {
                cell.append(column.quiet ? h("span", { class: "sr" }, column.title) : column.title);
            }
            options.header?.(cell, index);
            return cell;
        });
        this.body = h("tbody", { role: "rowgroup" });
        this.element = h("table", { class: `table ${options.className ?? ""}`, role: "table" },
            h("caption", { class: "sr" }, caption),
            h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, this.headings)), this.body);
    }

    /** @param {T[]} items */
    show(items) {
        this.items = items;
        const column = this.order && this.columns[this.order.column];
        const value = column?.sort;
        if (value) {
            const sign = this.order?.descending ? -1 : 1;
            items = [...items].sort((one, other) => {
                const [a, b] = [value(one), value(other)];
                return sign * (typeof a === "string" ? a.localeCompare(String(b)) : a - Number(b));
            });
        }
        reconcile(this.body, items, this.key, (item) => this.makeRow(item), (row, item) => this.updateRow(row, item));
    }

    /** @param {number} index @param {boolean} [descending] */
    sortBy(index, descending) {
        const text = typeof this.items[0] !== "undefined" && typeof this.columns[index]?.sort?.(this.items[0]) === "string";
        const turn = this.order?.column === index ? !this.order.descending : !text;
        this.order = { column: index, descending: descending ?? turn };
        this.headings.forEach((cell, at) => {
            if (at === index) cell.setAttribute("aria-sort", this.order?.descending ? "descending" : "ascending");
            else cell.removeAttribute("aria-sort");
        });
        this.show(this.items);
        this.sorted?.(index, this.order.descending);
    }

    /** @param {T} item */
    makeRow(item) {
        const row = h("tr", { role: "row" });
        for (const column of this.columns) {
            const cell = column.header ? h("th", { scope: "row", role: "rowheader" }) : h("td", { role: "cell" });
            if (column.className) cell.className = column.className;
            if (!column.quiet) cell.dataset.title = column.title;
            cell.append(column.cell(item));
            row.append(cell);
        }
        /** @type {any} */ (row).item = item;
        /** @type {any} */ (row).seen = JSON.stringify(item);
        return row;
    }

    /** @param {HTMLElement} row @param {T} item */
    updateRow(row, item) {
        const seen = JSON.stringify(item);
        /** @type {any} */ (row).item = item;
        if (/** @type {any} */ (row).seen === seen) return;
        /** @type {any} */ (row).seen = seen;
        this.columns.forEach((column, index) => {
            const cell = /** @type {HTMLElement} */ (row.children[index]);
            if (column.update) column.update(cell, item);
            else fill(cell, column.cell(item));
        });
    }

    /**
     * What a row shows now.
     * @param {Element} row @returns {T}
     */
    itemOf(row) {
        return /** @type {any} */ (row).item;
    }
}

/**
 * What stands where there is nothing to show.
 * @param {string} title @param {...(Node|string)} what to do next
 */
export function empty(title, ...what) {
    return h("div", { class: "empty" }, h("p", { class: "empty-title" }, title), ...what);
}

/**
 * A line of code with a button that copies it.
 * @param {string} text
 */
export function code(text) {
    const button = h("button", {
        type: "button", class: "quiet square", "aria-label": "Copy", title: "Copy",
        onclick: () => navigator.clipboard?.writeText(text).then(() => button.classList.add("done")).catch(() => getSelection()?.selectAllChildren(block)),
    }, icon("copy"));
    const block = h("code", null, text);
    return h("pre", { class: "code" }, block, button);
}
