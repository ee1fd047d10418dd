-- SPDX-License-Identifier: Apache-2.0
-- The tables of a SQLite store. Creating runs this text; checking compares a database with what this text makes.

CREATE TABLE IF NOT EXISTS events (
	global_position INTEGER PRIMARY KEY AUTOINCREMENT,
	event_id TEXT NOT NULL UNIQUE,
	aggregate_id TEXT NOT NULL,
	aggregate_type TEXT NOT NULL,
	event_type TEXT NOT NULL,
	tenant_id TEXT,
	actor_id TEXT,
	version INTEGER NOT NULL,
	timestamp TEXT NOT NULL,
	payload TEXT NOT NULL,
	created_at TEXT NOT NULL DEFAULT (datetime('now')),
	event_version INTEGER,
	correlation_id TEXT,
	causation_id TEXT,
	metadata TEXT,
	UNIQUE (aggregate_id, aggregate_type, version)
);
CREATE INDEX IF NOT EXISTS idx_events_event_type ON events (event_type);
CREATE INDEX IF NOT EXISTS idx_events_tenant_id ON events (tenant_id) WHERE tenant_id IS NOT NULL;

CREATE TABLE IF NOT EXISTS projection_checkpoints (
	projection_name TEXT PRIMARY KEY,
	last_event_id TEXT,
	last_event_type TEXT,
	last_processed_at TEXT,
	global_position INTEGER,
	events_processed INTEGER NOT NULL DEFAULT 0,
	created_at TEXT NOT NULL DEFAULT (datetime('now')),
	updated_at TEXT NOT NULL DEFAULT (datetime('now')),
	anchor_position INTEGER,
	anchor_event_id TEXT
);

CREATE TABLE IF NOT EXISTS dead_letter_queue (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	event_id TEXT NOT NULL,
	projection_name TEXT NOT NULL,
	event_type TEXT NOT NULL,
	event_data TEXT NOT NULL,
	error_message TEXT NOT NULL,
	error_stacktrace TEXT,
	retry_count INTEGER NOT NULL DEFAULT 0,
	first_failed_at TEXT NOT NULL DEFAULT (datetime('now')),
	last_failed_at TEXT NOT NULL DEFAULT (datetime('now')),
	status TEXT NOT NULL DEFAULT 'failed' CHECK (status IN ('failed', 'retrying', 'resolved')),
	resolved_at TEXT,
	resolved_by TEXT,
	parked_behind TEXT,
	UNIQUE (event_id, projection_name)
);
CREATE INDEX IF NOT EXISTS idx_dlq_projection_status ON dead_letter_queue (projection_name, status);
CREATE INDEX IF NOT EXISTS idx_dlq_first_failed_at ON dead_letter_queue (first_failed_at);

CREATE TABLE IF NOT EXISTS snapshots (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	aggregate_id TEXT NOT NULL,
	aggregate_type TEXT NOT NULL,
	version INTEGER NOT NULL,
	schema_version INTEGER NOT NULL DEFAULT 1,
	state TEXT NOT NULL,
	created_at TEXT NOT NULL DEFAULT (datetime('now')),
	last_event_id TEXT,
	UNIQUE (aggregate_id, aggregate_type)
);

-- suspect_*: the position its owner was about to hand over, and how many processes ended while it stood there.
-- reason: what keeps the owner from going on, or has ended its run, as JSON; null: nothing does.
CREATE TABLE IF NOT EXISTS subscription_leases (
	id INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE,
	owner TEXT,
	epoch INTEGER NOT NULL,
	acquired_at TEXT NOT NULL,
	released_at TEXT,
	suspect_position INTEGER,
	suspect_deaths INTEGER,
	lease_seconds REAL,
	host TEXT,
	pid INTEGER,
	last_error TEXT,
	last_error_at TEXT,
	reason TEXT
);

-- What made which tables: tables is a JSON array of names, filter the event types as JSON, null: all.
CREATE TABLE IF NOT EXISTS projection_versions (
	name TEXT PRIMARY KEY,
	tables TEXT NOT NULL,
	init_hash TEXT NOT NULL,
	statements_hash TEXT NOT NULL,
	filter TEXT,
	built_at TEXT NOT NULL,
	tide_version TEXT NOT NULL
);

-- A row for each durable pause.
CREATE TABLE IF NOT EXISTS subscription_controls (
	name TEXT PRIMARY KEY,
	paused_at TEXT NOT NULL,
	paused_by TEXT NOT NULL,
	reason TEXT NOT NULL,
	note TEXT,
	updated_at TEXT NOT NULL
);

-- What persons did; the newest are kept.
CREATE TABLE IF NOT EXISTS subscription_journal (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	at TEXT NOT NULL,
	who TEXT NOT NULL,
	host TEXT NOT NULL,
	act TEXT NOT NULL,
	name TEXT NOT NULL,
	detail TEXT
);

-- A row for each subscription that has, or had, lanes: their number, and what deleted rows have
-- counted.
CREATE TABLE IF NOT EXISTS subscription_groups (
	name TEXT PRIMARY KEY,
	lanes INTEGER NOT NULL,
	processed_before INTEGER NOT NULL,
	changed_at TEXT NOT NULL
);

-- Managers that run a group; no id is given twice, since it is a byte that is locked while the
-- member lives.
CREATE TABLE IF NOT EXISTS subscription_members (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL,
	member TEXT NOT NULL,
	host TEXT,
	pid INTEGER,
	joined_at TEXT NOT NULL,
	lease_seconds REAL,
	UNIQUE (name, member)
);

-- Stretches of the feed with one filter: events_processed as it was at their begin and end, events_discarded within.
CREATE TABLE IF NOT EXISTS projection_segments (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL,
	from_position INTEGER NOT NULL,
	stored_position INTEGER NOT NULL,
	filter TEXT NOT NULL,
	events_processed INTEGER NOT NULL,
	events_discarded INTEGER NOT NULL DEFAULT 0,
	began_at TEXT NOT NULL,
	until_position INTEGER,
	until_processed INTEGER,
	ended_at TEXT
);

-- A projection that is being rebuilt, or has been: reached is how far at most, undo what takes a swap back, as JSON.
CREATE TABLE IF NOT EXISTS projection_rebuilds (
	name TEXT PRIMARY KEY,
	build INTEGER NOT NULL,
	state TEXT NOT NULL,
	init_hash TEXT NOT NULL,
	statements_hash TEXT NOT NULL,
	reached INTEGER NOT NULL,
	undo TEXT,
	changed_at TEXT NOT NULL
);
