-- The last status of every package.

-- init:
CREATE TABLE IF NOT EXISTS packages (
	package TEXT PRIMARY KEY,
	status TEXT NOT NULL,
	version TEXT NOT NULL,
	changed_at TEXT NOT NULL
);

-- on: StatusChanged
INSERT INTO packages (package, status, version, changed_at)
VALUES (json_extract(:payload, '$.package'), json_extract(:payload, '$.status'),
	json_extract(:payload, '$.version'), :occurred_at)
ON CONFLICT (package) DO UPDATE SET
	status = excluded.status, version = excluded.version, changed_at = excluded.changed_at;

-- reset:
DELETE FROM packages;
