const base = new URL(document.baseURI).pathname;

/**
 * A place in the dashboard: the parts of its path below the root, decoded, and its query.
 * @typedef {{parts: string[], query: URLSearchParams}} Place
 */

/** @type {(place: Place) => void} */
let render = () => {};

/** @returns {Place} */
export function here() {
    const path = location.pathname.startsWith(base) ? location.pathname.slice(base.length) : "";
    return { parts: path.split("/").filter((part) => part !== "").map(decoded), query: new URLSearchParams(location.search) };
}

/** @param {string} part */
function decoded(part) {
    try {
        return decodeURIComponent(part);
    } catch {
        return part;
    }
}

/**
 * The address of a place.
 * @param {string[]} parts @param {Record<string, string|number|undefined|null>} [query]
 */
export function href(parts, query = {}) {
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
        if (value !== undefined && value !== null && (value !== "" || name === "error")) search.set(name, String(value));
    }
    const text = search.toString();
    return base + parts.map(encodeURIComponent).join("/") + (text && `?${text}`);
}

/** @param {string} address of `href` @param {{replace?: boolean, silent?: boolean}} [options] silent: the page has already shown it */
export function go(address, options = {}) {
    if (options.replace) history.replaceState(null, "", address);
    else if (address !== location.pathname + location.search) history.pushState(null, "", address);
    if (!options.silent) render(here());
}

/** @param {(place: Place) => void} show called now and at each move */
export function startRouter(show) {
    render = show;
    window.addEventListener("popstate", () => render(here()));
    document.addEventListener("click", (event) => {
        if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        const link = event.target instanceof Element ? event.target.closest("a") : null;
        if (!link || link.target || link.origin !== location.origin || !link.pathname.startsWith(base) || link.hasAttribute("download")) return;
        event.preventDefault();
        go(link.pathname + link.search);
    });
    render(here());
}
