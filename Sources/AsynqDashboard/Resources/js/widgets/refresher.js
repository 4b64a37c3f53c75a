import { settings } from "../settings.js";

/** Reads a list again when it may have changed: not too often, and not while somebody is at it. */
export class Refresher {
    /**
     * @param {HTMLElement} list
     * @param {{version: () => string, wanted: () => boolean, free: () => boolean, read: () => void}} hooks
     * `version` changes when the list may have changed; `wanted`: whether this list follows changes at all; `free`: whether it may do so now
     */
    constructor(list, hooks) {
        this.list = list;
        this.hooks = hooks;
        this.version = "";
        this.begun = 0;
        this.timer = 0;
    }

    /** The list is being read. */
    reading() {
        this.version = this.hooks.version();
        this.begun = Date.now();
    }

    /** Something has changed somewhere. */
    changed() {
        if (this.timer !== 0 || !this.stale) return;
        this.wait(Math.max(0, settings.refresh * 1000 - (Date.now() - this.begun)));
    }

    get stale() {
        return this.hooks.wanted() && this.hooks.version() !== this.version;
    }

    /** @param {number} delay */
    wait(delay) {
        this.timer = window.setTimeout(() => {
            this.timer = 0;
            const selection = getSelection();
            const selecting = selection !== null && !selection.isCollapsed && this.list.contains(selection.anchorNode);
            if (!this.stale) return;
            if (selecting || !this.hooks.free() || document.querySelector("[role=menu]")) this.wait(500);
            else this.hooks.read();
        }, delay);
    }

    end() {
        clearTimeout(this.timer);
    }
}
