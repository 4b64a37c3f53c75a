// The shapes of the JSON API.

export type State = "active"|"pending"|"aggregating"|"scheduled"|"retry"|"archived"|"completed";

export type Action = "run"|"archive"|"delete"|"cancel";

export interface Session {
    user: string|null;
    role: "admin"|"read_only";
    authentication: "none"|"password";
    read_only: boolean;
    version: string;
    broker: {kind: "redis"|"sqlite"|"memory", address: string};
    metrics: "prometheus"|"own";
    refresh_seconds: number;
    csrf: string;
}

export interface Snapshot {
    queue: string;
    memory_usage_bytes: number;
    size: number;
    groups: number;
    latency_msec: number;
    display_latency: string;
    active: number;
    pending: number;
    aggregating: number;
    scheduled: number;
    retry: number;
    archived: number;
    completed: number;
    processed: number;
    succeeded: number;
    failed: number;
    paused: boolean;
    timestamp: string;
}

export type Daily = {queue: string, processed: number, succeeded: number, failed: number, date: string};

export interface TaskRow {
    id: string;
    type: string;
    payload: string;
    queue: string;
    max_retry: number;
    retried: number;
    error_message: string;
    start_time?: string;
    deadline?: string;
    is_orphaned?: boolean;
    next_process_at?: string;
    last_failed_at?: string;
    completed_at?: string;
    result?: string;
    ttl_seconds?: number;
    group?: string;
}

export interface TaskDetail {
    id: string;
    queue: string;
    type: string;
    payload: string;
    state: State;
    max_retry: number;
    retried: number;
    error_message: string;
    last_failed_at: string;
    timeout_seconds: number;
    deadline: string;
    next_process_at: string;
    completed_at: string;
    result: string;
    ttl_seconds: number;
    headers?: Record<string, string>;
    group?: string;
    payload_base64?: string;
    result_base64?: string;
    start_time?: string;
    is_orphaned?: boolean;
    actions?: Action[];
}

export type Group = {group: string, size: number};

export type TaskList = {tasks: TaskRow[], stats: Snapshot, groups?: Group[]};

export type SearchPage = {tasks: TaskRow[], scanned: number, total: number, cursor: string|null};

export interface ErrorGroup {
    message: string;
    count: number;
    last_failed_at: string;
    task_types: string[];
    sample_task_ids: string[];
}

export type ErrorPage = {errors: ErrorGroup[], scanned: number, total: number, cursor: string|null};

export interface Filter {
    id?: string;
    type?: string;
    text?: string;
    error?: string;
    older_than?: number;
    newer_than?: number;
}

export interface BulkJob {
    id: string;
    action: string;
    queue: string;
    state: State;
    scanned: number;
    total: number;
    matched: number;
    done: number;
    failed: number;
    finished: boolean;
    stopped: boolean;
    error: string|null;
}

export type Worker = {task_id: string, queue: string, task_type: string, task_payload: string, start_time: string};

export interface Server {
    id: string;
    host: string;
    pid: number;
    concurrency: number;
    queue_priorities: Record<string, number>;
    strict_priority_enabled: boolean;
    start_time: string;
    status: string;
    active_workers: Worker[];
}

export interface Entry {
    id: string;
    spec: string;
    task_type: string;
    task_payload: string;
    options: string[]|string;
    next_enqueue_at: string;
    prev_enqueue_at?: string;
}

export interface RedisInfo {
    address: string;
    info: Record<string, string>;
    raw_info: string;
    cluster: boolean;
    raw_cluster_nodes?: string;
    queue_locations?: {queue: string, keyslot: number, nodes: string[]}[];
}

export type MetricSeries = {metric: Record<string, string>, values: [number, string][]};

export type MetricAnswer = {status: string, error?: string, data?: {resultType: string, result: MetricSeries[]}};

export interface AuditEntry {
    at: string;
    who: string|null;
    address: string;
    action: string;
    queue: string|null;
    task_id: string|null;
    count: number|null;
    outcome: string;
}
