-- Lines added and deleted, per file and month (UTC).

-- init:
CREATE TABLE IF NOT EXISTS lines (
	path TEXT NOT NULL,
	month TEXT NOT NULL,
	changes INTEGER NOT NULL,
	added INTEGER NOT NULL,
	deleted INTEGER NOT NULL,
	PRIMARY KEY (path, month)
) WITHOUT ROWID;

-- on: FileChanged
INSERT INTO lines (path, month, changes, added, deleted)
VALUES (json_extract(:payload, '$.path'), substr(:occurred_at, 1, 7), 1,
	json_extract(:payload, '$.added'), json_extract(:payload, '$.deleted'))
ON CONFLICT (path, month) DO UPDATE SET
	changes = changes + 1,
	added = added + excluded.added,
	deleted = deleted + excluded.deleted;

-- reset:
DELETE FROM lines;
