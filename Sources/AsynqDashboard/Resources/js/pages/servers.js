import { data, fill, h, reconcile } from "../dom.js";
import { plural, shortID } from "../format.js";
import { href } from "../router.js";
import { store, subscribe, update } from "../store.js";
import { api } from "../api.js";
import { moment } from "../times.js";
import { bar } from "../charts.js";
import { code, empty, Table } from "../widgets/table.js";
import { fail } from "../widgets/toast.js";

/** @typedef {import("../types.js").Server} Server @typedef {import("../types.js").Worker} Worker */

/** @returns {import("../main.js").Page} */
export function open() {
    const list = h("div", { class: "cards" });
    const nothing = h("div", { hidden: true });
    const sum = h("p", { class: "dim" });
    const element = h("div", { class: "page" }, h("header", { class: "page-head" }, h("h1", null, "Servers"), sum), list, nothing);
    /** @type {WeakMap<HTMLElement, (server: Server) => void>} */
    const updates = new WeakMap();

    function draw() {
        const servers = store.servers;
        if (!servers) return;
        const busy = servers.reduce((total, server) => total + server.active_workers.length, 0);
        const text = servers.length === 0 ? "" : `${plural(servers.length, "server")}, ${busy} of ${servers.reduce((total, server) => total + server.concurrency, 0)} workers busy`;
        if (sum.textContent !== text) sum.textContent = text;
        nothing.hidden = servers.length > 0;
        if (servers.length === 0 && nothing.children.length === 0) {
            fill(nothing, empty("No server is running", h("p", null, "Tasks wait until a server takes them. In Swift:"),
                code("try await AsynqServer(broker, handler: router, configuration: .init(queues: [\"default\": 1])).run()")));
        }
        const sorted = [...servers].sort((one, other) => one.host.localeCompare(other.host) || one.pid - other.pid);
        reconcile(list, sorted, (server) => server.id, (server) => {
            const card = makeCard(server);
            updates.set(card.element, card.update);
            return card.element;
        }, (card, server) => updates.get(card)?.(server));
    }
    draw();
    if (!store.servers) {
        api.servers().then(({ servers }) => store.servers ?? update({ servers }), (error) => fail("Could not read the servers", error));
    }
    const end = subscribe(draw);
    return { title: "Servers", element, end };
}

/** @param {Server} first */
function makeCard(first) {
    const head = h("div", { class: "card-head" });
    const facts = h("dl", { class: "strip" });
    const idle = h("p", { class: "dim" }, "No task is being worked on.");
    const table = new Table(`Tasks that ${first.host}:${first.pid} works on`, /** @type {import("../widgets/table.js").Column<Worker>[]} */ ([
        { title: "Task", className: "id", header: true, cell: (worker) => h("a", { class: "mono", href: href(["queues", worker.queue, "tasks", worker.task_id], { state: "active" }), title: worker.task_id }, data(shortID(worker.task_id))) },
        { title: "Type", className: "type", cell: (worker) => data(worker.task_type) },
        { title: "Queue", className: "type", cell: (worker) => h("a", { href: href(["queues", worker.queue], { state: "active" }) }, data(worker.queue)) },
        { title: "Payload", className: "text payload", cell: (worker) => data(worker.task_payload, "mono") },
        { title: "Started", className: "time", cell: (worker) => moment(worker.start_time) },
    ]), (worker) => `${worker.queue} ${worker.task_id}`, { className: "rows workers" });
    const element = h("section", { class: "card server" }, head, facts, table.element, idle);
    let seen = "";

    /** @param {Server} server */
    function update(server) {
        const text = JSON.stringify(server);
        if (text === seen) return;
        seen = text;
        const busy = server.active_workers.length;
        fill(head, h("h2", null, data(server.host), ":", String(server.pid)),
            h("span", { class: server.status === "active" ? "status" : "status warning" }, server.status),
            bar([{ name: "busy", value: busy, color: "active" }], Math.max(server.concurrency, busy), `${busy} of ${server.concurrency} workers busy`),
            h("span", { class: "num" }, `${busy}/${server.concurrency}`));
        const queues = Object.entries(server.queue_priorities ?? {}).sort((one, other) => other[1] - one[1]);
        fill(facts,
            h("div", null, h("dt", null, "Started"), h("dd", null, moment(server.start_time))),
            h("div", null, h("dt", null, server.strict_priority_enabled ? "Queues, strictly by priority" : "Queues and their priority"),
                h("dd", { class: "wrap" }, queues.map(([queue, priority], index) => [index > 0 ? ", " : null, h("a", { href: href(["queues", queue]) }, data(queue)), ` ${priority}`]).flat())),
            h("div", null, h("dt", null, "Id"), h("dd", { class: "mono" }, data(server.id))));
        table.show([...server.active_workers].sort((one, other) => one.start_time.localeCompare(other.start_time)));
        table.element.hidden = busy === 0;
        idle.hidden = busy > 0;
    }
    update(first);
    return { element, update };
}
