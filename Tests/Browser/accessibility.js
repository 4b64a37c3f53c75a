// Rules in the manner of axe: returns a list of what breaks them on the page as it is.
() => {
    const problems = [];
    const visible = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest("[aria-hidden=true]");
    const say = (rule, element) => problems.push(`${rule}: ${element.outerHTML.slice(0, 140)}`);
    const all = (selector) => [...document.querySelectorAll(selector)].filter(visible);
    const textOf = (ids) => ids.split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join(" ").trim();
    const nameOf = (element) => (element.getAttribute("aria-labelledby") && textOf(element.getAttribute("aria-labelledby")))
        || element.getAttribute("aria-label")?.trim() || [...(element.labels ?? [])].map((label) => label.textContent.trim()).join(" ")
        || (element.matches("input, select, textarea") ? "" : element.textContent.trim()) || [...element.querySelectorAll("img")].map((image) => image.alt).join("");

    for (const element of all("a[href], button, input, select, textarea, summary, [role=img], [role=menuitem], [role=option], [role=group][tabindex], progress, dialog, figure")) {
        if (!nameOf(element)) say("no name", element);
    }
    for (const element of all("img")) if (!element.hasAttribute("alt")) say("no alt", element);
    for (const element of all("section[role=region], nav, section.panel, form[role=search]")) {
        if (element.matches("nav, section") && !nameOf(element)) say("landmark without a name", element);
    }
    const names = all("nav").map((element) => nameOf(element));
    if (new Set(names).size !== names.length) problems.push(`landmarks of one name: ${names}`);

    const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
    for (const id of new Set(ids.filter((id, index) => ids.indexOf(id) !== index))) problems.push(`id twice: ${id}`);
    for (const element of document.querySelectorAll("[aria-labelledby], [aria-describedby], [aria-controls], label[for]")) {
        for (const attribute of ["aria-labelledby", "aria-describedby", "aria-controls", "for"]) {
            for (const id of (element.getAttribute(attribute) ?? "").split(" ").filter(Boolean)) {
                if (!document.getElementById(id)) say(`${attribute} leads nowhere`, element);
            }
        }
    }

    if (document.querySelectorAll("main").length !== 1) problems.push("not one main");
    if (!document.documentElement.lang) problems.push("no language");
    if (!document.title) problems.push("no title");
    if (document.querySelectorAll("h1").length !== 1) problems.push(`${document.querySelectorAll("h1").length} h1`);
    let level = 1;
    for (const heading of all("main h1, main h2, main h3, main h4")) {
        const next = Number(heading.tagName[1]);
        if (next > level + 1) say("heading skips a level", heading);
        level = next;
    }
    for (const table of all("table")) {
        if (!table.querySelector("caption")?.textContent.trim()) say("table without a caption", table);
        for (const cell of table.querySelectorAll("thead th")) {
            if (!cell.textContent.trim() && !cell.querySelector("[aria-label]")) say("column without a name", cell);
            if (!cell.scope) say("heading without a scope", cell);
        }
    }
    for (const element of all("*")) {
        if (Number(element.getAttribute("tabindex")) > 0) say("tabindex above zero", element);
        const scrolls = element.scrollHeight > element.clientHeight + 1 && /auto|scroll/.test(getComputedStyle(element).overflowY);
        // A list box scrolls with the arrow keys of its input.
        if (scrolls && element.tabIndex < 0 && element.role !== "listbox" && !element.querySelector("a[href], button, input, select, [tabindex='0']")) say("scrolls, but not with the keyboard", element);
    }
    for (const element of all("a[href], button, input, select, textarea, summary")) {
        const box = element.getBoundingClientRect();
        // Inline links in text are free of the rule, as in WCAG 2.5.8.
        const inline = element.matches("a, button.link, summary") || element.matches("input[type=checkbox]");
        if (!inline && (box.width < 24 || box.height < 22)) say(`small: ${Math.round(box.width)}×${Math.round(box.height)}`, element);
    }

    // Contrast of all text against what is painted behind it.
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 1;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const rgba = (color) => {
        context.clearRect(0, 0, 1, 1);
        context.fillStyle = color;
        context.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
        return [r, g, b, a / 255];
    };
    const over = (top, below) => [0, 1, 2].map((index) => top[index] * top[3] + below[index] * (1 - top[3]));
    const background = (element) => {
        const layers = [];
        for (let at = element; at; at = at.parentElement) {
            const color = rgba(getComputedStyle(at).backgroundColor);
            if (color[3] > 0) layers.push(color);
            if (color[3] === 1) break;
        }
        return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
    };
    const luminance = (color) => {
        const [r, g, b] = color.map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (one, other) => {
        const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
        return (light + 0.05) / (dark + 0.05);
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let checked = 0;
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        if (!walker.currentNode.textContent.trim() || !visible(element) || element.closest(":disabled, .sr, .skip, noscript, option")) continue;
        const style = getComputedStyle(element);
        const behind = background(element);
        const property = element instanceof SVGElement ? style.fill : style.color;
        let opacity = 1;
        for (let at = element; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
        const color = rgba(property);
        const ratio = contrast(over([color[0], color[1], color[2], color[3] * opacity], behind), behind);
        checked++;
        if (ratio < 4.5) say(`contrast ${ratio.toFixed(2)}`, element);
    }
    // Signs and shapes that carry meaning: three to one.
    for (const element of all(".area, .line, main .icon.active, main .icon.pending, main .icon.aggregating, main .icon.scheduled, main .icon.retry, main .icon.archived, main .icon.completed")) {
        const style = getComputedStyle(element);
        const color = element.matches(".area") ? style.fill : element.matches(".line") ? style.stroke : style.color;
        const behind = element.closest(".chip") ? background(element.closest(".chip")) : background(element.closest(".card, main"));
        const ratio = contrast(over(rgba(color), behind), behind);
        if (ratio < 3) say(`contrast of a shape ${ratio.toFixed(2)}`, element);
    }
    if (checked < 2) problems.push("there is hardly any text: is the page loaded?");
    return [...new Set(problems)];
}
