import { api, isAbort, messageOf } from "../api.js";
import { count } from "../format.js";
import { isEmpty } from "./filterbar.js";

/** @typedef {import("../types.js").TaskRow} TaskRow @typedef {import("../types.js").State} State @typedef {import("../types.js").Filter} Filter */

/**
 * What a list shows, and where it is read.
 * @typedef {object} View
 * @property {State} state
 * @property {string} group of the tasks that aggregate
 * @property {number} page from 1
 * @property {number} size
 * @property {Filter} filter
 */

/**
 * Reads tasks: a page of a state, or, with a filter, what a scan of the state has found so far.
 */
export class TaskSource {
    /** @param {string} queue @param {() => void} changed */
    constructor(queue, changed) {
        this.queue = queue;
        this.changed = changed;
        /** @type {TaskRow[]} */
        this.tasks = [];
        /** @type {import("../types.js").Snapshot|null} */
        this.stats = null;
        /** @type {string|null} */
        this.error = null;
        this.status = 0;
        this.loading = false;
        this.loaded = false;
        this.scanned = 0;
        this.total = 0;
        /** @type {string|null} */
        this.cursor = null;
        /** @type {AbortController|null} */
        this.request = null;
    }

    stop() {
        this.request?.abort();
        this.request = null;
        this.loading = false;
    }

    end() {
        this.stop();
    }

    /** @param {View} view @param {boolean} [quiet] what is shown stays until the new is there */
    async load(view, quiet) {
        if (!isEmpty(view.filter)) {
            this.tasks = [];
            this.scanned = this.total = 0;
            this.cursor = null;
            await this.goOn(view);
            return;
        }
        await this.run(quiet ?? false, async (signal) => {
            const answer = await api.tasks(this.queue, view.state, view.group, view.page, view.size, signal);
            return () => {
                this.tasks = answer.tasks ?? [];
                this.stats = answer.stats;
            };
        });
    }

    /**
     * Scans on, until a page more is found, the end is reached, or this has gone on for some time.
     * @param {View} view
     */
    async goOn(view) {
        const wanted = this.tasks.length + view.size;
        const begun = performance.now();
        await this.run(false, async (signal) => {
            for (;;) {
                const answer = await api.search(this.queue, view.state, view.group, view.filter, this.cursor, Math.max(1, wanted - this.tasks.length), signal);
                const known = new Set(this.tasks.map((task) => task.id));
                this.tasks.push(...answer.tasks.filter((task) => !known.has(task.id)));
                this.scanned = answer.scanned;
                this.total = answer.total;
                this.cursor = answer.cursor;
                if (this.cursor === null || this.tasks.length >= wanted || performance.now() - begun > 4000) return () => {};
                this.changed();
            }
        });
    }

    /** @param {boolean} quiet @param {(signal: AbortSignal) => Promise<() => void>} read */
    async run(quiet, read) {
        this.request?.abort();
        const mine = (this.request = new AbortController());
        this.loading = true;
        if (!quiet) this.changed();
        try {
            const take = await read(mine.signal);
            if (mine !== this.request) return;
            take();
            this.error = null;
            this.status = 200;
        } catch (error) {
            if (isAbort(error) || mine !== this.request) return;
            this.error = messageOf(error);
            this.status = /** @type {any} */ (error).status ?? 0;
        }
        this.loading = false;
        this.loaded = true;
        this.changed();
    }

    /** How far a scan has come, in words. */
    get progress() {
        const scanned = Math.min(this.scanned, this.total);
        const part = `${count(scanned)} of ${count(this.total)} read`;
        return `${count(this.tasks.length)} found; ${this.cursor === null && !this.loading ? `all ${count(this.total)} read` : part}`;
    }
}
